"""The command line: one file per command with its options and what it does; ``main`` joins them.

A command imports only ``pantoum.api``, ``config`` and ``errors``, and the API only when it runs: ``--help``
imports neither NumPy nor rich.
"""
