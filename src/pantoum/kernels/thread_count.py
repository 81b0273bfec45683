"""How many threads the arithmetic of this process uses, for as long as somebody asks for another number.

``--threads`` of the command line is set before anything is loaded. A call from Python (``threads=``) comes
later, in a process that may already have computed with other threads, and leaves it as it found it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pantoum.kernels import native, without_core

__all__ = ["with_threads"]

NAME = "PANTOUM_THREADS"


@contextmanager
def with_threads(count: int | None) -> Iterator[None]:
    """While inside, the core and what is started from here use ``count`` threads; ``None`` changes nothing.

    The number is that of the process: calls in several threads at once should ask for the same one.
    """
    if count is None:
        yield
        return
    if (reason := without_core()) is not None:
        warnings.warn(
            f"threads {count} has no effect on NumPy, which does the arithmetic ({reason}); set "
            "OPENBLAS_NUM_THREADS before the program starts",
            UserWarning,
            stacklevel=4,
        )
    before = os.environ.get(NAME)
    os.environ[NAME] = str(count)
    core = None if reason is not None else native.core()
    own = 0 if core is None else core.threads
    try:
        if core is not None:
            core.set_threads(count)
        yield
    finally:
        if core is not None:
            core.set_threads(own)
        if before is None:
            os.environ.pop(NAME, None)
        else:
            os.environ[NAME] = before
