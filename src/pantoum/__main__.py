"""The entry point of the command ``pantoum``, also as ``python -m pantoum``.

Until the command itself runs, nothing has to be cleared away, so Ctrl-C ends the process in the very handler.
A ``KeyboardInterrupt`` would come up in the middle of an import, where Python and other packages drop it or
make another error of it. This file, and ``pantoum`` itself, therefore import as little as they can before the
handler is in place: not even ``signal``, which imports several modules, but the part of it that is built in.
"""

import _signal  # type: ignore[import-not-found]  # typeshed does not know it
import os
import sys


def entry() -> None:
    """Run the command and end the process with its exit code."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _leave)
    try:
        from pantoum.cli.main import main

        code = main(ready=_raise_again)
        _end_by_ctrl_c()
    except KeyboardInterrupt:
        _end_by_ctrl_c()
        if sys.stderr is not None:
            sys.stderr.write("pantoum: interrupted\n")
        code = 130
    sys.exit(code)


def _leave(number: int, frame: object) -> None:
    """Ctrl-C before the command runs."""
    try:
        os.write(2, b"pantoum: interrupted\n")
    finally:
        os._exit(130)


def _raise_again() -> None:
    """From here on Ctrl-C raises ``KeyboardInterrupt``: the command knows what to clear away."""
    if _signal.getsignal(_signal.SIGINT) is _leave:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def _end_by_ctrl_c() -> None:
    """From here on Ctrl-C ends the process at once.

    Everything is written. The interpreter, which now ends itself, would report a ``KeyboardInterrupt``.
    """
    if _signal.getsignal(_signal.SIGINT) in (_signal.default_int_handler, _leave):
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


if __name__ == "__main__":
    entry()
