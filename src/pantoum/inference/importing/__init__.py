"""Models of other programs, each read from its file as that program has it, and made into one of ours."""
