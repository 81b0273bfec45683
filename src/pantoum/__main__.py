"""The entry point of the command ``pantoum``, also as ``python -m pantoum``.

The command line is imported inside: Ctrl-C during the imports ends the process with one line, too.
"""

from __future__ import annotations

import signal
import sys

__all__ = ["entry"]


def entry() -> None:
    """Run the command and end the process with its exit code."""
    try:
        from pantoum.cli.main import main

        code = main()
        _end_by_ctrl_c()
    except KeyboardInterrupt:
        _end_by_ctrl_c()
        if sys.stderr is not None:
            sys.stderr.write("pantoum: interrupted\n")
        code = 130
    sys.exit(code)


def _end_by_ctrl_c() -> None:
    """From here on Ctrl-C ends the process at once.

    Everything is written. The interpreter, which now ends itself, would report a ``KeyboardInterrupt``.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    entry()
