"""Bytes to frames of an archive and back: by a model, by what learns from nothing, or as they are."""
