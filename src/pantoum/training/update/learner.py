"""One member as it trains: its weights, their optimiser, their average, the usual size of their gradients.

Members of an ensemble learn each by itself, from the same batches: own seed, own dropout, own carried state,
own clipping.

Averaged weights: an exponential moving average of the weights after each update, whose decay rises from
small values so that the first averages are not those of the initial weights. A parameter of which an update
changes few rows (the embedding and the head of a large vocabulary, one-hot inputs) goes into its average at
every ``SELDOM``-th update, because averaging touches all of its rows. Tables of logits are not averaged.

With a sampler of candidates the loss of a batch is estimated from some of the symbols
(``network.candidates``); evaluations, which are not made here, always use all of them.

Shapes: B streams, T time steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import numpy as np

from pantoum.data.batches import Batch
from pantoum.errors import CheckpointError
from pantoum.formats.checkpoint import MOST_STEPS
from pantoum.kernels import Array, Workspace, backend
from pantoum.kernels.threads import callers, most_callers
from pantoum.network import LanguageModel
from pantoum.network.candidates import CandidateSampler
from pantoum.network.gradient import Gradients, GradientScale, norm
from pantoum.network.network_state import NetworkState
from pantoum.network.program import BatchResult, Program, Wanted
from pantoum.network.spec import named
from pantoum.training.update.optimizer import AdamW
from pantoum.training.update.pulled import PulledOptimizer
from pantoum.training.update.shards import Node, Shards, Share, gradient_sum, side_by_side
from pantoum.training.update.spelling import SpellingOptimizer

SELDOM = 16


class MemberLearner:
    """A model of one member, and what changes it."""

    def __init__(
        self,
        model: LanguageModel,
        optimizer: AdamW | SpellingOptimizer | PulledOptimizer,
        *,
        seed: int,
        average: float | None,
        precision: str = "float32",
        sampler: CandidateSampler | None = None,
    ) -> None:
        """``precision``: of products; ``sampler``: of candidates of each step, ``None``: all symbols."""
        self.model = model
        self.gradient_norm = 0.0
        """The norm of all gradients of the last batch together, before clipping."""
        self._precision, self._optimizer, self._seed, self._decay = precision, optimizer, seed, average
        self._sampler = sampler
        self._averaged = (
            None
            if average is None
            else {
                name: array.copy(order="K")
                for name, array in model.parameters.items()
                if name not in named(model.config, "table")
            }
        )
        self._kernels = backend(model.dtype)
        self._workspace = Workspace()
        self._gradients: Gradients = {}
        self._targets = 0
        self._scale = GradientScale(model.parameters)

    def initial_state(self, batch_size: int) -> NetworkState:
        """The zero state of ``batch_size`` streams."""
        return self.model.initial_state(batch_size)

    def gradients(
        self,
        batch: Batch,
        state: NetworkState,
        step: int,
        streams: Array,
        shards: Shards,
        own: Node,
        nodes: Sequence[Node],
    ) -> tuple[list[BatchResult], dict[Node, Gradients]]:
        """Forward and backward pass over the rows of the shards ``own``, shard by shard, or as many at the
        same time as there are threads (``gradient_sum``): the results of the shards, each with its own mean
        loss, and the sums of their gradients over ``nodes``, which hold until the next call."""
        program = Program(
            self.model,
            precision=self._precision,
            purpose="train",
            workspace=self._workspace,
            by_turns=own[1] - own[0] == 1,
        )
        results: dict[int, BatchResult] = {}
        first = shards.streams(own).start

        def of_shard(shard: int, place: int) -> Gradients:
            rows = shards.streams((shard, shard + 1))
            rows = slice(rows.start - first, rows.stop - first)
            sampler = self._sampler
            own_batch = batch.rows(rows)
            wanted = Wanted(
                dropout_key=(self._seed, step),
                streams=streams[rows],
                targets=shards.batch_size * batch.inputs_BT.shape[1],
                candidates=None if sampler is None else sampler.draw(own_batch.targets_BT.reshape(-1), step),
            )
            result = program.gradients(
                own_batch.inputs_BT,
                own_batch.targets_BT,
                state.select(rows),
                wanted,
                reset_BT=own_batch.reset_BT,
                # No scope: scopes share arrays, and other shards are computed beside this one.
                workspace=self._workspace.kept(f"place {place}", Workspace),
            )
            results[shard] = result
            return result.gradients

        count = most_callers(self.model.dtype)
        at_once = any(side_by_side(node, count) for node in nodes)
        # What is not finite is reported by the guard, not by a warning.
        with (
            np.errstate(over="ignore", invalid="ignore", divide="ignore"),
            callers(count) if at_once else nullcontext() as threads,
        ):
            sums: dict[Node, Gradients] = {
                node: gradient_sum(node, of_shard, place, threads) for place, node in enumerate(nodes)
            }
        return [results[shard] for shard in range(*own)], sums

    def take(self, gradients: Gradients, targets: int) -> None:
        """The gradients of a batch of so many ``targets``, for ``update``."""
        self._gradients, self._targets = gradients, targets
        with np.errstate(over="ignore", invalid="ignore"):
            self.gradient_norm = norm(self._kernels, gradients)

    def update(self, rate: float, clip: float | None) -> None:
        """Clip by norm, one step of the optimiser, one of the average."""
        factor = 1.0 if clip is None or self.gradient_norm <= clip else clip / self.gradient_norm
        self._scale.updated(self._gradients, self._optimizer.steps, self._targets, factor)
        self._optimizer.step(self._gradients, rate, factor)
        if self._averaged is not None and self._decay is not None:
            steps = self._optimizer.steps
            since = range((steps - 1) // SELDOM * SELDOM + 1, steps + 1)  # what is averaged seldom was
            decays = [min(self._decay, (1.0 + n) / (10.0 + n)) for n in since]
            for name, averaged in self._averaged.items():
                gradient, parameter = self._gradients[name], self.model.parameters[name]
                if gradient.rows_U is None:
                    self._kernels.average(gradient.along(averaged), gradient.along(parameter), decays[-1])
                elif steps % SELDOM == 0:
                    decay = math.prod(decays)
                    self._kernels.average(gradient.along(averaged), gradient.along(parameter), decay)

    def join(self, share: Share) -> None:
        """From now on several processes make the same updates, and share what is costly in them."""
        self._optimizer.join(share)

    def collect(self) -> None:
        """Make ``arrays`` right in every process; every process calls it."""
        self._optimizer.collect()

    def weights(self, averaged: bool) -> Mapping[str, Array] | None:
        """The parameters, or their running average (``None`` without one)."""
        if not averaged:
            return self.model.parameters
        if self._averaged is None:
            return None
        return {name: self._averaged.get(name, array) for name, array in self.model.parameters.items()}

    def gradient_scale(self) -> dict[str, Array]:
        """The usual size of each row of each gradient."""
        return self._scale.roots()

    def arrays(self) -> dict[str, Array]:
        """The very arrays in use, under ``weights.``, ``averaged.``, ``optimizer.`` and ``scale.``."""
        counted = {"steps": np.array([self._optimizer.steps], np.int64)}
        parts: dict[str, Mapping[str, Array]] = {
            "weights": self.model.parameters,
            "averaged": self._averaged or {},
            "optimizer": {**self._optimizer.arrays(), **counted},
            "scale": self._scale.squares,
        }
        return {f"{part}.{name}": array for part, held in parts.items() for name, array in held.items()}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Put everything back, in place."""
        own = self.arrays()
        require_arrays(own, arrays)
        steps = int(arrays["optimizer.steps"][0])
        if not 0 <= steps <= MOST_STEPS:
            raise CheckpointError(
                f"checkpoint array optimizer.steps is {steps}: must be from 0 to {MOST_STEPS:,}; resume from "
                "another checkpoint"
            )
        for name, array in own.items():
            array[...] = arrays[name]
        self._optimizer.steps = steps


def require_arrays(own: Mapping[str, Array], kept: Mapping[str, Array]) -> None:
    """``CheckpointError`` if an array of a checkpoint is missing or differs in shape or dtype from that in
    use."""
    for name, array in own.items():
        found = kept.get(name)
        if found is None or found.shape != array.shape or found.dtype != array.dtype:
            what = "missing" if found is None else f"{found.dtype} {found.shape}"
            raise CheckpointError(
                f"checkpoint array {name} is {what}, this run needs {array.dtype} {array.shape}; resume with "
                "the settings that the run began with"
            )
