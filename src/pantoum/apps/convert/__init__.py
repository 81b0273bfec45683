"""Models of other programs: see README.md."""
