"""The command line: one file a command, each with its options and what it does; ``main`` joins them.

A command sees ``pantoum.api``, ``config`` and ``errors`` only, and the API not before it runs: ``--help``
imports neither NumPy nor rich.
"""
