"""The held-out text read by all ranks: each reads some of the spans of ``segments:N``.

A row of a block is read in the same way whatever rows are beside it (with the native core, to the bit), so
that the losses are those of one process. Rank 0 sends the weights and the text, as only it has both, and puts
the losses of all spans together in the order of the blocks.

Shapes: B spans, T time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pantoum import kernels
from pantoum.config import ModelConfig
from pantoum.inference.scoring.protocols import TextBlock, blocks
from pantoum.inference.scoring.reader import read_blocks
from pantoum.kernels import Array
from pantoum.network import LanguageModel
from pantoum.network.program import Program
from pantoum.ranks.interface import Ranks
from pantoum.training.parallel.rank_commands import command, receive_arrays, send_arrays, shapes

__all__ = ["SpreadReading", "read_for_rank_0"]

TOKENS = "tokens"
"""The name of the text among the arrays of a command; parameters have a dot in theirs."""


class SpreadReading:
    """Reads on all ranks, for rank 0."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks

    @property
    def possible(self) -> bool:
        """Whether there are other ranks, and an arithmetic in which rows do not depend on each other."""
        return self._ranks.count > 1 and kernels.without_core() is None

    def read(
        self,
        program: Program,
        weights: Mapping[str, Array],
        tokens: Array,
        protocol: str,
        resets_V: NDArray[np.bool_] | None,
    ) -> Iterator[tuple[TextBlock, Array, Array]]:
        """The blocks of the text, the nats [B,T] of their targets and the predictions [B,T]; blocks that only
        warm the state are left out. ``program``: that of the weights."""
        arrays = {**weights, TOKENS: np.asarray(tokens)}
        command(
            self._ranks,
            "read",
            model=[program.config.spec(), program.vocab_size, program.precision],
            protocol=protocol,
            resets=None if resets_V is None else np.flatnonzero(resets_V).tolist(),
            arrays=shapes(arrays),
        )
        send_arrays(self._ranks, list(arrays.values()))
        count = _spans(tokens, protocol)
        spans = [_own(count, self._ranks, rank) for rank in range(self._ranks.count)]
        found = [_read(program, tokens, protocol, resets_V, spans[0])]
        for own in spans[1:]:
            size = _size(tokens, protocol, own)
            found.append((np.empty(size, np.float32), np.empty(size, np.int32)))
        incoming = [(rank, array) for rank, part in enumerate(found) for array in part if rank and array.size]
        self._ranks.exchange([], incoming)()
        yield from _together(blocks(tokens, protocol), found, spans)


def read_for_rank_0(
    ranks: Ranks, model: list[Any], protocol: str, resets: list[int] | None, arrays: list[list[Any]]
) -> None:
    """What another rank does for ``SpreadReading.read``."""
    received = receive_arrays(ranks, arrays)
    tokens = received.pop(TOKENS)
    config, vocab_size, precision = model
    shape = LanguageModel(vocab_size, config=ModelConfig.from_spec(config), seed=None)
    program = Program(shape, received, precision=precision)
    resets_V = None if resets is None else np.isin(np.arange(vocab_size), resets)
    own = _own(_spans(tokens, protocol), ranks, ranks.rank)
    found = _read(program, tokens, protocol, resets_V, own)
    ranks.exchange([(0, array) for array in found if array.size], [])()


def _spans(tokens: Array, protocol: str) -> int:
    """How many spans the protocol makes of a text."""
    return len(next(_scored(blocks(tokens, protocol))).inputs_BT)


def _own(count: int, ranks: Ranks, rank: int) -> slice:
    """The spans of a rank, some of all."""
    return slice(rank * count // ranks.count, (rank + 1) * count // ranks.count)


def _scored(all_blocks: Iterator[TextBlock]) -> Iterator[TextBlock]:
    return (block for block in all_blocks if not block.warms)


def _size(tokens: Array, protocol: str, own: slice) -> int:
    """Losses that the rank of these spans computes."""
    return sum(block.inputs_BT[own].size for block in _scored(blocks(tokens, protocol)))


@np.errstate(over="ignore", invalid="ignore")  # losses that are not finite are the news
def _read(
    program: Program, tokens: Array, protocol: str, resets_V: NDArray[np.bool_] | None, own: slice
) -> tuple[Array, Array]:
    """Nats and predictions of these spans, block after block."""
    nats, predictions = [np.zeros(0, np.float32)], [np.zeros(0, np.int32)]
    found = read_blocks(program, _of_spans(blocks(tokens, protocol), own), resets_V)
    for _, nats_BT, predictions_BT, _ in found:
        nats.append(nats_BT.reshape(-1).astype(np.float32))
        predictions.append(predictions_BT.reshape(-1).astype(np.int32))
    return np.concatenate(nats), np.concatenate(predictions)


def _of_spans(all_blocks: Iterator[TextBlock], own: slice) -> Iterator[TextBlock]:
    """The rows of these spans. Blocks that warm the state have no row of span 0."""
    for block in all_blocks:
        rows = slice(max(own.start, 1) - 1, max(own.stop - 1, 0)) if block.warms else own
        if block.inputs_BT[rows].size:
            begins = block.rows == "join" and own.start == 0
            yield replace(
                block,
                inputs_BT=block.inputs_BT[rows],
                targets_BT=block.targets_BT[rows],
                scored_BT=block.scored_BT[rows],
                at_BT=block.at_BT[rows],
                rows=block.rows if begins or block.rows == "zero" else "continue",
            )


def _together(
    all_blocks: Iterator[TextBlock], found: list[tuple[Array, Array]], spans: list[slice]
) -> Iterator[tuple[TextBlock, Array, Array]]:
    """Blocks with what the ranks have found, each in its rows."""
    at = [0] * len(found)
    for block in _scored(all_blocks):
        shape = block.inputs_BT.shape
        nats_BT, predictions_BT = np.empty(shape, np.float32), np.empty(shape, np.int32)
        for place, own in enumerate(spans):
            size = nats_BT[own].size
            part = slice(at[place], at[place] + size)
            nats_BT[own] = found[place][0][part].reshape(-1, shape[1])
            predictions_BT[own] = found[place][1][part].reshape(-1, shape[1])
            at[place] += size
        yield block, nats_BT, predictions_BT
