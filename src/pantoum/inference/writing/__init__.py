"""Texts as streams of one batch: the draw of a token, what may follow it, where a text ends, K texts."""
