"""Threads: how many a call of the kernels uses, and callers that work side by side.

``--threads`` of the command line is set before anything is loaded. A call from Python (``threads=``) comes
later, in a process that may already have computed with other threads, and leaves it as it found it.

Usually a call is shared among all threads of the core. Pieces of work that do not need each other are faster
side by side, each call in one thread: nobody waits for anybody within a call, and a thread reads a matrix
for all rows of its piece. While the core computes, ctypes lets other Python threads run. The kernels in NumPy
hold the interpreter's lock too often for that.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pantoum.kernels import backend, native, without_core

NAME = "PANTOUM_THREADS"
T = TypeVar("T")


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


class Callers:
    """Some threads that work for a while."""

    def __init__(self, count: int, executor: Executor) -> None:
        self.count, self._executor = count, executor

    def each(self, work: Callable[..., T], *arguments: Iterable[Any]) -> list[T]:
        """``work`` called for each of the arguments, as ``map`` does; the results in this order. NumPy warns
        of what it would warn of here."""
        warned = np.geterr()

        def one(*own: Any) -> T:
            with np.errstate(**warned):
                return work(*own)

        return list(self._executor.map(one, *arguments))


@contextmanager
def callers(count: int) -> Iterator[Callers]:
    """``count`` threads, which have ended at the end of the block."""
    own = native.core().set_own_threads
    with ThreadPoolExecutor(count, "pantoum-caller", initializer=own, initargs=(1,)) as executor:
        yield Callers(count, executor)


def most_callers(dtype: npt.DTypeLike) -> int:
    """How many threads may call the kernels of this dtype at the same time: as many as a call is usually
    shared among; 1 in NumPy."""
    return native.core().threads if backend(dtype) is native else 1
