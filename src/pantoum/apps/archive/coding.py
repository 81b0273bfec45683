"""Tokens to bits and back: a model gives the frequencies of the next token, a range coder does the rest.

Rows of tokens share a coder: ``LaneEncoding`` knows its tokens, ``LaneDecoding`` finds them out.
``side_by_side`` takes many of both through one batch of the model, a token of each row at a time, and treats
them alike: both see the same frequencies, because both get them from the same call. These are whole numbers,
made by the core (its bits are the same on every machine, whatever else is in the batch) and exact in float32
up to 2^24. The coder (constriction) adds 1 to each and scales them by 1, so that every step from the logits
to the bits is exact.

Shapes: R rows, T steps, V symbols.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from pantoum.apps.archive.archive import refusal
from pantoum.errors import CoreError, SettingError
from pantoum.seams import Array, LoadedModel, backend, stepper, without_core

__all__ = [
    "PRECISION", "LaneDecoding", "LaneEncoding", "Lanes", "code_bytes", "coder", "require_core", "rows_for",
    "side_by_side", "total_of", "words_of",
]  # fmt: skip

PRECISION = 24
MOST_LOGITS = 1 << 23
"""Logits that exist at once: 32 MB."""
MOST_ROWS = 256
"""Rows of a batch: more are not faster."""


@lru_cache(maxsize=1)
def coder() -> tuple[Any, Any]:
    """The module with the coder, and the family of distributions that are given by their frequencies."""
    try:
        import constriction
    except ImportError:
        rule, advice = "needs the package constriction", "run: pip install 'pantoum[compress]'"
        raise SettingError("compress", "", rule, advice, shown=False) from None
    return constriction.stream.queue, constriction.stream.model.Categorical(perfect=False)


def total_of(vocab_size: int) -> int:
    """The sum of the frequencies of so many symbols, before the coder adds 1 to each."""
    return (1 << PRECISION) - vocab_size


def rows_for(vocab_size: int) -> int:
    """How many rows of so many symbols are read side by side."""
    return max(1, min(MOST_ROWS, MOST_LOGITS // vocab_size))


class Lanes:
    """Tokens in rows of one length, of which the last may be shorter; one after the other they are a text.
    The rows share a coder."""

    def __init__(self, count: int, rows: int) -> None:
        self.count = count
        self.steps = -(-count // rows)
        self.rows = -(-count // max(1, self.steps))
        self._tokens_TR = np.zeros((self.steps, self.rows), np.int32)

    @property
    def tokens(self) -> Array:
        """The tokens in their order."""
        found: Array = self._tokens_TR.T.reshape(-1)[: self.count]
        return found

    def active(self, step: int) -> int:
        """How many rows have a token at this step."""
        return self.rows if step < self.count - (self.rows - 1) * self.steps else self.rows - 1

    def code(self, step: int, frequencies_RV: Array) -> Array:
        """The tokens of this step, of those rows that have one."""
        raise NotImplementedError


class LaneEncoding(Lanes):
    """Tokens on their way to bits."""

    def __init__(self, tokens: Array, rows: int = 1) -> None:
        super().__init__(len(tokens), rows)
        padded = np.zeros(self.steps * self.rows, np.int32)
        padded[: self.count] = tokens
        self._tokens_TR = np.ascontiguousarray(padded.reshape(self.rows, self.steps).T)
        queue, self._family = coder()
        self._encoder = queue.RangeEncoder()

    def code(self, step: int, frequencies_RV: Array) -> Array:
        """Encode them."""
        known = self._tokens_TR[step, : self.active(step)]
        self._encoder.encode(known, self._family, frequencies_RV[: len(known)])
        return known

    def bits(self) -> bytes:
        """What was encoded, in as few whole bytes as tell it from all else."""
        return code_bytes(self._encoder)


class LaneDecoding(Lanes):
    """Tokens that are found out from bits."""

    def __init__(self, bits: bytes, count: int, rows: int = 1) -> None:
        super().__init__(count, rows)
        queue, self._family = coder()
        self._decoder = queue.RangeDecoder(words_of(bits))
        self._broken = False

    def code(self, step: int, frequencies_RV: Array) -> Array:
        """Decode them. Bits that nobody has encoded spoil these tokens and no others."""
        tokens_R = self._tokens_TR[step, : self.active(step)]
        if not self._broken:
            try:
                tokens_R[...] = self._decoder.decode(self._family, frequencies_RV[: len(tokens_R)])
            except (AssertionError, ValueError):
                self._broken = True
        return tokens_R

    def checked(self) -> Array:
        """The tokens; ``ArchiveError`` where the bits are none of theirs."""
        if self._broken:
            raise refusal("a frame has bits that no encoder writes")
        return self.tokens


def words_of(bits: bytes) -> Array:
    """Bytes as the words of the coder, with zeros after them."""
    return np.frombuffer(bits + bytes(-len(bits) % 4), ">u4").astype(np.uint32)


def code_bytes(encoder: Any) -> bytes:
    """The bytes of a coder's words. The last word says which number of an interval it is: one with as many
    zeros at its end as there is in it takes their place, and zeros at the end are left out."""
    words = encoder.get_compressed()
    data = words.astype(">u4").tobytes()
    position, (lower, width) = encoder.pos()
    if len(words) == position + 1 and lower + (1 << 32) <= 1 << 64:
        for kept in range(4):
            unit = 1 << 64 - 8 * kept
            number = -(-lower // unit) * unit
            if number < min(lower + width, 1 << 64):
                data = data[:-4] + (number >> 32).to_bytes(4, "big")
                break
    return bytes(data.rstrip(b"\0"))


def require_core() -> None:
    """``CoreError`` where the bits of a model may be those of this machine alone."""
    if without_core() is not None:
        raise CoreError(
            f"an archive with a model needs the native core, whose bits are the same on every machine, and "
            f"{without_core()}; install pantoum with a C++ compiler"
        )


def side_by_side(model: LoadedModel, units: Sequence[Lanes]) -> None:
    """Take the tokens of all units through the model and their coders, in batches."""
    require_core()
    most, batch, rows = rows_for(model.vocab_size), list[Lanes](), 0
    for unit in sorted((unit for unit in units if unit.count), key=lambda unit: -unit.steps):
        if batch and rows + unit.rows > most:
            _batch(model, batch, rows)
            batch, rows = [], 0
        batch.append(unit)
        rows += unit.rows
    if batch:
        _batch(model, batch, rows)


def _batch(model: LoadedModel, units: Sequence[Lanes], rows: int) -> None:
    """The same for units of so many rows, those with more steps first. Each row begins at the border, where
    the state is zero; within documents the state is zeroed before the border is read again."""
    program = model.program
    state = program.initial_state(rows)
    tokens_R = np.full(rows, model.border, np.int32)
    logits_RV = np.empty((rows, model.vocab_size), np.float32)
    step, kernels = stepper(program, tokens_R, state, logits_RV), backend(np.float32)
    total, eos = total_of(model.vocab_size), model.eos
    firsts = np.cumsum([0, *(unit.rows for unit in units)]).tolist()
    going = len(units)
    for t in range(units[0].steps):
        while units[going - 1].steps <= t:
            going -= 1
        count = firsts[going]
        step(0, count)
        kernels.frequencies(logits_RV[:count], total)
        for unit, first in zip(units[:going], firsts, strict=False):
            tokens = unit.code(t, logits_RV[first : first + unit.rows])
            tokens_R[first : first + len(tokens)] = tokens
        if eos is not None:
            ended_B = np.flatnonzero(tokens_R[:count] == eos)
            if len(ended_B):
                for array in state.arrays:
                    array[ended_B] = 0
