"""How a text is read when its loss is measured: three protocols, each recorded with every figure.

``carried``       one pass, the state carried from the first token to the last: N-1 targets.
``segments:N``    ``S = max(1, min(N, (n-1)//512))`` equal spans read side by side, each warmed by the 256
                  tokens before it; every target is scored, almost as ``carried`` would, in less time.
``windows:N``     inputs ``x[kN:(k+1)N]`` from a zero state each, targets shifted by one; the last partial
                  window counts.

A protocol is made into ``Block`` pieces: rows read side by side, in time order, of which some columns only
warm the state. Blocks hold at most ``ROWS`` tokens, so memory does not grow with the text. Figures of two
protocols do not compare, and nothing here computes one.

Shape letters: B rows side by side, T time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pantoum.errors import SettingError
from pantoum.kernels import Array

__all__ = ["SEGMENTS", "WARM_TOKENS", "Block", "blocks", "parse_protocol"]

SEGMENTS = "segments:64"
"""The protocol of every held-out figure of a run."""
WARM_TOKENS = 256
LEAST_SPAN = 512
ROWS = 1024
"""Tokens in a block: enough for products at full rate, few enough for a large vocabulary's logits."""
SIDE_BY_SIDE = 64
"""Windows read at once."""
LONGEST = 1 << 40


@dataclass(frozen=True)
class Block:
    """A rectangle of the text: inputs, and for each its target where one is scored."""

    inputs_BT: NDArray[np.int64]
    targets_BT: NDArray[np.int64]
    scored_BT: NDArray[np.bool_]
    fresh_B: NDArray[np.bool_] | None
    """Rows that begin from a zero state here; ``None``: all rows go on from the block before."""
    at_BT: NDArray[np.int64]
    """Where in the text each input stands; its target follows."""


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


def blocks(tokens: Array, protocol: str) -> Iterator[Block]:
    """The text's blocks in reading order; ``tokens`` may be a memory map."""
    kind, number = parse_protocol(protocol)
    targets = len(tokens) - 1
    if kind == "windows":
        yield from _windows(tokens, number)
    else:
        spans = 1 if kind == "carried" else max(1, min(number, targets // LEAST_SPAN))
        yield from _spans(tokens, spans)


def _spans(tokens: Array, spans: int) -> Iterator[Block]:
    """Equal spans of targets: span i scores targets ``[i*n//S, (i+1)*n//S)``, so lengths differ by one at
    most."""
    targets = len(tokens) - 1
    edges = np.arange(spans + 1, dtype=np.int64) * targets // spans
    starts_B, ends_B = edges[:-1], edges[1:]
    if spans > 1:
        # The first span has nothing before it: it reads its own beginning instead, and forgets it below.
        warm_starts_B = np.maximum(starts_B - WARM_TOKENS, 0)
        yield from _columns(
            tokens, warm_starts_B, warm_starts_B + WARM_TOKENS, scored=False, fresh_B=np.ones(spans, bool)
        )
        fresh_B = np.arange(spans) == 0
    else:
        fresh_B = np.ones(1, bool)
    yield from _columns(tokens, starts_B, ends_B, scored=True, fresh_B=fresh_B)


def _windows(tokens: Array, size: int) -> Iterator[Block]:
    targets = len(tokens) - 1
    starts = range(0, targets, size)
    for first in range(0, len(starts), SIDE_BY_SIDE):
        starts_B = np.array(starts[first : first + SIDE_BY_SIDE], np.int64)
        ends_B = np.minimum(starts_B + size, targets)
        yield from _columns(tokens, starts_B, ends_B, scored=True, fresh_B=np.ones(len(starts_B), bool))


def _columns(
    tokens: Array,
    starts_B: NDArray[np.int64],
    ends_B: NDArray[np.int64],
    *,
    scored: bool,
    fresh_B: NDArray[np.bool_],
) -> Iterator[Block]:
    """Rows of nearly one length as blocks of columns; past a row's end it reads its last input again,
    unscored."""
    width = max(1, ROWS // len(starts_B))
    longest = int(np.max(ends_B - starts_B))
    for column in range(0, longest, width):
        at_BT = starts_B[:, None] + np.arange(column, min(column + width, longest), dtype=np.int64)[None, :]
        inside_BT = at_BT < ends_B[:, None]
        at_BT = np.minimum(at_BT, ends_B[:, None] - 1)
        inputs_BT = tokens[at_BT].astype(np.int64)
        targets_BT = tokens[at_BT + 1].astype(np.int64)
        yield Block(inputs_BT, targets_BT, inside_BT & scored, fresh_B if column == 0 else None, at_BT)
