"""The parts of a run, put together: network, optimiser, batches, the keeper of the best, from a ``RunState``.

A new run and a resumed one are made by the same steps from the same values, so that what a resumed run does
cannot differ: the state says all, and arrays from a checkpoint, where there are any, are laid over it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from pantoum import kernels
from pantoum.config.plain import Plain
from pantoum.data.batches import StatefulBatches
from pantoum.data.prepare import Prepared
from pantoum.errors import CheckpointError, RunError
from pantoum.formats.checkpoint import Checkpoint
from pantoum.inference.files.novelty import NoveltyFilter, documents_of
from pantoum.kernels import Array
from pantoum.network import LanguageModel
from pantoum.network.candidates import CandidateSampler
from pantoum.network.ensemble import join_states, part
from pantoum.network.mixers.counting import MOST_TOKENS
from pantoum.network.parameters import seed_of
from pantoum.network.state import NetworkState
from pantoum.ranks.interface import Ranks
from pantoum.ranks.single import SingleRank
from pantoum.training.engine import Engine
from pantoum.training.fitted_counts import FittedCounts
from pantoum.training.keep_best import KeepBest
from pantoum.training.parallel.ranked_backend import RankedBackend
from pantoum.training.parallel.spread_reading import SpreadReading
from pantoum.training.recipe.recipe import Recipe
from pantoum.training.run.run_folder import RunFolder
from pantoum.training.run.run_state import RunState
from pantoum.training.update.backend import Backend, LocalBackend, SharedBackend
from pantoum.training.update.learner import Learner
from pantoum.training.update.optimizer import make_optimizer

__all__ = [
    "Run",
    "assemble",
    "carried_arrays",
    "document_border",
    "make_backend",
    "make_batches",
    "symbol_counts",
]

CARRIED, STREAMS = "carried.", "streams"


@dataclass
class Run:
    """A run, ready to train."""

    folder: RunFolder
    prepared: Prepared
    state: RunState
    backend: Backend
    batches: StatefulBatches
    carried: NetworkState
    """What each stream hands to its next batch."""
    streams: Array
    """The streams' global numbers: those of the carried state's rows."""
    keep_best: KeepBest
    parameters: int
    """Those of the model that is kept, as its file holds it."""
    weights: Mapping[str, Array] | None = None
    """Those of another model that training began from."""
    checkpoint_every: int | None = None
    notes: list[str] = field(default_factory=list)
    opens_span: bool = True
    """Whether this session is the first of its span of the budget."""
    begins_anew: bool = False
    """Whether its budget is another than that of its checkpoint: one with the new budget comes first."""
    when_begun: Callable[[], list[str]] = list
    """Brings what else the folder says of the run into line with its checkpoint; what could not be."""
    ranks: Ranks = field(default_factory=SingleRank)
    """Who trains it."""
    engine: Engine | None = None
    """What trains in place of the core."""

    def train_on(self, ranks: Ranks, engine: Engine | None) -> None:
        """Train on these ranks from here on, of which this is rank 0, and with this engine; ``None``: with
        the core."""
        recipe = self.state.recipe
        if recipe.syncs_weights and engine is not None:
            raise RunError(
                f"sync_every is {recipe.sync_every}: ranks that combine their weights train with the core; "
                "leave --device out"
            )
        if recipe.syncs_weights and ranks.count != recipe.shards:
            raise RunError(
                f"sync_every is {recipe.sync_every}: each of the {recipe.shards} ranks that began the run "
                "has weights and an optimiser of its own, so the run goes on with as many ranks, and "
                f"{ranks.count} were started; start {recipe.shards}"
            )
        if ranks.count > recipe.shards:
            raise RunError(
                f"shards is {recipe.shards}: the run can be shared by so many ranks at most, and "
                f"{ranks.count} were started; start fewer, or begin a new run with --shards {ranks.count}"
            )
        self.ranks, self.keep_best.spread, self.engine = ranks, SpreadReading(ranks), engine
        missing = kernels.native.missing()
        if engine is not None:
            self.notes.append(engine.note)
        elif missing is not None and kernels.without_core() == missing:  # nobody asked for NumPy
            self.notes.append(
                f"{missing}: NumPy trains, many times slower; install pantoum where a C++ compiler is"
            )
        self._place_backend()

    def _place_backend(self) -> None:
        """Hand the backend of the core on to the engine, and share it with the other ranks."""
        if not isinstance(self.backend, LocalBackend):
            return
        backend: SharedBackend = self.backend
        recipe, vocab_size = self.state.recipe, self.prepared.tokenizer.vocab_size
        if self.engine is not None:
            backend = self.engine.take_over(self.backend, recipe, vocab_size)
        if self.ranks.count == 1:
            self.backend = backend
            return
        counts_V = symbol_counts(recipe, self.prepared)
        self.backend = RankedBackend(backend, self.ranks, recipe, vocab_size, self.state.batch_size, counts_V)

    def go_to(self, found: Checkpoint | None) -> None:
        """Take the arrays of a checkpoint (``None``: of the start of training), and the place that the state
        names."""
        state = self.state
        if found is None:
            self.backend = make_backend(
                state.recipe,
                self.prepared.tokenizer.vocab_size,
                self.weights,
                symbol_counts(state.recipe, self.prepared),
            )
            self._place_backend()
            self.carried = self.backend.initial_state(state.batch_size)
        else:
            self.backend.restore(found.arrays)
            template = self.backend.initial_state(state.batch_size)
            self.carried = _carried(template, found.arrays, self.streams, state.recipe)
        self.batches = make_batches(self.prepared, state.batch_size, state.seq_len, state.cursor)


def assemble(
    folder: RunFolder, prepared: Prepared, state: RunState, *, weights: Mapping[str, Array] | None = None
) -> Run:
    """Put a run together from its state; the arrays are those of its start."""
    tokenizer = prepared.tokenizer
    backend = make_backend(state.recipe, tokenizer.vocab_size, weights, symbol_counts(state.recipe, prepared))
    held_out = prepared.valid is not None and prepared.valid.count >= 2
    valid = np.asarray(prepared.valid.tokens) if prepared.valid is not None and held_out else None
    return Run(
        folder=folder,
        prepared=prepared,
        state=state,
        backend=backend,
        batches=make_batches(prepared, state.batch_size, state.seq_len, state.cursor),
        carried=backend.initial_state(state.batch_size),
        streams=np.arange(state.batch_size),
        keep_best=KeepBest(
            state.recipe.kept,
            tokenizer,
            valid,
            state.monitored,
            state.best,
            document_filter(prepared),
            state.recipe.precision,
            fitted_counts(prepared, valid, state.recipe.kneser_ney),
            None if valid is None else prepared.facts["valid"],
        ),
        parameters=state.recipe.num_parameters(tokenizer.vocab_size),
        weights=weights,
    )


def make_backend(
    recipe: Recipe,
    vocab_size: int,
    weights: Mapping[str, Array] | None = None,
    counts_V: Array | None = None,
) -> LocalBackend:
    """Networks and optimisers at the start of training; ``weights`` of the whole model in place of random
    ones; ``counts_V``: of the symbols, if the recipe samples them."""
    begun = [None] * recipe.members if weights is None else part(recipe.kept, weights)
    learners = [_learner(recipe, vocab_size, place, own, counts_V) for place, own in enumerate(begun)]
    return LocalBackend(learners, 1 if recipe.syncs_weights else recipe.shards)


def _learner(
    recipe: Recipe,
    vocab_size: int,
    place: int,
    weights: Mapping[str, Array] | None,
    counts_V: Array | None,
) -> Learner:
    seed = seed_of(recipe.seed, place)
    model = LanguageModel(vocab_size, config=recipe.model, seed=seed)
    if weights is not None:
        model.parameters.update(weights)
    optimizer = make_optimizer(recipe.optimizer, model, recipe.weight_decay, precision=recipe.precision)
    sampler = None
    if recipe.samples is not None:
        assert counts_V is not None
        sampler = CandidateSampler(counts_V, recipe.samples, seed)
    return Learner(
        model,
        optimizer,
        seed=seed,
        average=recipe.average,
        precision=recipe.precision,
        # Ranks that make updates by themselves add no gradients, but send what their weights have changed.
        gradient_precision="float32" if recipe.syncs_weights else recipe.gradient_precision,
        sampler=sampler,
    )


def symbol_counts(recipe: Recipe, prepared: Prepared) -> Array | None:
    """How often each symbol occurs in the training text [V], if the recipe samples them."""
    if recipe.samples is None:
        return None
    vocab_size = prepared.tokenizer.vocab_size
    counts_V = np.zeros(vocab_size, np.int64)
    for block in prepared.train.blocks():
        counts_V += np.bincount(block, minlength=vocab_size)
    return counts_V


def make_batches(
    prepared: Prepared,
    batch_size: int,
    seq_len: int,
    cursor: Mapping[str, Plain] | None = None,
    notes: list[str] | None = None,
) -> StatefulBatches:
    """Batches over the training text; that it is too small for them goes into the notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        batches = StatefulBatches(prepared.train, batch_size, seq_len, cursor, eos=document_border(prepared))
    if notes is not None:
        notes += [str(warning.message) for warning in caught]
    return batches


