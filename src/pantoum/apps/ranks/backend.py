"""The backend of a run on several ranks: as rank 0 uses it, and what the others do for it.

The loop, the guard, evaluation, saving and the clock are on rank 0 alone, so ranks cannot disagree about what
comes next, and ``--minutes`` ends on all of them at the same step. Rank 0 also reads the text: it sends each
rank the tokens of its streams, which are few bytes beside the gradients, so no rank repeats or skips any.
What each rank keeps are the weights, the optimiser, and the carried states of its streams.

    gradients   tokens to each rank; each computes its shards; ``sums`` adds them up on all ranks
    update      the same update on every rank, from the same sums; the blocks of Muon are shared out

A rank other than 0 is a ``Worker``, with one method for each command. A command is a JSON object with an
``op``; arrays follow it by an exchange, whose sizes the command tells.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from pantoum.apps.ranks.sums import RankSums, node_of
from pantoum.apps.ranks.transport import Pending, Ranks, broadcast
from pantoum.seams import (
    Array,
    Batch,
    NetworkState,
    Recipe,
    Shards,
    SharedBackend,
    StepResult,
    Symbols,
    make_backend,
)

__all__ = ["RankedBackend", "Worker", "command", "next_command"]


def command(ranks: Ranks, op: str, **words: object) -> None:
    """Give a command to all other ranks."""
    broadcast(ranks, json.dumps({"op": op, **words}).encode())


def next_command(ranks: Ranks) -> dict[str, Any]:
    """Wait for the next command."""
    found: dict[str, Any] = json.loads(broadcast(ranks))
    return found


@dataclass(frozen=True, eq=False)
class SpreadState(NetworkState):
    """The rows of rank 0; those of the others stay there. ``copy`` gathers the state of all streams."""

    number: int
    """Which state of the run it is: every rank knows its rows by this number."""
    gather: Callable[[], NetworkState]

    def copy(self) -> NetworkState:
        """The state of all streams, gathered from all ranks."""
        return self.gather()


class RankedBackend:
    """Rank 0's view of all ranks."""

    def __init__(
        self,
        local: SharedBackend,
        ranks: Ranks,
        recipe: Recipe,
        vocab_size: int,
        batch_size: int,
        symbols: Symbols,
    ) -> None:
        """``local``: the backend of the whole batch, whose weights the other ranks get."""
        self._local, self._ranks = local, ranks
        self._shards = Shards(batch_size, recipe.shards)
        self._recipe, self._vocab_size = recipe, vocab_size
        self._symbols = symbols
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
        return replace(found, state=self._spread(found.state, self._number))

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
        arrays = {**self._symbols.arrays(), **self._local.snapshot()}
        command(
            self._ranks,
            "build",
            recipe=self._recipe.spec(),
            vocab_size=self._vocab_size,
            batch_size=self._shards.batch_size,
            arrays=[[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()],
        )
        self._to_others(lambda rank: arrays.values())()
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
        self._sending = self._to_others(lambda rank: [each[self._rows(rank)] for each in sent])

    def _to_others(self, arrays: Callable[[int], Any]) -> Pending:
        """Begin to send arrays to each other rank."""
        others = range(1, self._ranks.count)
        found = [(rank, np.ascontiguousarray(each)) for rank in others for each in arrays(rank)]
        return self._ranks.exchange(found, [])

    def _known(self, state: NetworkState) -> SpreadState:
        """The state as the ranks keep it; that of all streams is sent to them first."""
        if isinstance(state, SpreadState):
            return state
        self._number += 1
        arrays = [[array.dtype.str, list(array.shape[1:])] for array in state.arrays]
        command(self._ranks, "states", number=self._number, arrays=arrays)
        self._to_others(lambda rank: state.select(self._rows(rank)).arrays)()
        return self._spread(state.select(self._rows(0)), self._number)

    def _spread(self, own: NetworkState, number: int) -> SpreadState:
        return SpreadState(own.arrays, number, partial(self._gathered, own, number))

    def _gathered(self, own: NetworkState, number: int) -> NetworkState:
        """The state of all streams: rank 0's rows and those of the others."""
        command(self._ranks, "gather", number=number)
        found, incoming = [own], list[tuple[int, Array]]()
        for rank in range(1, self._ranks.count):
            rows = self._rows(rank)
            arrays = tuple(
                np.empty((rows.stop - rows.start, *array.shape[1:]), array.dtype) for array in own.arrays
            )
            incoming += [(rank, array) for array in arrays]
            found.append(NetworkState(arrays))
        self._ranks.exchange([], incoming)()
        return NetworkState.joined(found)

    def _rows(self, rank: int) -> slice:
        return self._shards.streams(node_of(self._shards, rank, self._ranks.count))


class Worker:
    """What a rank other than 0 does."""

    def __init__(self, ranks: Ranks, take_over: Callable[..., SharedBackend]) -> None:
        """``take_over``: gives what trains in place of the core's backend, or that one."""
        self._ranks, self._take_over = ranks, take_over
        self._backend: SharedBackend | None = None
        self._rows = 0
        self._states: dict[int, NetworkState] = {}
        """The last two states of this rank's streams, by their numbers."""

    def build(
        self, recipe: Mapping[str, Any], vocab_size: int, batch_size: int, arrays: list[list[Any]]
    ) -> None:
        """Networks and optimisers, with the arrays of rank 0."""
        made, ranks = Recipe.from_spec(recipe), self._ranks
        sums = RankSums(ranks, batch_size, made.shards)
        rows = sums.shards.streams(sums.own)
        self._rows = rows.stop - rows.start
        received = {name: np.empty(shape, np.dtype(dtype)) for name, dtype, shape in arrays}
        self._receive(list(received.values()))
        symbols = Symbols.of(received)
        local = make_backend(made, vocab_size, symbols=symbols, drawn=False)
        local.restore(received)
        self._backend, self._states = self._take_over(local, made, vocab_size, symbols), {}
        self._backend.join(sums)

    def states(self, number: int, arrays: list[list[Any]]) -> None:
        """The states of this rank's streams."""
        found = tuple(np.empty((self._rows, *row), np.dtype(dtype)) for dtype, row in arrays)
        self._receive(found)
        self._states = {number: NetworkState(found)}

    def gradients(
        self, step: int, epoch: int, steps: int, dtypes: list[str], before: int, after: int
    ) -> None:
        """This rank's part of a batch."""
        shape = self._rows, steps
        shapes = shape, shape, (self._rows,), shape
        sent = [np.empty(each, np.dtype(dtype)) for each, dtype in zip(shapes, dtypes, strict=False)]
        self._receive(sent)
        inputs_BT, targets_BT, streams = sent[0].astype(np.int32), sent[1].astype(np.int32), sent[2]
        batch = Batch(inputs_BT, targets_BT, sent[3] if len(sent) > 3 else np.zeros(shape, bool), epoch)
        own = self._states[before]
        found = self._built.gradients(batch, own, step, streams)
        self._states = {before: own, after: found.state if found.finite else own}

    def update(self, rate: float, clip: float | None) -> None:
        """The update that every rank makes."""
        self._built.update(rate, clip)

    def collect(self) -> None:
        """The arrays of the optimiser, which rank 0 is about to save."""
        self._built.collect()

    def gather(self, number: int) -> None:
        """The states of this rank's streams to rank 0."""
        self._ranks.exchange(
            [(0, np.ascontiguousarray(array)) for array in self._states[number].arrays], []
        )()

    def _receive(self, arrays: Any) -> None:
        self._ranks.exchange([], [(0, array) for array in arrays])()

    @property
    def _built(self) -> SharedBackend:
        assert self._backend is not None
        return self._backend
