"""Texts of a given form: what a form is written as, its grammar, and where a text stands in it.

expression, grammar    what a person gives, as a grammar of llguidance; mistakes are told in a line
form_reader            whether a text that is there has the form
automaton              the matchers of a grammar over a vocabulary, and what they share
vocabulary             a tokenizer as llguidance reads it
form                   a grammar over a vocabulary: matchers of it, and the shortest way to its end
place                  where one text stands in its form, token by token
"""