def document_border(prepared: Prepared) -> int | None:
    """The token before which the state is zeroed; ``None`` where the text is one stream."""
    return prepared.tokenizer.eos if prepared.tokenizer.documents else None


def document_filter(prepared: Prepared) -> dict[str, Array]:
    """What the model file keeps of the documents of the text, by which a new one is told from them: also of
    those that were held out, for to a person they are as little new."""
    if not prepared.tokenizer.documents:
        return {}
    parts = [prepared.train] if prepared.valid is None else [prepared.train, prepared.valid]
    found = NoveltyFilter.of(
        chain.from_iterable(documents_of(part.blocks(), prepared.tokenizer) for part in parts)
    )
    return {} if found is None else found.extras()


def fitted_counts(prepared: Prepared, valid: Array | None, order: int | None) -> FittedCounts | None:
    """The n-grams of the training text, where the recipe asks for them."""
    if order is None or prepared.train.count < 2:
        return None
    vocab_size, eos = prepared.tokenizer.vocab_size, document_border(prepared)
    return FittedCounts(prepared.train.read(0, MOST_TOKENS), valid, vocab_size, order, eos)


def carried_arrays(run: Run) -> dict[str, Array]:
    """Copies of the carried state and the streams it is keyed by, for a checkpoint."""
    arrays = run.carried.copy().arrays
    return {**{f"{CARRIED}{place}": array for place, array in enumerate(arrays)}, STREAMS: run.streams.copy()}


def _carried(
    template: NetworkState, arrays: Mapping[str, Array], streams: Array, recipe: Recipe
) -> NetworkState:
    """The carried state of these streams, found by their global numbers."""
    known = arrays.get(STREAMS, np.zeros(0, np.int64)).reshape(-1).tolist()
    kept = [arrays[f"{CARRIED}{place}"] for place in range(len(arrays)) if f"{CARRIED}{place}" in arrays]
    each = len(kept) // recipe.members
    if len(kept) > len(template.shapes) and each * recipe.members == len(kept):
        # Before ensembles were one model, each member had all arrays, also those that are the same for all.
        own = [NetworkState(tuple(kept[start : start + each])) for start in range(0, len(kept), each)]
        kept = list(join_states(recipe.model, own).arrays)
    missing = sorted(set(streams.tolist()) - set(known))
    needed = [(len(known), *shape[1:]) for shape in template.shapes]
    if missing or [array.shape for array in kept] != needed:
        raise CheckpointError(
            f"the checkpoint lacks the carried state of streams {missing[:8] or streams}; "
            "resume with the settings that the run began with"
        )
    return NetworkState(tuple(kept)).select([known.index(stream) for stream in streams.tolist()])
