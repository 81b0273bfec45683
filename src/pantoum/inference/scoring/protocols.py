"""How a text is divided into blocks when its loss is measured: three protocols, recorded with every figure.

``carried``       the text once, the state carried from the first token to the last: N-1 targets.
``segments:N``    ``S = max(1, min(N, (n-1)//512))`` equal spans read in parallel, each warmed by the 256
                  tokens before it; every target is scored, almost as ``carried`` would, in less time.
``windows:N``     inputs ``x[kN:(k+1)N]`` from a zero state each, targets shifted by one; the last partial
                  window counts.

A protocol gives ``TextBlock`` pieces: rows that are read in parallel, in time order, of which some only warm
the state. Blocks hold at most ``ROWS`` tokens, so memory does not grow with the text. Figures of two
protocols do not compare, and nothing here computes one; ``read_blocks`` (``inference.scoring.reader``) reads
them.

Shape letters: B rows in parallel, T time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pantoum.errors import SettingError
from pantoum.kernels import Array

SEGMENTS = "segments:64"
"""The protocol of every held-out figure of a run."""
WARM_TOKENS = 256
LEAST_SPAN = 512
ROWS = 1024
"""Tokens in a block: enough for products at full rate, few enough that what one kernel writes is still in the
second cache when the next one reads it."""
SIDE_BY_SIDE = 64
"""Windows read at once."""
LONGEST = 1 << 40
COUNTED = 1 << 20
"""Tokens of another text, at most, whose contexts are counted to choose a part: that takes 0.03 seconds."""
MOST_LOOKED = 1 << 22
"""Tokens of the text itself, at most, that are looked at: of longer parts their beginnings."""
CONTEXTS, PLACES, PRIOR = (1, 3), 18, 8.0
"""Lengths of these contexts, bits of their hashes, and the count that a shorter context weighs."""


Rows = Literal["continue", "zero", "join"]
"""``continue``: the rows of the block before. ``zero``: new rows, from a zero state. ``join``: the text's own
beginning, from what was read before the text, in front of the rows of the block before (if there is one)."""


@dataclass(frozen=True)
class TextBlock:
    """A rectangle of the text: inputs, and for each its target where one is scored."""

    inputs_BT: NDArray[np.int64]
    targets_BT: NDArray[np.int64]
    scored_BT: NDArray[np.bool_]
    rows: Rows
    """From which states the rows are read."""
    at_BT: NDArray[np.int64]
    """Where in the text each input stands; its target follows."""

    @property
    def warms(self) -> bool:
        """Whether it is read for the states after it alone."""
        return not self.scored_BT.any()


def parse_protocol(protocol: str) -> tuple[str, int]:
    """The protocol's kind and its number (0 for ``carried``)."""
    match = (
        re.fullmatch(r"carried|(segments|windows):([0-9]{1,12})", protocol)
        if isinstance(protocol, str)
        else None
    )
    number = int(match[2]) if match and match[2] else 0
    if match is None or (match[1] and not 1 <= number <= LONGEST):
        raise SettingError(
            "protocol",
            protocol,
            "must be carried, segments:N or windows:N with N at least 1",
            "give for example segments:64",
        )
    return match[1] or "carried", number


def blocks(
    tokens: Array, protocol: str, size: int | None = None, part: NDArray[np.int64] | None = None
) -> Iterator[TextBlock]:
    """The text's blocks in reading order, of at most ``size`` tokens (default: ``ROWS``); ``tokens`` may be
    a memory map. ``part``: which spans are scored alone, as ``typical_spans`` gives them."""
    kind, number = parse_protocol(protocol)
    if kind == "windows":
        yield from _windows(tokens, number, size)
    else:
        yield from spans(tokens, 1 if kind == "carried" else number, size, part)


