"""The parts of a run, put together: network, optimiser, batches, the keeper of the best, from a ``RunState``.

A new run and a resumed one are made by the same steps from the same values, so that what a resumed run does
cannot differ: the state says all, and the arrays are those of the start or of a checkpoint.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import chain

import numpy as np

from pantoum import kernels
from pantoum.config.plain import Plain
from pantoum.data.batches import StatefulBatches
from pantoum.data.prepared_file import Prepared
from pantoum.errors import CheckpointError, RunError
from pantoum.formats.checkpoint import Checkpoint
from pantoum.inference.files.novelty import NoveltyFilter, documents_of
from pantoum.inference.scoring.protocols import COUNTED
from pantoum.kernels import Array
from pantoum.network import LanguageModel
from pantoum.network.candidates import CandidateSampler
from pantoum.network.ensemble import part
from pantoum.network.mixers.counts import MOST_TOKENS
from pantoum.network.network_state import NetworkState
from pantoum.network.parameters import seed_of
from pantoum.training.keep_best import FittedCounts, KeepBest
from pantoum.training.neighbours import MOST_COUNTED, initial_vectors, initialise
from pantoum.training.recipe.recipe import Recipe
from pantoum.training.run.run_folder import RunFolder
from pantoum.training.run.run_state import RunState
from pantoum.training.update.backend import Backend, LocalBackend, TrainingEngine
from pantoum.training.update.learner import MemberLearner
from pantoum.training.update.optimizer import AdamW, make_optimizer
from pantoum.training.update.pulled import PulledOptimizer
from pantoum.training.update.spelling import SpellingOptimizer, parts_of
from pantoum.training.update.symbols import NO_SYMBOLS, Symbols

CARRIED, STREAMS = "carried.", "streams"


class TrainingRun:
    """A run, ready to train: a new one, or one from a checkpoint. Its batches, its backend and what keeps the
    best weights are made once; a rollback puts them back to an earlier step."""

    def __init__(
        self,
        folder: RunFolder,
        prepared: Prepared,
        state: RunState,
        batches: StatefulBatches,
        engine: TrainingEngine | None,
        *,
        found: Checkpoint | None = None,
        weights: Mapping[str, Array] | None = None,
        notes: Sequence[str] = (),
        checkpoint_every: int | None = None,
    ) -> None:
        """``engine``: trains in place of the core; ``found``: the checkpoint that the run goes on from;
        ``weights``: those of another model that training began from."""
        self.folder, self.prepared, self.state, self.batches = folder, prepared, state, batches
        self.weights, self.notes, self.checkpoint_every = weights, list(notes), checkpoint_every
        self.streams: Array = np.arange(state.batch_size)
        """The streams' global numbers: those of the carried state's rows."""
        self.keep_best = _keep_best(prepared, state)
        self.parameters = state.recipe.num_parameters(prepared.tokenizer.vocab_size)
        """Those of the model that is kept, as its file holds it."""
        self.opens_span = True
        """Whether this session is the first of its span of the budget."""
        self.begins_anew = False
        """Whether its budget is another than that of its checkpoint: one with the new budget comes first."""
        self.when_begun: Callable[[], list[str]] = list
        """Brings what else the folder says of the run into line with its checkpoint; what could not be."""
        self._symbols = symbols_of(state.recipe, prepared)
        self._engine = engine
        self._require_engine()
        self.backend = self._made_backend(drawn=found is None)
        self.carried: NetworkState
        """What each stream hands to its next batch."""
        self._take(found)

    def _require_engine(self) -> None:
        """Refuse more processes than shards, and note what trains."""
        engine, shards = self._engine, self.state.recipe.shards
        count = 1 if engine is None else engine.processes
        if count > shards:
            raise RunError(
                f"shards is {shards}: the run can be shared by no more ranks than that, and {count} were "
                f"started; start fewer, or begin a new run with --shards {count}"
            )
        missing = kernels.native.missing()
        if engine is not None and engine.note:
            self.notes.append(engine.note)
        elif missing is not None and kernels.without_core() == missing:  # nobody asked for NumPy
            self.notes.append(
                f"{missing}: NumPy trains, some four times slower; install pantoum where there is a C++ "
                "compiler"
            )

    def go_to(self, found: Checkpoint | None) -> None:
        """Go back to a checkpoint (``None``: to the start of training), whose place the state names."""
        if found is None:
            self.backend = self._made_backend(drawn=True)
        self._take(found)
        self.batches.go_to(self.state.cursor)

    def _take(self, found: Checkpoint | None) -> None:
        """The arrays of a checkpoint, and what its streams hand on."""
        state = self.state
        if found is not None:
            self.backend.restore(found.arrays)
        zero = self.backend.initial_state(state.batch_size)
        self.carried = zero if found is None else _carried(zero, found.arrays, self.streams)

    def _made_backend(self, drawn: bool) -> Backend:
        """The backend of the core, handed on to the engine. ``drawn``: with the weights of the start; else
        they are zero."""
        recipe, vocab_size = self.state.recipe, self.prepared.tokenizer.vocab_size
        weights = self.weights if drawn else None
        vectors_VE = None
        if drawn and weights is None and recipe.neighbours is not None:
            vectors_VE = initial_vectors(
                self.prepared.train.read(0, MOST_COUNTED),
                vocab_size,
                recipe.model.embedding_size or 0,
                recipe.neighbours,
                recipe.seed,
                self._symbols.parts_VO,
            )
        local = make_backend(recipe, vocab_size, weights, self._symbols, drawn, vectors_VE=vectors_VE)
        if self._engine is None:
            return local
        return self._engine.take_over(local, recipe, vocab_size, self.state.batch_size, self._symbols)


def _keep_best(prepared: Prepared, state: RunState) -> KeepBest:
    """What keeps the best weights of a run."""
    held_out = prepared.valid is not None and prepared.valid.count >= 2
    valid = np.asarray(prepared.valid.tokens) if prepared.valid is not None and held_out else None
    return KeepBest(
        state.recipe.kept,
        prepared.tokenizer,
        valid,
        state.monitored,
        state.best,
        document_filter(prepared),
        state.recipe.precision,
        fitted_counts(prepared, valid, state.recipe.kneser_ney),
        None if valid is None else prepared.facts["valid"],
        prepared.train.read(0, COUNTED),
    )


def make_backend(
    recipe: Recipe,
    vocab_size: int,
    weights: Mapping[str, Array] | None = None,
    symbols: Symbols = NO_SYMBOLS,
    drawn: bool = True,
    vectors_VE: Array | None = None,
) -> LocalBackend:
    """Networks and optimisers at the start of training; ``weights`` of the whole model in place of random
    ones. Not ``drawn``: all are zero, to be restored. ``vectors_VE``: initial rows
    of the embedding (``neighbours.initialise``)."""
    seeds = [seed_of(recipe.seed, place) for place in range(recipe.members)]
    models = [LanguageModel(vocab_size, config=recipe.model, seed=seed if drawn else None) for seed in seeds]
    if weights is not None:
        for model, own in zip(models, part(recipe.kept, weights), strict=True):
            model.parameters.update(own)
    if vectors_VE is not None:
        for model in models:
            initialise(model, vectors_VE)
    learners = [_learner(recipe, model, seed, symbols) for model, seed in zip(models, seeds, strict=True)]
    return LocalBackend(learners, recipe.shards)


def _learner(recipe: Recipe, model: LanguageModel, seed: int, symbols: Symbols) -> MemberLearner:
    optimizer: AdamW | SpellingOptimizer | PulledOptimizer
    optimizer = make_optimizer(
        recipe.optimizer,
        model,
        recipe.weight_decay,
        precision=recipe.precision,
        table_rate=recipe.table_rate,
    )
    if symbols.parts_VO is not None and recipe.spelling is not None:
        optimizer = SpellingOptimizer(optimizer, model, symbols.parts_VO, recipe.spelling)
    if recipe.pull:
        optimizer = PulledOptimizer(optimizer, model, recipe.pull)
    sampler = None
    if recipe.samples is not None:
        assert symbols.counts_V is not None
        sampler = CandidateSampler(symbols.counts_V, recipe.samples, seed)
    return MemberLearner(
        model,
        optimizer,
        seed=seed,
        average=recipe.average,
        precision=recipe.precision,
        sampler=sampler,
    )


def symbols_of(recipe: Recipe, prepared: Prepared) -> Symbols:
    """What the recipe asks about the symbols of the training text."""
    tokenizer = prepared.tokenizer
    counts_V = parts_VO = None
    if recipe.samples is not None:
        counts_V = np.zeros(tokenizer.vocab_size, np.int64)
        for block in prepared.train.blocks():
            counts_V += np.bincount(block, minlength=tokenizer.vocab_size)
    if recipe.spelling is not None:
        parts_VO = parts_of([tokenizer.decode([symbol]) for symbol in range(tokenizer.vocab_size)])
    return Symbols(counts_V, parts_VO)


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


def carried_arrays(run: TrainingRun) -> dict[str, Array]:
    """Copies of the carried state and the streams it is keyed by, for a checkpoint."""
    arrays = run.carried.copy().arrays
    return {**{f"{CARRIED}{place}": array for place, array in enumerate(arrays)}, STREAMS: run.streams.copy()}


def _carried(template: NetworkState, arrays: Mapping[str, Array], streams: Array) -> NetworkState:
    """The carried state of these streams, found by their global numbers."""
    known = arrays.get(STREAMS, np.zeros(0, np.int64)).reshape(-1).tolist()
    kept = [arrays[f"{CARRIED}{place}"] for place in range(len(arrays)) if f"{CARRIED}{place}" in arrays]
    missing = sorted(set(streams.tolist()) - set(known))
    needed = [(len(known), *shape[1:]) for shape in template.shapes]
    if missing or [array.shape for array in kept] != needed:
        raise CheckpointError(
            f"the checkpoint lacks the carried state of streams {missing[:8] or streams}; "
            "resume with the settings that the run began with"
        )
    return NetworkState(tuple(kept)).select([known.index(stream) for stream in streams.tolist()])
