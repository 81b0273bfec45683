"""A model that adapts to what it reads: dynamic evaluation on a copy of its weights, mixed with the model.

The text is read in chunks. The targets of each chunk are scored first, then the weights take a step
(``adapt_rule``) towards what would have predicted them better, and the next chunk is read with these. The
state is zeroed where a document begins; the weights are not. The chunks do not depend on the calls into which
the text is cut: what does not fill a chunk is read at once, kept, and read again when the chunk is complete.
So the nats are the same however a text arrives.

The model itself reads along, and the probability of each token is a mixture of both (``mixture``), weighed by
how well each predicted the text so far. So a text that adapting does not help costs next to nothing, and a
short one 0.11 nats at most, because the model itself is believed until a text shows that it is worse. A copy
that has lost its way goes back towards the trained weights. The model itself is read in int8, which takes a
third of the time and costs less than 0.0001 nats (docs/log).

With a cache the same is learned of its weight, for the model itself and for the copy: what a cache knows the
copy may have learned already. Each is a mixture of itself without a cache and with one of twice the weight
that the card says, weighed as above; the weight of the card is believed at first.

The model it is made from never changes. Products of the copy are bf16 where the processor has them, which
moves a loss by less than 0.0001 nats. Where chunks are long, scans multiply with int8 codes of its weights,
made after each step; gradients are those of the weights. An int8 model is adapted, and saved, as a float32
copy. Memory: a second copy of the weights, their gradients, the codes of both, and the arrays of one chunk,
however long the text. There is one stream: of many parallel ones, none would have been read before the
others.

Shapes: one stream B = 1, T tokens.
"""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pantoum.config import ModelConfig
from pantoum.config.plain import Plain
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile, named_texts, told_times
from pantoum.inference.adapt_rule import Mixture, Rule, Settings, sampler_of, settings_for
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.scoring.reader import fitting, state_arrays, state_of
from pantoum.kernels import Array, Workspace, precisions
from pantoum.network import LanguageModel
from pantoum.network.checks import require_finite
from pantoum.network.gradient import Gradients
from pantoum.network.mixers import Mixer
from pantoum.network.mixers.cache import Cache
from pantoum.network.mixers.contexts import ContextMixer
from pantoum.network.network_state import NetworkState
from pantoum.network.program import BatchResult, Program, Wanted
from pantoum.network.spec import named

UNCHANGED_U = np.zeros(0, np.int64)
CHUNKS = 8
"""Chunks of the first length that the model itself reads at once: a multiple of ``Settings.later``, because
a chunk that is cut is read twice."""
LEAST_CODED = 128
"""Tokens of a chunk from which on the copy is read in int8, too: codes are made for each chunk."""
WINDOW = 192
"""Tokens over which the copy is judged, and after which the mixture shares its weights."""
SLOWER = 0.5
"""A copy that was lost takes steps of this share of those before: they went too far."""
LOST = 0.25
"""Nats per token of a window by which the copy may be worse than the model itself before it is lost."""
CACHE_TIMES, CACHE_MOST = 2.0, 0.9
"""The weight that a cache may come to have: so many times that of the card, but not more than the second."""
KEPT = 0.5
"""What a copy that is just lost keeps of its distance to the trained weights; one that is further behind
keeps less, in proportion."""


WEIGHTS, CONTEXTS = "weights.", "contexts."
COUNTERS = {
    "learned": "tokens",
    "times_lost": "times_lost",
    "in_window": "_in_window",
    "pace": "_pace",
    "behind": "_behind",
}
"""What a state file has of an adapter beside its arrays."""


