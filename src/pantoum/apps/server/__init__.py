"""Models over HTTP: one thread per model writes for everybody, and whoever asks keeps a state of its own.

``README.md`` says what each file has. Needs the extra ``serve``.
"""
