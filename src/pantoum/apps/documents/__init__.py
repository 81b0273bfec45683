"""Documents and addresses: see README.md."""
