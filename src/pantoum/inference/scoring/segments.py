"""The nats of the tokens of a text that comes in parts: in one stream, or in segments read in parallel.

``OneStream`` reads each token after all tokens before it, and answers at once.

``Segments`` is for speed: it waits for a block of tokens and reads it in N spans in parallel, because a
product of N rows costs little more than one of a single row. Each span is warmed by the tokens before it
(``protocols.spans``, by which ``segments:N`` evaluates), so near its beginning the model misses only what
came earlier than these. The answers come in the order of the text. Where the state is zeroed within the
warming tokens (documents), nothing is missing at all.

Shape letters: B rows, T time, V symbols.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pantoum.config.plain import Plain
from pantoum.inference.scoring.protocols import LEAST_SPAN, spans
from pantoum.inference.scoring.reader import Reader, read_blocks
from pantoum.kernels import Array
from pantoum.network.checks import require_finite
from pantoum.network.program import Program
from pantoum.network.stepping import SteppedLosses

__all__ = ["Following", "OneStream", "ReadElsewhere", "Scored", "Segments"]

AT_ONCE = 576
"""Tokens of one stream after which their nats are given out, so that a long part of a text is answered before
its end: three chunks of adapting."""
LONGEST = 4096
"""Most tokens that a segment scores: one in seventeen tokens read is then for warming."""
STEPPED = 4096
"""Tokens in a block that is read by steps: what is done once per block takes longer than a step."""
PART = 1 << 16
"""Tokens of a block that are given out together: what becomes of them stays in the second cache."""
Ids = NDArray[np.int64]
Resets = NDArray[np.bool_]
Scored = tuple[Ids, Array]


class Following:
    """Gives the nats of tokens as they come, in their order."""

    def push(self, ids_T: Ids) -> Iterator[Scored]:
        """Tokens of the text and their nats, as far as they are known by now."""
        raise NotImplementedError

    def finish(self) -> Iterator[Scored]:
        """The rest."""
        yield from ()


class OneStream(Following):
    """Each token at once. ``first``: the token before the text; ``resets_V``: the tokens before which the
    state is zeroed, or none."""

    def __init__(self, reader: Reader, first: int, resets_V: Resets | None) -> None:
        self._reader, self._last, self._resets_V = reader, first, resets_V

    def push(self, ids_T: Ids) -> Iterator[Scored]:
        """Their nats."""
        for start in range(0, len(ids_T), AT_ONCE):
            part_T = ids_T[start : start + AT_ONCE]
            inputs_BT = np.concatenate([[self._last], part_T[:-1]])[None]
            self._last = int(part_T[-1])
            reset_BT = None if self._resets_V is None else self._resets_V[inputs_BT]
            yield part_T, self._reader.losses(inputs_BT, part_T[None], reset_BT)[0]

    def kept(self) -> tuple[dict[str, Array], dict[str, Plain]]:
        """Where it stands, for a state file."""
        arrays, plain = self._reader.kept()
        return arrays, {"last": self._last, **plain}

    def resume(self, arrays: Mapping[str, Array], kept: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._reader.resume(arrays, kept)
        self._last = int(kept["last"])


class ReadElsewhere(Following):
    """Keeps the tokens of a text until somebody else has read them."""

    def __init__(self) -> None:
        self.tokens_T: Ids = np.zeros(0, np.int64)
        self.nats_T: Array | None = None
        """The nats of all of them, which must be given before the end."""

    def push(self, ids_T: Ids) -> Iterator[Scored]:
        """Nothing yet."""
        self.tokens_T = np.concatenate([self.tokens_T, ids_T])
        return iter(())

    def finish(self) -> Iterator[Scored]:
        """All tokens, in parts of the size of ``OneStream``."""
        assert self.nats_T is not None
        for start in range(0, len(self.tokens_T), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            yield self.tokens_T[part], self.nats_T[part]


class Segments(Following):
    """A block of tokens at a time, in ``streams`` segments in parallel; a short text in fewer."""

    def __init__(self, program: Program, streams: int, first: int, resets_V: Resets | None) -> None:
        self._program, self._streams = program, streams
        self._last, self._resets_V = first, resets_V
        self._state = program.initial_state(1)
        """The state after the text, without the tokens that wait."""
        self._waiting: list[Ids] = []
        self._count = 0

    def push(self, ids_T: Ids) -> Iterator[Scored]:
        """Nothing until a block is full."""
        self._waiting.append(ids_T)
        self._count += len(ids_T)
        full = self._streams * LONGEST
        if self._count <= full:
            return
        ids_T = np.concatenate(self._waiting)
        for start in range(0, len(ids_T) - full, full):
            yield from self._block(ids_T[start : start + full])
            self._count -= full
        self._waiting = [ids_T[len(ids_T) - self._count :]]

    def finish(self) -> Iterator[Scored]:
        """The last block, which may be the only one."""
        if self._count:
            yield from self._block(np.concatenate(self._waiting))
        self._waiting, self._count = [], 0

    def _block(self, ids_T: Ids) -> Iterator[Scored]:
        nats_T = self._read(ids_T)
        for start in range(0, len(ids_T), PART):
            yield ids_T[start : start + PART], nats_T[start : start + PART]

    @np.errstate(over="ignore", invalid="ignore")  # `require_finite` reports what overflows
    def _read(self, ids_T: Ids) -> Array:
        """The nats of a block."""
        text_T = np.concatenate([[self._last], ids_T])
        nats_T = np.empty(len(ids_T), np.float32)
        streams = min(self._streams, len(ids_T) // LEAST_SPAN)
        by_steps = SteppedLosses.are_faster(self._program, streams, STEPPED)
        parts, before = spans(text_T, self._streams, STEPPED if by_steps else None), self._state
        found = read_blocks(self._program, parts, self._resets_V, before)
        for block, nats_BT, _, self._state in found:
            nats_T[block.at_BT[block.scored_BT]] = nats_BT[block.scored_BT]
        require_finite([nats_T])
        self._state, self._last = self._state.select([-1]), int(ids_T[-1])
        return nats_T
