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

from pantoum.data.batches import Batch
from pantoum.kernels import Array
from pantoum.network.network_state import NetworkState
from pantoum.ranks.interface import Pending, Ranks
from pantoum.training.parallel.rank_commands import COUNTS, command, send_arrays, shapes
from pantoum.training.recipe.recipe import Recipe
from pantoum.training.update.backend import SharedBackend, SpreadState, StepResult
from pantoum.training.update.rank_sums import RankSums
from pantoum.training.update.shards import Shards

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
        self._shards = Shards(batch_size, recipe.shards, ranks.count)
        self._recipe, self._vocab_size = recipe, vocab_size
        self._counts = {} if counts_V is None else {COUNTS: counts_V}
        self._sent = False
        """Whether the other ranks have the weights, optimiser and streams of this one."""
        self._number = 0
        self._batch: list[Array] = []
        """Tokens that may still be on their way."""
        self._sending: Pending | None = None
        local.join(RankSums(ranks, batch_size, recipe.shards))

    def initial_state(self, batch_size: int) -> NetworkState:
        """The zero state of ``batch_size`` streams."""
        return self._local.initial_state(batch_size)

    def gradients(self, batch: Batch, state: NetworkState, step: int, streams: Array) -> StepResult:
        """Forward and backward over a batch on all ranks. ``state``: what the last call gave, or the state of
        all streams, which is then sent to their ranks."""
        self._send()
        own = self._known(state)
        self._number += 1
        self._send_batch(batch, streams, step=step, before=own.number)
        rows = self._rows(0)
        found = self._local.gradients(batch.rows(rows), own, step, streams[rows])
        return replace(found, state=self._spread(found.state, self._number, found.state.finite))

    def update(self, rate: float, clip: float | None) -> None:
        """The update on every rank."""
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
        """Weights, optimiser and averages to the other ranks, unless they have them; they build their
        networks for them."""
        if self._sent:
            return
        arrays = self._local.snapshot()
        command(
            self._ranks,
            "build",
            recipe=self._recipe.spec(),
            vocab_size=self._vocab_size,
            batch_size=self._shards.batch_size,
            arrays=shapes({**self._counts, **arrays}),
        )
        send_arrays(self._ranks, [*self._counts.values(), *arrays.values()])
        self._sent = True

    def _send_batch(self, batch: Batch, streams: Array, **words: int) -> None:
        """Each rank's rows of a batch, in few bytes; the ranks compute when they have them."""
        if self._sending is not None:
            self._sending()
        small = np.min_scalar_type(self._vocab_size - 1)
        sent = [batch.inputs_BT.astype(small), batch.targets_BT.astype(small), np.ascontiguousarray(streams)]
        if batch.reset_BT.any():
            sent.append(np.ascontiguousarray(batch.reset_BT))
        command(
            self._ranks,
            "gradients",
            epoch=batch.epoch,
            steps=int(batch.inputs_BT.shape[1]),
            after=self._number,
            dtypes=[each.dtype.str for each in sent],
            **words,
        )
        self._batch = sent
        self._sending = self._ranks.exchange(
            [(rank, each[self._rows(rank)]) for rank in range(1, self._ranks.count) for each in sent], []
        )

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
        self._ranks.exchange([part for part in parts if part[1].size], [])()
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
        self._ranks.exchange([], incoming)()
        return NetworkState.joined(found)

    def _rows(self, rank: int) -> slice:
        return self._shards.streams(self._shards.node(rank))
