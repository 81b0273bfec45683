"""A run as it lies on disk and goes on: folder, state, budget, checkpoints, signals, reports."""
