"""Threads that call the kernels at the same time, each call in one thread.

Usually a call is shared among all threads of the core. Pieces of work that do not need each other are faster
side by side: nobody waits for anybody within a call, and a thread reads a matrix for all rows of its piece.
While the core computes, ctypes lets other Python threads run. The kernels in NumPy hold the interpreter's
lock too often for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pantoum.kernels import backend, native

__all__ = ["Callers", "callers", "most_callers"]

T = TypeVar("T")


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