def spans(
    tokens: Array, most: int, size: int | None = None, part: NDArray[np.int64] | None = None
) -> Iterator[TextBlock]:
    """A text in at most ``most`` equal spans of at least ``LEAST_SPAN`` targets, or in those of ``part``.

    Span i scores targets ``[i*n//S, (i+1)*n//S)``, so lengths differ by one at most and the last span is one
    of the longest: the state of its row after the last block is the state after the text.

        span   0        |================|                              continues what was read before
        span   1             ....|================|                     .... warms
        span S-1                         ....|================|         the next text continues its row
    """
    edges = _edges(len(tokens) - 1, max(1, min(most, (len(tokens) - 1) // LEAST_SPAN)))
    starts_B, ends_B = (edges[:-1], edges[1:]) if part is None else part
    first = int(starts_B[0] < WARM_TOKENS)  # that span has nothing to be warmed by
    if len(starts_B) > first:
        warmed_B = starts_B[first:]
        yield from _columns(tokens, warmed_B - WARM_TOKENS, warmed_B, False, "zero", size)
    yield from _columns(tokens, starts_B, ends_B, True, "join" if first else "continue", size)


def typical_spans(tokens: Array, targets: int, trained: Array) -> NDArray[np.int64]:
    """Where spans of so many targets in all begin and end [2,B]: one in each of B equal parts of the text,
    at the place where contexts as short as ``CONTEXTS``, counted in ``trained``, predict the span as well as
    they predict the part. So the loss of the spans is near that of the text (docs/log/start-up.md)."""
    count = max(1, min(64, targets // LEAST_SPAN))
    spans_B = np.diff(_edges(targets, count))
    parts = _edges(targets, count) + _edges(len(tokens) - 1 - targets, count)
    begins_B, ends_B = parts[:-1], np.minimum(parts[1:], parts[:-1] + MOST_LOOKED // count)
    looked = np.concatenate([*map(tokens.__getitem__, map(slice, begins_B, ends_B)), tokens[-1:]])
    sums = np.concatenate([[0.0], np.cumsum(_surprise(looked, trained))])
    shifts_B = begins_B - np.cumsum(ends_B - begins_B) + (ends_B - begins_B)
    starts = []
    for begin, end, length, shift in zip(begins_B, ends_B, spans_B, shifts_B, strict=True):
        places = np.arange(min(max(begin, WARM_TOKENS), end - length), end - length + 1)
        wanted = (sums[end - shift] - sums[begin - shift]) * length / (end - begin)
        off = sums[places + length - shift] - sums[places - shift] - wanted
        starts.append(places[np.abs(off).argmin()])
    return np.array([starts, starts + spans_B], np.int64)


def _edges(targets: int, count: int) -> NDArray[np.int64]:
    """Where so many equal parts begin, and the last one ends."""
    return np.arange(count + 1, dtype=np.int64) * targets // count


def _surprise(tokens: Array, trained: Array) -> NDArray[np.float64]:
    """About -log2 of the probability of each target, with the same bits on every machine."""
    p_T = np.full(len(tokens) - 1, 1 / 256)
    for length in CONTEXTS:
        seen, asked = _hashes(trained[:COUNTED], length), _hashes(tokens, length)
        times_T, right_T = (
            np.bincount(here, minlength=1 << PLACES)[there] for here, there in zip(seen, asked, strict=True)
        )
        p_T = (np.minimum(right_T, times_T) + PRIOR * p_T) / (times_T + PRIOR)
    mantissa_T, exponent_T = np.frexp(p_T)
    return np.asarray(-(exponent_T + 2.0 * mantissa_T))  # a straight line between powers of two


def _hashes(text: Array, length: int) -> list[NDArray[np.int64]]:
    """For each target of a text a hash of the ``length`` tokens before it, and one of these with it."""
    symbols = np.concatenate([np.zeros(length, np.uint64), text.astype(np.uint64) + np.uint64(1)])
    windows = np.lib.stride_tricks.sliding_window_view(symbols, length + 1)[1:]
    factors = np.cumprod(np.full(length + 1, 0x9E3779B97F4A7C15, np.uint64))
    sums = [windows[:, :wide] @ factors[:wide] for wide in (length, length + 1)]
    return [(each >> np.uint64(64 - PLACES)).astype(np.int64) for each in sums]


def _windows(tokens: Array, length: int, size: int | None) -> Iterator[TextBlock]:
    targets = len(tokens) - 1
    starts = range(0, targets, length)
    for first in range(0, len(starts), SIDE_BY_SIDE):
        starts_B = np.array(starts[first : first + SIDE_BY_SIDE], np.int64)
        ends_B = np.minimum(starts_B + length, targets)
        yield from _columns(tokens, starts_B, ends_B, True, "zero", size)


def _columns(
    tokens: Array,
    starts_B: NDArray[np.int64],
    ends_B: NDArray[np.int64],
    scored: bool,
    first: Rows,
    size: int | None,
) -> Iterator[TextBlock]:
    """Rows of nearly one length as blocks of columns, the first of which has the rows ``first``; past its end
    a row reads its last input again, unscored."""
    width = max(1, (size or ROWS) // len(starts_B))
    longest = int(np.max(ends_B - starts_B))
    for column in range(0, longest, width):
        at_BT = starts_B[:, None] + np.arange(column, min(column + width, longest), dtype=np.int64)[None, :]
        inside_BT = at_BT < ends_B[:, None]
        at_BT = np.minimum(at_BT, ends_B[:, None] - 1)
        inputs_BT = tokens[at_BT].astype(np.int64)
        targets_BT = tokens[at_BT + 1].astype(np.int64)
        yield TextBlock(inputs_BT, targets_BT, inside_BT & scored, "continue" if column else first, at_BT)
