"""The backend of a run on several ranks, as rank 0 uses it: every call is made on all ranks.

The loop, the guard, evaluation, saving and the clock are on rank 0 alone, so ranks cannot disagree about what
comes next, and ``--minutes`` ends on all of them at the same step. Rank 0 also reads the text: it sends each
rank the tokens of its streams, which are few bytes beside the gradients, so no rank repeats or skips any.
What each rank keeps are the weights, the optimiser, and the carried states of its streams.

    gradients   tokens to each rank; each computes its shards; ``rank_sums`` adds them up on all ranks
    update      the same update on every rank, from the same sums; the blocks of Muon are shared out
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from pantoum.kernels import Array
from pantoum.network.state import NetworkState
from pantoum.ranks.interface import Ranks
from pantoum.training.backend import SharedBackend, StepResult
from pantoum.training.commands import COUNTS, command, send_arrays, shapes
from pantoum.training.rank_sums import RankSums
from pantoum.training.recipe import Recipe
from pantoum.training.shards import Shards
from pantoum.training.spread_state import SpreadState

__all__ = ["RankedBackend"]


class RankedBackend:
    """Rank 0's view of all ranks."""

    def __init__(
        self,
        local: SharedBackend,
        ranks: Ranks,
        recipe: Recipe,
        vocab_size: int,
        batch_size: int,
        counts_V: Array | None = None,
    ) -> None:
        """``local``: the backend of the whole batch, whose weights the other ranks get; ``counts_V``: of
        the symbols, if the recipe samples them."""
        self._local, self._ranks = local, ranks
        self._shards = Shards(batch_size, local.shards, ranks.count)
        self._recipe, self._vocab_size = recipe, vocab_size
        self._counts = {} if counts_V is None else {COUNTS: counts_V}
        self._sent = False
        """Whether the other ranks have the weights, optimiser and streams of this one."""
        self._number = 0
        local.join(RankSums(ranks, batch_size, local.shards))

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned."""
        return self._local.num_parameters

    def initial_state(self, batch_size: int) -> NetworkState:
        """The zero state of ``batch_size`` streams."""
        return self._local.initial_state(batch_size)

    def gradients(
        self,
        inputs_BT: Array,
        targets_BT: Array,
        reset_BT: Array,
        state: NetworkState,
        step: int,
        streams: Array,
    ) -> StepResult:
        """Forward and backward over a batch on all ranks. ``state``: what the last call gave, or the state of
        all streams, which is then sent to their ranks."""
        if not self._sent:
            self._send()
        own = self._known(state)
        batch = [np.ascontiguousarray(each) for each in (inputs_BT, targets_BT, reset_BT, streams)]
        self._number += 1
        command(
            self._ranks,
            "gradients",
            step=step,
            steps=int(inputs_BT.shape[1]),
            dtypes=[each.dtype.str for each in batch],
            before=own.number,
            after=self._number,
        )
        self._ranks.exchange(
            [(rank, each[self._rows(rank)]) for rank in range(1, self._ranks.count) for each in batch], []
        ).wait()
        inputs_BT, targets_BT, reset_BT, streams = (each[self._rows(0)] for each in batch)
        found = self._local.gradients(inputs_BT, targets_BT, reset_BT, own, step, streams)
        return replace(found, state=self._spread(found.state, self._number, found.state.finite))

    def update(self, rate: float, clip: float | None) -> None:
        """The same update on every rank."""
        command(self._ranks, "update", rate=rate, clip=clip)
        self._local.update(rate, clip)

    def weights(self, averaged: bool) -> Mapping[str, Array] | None:
        """The parameters, which are those of every rank."""
        return self._local.weights(averaged)

    def gradient_scale(self) -> dict[str, Array]:
        """The usual size of each row of each gradient."""
        return self._local.gradient_scale()

    def snapshot(self) -> dict[str, Array]:
        """Copies of the arrays, collected from the ranks that have computed them."""
        if self._sent:
            command(self._ranks, "collect")
            self._local.collect()
        return self._local.snapshot()

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Put rank 0 back; the other ranks follow before the next step."""
        self._local.restore(arrays)
        self._sent = False

    def _send(self) -> None:
        """Weights, optimiser and averages to the other ranks, which build their networks for them."""
        arrays = {**self._counts, **self._local.snapshot()}
        command(
            self._ranks,
            "build",
            recipe=self._recipe.spec(),
            vocab_size=self._vocab_size,
            batch_size=self._shards.batch_size,
            arrays=shapes(arrays),
        )
        send_arrays(self._ranks, list(arrays.values()))
        self._sent = True

    def _known(self, state: NetworkState) -> SpreadState:
        """The state as the ranks keep it; that of all streams is sent to them first."""
        if isinstance(state, SpreadState):
            return state
        self._number += 1
        rows = [shape[1:] for shape in state.shapes]
        command(
            self._ranks,
            "states",
            number=self._number,
            arrays=[[array.dtype.str, list(row)] for array, row in zip(state.arrays, rows, strict=True)],
        )
        parts = [
            (rank, np.ascontiguousarray(array[self._rows(rank)]))
            for rank in range(1, self._ranks.count)
            for array in state.arrays
        ]
        self._ranks.exchange([part for part in parts if part[1].size], []).wait()
        return self._spread(state.select(self._rows(0)), self._number, state.finite)

    def _spread(self, own: NetworkState, number: int, finite: bool) -> SpreadState:
        return SpreadState(own.arrays, finite, number, partial(self._gathered, own, number))

    def _gathered(self, own: NetworkState, number: int) -> NetworkState:
        """The state of all streams: rank 0's rows and those of the others."""
        command(self._ranks, "gather", number=number)
        found = [own]
        incoming = list[tuple[int, Array]]()
        for rank in range(1, self._ranks.count):
            rows = self._rows(rank)
            arrays = tuple(
                np.empty((rows.stop - rows.start, *array.shape[1:]), array.dtype) for array in own.arrays
            )
            incoming += [(rank, array) for array in arrays if array.size]
            found.append(NetworkState(arrays))
        self._ranks.exchange([], incoming).wait()
        return NetworkState.joined(found)

    def _rows(self, rank: int) -> slice:
        return self._shards.streams(self._shards.node(rank))
