"""Scratch arrays that are made once and reused from step to step.

A training step needs some hundred megabytes of arrays of always the same shapes. Fresh ones would come
from the system as untouched pages, and touching them costs more than the arithmetic on them; so whoever
repeats a step owns a ``Workspace`` and hands it down. An array is asked for by name; a name belongs to one
use, and ``scope`` gives each layer names of its own. Contents are undefined when handed out, and a result
that lives in a workspace is valid until the next call with that workspace. It never shrinks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pantoum.kernels.types import Array

T = TypeVar("T")


class Workspace:
    """Named scratch arrays; one owner, one thread."""

    def __init__(self, passing: Workspace | None = None) -> None:
        self._passing = passing
        self._owns_passing = passing is None
        self._arrays: dict[str, Array] = {}
        self._stores: dict[str, Array] = {}
        self._scopes: dict[str, Workspace] = {}
        self._kept: dict[str, Any] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """The array of this name, C-contiguous, of this shape and dtype; its contents are undefined."""
        known = self._arrays.get(name)
        if known is not None and known.shape == shape and known.dtype == dtype:
            return known
        size, dtype = int(np.prod(shape, dtype=np.int64)), np.dtype(dtype)
        store = self._stores.get(name)
        if store is None or store.dtype != dtype or store.size < size:
            store = self._stores[name] = np.empty(size, dtype)
        array = self._arrays[name] = store[:size].reshape(shape)
        return array

    def scope(self, name: str) -> Workspace:
        """The workspace of a part, such as a layer, whose names do not meet those of others."""
        if name not in self._scopes:
            self._scopes[name] = Workspace(self.passing)
        return self._scopes[name]

    @property
    def passing(self) -> Workspace:
        """Arrays that hold during one operation only: all scopes share them, so that what each layer needs
        for a moment is there once."""
        if self._passing is None:
            self._passing = Workspace()
        return self._passing

    def kept(self, name: str, make: Callable[[], T]) -> T:
        """Something else that is made once and reused, such as packed weights: ``make()``, the first time."""
        if name not in self._kept:
            self._kept[name] = make()
        found: T = self._kept[name]
        return found

    @property
    def nbytes(self) -> int:
        """Bytes held, those of the scopes included."""
        own = sum(store.nbytes for store in self._stores.values())
        if self._owns_passing and self._passing is not None:
            own += self._passing.nbytes
        return own + sum(scope.nbytes for scope in self._scopes.values())
