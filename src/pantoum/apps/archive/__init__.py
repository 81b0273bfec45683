"""Archives: see README.md."""
