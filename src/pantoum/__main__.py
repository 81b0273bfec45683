"""The entry point of the command ``pantoum``, also as ``python -m pantoum``.

The command line is imported inside: Ctrl-C during the imports ends the process with one line, too.
"""

from __future__ import annotations

import sys

__all__ = ["entry"]


def entry() -> None:
    """Run the command and end the process with its exit code."""
    try:
        from pantoum.cli.main import main

        code = main()
    except KeyboardInterrupt:
        if sys.stderr is not None:
            sys.stderr.write("pantoum: interrupted\n")
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    entry()
