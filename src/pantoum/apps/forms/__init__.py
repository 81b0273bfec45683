"""Texts of a given form: what a form is written as, its grammar, and where a text stands in it.

expression, schema     what a person gives, in the syntax of llguidance, and short texts of it
grammar                the grammar of what is asked, and its matchers; mistakes are told in a line
form_reader            whether a text that is there has the form
token_bytes            a tokenizer as llguidance reads it
form                   a grammar over a vocabulary: the shortest way to its end
place                  where one text stands in its form, token by token
"""
