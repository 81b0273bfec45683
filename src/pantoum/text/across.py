"""Where the costly work on the parts of a text is done: in this process, or spread over several.

A function that takes ``across`` uses it as it would use the built-in ``map``. ``here`` is ``map`` itself;
``data.workers`` has one that calls in other processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

__all__ = ["Across", "here"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Across(Protocol):
    """Calls a function for each item; the results in the order of the items."""

    def __call__(self, function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterator[Result]:
        """``function`` must be one that can be pickled, if other processes call it."""
        ...


def here(function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterator[Result]:
    """All calls in this process: ``map``."""
    return map(function, items)
