"""pantoum: train a recurrent language model on your own text, on the machine you have, in minutes."""

__version__ = "0.1.0"
