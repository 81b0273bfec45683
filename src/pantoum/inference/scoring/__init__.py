"""The nats of the tokens of a text, and the words and lines that these tokens make."""
