"""A language model as the kernels run it: its parts, with weights of one precision, ready for one purpose.

A program never changes and never remembers a call. When the weights change, a new one is built: for training
in the workspace of the one before, whose memory it takes over, so a program for training holds until the next
one is built there. A program for reading holds what it needs of the weights: matrices in packed form alone,
and the very arrays of what is only looked up or added.

    read   ``logits``, ``last_logits``, ``losses``, ``hidden``; ``network.stepping`` reads token by token
    train  the same, and ``gradients``

The parts are members, a head and mixers (``network.mixers``): n-grams, which the model has itself, and what
is mixed with the network, counts or a cache. A call takes tokens [B,T] and a state through all of them, and
gives the state after the tokens. The arrays of a state are those of the members, in order, then those of the
mixers. Where something is mixed in, logits are logarithms of probabilities and losses those of the mixture.
Gradients are those of the network.

Shapes: B streams, T steps, N = T*B tokens in the order of the steps, H units of all members, V symbols.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, cast

import numpy as np

from pantoum.kernels import Array, StepPart, Workspace, backend
from pantoum.network.candidates import Candidates
from pantoum.network.checks import (
    check_lengths,
    check_resets,
    dropout_draw,
    time_major_targets,
    time_major_tokens,
)
from pantoum.network.gradient import Gradient
from pantoum.network.head import Head
from pantoum.network.member import Member
from pantoum.network.mixers import Found, Mixer, ReadTokens
from pantoum.network.mixers.ngrams import Ngrams
from pantoum.network.network_state import NetworkState, zeros
from pantoum.network.outputs import Outputs
from pantoum.network.packing import Packer, Purpose, Weight
from pantoum.network.parameters import LanguageModel
from pantoum.network.spec import declared, own_arrays, state_of
from pantoum.network.stack import Pass

if TYPE_CHECKING:  # programs without them import neither
    from pantoum.network.mixers.cache import Cache
    from pantoum.network.mixers.counts import CountMixture


@dataclass(frozen=True, eq=False)
class Wanted:
    """How a batch is learned from, and what is wanted of it beside the gradients."""

    dropout_key: tuple[int, int] | None = None
    """(seed, step) of the dropout masks; ``None``: nothing is dropped."""
    streams: Array | None = None
    """The global numbers of the rows, which the masks depend on; ``None``: 0 to B - 1."""
    targets: int | None = None
    """How many targets the whole batch has, where the rows are a shard of it: the gradients are then the part
    of the shard in those of the mean loss of the batch. The loss is the mean over the shard."""
    candidates: Candidates | None = None
    """Symbols, all targets of the rows among them, from which the loss and its gradients are estimated. A
    model that adds to its logits has none."""
    exact: bool = False
    """Whether loss and predictions are nevertheless those of all symbols, from the same forward pass."""
    logits: bool = False
    """Whether the logits are wanted, too."""
    parts: int = 1
    """Gradients go back through each of so many equal parts of the steps, of one stream, by itself."""
    below: bool = True
    """Whether they go to what is below the last layer of each member, where there are several."""


WHOLE_BATCH = Wanted()


@dataclass(frozen=True)
class BatchResult:
    """What one batch gives. The gradients may live in the workspace: they hold until its next use."""

    loss: float
    """Mean nats of the network over all targets; with candidates estimated, unless ``exact``."""
    accuracy: float
    """Share of targets that were the most probable symbol."""
    nats_BT: Array
    """The loss of each target, before the model learns from it; with candidates as ``loss``."""
    without_cache_BT: Array
    """The same without the cache."""
    logits_BTV: Array | None
    """The logits as ``Program.logits`` gives them, if they were asked for."""
    predictions_BT: Array
    """The most probable symbol by the network."""
    state: NetworkState
    """The state to hand to the next batch, row by row."""
    gradients: dict[str, Gradient]
    """The gradients of the mean loss, by parameter name."""


class Program:
    """A language model as the kernels run it."""

    @np.errstate(over="ignore", invalid="ignore")  # losses and logits that are not finite are reported
    def __init__(
        self,
        model: LanguageModel,
        weights: Mapping[str, Weight] | None = None,
        *,
        precision: str = "float32",
        purpose: Purpose = "read",
        workspace: Workspace | None = None,
        mixers: Sequence[Mixer | None] = (),
        by_turns: bool = True,
        changed_U: Array | None = None,
        coded: bool = False,
    ) -> None:
        """``weights``: in place of those of the model, by the names of its parameters; ``mixers``: what is
        mixed with the network, in this order; ``by_turns``: of the ``Packer``, false where a program for
        training makes several passes; ``changed_U``: the only rows of the head that have changed since the
        program before in this workspace was made (``inference.adapt.changed_rows``); ``coded``: scans
        multiply with codes, which is faster with few rows (``Packer``)."""
        self.model, self.config, self.vocab_size = model, model.config, model.vocab_size
        self.precision, self.purpose = precision, purpose
        self._workspace = Workspace() if workspace is None else workspace
        self.kernels = backend(model.dtype)
        packer = Packer(self.kernels, precision, purpose, self._workspace.scope("packed"), by_turns, coded)
        weights = model.parameters if weights is None else weights
        parameters = declared(self.config, self.vocab_size).values()
        chosen = [each for each in parameters if each.role == "input"]
        # The head first: of codes that embeddings share with it, it needs the most memory for a moment.
        tied = [each.name for each in chosen] if self.config.tied else ()
        place = self._workspace if purpose == "train" else None
        self.head = Head(weights, packer, tied, place, changed_U)
        self.members = tuple(
            Member(self.config, each, weights, packer.part(f"member {place}"))
            for place, each in enumerate(chosen)
        )
        orders, rows = self.config.ngrams, self.config.ngram_rows
        own = [
            Ngrams(self.vocab_size, orders, rows, each.name, weights, self.kernels)
            for each in parameters
            if each.role == "table"
        ]
        self.mixers = *own, *(mixer for mixer in mixers if mixer is not None)

    def initial_state(self, batch_size: int) -> NetworkState:
        """The zero state of ``batch_size`` streams."""
        dtype, units = self.model.dtype, self.model.hidden_size
        layers = [array for array in state_of(self.config) if array.kind == "layer"]
        parts = [zeros(layers, batch_size, dtype)]
        for mixer in self.mixers:
            parts.append(zeros(mixer.states(units), batch_size, dtype if mixer.adds else np.float32))
        return NetworkState(tuple(array for part in parts for array in part.arrays))

    @property
    def mixed_in(self) -> tuple[Mixer, ...]:
        """What is mixed with the network."""
        return tuple(mixer for mixer in self.mixers if not mixer.adds)

    def mixer(self, name: str) -> Mixer | None:
        """The mixer of this name."""
        return next((mixer for mixer in self.mixers if mixer.name == name), None)

    @property
    def counts(self) -> CountMixture | None:
        """The counted n-grams that are mixed in."""
        return cast("CountMixture | None", self.mixer("counts"))

    @property
    def cache(self) -> Cache | None:
        """The cache that is mixed in."""
        return cast("Cache | None", self.mixer("cache"))

    def with_cache(self, cache: Cache | None) -> Program:
        """The same program with another cache, or with none; both share everything else."""
        other = self.without([mixer for mixer in self.mixers if mixer.name == "cache"])
        other.mixers = *other.mixers, *([] if cache is None else [cache])
        return other

    def without(self, mixers: Sequence[Mixer]) -> Program:
        """The same program without some of its mixers; both share everything else."""
        other = copy.copy(self)
        other.mixers = tuple(mixer for mixer in self.mixers if mixer not in mixers)
        return other

    def step_parts(self) -> list[StepPart] | None:
        """The parts as the core's step of a whole model takes them; ``None``: it lacks one of them."""
        members = [part for member in self.members for part in member.step_parts()]
        parts = [*members, self.head.step_part(), *(mixer.step_part() for mixer in self.mixers)]
        known = [part for part in parts if part is not None]
        return known if len(known) == len(parts) else None

    def logits(
        self,
        tokens_BT: Array,
        state: NetworkState,
        *,
        reset_BT: Array | None = None,
        lengths: Array | None = None,
    ) -> tuple[Array, NetworkState]:
        """(logits [B,T,V] of the token after each, state)."""
        read = self._read(tokens_BT, state, reset_BT, lengths)
        return _by_stream(read.logits(), read.hidden_TBH.shape[:2]), read.state

    def last_logits(self, tokens_BT: Array, state: NetworkState) -> tuple[Array, NetworkState]:
        """(logits [B,V] after the last token of each row, state)."""
        read = self._read(tokens_BT, state)
        T, B, _ = read.hidden_TBH.shape
        return read.logits(np.arange((T - 1) * B, T * B)), read.state

    def hidden(
        self,
        tokens_BT: Array,
        state: NetworkState,
        *,
        reset_BT: Array | None = None,
        lengths: Array | None = None,
        workspace: Workspace | None = None,
    ) -> tuple[Array, NetworkState]:
        """(the outputs of the last layers [B,T,H], state)."""
        read = self._read(tokens_BT, state, reset_BT, lengths, workspace)
        return np.ascontiguousarray(read.hidden_TBH.swapaxes(0, 1)), read.state

    def losses(
        self,
        inputs_BT: Array,
        targets_BT: Array,
        state: NetworkState,
        *,
        reset_BT: Array | None = None,
        lengths: Array | None = None,
        workspace: Workspace | None = None,
        predict: bool = True,
    ) -> tuple[Array, Array, NetworkState]:
        """(nats [B,T] of the targets, predictions [B,T], state); past the length of a row both are 0.
        Whoever calls often owns a workspace: fresh memory at each call can cost more than the arithmetic.

        Where something is mixed in, predictions need the probabilities of all symbols. With
        ``predict`` false only those of the targets are computed, and predictions are those of the network."""
        workspace = Workspace() if workspace is None else workspace
        targets_TB = time_major_targets(targets_BT, inputs_BT, self.vocab_size)
        read = self._read(inputs_BT, state, reset_BT, lengths, workspace)
        going_TB = None if lengths is None else np.arange(len(targets_TB))[:, None] < np.asarray(lengths)
        asked = None if going_TB is None else np.flatnonzero(going_TB)
        both = read.losses(targets_TB.reshape(-1), workspace.scope("head"), predict, asked)
        nats_BT, predictions_BT = (_by_stream(array_N, targets_TB.shape) for array_N in both)
        if going_TB is not None:
            nats_BT[~going_TB.T], predictions_BT[~going_TB.T] = 0, 0
        return nats_BT, predictions_BT, read.state

    def scored(
        self,
        inputs_BT: Array,
        targets_BT: Array,
        state: NetworkState,
        *,
        reset_BT: Array | None = None,
        logits: bool = False,
        workspace: Workspace | None = None,
    ) -> BatchResult:
        """The losses of a batch with the cache and without it, and with ``logits`` these: what ``gradients``
        gives, without any."""
        workspace = Workspace() if workspace is None else workspace
        targets_N = time_major_targets(targets_BT, inputs_BT, self.vocab_size).reshape(-1)
        read = self._read(inputs_BT, state, reset_BT, None, workspace)
        if not logits:
            nats_N, predictions_N = read.losses_of_network(targets_N, workspace.scope("head"))
            return _result(read, targets_N, nats_N, predictions_N)
        logits_NV = read.logits_of_network()
        nats_N, predictions_N = self.kernels.cross_entropy_of_logits(logits_NV.copy(), targets_N)
        return _result(read, targets_N, nats_N, predictions_N, read.mixed(logits_NV))

    def gradients(
        self,
        inputs_BT: Array,
        targets_BT: Array,
        state: NetworkState,
        wanted: Wanted = WHOLE_BATCH,
        *,
        reset_BT: Array | None = None,
        workspace: Workspace | None = None,
    ) -> BatchResult:
        """The loss of a batch, the state after it, and the gradient of every parameter. Arrays of the
        workspace, which is the program's own by default, are used again."""
        workspace = self._workspace if workspace is None else workspace
        targets_TB = time_major_targets(targets_BT, inputs_BT, self.vocab_size)
        tokens_TB = time_major_tokens(inputs_BT, self.vocab_size, "inputs_BT")
        (T, B), rates, targets_N = tokens_TB.shape, self.config.dropout, targets_TB.reshape(-1)
        dropout = dropout_draw(rates, wanted.dropout_key, wanted.streams, B) if rates.active else None
        steps = Pass(check_resets(reset_BT, B, T), dropout=dropout, tape=wanted.parts)
        read = self._forward(tokens_TB, state, steps, workspace)
        nats_N, predictions_N, d_hidden_NH, of_head, d_added_NV = self.head.gradients(
            read.hidden_NH,
            targets_N,
            workspace.scope("head"),
            read.added(),
            wanted.targets,
            wanted.candidates,
        )
        if wanted.exact and wanted.candidates is not None:
            nats_N, predictions_N = self.head.losses(read.hidden_NH, targets_N)
        tied = {name: of_head.pop(name) for name in self.head.tied}
        gradients, size = dict(of_head), self.config.hidden_size
        for place, (member, tape) in enumerate(zip(self.members, read.tapes, strict=True)):
            own = np.ascontiguousarray(d_hidden_NH[:, place * size : (place + 1) * size])
            scope = workspace.scope(f"member {place}")
            gradients |= member.backward(tape, own.reshape(T, B, size), scope, wanted.below)
        for name, gradient in tied.items():
            gradients[name] = gradients[name].plus(gradient) if name in gradients else gradient
        if d_added_NV is not None:
            for part in read.adding:
                gradients |= part.gradients(d_added_NV)
        logits_NV = read.logits() if wanted.logits else None
        ordered = {name: gradients[name] for name in self.model.parameters if name in gradients}
        return _result(read, targets_N, nats_N, predictions_N, logits_NV, ordered)

    def _read(
        self,
        tokens_BT: Array,
        state: NetworkState,
        reset_BT: Array | None = None,
        lengths: Array | None = None,
        workspace: Workspace | None = None,
    ) -> Outputs:
        tokens_TB = time_major_tokens(tokens_BT, self.vocab_size)
        T, B = tokens_TB.shape
        steps = Pass(check_resets(reset_BT, B, T), check_lengths(lengths, B, T))
        return self._forward(tokens_TB, state, steps, Workspace() if workspace is None else workspace)

    def _forward(self, tokens_TB: Array, state: NetworkState, steps: Pass, workspace: Workspace) -> Outputs:
        """Every part, one after the other."""
        left = iter(state.checked(self.initial_state(tokens_TB.shape[1])).arrays)
        outputs, last, tapes = [], list[Array](), []
        for place, member in enumerate(self.members):
            own = list(islice(left, own_arrays(self.config)))
            outputs_TBH, after, tape = member.forward(
                tokens_TB, own, steps, workspace.scope(f"member {place}")
            )
            outputs.append(outputs_TBH)
            last += after
            tapes.append(tape)
        hidden_TBH = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=2)
        read = ReadTokens(tokens_TB, hidden_TBH, steps.reset_TB, steps.lengths, self.vocab_size)
        adding, mixing = list[Found](), list[tuple[str, Found]]()
        for mixer in self.mixers:
            part = mixer.find(read, list(islice(left, len(mixer.states(self.model.hidden_size)))))
            last += part.state
            if mixer.adds:
                adding.append(part)
            else:
                mixing.append((mixer.name, part))
        return Outputs(self.head, hidden_TBH, adding, mixing, NetworkState(tuple(last)), tapes)


def _result(
    read: Outputs,
    targets_N: Array,
    nats_N: Array,
    predictions_N: Array,
    logits_NV: Array | None = None,
    gradients: dict[str, Gradient] | None = None,
) -> BatchResult:
    """``nats_N`` and ``predictions_N``: those of the network."""
    shape, loss = read.hidden_TBH.shape[:2], float(nats_N.mean(dtype=np.float64))
    nats_N, without_N = read.mixed_nats(nats_N, targets_N)
    return BatchResult(
        loss=loss,
        accuracy=float((predictions_N == targets_N).mean()),
        nats_BT=_by_stream(nats_N, shape),
        without_cache_BT=_by_stream(without_N, shape),
        logits_BTV=None if logits_NV is None else _by_stream(logits_NV, shape),
        predictions_BT=_by_stream(predictions_N, shape),
        state=read.state,
        gradients={} if gradients is None else gradients,
    )


def _by_stream(array_N: Array, shape: tuple[int, ...]) -> Array:
    """A number, or a row, per token in the order of the steps [T,B], as an array [B,T] or [B,T,V]."""
    return np.ascontiguousarray(array_N.reshape(*shape, *array_N.shape[1:]).swapaxes(0, 1))