class Adapter:
    """Reads one stream of text and adapts to it. It is a ``Reader``."""

    @np.errstate(over="ignore", invalid="ignore")  # `require_finite` reports what overflows
    def __init__(
        self,
        model: LoadedModel,
        settings: Settings | None = None,
        *,
        state: NetworkState | None = None,
        contexts: ContextMixer | None = None,
    ) -> None:
        """``settings``: in place of those for this vocabulary; ``state``: where the stream stands (its
        beginning); ``contexts``: read along, beside both."""
        source = model.network
        settings = settings_for(model.vocab_size) if settings is None else settings
        self.model, self.settings = model, settings
        self._precision = model.precision
        if self._precision != "float32":
            note = f"the model is {self._precision}: a float32 copy of it learns"
            warnings.warn(note, UserWarning, stacklevel=2)
        self.tokens = 0
        """Tokens that were learned from."""
        self.times_lost = 0
        """How often the copy was lost and went back towards the trained weights."""
        self._pace = 1.0
        """How far steps go, of what the settings say."""
        self._behind = 0.0
        """Nats that the copy has lost to the model itself since its window began."""
        self._in_window = 0
        """Tokens of the window that are read."""
        self._rule = Rule(model, settings)
        self._sampler = sampler_of(model)
        self._network = source.copy()
        self._workspace, self._plain_workspace = Workspace(), Workspace()
        self._changed_U: Array | None = None
        """The rows of the head that have changed since a program was made; ``None``: all may be others."""
        self._reading: Program | None = None
        """The program of the current weights; ``None`` until part of a chunk is read after a change."""
        self._cache, home = _heavier(model.program.cache)
        self._plain = _coded(model).with_cache(self._cache)
        self._mixture = Mixture(home=0.0)
        """The model itself and the copy."""
        self._contexts, self._with_contexts = contexts, Mixture(home=0.0)
        """Counted contexts beside both; what both above predict, and that."""
        self._plain_cache, self._own_cache = Mixture(home), Mixture(home)
        """The model itself without a cache and with one; the copy, likewise."""
        self._state = self._plain_state = model.program.initial_state(1) if state is None else state
        self._nothing = np.zeros((3, 1, 0), np.int64)
        self._begun_3BT, self._began = self._nothing, self._state

    def losses(self, inputs_BT: Array, targets_BT: Array, reset_BT: Array | None = None) -> Array:
        """Nats [1,T] of the targets under the mixture, each before anything was learned from it."""
        return self.read(inputs_BT, targets_BT, reset_BT)[0]

    @np.errstate(over="ignore", invalid="ignore")  # `require_finite` reports what overflows
    def read(
        self,
        inputs_BT: Array,
        targets_BT: Array,
        reset_BT: Array | None = None,
    ) -> tuple[Array, Array]:
        """(nats [1,T], predictions [1,T]); where ``reset_BT`` holds the state is zero before the input.

        A prediction is the most probable token of whichever of the two has the larger weight."""
        if reset_BT is None:
            reset_BT = np.zeros(inputs_BT.shape, bool)
        text_3BT = np.stack([inputs_BT, targets_BT, reset_BT]).astype(np.int64)
        at_once = CHUNKS * self.settings.chunk
        read, start = [(np.empty((1, 0), np.float32), np.empty((1, 0), np.int64))], 0
        while start < text_3BT.shape[2]:
            end = start + at_once - self._begun_3BT.shape[2] % at_once
            read.append(self._read_chunks(text_3BT[:, :, start:end]))
            start = end
        nats, predictions = zip(*read, strict=True)
        return np.concatenate(nats, axis=1), np.concatenate(predictions, axis=1)

    def _read_chunks(self, text_3BT: Array) -> tuple[Array, Array]:
        """``read`` of some chunks, the first and the last of which may be parts. The model itself, which does
        not learn, reads them all at once."""
        (inputs_BT, targets_BT, reset_BT), T = text_3BT, text_3BT.shape[2]
        plain = self._plain.scored(
            inputs_BT,
            targets_BT,
            self._plain_state,
            reset_BT=reset_BT.astype(bool),
            logits=self._contexts is not None,
            workspace=self._plain_workspace,
        )
        self._plain_state = plain.state
        nats_BT, predictions_BT = np.empty((1, T), np.float32), np.empty((1, T), np.int64)
        start = 0
        while start < T:
            chunk = self.settings.chunk_after(self.tokens)
            end = min(T, start + chunk - self._begun_3BT.shape[2])
            part = np.s_[:, start:end]
            read = self._read_whole if end - start == chunk else self._begin_chunk
            own = read(text_3BT[:, :, start:end])
            plain_T = self._cached(plain.nats_BT[part], plain.without_cache_BT[part], self._plain_cache)
            own_T = self._cached(own.nats_BT, own.without_cache_BT, self._own_cache)
            nats_T, weights_T = self._mixture.nats(plain_T, own_T)
            if self._contexts is not None and own.logits_BTV is not None and plain.logits_BTV is not None:
                both_T2V = np.stack([own.logits_BTV[0], plain.logits_BTV[0, start:end]], axis=1)
                said_T = self._contexts.read(targets_BT[part][0], both_T2V, reset_BT[part][0].astype(bool))
                nats_T, _ = self._with_contexts.nats(nats_T, said_T)
            nats_BT[part] = nats_T
            both = plain.predictions_BT[part], own.predictions_BT
            predictions_BT[part] = np.where(weights_T < 0.5, *both)
            # One addition after the other: the same bits however the text is cut.
            lost_T = own_T.astype(np.float64) - plain_T
            self._behind = float(np.add.accumulate([self._behind, *lost_T])[-1])
            self._in_window += end - start
            if not self._begun_3BT.shape[2]:  # a chunk is complete
                self._end_chunk()
            start = end
        return nats_BT, predictions_BT

    @np.errstate(over="ignore", invalid="ignore")  # `require_finite` reports what overflows
    def finish(self) -> None:
        """Learn from an incomplete chunk: the text ends here."""
        if self._begun_3BT.shape[2]:
            # What it predicts was computed when it was read, so nothing is mixed with the network here.
            program = self._program()
            layers = self._began.arrays[: len(program.initial_state(1).arrays)]
            self._learn(program, self._begun_3BT, NetworkState(layers))
            self._begun_3BT = self._nothing

    def kept(self) -> tuple[dict[str, Array], dict[str, Plain]]:
        """Where it stands, for a state file: the copy, the begun chunk, and how the mixtures weigh."""
        arrays = {WEIGHTS + name: array for name, array in self._network.parameters.items()}
        for name, state in self._states().items():
            arrays |= state_arrays(name, state)
        arrays |= {name: mixture.logs_K for name, mixture in self._mixtures().items()}
        if self._contexts is not None:
            arrays |= {CONTEXTS + name: array for name, array in self._contexts.kept().items()}
        arrays["begun"] = self._begun_3BT
        return arrays, {name: getattr(self, attribute) for name, attribute in COUNTERS.items()}

    def resume(self, arrays: Mapping[str, Array], kept: Mapping[str, Any]) -> None:
        """Go on from there."""
        weights = {
            name: fitting(arrays, WEIGHTS + name, array) for name, array in self._network.parameters.items()
        }
        states = {name: state_of(name, arrays, state) for name, state in self._states().items()}
        logs = {name: fitting(arrays, name, mixture.logs_K) for name, mixture in self._mixtures().items()}
        begun_3BT, counters = arrays["begun"], {name: float(kept[name]) for name in COUNTERS}
        if begun_3BT.dtype != np.int64 or begun_3BT.shape[:2] != (3, 1):
            raise ValueError("its unfinished chunk does not fit the model")
        if self._contexts is not None:
            self._contexts.resume(
                {name[len(CONTEXTS) :]: array for name, array in arrays.items() if name.startswith(CONTEXTS)}
            )
        self._network.parameters.update(weights)
        self._state, self._plain_state, self._began = states.values()
        for name, mixture in self._mixtures().items():
            mixture.logs_K = logs[name]
        self._begun_3BT, self._changed_U, self._reading = begun_3BT.copy(), None, None
        for name, attribute in COUNTERS.items():
            setattr(self, attribute, type(getattr(self, attribute))(counters[name]))

    def _states(self) -> dict[str, NetworkState]:
        return {"own": self._state, "plain": self._plain_state, "began": self._began}

    def _mixtures(self) -> dict[str, Mixture]:
        named = {"both": self._mixture, "plain_cache": self._plain_cache, "own_cache": self._own_cache}
        return named if self._contexts is None else {**named, "contexts": self._with_contexts}

    def _cached(self, with_BT: Array, without_BT: Array, mixture: Mixture) -> Array:
        """The nats [T] of a predictor from its nats [1,T] with the cache and without, by what is known of the
        weight of the cache so far."""
        require_finite([with_BT, without_BT])
        return with_BT[0] if self._cache is None else mixture.nats(without_BT[0], with_BT[0])[0]

    def _end_chunk(self) -> None:
        """A copy far behind goes back at once, because the pull of each step is slow, but it does not forget
        all that it learned."""
        most = LOST * max(WINDOW, self._in_window)
        lost = self._behind > most
        if lost:
            self._scale_distance(self._network, KEPT * most / self._behind)
            self._changed_U = None
            self.times_lost += 1
            self._pace *= SLOWER
        if self._in_window >= WINDOW:
            for mixture in self._mixtures().values():
                mixture.share()
            if self._contexts is not None and self._contexts.is_full:
                self._contexts.begin_anew()
        if lost or self._in_window >= WINDOW:
            self._behind, self._in_window = 0.0, 0

    def _scale_distance(self, network: LanguageModel, share: float) -> None:
        """Move weights, in place, to this share of their distance to the trained ones."""
        for name, array in network.parameters.items():
            trained = self.model.network.parameters[name]
            array -= trained
            array *= np.float32(share)
            array += trained

    def adapted(self, *, ended: bool = True) -> LoadedModel:
        """One model in place of the mixture as it is now.
        ``ended=False``: the text goes on, and an incomplete chunk is not learned from yet.

        Its weights lie between those of the model itself and the adapted ones, as the mixture weighs both.
        The contexts stand beside it, those of the adapter itself, which go on learning with it."""
        mixers = list(self.model.program.mixed_in)
        if self._contexts is not None:
            from pantoum.network.mixers.contexts import ContextMixture

            mixers.append(ContextMixture(self._contexts, self._with_contexts.weight_from_home))
        return self._made((), ended, mixers)

    def _made(
        self, texts: Sequence[Mapping[str, Plain]], ended: bool, mixers: Sequence[Mixer]
    ) -> LoadedModel:
        if ended:
            self.finish()
        weight, network = self._mixture.weight, self._network.copy()
        self._scale_distance(network, weight)
        card = {key: said for key, said in self.model.card.items() if key != self._precision}
        now = {
            "tokens": self.tokens,
            "weight": round(weight, 4),
            **named_texts(texts),
            "settings": dataclasses.asdict(self.settings),
            "from_sha256": self.model.sha256,
            "from_precision": self._precision,
        }
        card |= told_times(card, now)
        program = Program(network, mixers=mixers)
        return LoadedModel(program, self.model.tokenizer, card, extras=self.model.extras)

    def write(
        self,
        path: str | os.PathLike[str],
        texts: Sequence[Mapping[str, Plain]] = (),
        *,
        ended: bool = True,
    ) -> LoadedModel:
        """The same model without contexts, written to a file of its own, by whose SHA-256 its states name it:
        a model file holds no text."""
        made = self._made(texts, ended, self.model.program.mixed_in)
        content = ModelFile(
            made.network.config.spec(),
            dict(made.network.parameters),
            made.tokenizer.spec(),
            dict(made.card),
            dict(made.extras),
        )
        return dataclasses.replace(made, sha256=model_file.write(Path(path), content), path=Path(path))

    def _read_whole(self, text_3BT: Array) -> BatchResult:
        """Read a whole chunk from the state and learn from it in the same pass."""
        program = self._program(mixers=[self.model.program.counts, self._cache])
        result = self._learn(program, text_3BT, self._state, exact=True)
        self._state = result.state
        return result

    def _program(self, **beside: Any) -> Program:
        """The program of the current weights, in the memory of the one before."""
        changed_U, self._changed_U = self._changed_U, UNCHANGED_U
        beside["precision"] = precisions(self._network.dtype)[-1]
        beside["coded"] = self.settings.chunk >= LEAST_CODED
        return Program(
            self._network, purpose="train", workspace=self._workspace, changed_U=changed_U, **beside
        )

    def _learn(
        self, program: Program, text_3BT: Array, state: NetworkState, exact: bool = False
    ) -> BatchResult:
        """Learn from a chunk that begins with this state."""
        inputs_BT, targets_BT, reset_BT = text_3BT
        chunk, sampler = self.settings.chunk_after(self.tokens), self._sampler
        step = self.tokens // chunk
        parts, rest = divmod(inputs_BT.shape[1], self.settings.part)
        wanted = Wanted(
            candidates=None if sampler is None else sampler.draw(targets_BT.reshape(-1), step),
            exact=exact,
            logits=exact and self._contexts is not None,
            parts=1 if rest else parts,
            below=step % self.settings.lower == 0,
        )
        result = program.gradients(inputs_BT, targets_BT, state, wanted, reset_BT=reset_BT.astype(bool))
        self._changed_U = changed_rows(self._network.config, result.gradients)
        pace = self._pace * math.sqrt(self.settings.chunk / chunk)
        self._rule.step(self._network.parameters, result.gradients, inputs_BT.size, pace)
        self._reading = None
        self.tokens += inputs_BT.size
        return result

    def _begin_chunk(self, text_3BT: Array) -> BatchResult:
        """The same of what does not fill a chunk by itself and waits; the copy learns from the chunk when it
        is whole."""
        inputs_BT, targets_BT, reset_BT = text_3BT
        if not self._begun_3BT.shape[2]:
            self._began = self._state
        if self._reading is None:
            self._reading = self._program(mixers=[self.model.program.counts, self._cache])
        logits, reset_BT = self._contexts is not None, reset_BT.astype(bool)
        result = self._reading.scored(inputs_BT, targets_BT, self._state, reset_BT=reset_BT, logits=logits)
        self._state = result.state
        self._begun_3BT = np.concatenate([self._begun_3BT, text_3BT], axis=2)
        if self._begun_3BT.shape[2] == self.settings.chunk_after(self.tokens):
            self.finish()
        return result


def _heavier(cache: Cache | None) -> tuple[Cache | None, float]:
    """(the cache with the most weight that it may come to have, the share of it that the card says)."""
    if cache is None or not cache.weight:
        return cache, 1.0
    most = max(cache.weight, min(CACHE_MOST, CACHE_TIMES * cache.weight))
    return dataclasses.replace(cache, weight=most), cache.weight / most


def _coded(model: LoadedModel) -> Program:
    """The model itself in int8."""
    program, ready = model.program, model.program.precision == "int8"
    return program if ready else Program(model.network, precision="int8", mixers=[program.counts])


def changed_rows(config: ModelConfig, gradients: Gradients) -> Array | None:
    """The rows of the weight of the head that a step along these gradients changes; ``None``: all."""
    rows = [gradients[name].rows_U for name in named(config, "input" if config.tied else "output")]
    known = [rows_U for rows_U in rows if rows_U is not None]
    return np.unique(np.concatenate(known)) if len(known) == len(rows) else None
