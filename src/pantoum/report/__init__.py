"""What a run looks like: records, and pure functions of them (live view, curves, one HTML page)."""
