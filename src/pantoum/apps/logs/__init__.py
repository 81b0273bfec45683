"""Logs that grow: see README.md."""
