"""A language model whose matrices lie in a file: packed once, forgotten, and read again for whoever asks.

Reading text needs a matrix as the kernels take it (its panels) and nothing else of it. So ``take`` lends the
file's arrays to the blocks while they pack, and afterwards only the panels are left, with a copy of what is
used as it is: biases, normalisation, input vectors. The float32 parameters, which few ask for (adapting,
training from this model), come by ``fetch`` when ``parameters`` is first looked at; until then their arrays
are zeros that no memory was ever given to.

It never changes: its parameters are read-only. ``copy.deepcopy`` gives a plain model that may be changed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from pantoum.errors import SettingError
from pantoum.kernels import Array
from pantoum.network.codes import Codes
from pantoum.network.language_model import LanguageModel
from pantoum.network.packed_model import PackedLanguageModel
from pantoum.network.parameters import Parameters

__all__ = ["StoredModel"]

Fetch = Callable[[], Mapping[str, Array]]


class StoredModel(LanguageModel):
    """A language model for reading, in its file's precision: made by ``from_config`` with ``seed=None``,
    filled by ``take``."""

    _packed: PackedLanguageModel
    _fetch: Fetch | None = None
    precision = "float32"

    def take(self, weights: Mapping[str, Any], fetch: Fetch, precision: str = "float32") -> None:
        """Pack these (by parameter name: float32 arrays, or ``Codes``), which may go away afterwards;
        ``fetch`` gives them as float32 arrays."""
        self._lock, self.precision = threading.Lock(), precision
        lent = self._lent()
        for name in self._own.keys() - lent:
            self._own[name] = _floats(weights[name])
        before = [
            (part, part.lend({own: weights[prefix + own] for own in part if prefix + own in lent}))
            for prefix, part in self._parts()
        ]
        self._packed = super().pack(precision)
        self._packed.forget()
        for part, own in before:
            part.lend(own)
        self._fetch = fetch

    @property
    def parameters(self) -> Parameters:
        """All of them, read-only; read from the file when first asked for."""
        if self._fetch is not None:
            with self._lock:
                self._fill()
        return self._own

    @parameters.setter
    def parameters(self, joined: Parameters) -> None:
        self._own = joined

    @property
    def num_parameters(self) -> int:
        return self._own.size

    def pack(self, precision: str = "float32") -> PackedLanguageModel:
        """The one that ``take`` made."""
        if precision not in ("float32", self.precision):
            raise SettingError(
                "precision",
                precision,
                "is not what this model was read for",
                "copy.deepcopy(network) can be packed anew",
            )
        return self._packed

    def __deepcopy__(self, memo: dict[int, Any]) -> LanguageModel:
        model = LanguageModel.from_config(self.config, self.vocab_size, None, dtype=self.dtype)
        model.parameters.update(self.parameters)
        return model

    def _fill(self) -> None:
        fetch, self._fetch = self._fetch, None
        if fetch is None:  # another thread was here
            return
        try:
            arrays = fetch()
        except BaseException:
            self._fetch = fetch
            raise
        for name in self._lent():
            self._own[name] = arrays[name]
        for array in self._own.values():
            array.flags.writeable = False

    def _parts(self) -> list[tuple[str, Parameters]]:
        """The blocks' own parameters, each with its names' beginning."""
        cells = [(f"stack.{layer}.", cell.parameters) for layer, cell in enumerate(self.stack.cells)]
        return [*cells, ("head.", self.head.parameters)]

    def _lent(self) -> set[str]:
        """The matrices that are needed in panels only. One-hot inputs are rows of the first one itself."""
        plain = "stack.0.weight_ih" if self.embedding_VE is None else ""
        return {
            prefix + own
            for prefix, part in self._parts()
            for own, array in part.items()
            if array.ndim == 2 and prefix + own != plain
        }


def _floats(weight: Any) -> Array:
    return weight.floats() if isinstance(weight, Codes) else weight
