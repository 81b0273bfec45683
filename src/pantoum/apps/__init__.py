"""Apps: each reaches pantoum through ``seams`` and is reached through entry points (``extensions``)."""
