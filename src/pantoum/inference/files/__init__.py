"""The forms in which a file holds a model: precision, tables, counts, members, named texts, PyTorch."""
