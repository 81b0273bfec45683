"""pantoum in other programs: each module imports one of them, and nothing else in pantoum imports it."""
