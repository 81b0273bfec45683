"""A trained model as people hold it: it writes, scores and evaluates, and its sessions hold all state.

A thin hull over ``inference``: the command line's flags as keywords, texts given as files, a picture for a
notebook. Nothing here trains, and nothing a model does changes it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any, TypeAlias, overload

import numpy as np

from pantoum.config import GenerationConfig, SamplingConfig, ScoreConfig
from pantoum.errors import PantoumError
from pantoum.inference import batch as batches
from pantoum.inference import score as scoring
from pantoum.inference.adapt import adapted_to, adapter_of, require_out
from pantoum.inference.alert import peaks_of, threshold
from pantoum.inference.distinct import Distinct
from pantoum.inference.evaluate import Evaluation, evaluate
from pantoum.inference.generate import Generation, draw_seed
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.loaded_model import load as load_model
from pantoum.inference.protocols import SIDE_BY_SIDE, parse_protocol
from pantoum.inference.score import Score, Scorer
from pantoum.inference.session import Session
from pantoum.inference.state import State
from pantoum.inference.stream import Stream
from pantoum.report import surprisal
from pantoum.report.surprisal_page import Page
from pantoum.report.terminal import Counter
from pantoum.text.tokenizer import Tokenizer

__all__ = ["Batch", "Model", "Scores", "Texts", "counting", "listed", "load", "say"]

Texts: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"
"""A text file or folder, or several; ``-`` is stdin."""


class Scores(scoring.Scores):
    """The scores of a text, with a picture in a notebook: the text, each token coloured by its surprisal."""

    def _repr_html_(self) -> str:
        return surprisal.html([(item.pieces, item.peak, item.alert) for item in self.items])

    def html(self, title: str = "surprisal") -> str:
        """The same picture as a page of its own."""
        page = Page(title, self.by, self.threshold)
        units = [(item.pieces, item.peak, item.alert) for item in self.items]
        return page.begin() + page.rows(units) + page.end(len(self), self.tokens, self.nats)


class Batch(batches.Batch):
    """Streams of a model side by side, each with a prompt, a length and settings of its own. Iterate for the
    pieces of all of them as they come; any may join or leave meanwhile."""

    def start(
        self,
        prompt: str = "",
        *,
        length: int = 500,
        seed: int | None = None,
        stream: int = 0,
        state: State | None = None,
        **sampling: Any,
    ) -> Stream:
        """A stream that writes on from a prompt, or from a state; what it writes does not depend on the
        others."""
        session = Session(self.model, state)
        session.feed(prompt)
        chosen = draw_seed() if seed is None else seed
        return self.join(
            session.state, length=length, sampling=SamplingConfig(**sampling), seed=chosen, stream=stream
        )


class Model:
    """A trained model: it writes, scores and evaluates. It never changes; sessions hold all state."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded

    @property
    def tokenizer(self) -> Tokenizer:
        """Text to tokens and back."""
        return self.loaded.tokenizer

    @property
    def card(self) -> Mapping[str, Any]:
        """How it was trained: texts' fingerprints, held-out loss with its protocol, settings, curve."""
        return self.loaded.card

    @property
    def num_parameters(self) -> int:
        """How many numbers were learned."""
        return self.loaded.network.num_parameters

    @property
    def documents(self) -> str | None:
        """What a document is to this model (``lines``, ``files``, ``blank-lines``); ``None``: one long
        text."""
        return self.loaded.tokenizer.documents

    def __repr__(self) -> str:
        shape = self.loaded.network.config
        return (
            f"<Model {shape.num_layers} x {shape.hidden_size} {shape.cell}, "
            f"{self.num_parameters:,} parameters, {self.tokenizer.kind}>"
        )

    def session(self, state: State | None = None) -> Session:
        """A stream of text of its own, at its beginning or where a state stands."""
        return Session(self.loaded, state)

    def batch(self) -> Batch:
        """Streams side by side that come and go: ``batch.start("Once", length=100, seed=1)``, then
        ``for stream, text in batch``."""
        return Batch(self.loaded)

    @overload
    def generate(
        self,
        prompt: str = "",
        *,
        length: int = 500,
        seed: int | None = None,
        count: None = None,
        state: State | None = None,
        adapt: bool = False,
        model_out: str | os.PathLike[str] | None = None,
        **sampling: Any,
    ) -> str: ...
    @overload
    def generate(
        self,
        prompt: str = "",
        *,
        length: int = 500,
        seed: int | None = None,
        count: int,
        state: State | None = None,
        adapt: bool = False,
        model_out: str | os.PathLike[str] | None = None,
        unique: bool = False,
        novel: bool = False,
        **sampling: Any,
    ) -> list[str]: ...

    def generate(
        self,
        prompt: str = "",
        *,
        length: int = 500,
        seed: int | None = None,
        count: int | None = None,
        state: State | None = None,
        adapt: bool = False,
        model_out: str | os.PathLike[str] | None = None,
        unique: bool = False,
        novel: bool = False,
        **sampling: Any,
    ) -> str | list[str]:
        """The continuation of a prompt; with ``count`` a list of that many. ``adapt``: a copy of the model
        learns from the prompt and writes; ``model_out`` keeps that one. ``unique``: texts that differ from
        one another; ``novel``: that are no training document. ``sampling``: ``temperature``, ``top_k``,
        ``top_p``, ``min_p``, ``repetition_penalty``, ``greedy``, ``stop``."""
        kept = None if model_out is None else os.fspath(model_out)
        how_much = GenerationConfig(length, seed, 1 if count is None else count, adapt, kept, unique, novel)
        generation = self.generation(prompt, how_much, SamplingConfig(**sampling), state=state)
        if isinstance(generation, Generation):
            for _ in generation:
                pass
        texts = [text.text for text in generation.texts]
        return texts[0] if count is None else texts

    def stream(
        self,
        prompt: str = "",
        *,
        length: int = 500,
        seed: int | None = None,
        state: State | None = None,
        adapt: bool = False,
        model_out: str | os.PathLike[str] | None = None,
        **sampling: Any,
    ) -> Iterator[str]:
        """The same, piece by piece as it is written; no piece ends within a character."""
        kept = None if model_out is None else os.fspath(model_out)
        how_much = GenerationConfig(length, seed, adapt=adapt, model_out=kept)
        generation = self.generation(prompt, how_much, SamplingConfig(**sampling), state=state)
        assert isinstance(generation, Generation)
        return (piece.text for piece in generation)

    def generation(
        self, prompt: str, how_much: GenerationConfig, sampling: SamplingConfig, *, state: State | None = None
    ) -> Generation | Distinct:
        """Writing with all that can be known of it: tokens, nats, why a text ended, the state after it. With
        ``unique`` or ``novel`` all is written before it comes back."""
        model = self.loaded
        require_out(model, how_much.adapt, how_much.model_out)
        if how_much.adapt:
            begun = State.start(model) if state is None else state
            model, state = adapted_to(model, prompt, begun, how_much.model_out)
        session = Session(model, state)
        session.feed(prompt)
        seed = draw_seed() if how_much.seed is None else how_much.seed
        length, count = how_much.length, how_much.count
        if not (how_much.unique or how_much.novel):
            return Generation(model, session.state, sampling, length, seed, count)
        found = Distinct(
            model,
            session.state,
            sampling,
            length,
            seed,
            count,
            prompt,
            unique=how_much.unique,
            novel=how_much.novel,
        )
        if not found.texts:
            raise PantoumError(str(found.note))
        say([found.note] if found.note else [])
        return found

    def evaluate(
        self,
        texts: Texts,
        protocol: str = "carried",
        *,
        adapt: bool = False,
        model_out: str | os.PathLike[str] | None = None,
        progress: bool = False,
    ) -> Evaluation:
        """How well the model predicts texts (files or folders); ``protocol``: ``carried``, ``segments:N``,
        ``windows:N``. ``adapt``: a copy of it follows the text as it reads; ``model_out`` keeps that one."""
        from pantoum.data.prepare import prepare as prepare_texts

        parse_protocol(protocol)
        adapter = adapter_of(self.loaded, adapt, model_out)
        with tempfile.TemporaryDirectory(prefix="pantoum-") as folder:
            prepared = prepare_texts(listed(texts), tokenizer=self.tokenizer, valid_fraction=0.0, out=folder)
            say(prepared.notes)
            with counting("scoring", progress) as count:
                found = evaluate(
                    self.loaded.network,
                    np.asarray(prepared.train.tokens),
                    self.tokenizer,
                    protocol,
                    progress=count,
                    adapter=adapter,
                )
        if adapter is not None and model_out is not None:
            adapter.write(model_out, [_fingerprint(text) for text in prepared.facts.get("texts", ())])
        return found

    def score(self, text: str, by: str = "line", **settings: Any) -> Scores:
        """How surprising each token, word or line of a text is, in nats. ``settings``: ``streams``,
        ``documents``, ``alert``, ``alert_text``, ``adapt``, ``model_out``."""
        return self.scores([text], by, **settings)

    def scores(self, parts: Iterable[str | bytes], by: str = "line", **settings: Any) -> Scores:
        """The same of a text that comes in parts."""
        scorer = self.scorer(ScoreConfig(by, **settings), pieces=True)
        return Scores(by, tuple(scorer.read(parts)), scorer.threshold)

    def score_stream(
        self, parts: Iterable[str | bytes], by: str = "line", **settings: Any
    ) -> Iterator[Score]:
        """The same, each score as soon as it is known; memory does not grow with the text."""
        return self.scorer(ScoreConfig(by, **settings)).read(parts)

    def scorer(self, config: ScoreConfig, *, pieces: bool = False, named: str | None = None) -> Scorer:
        """What scores a text that grows: ``feed`` and ``finish``, or ``batches``. ``pieces=True``: each score
        also holds its tokens' texts and nats. ``named``: the text's name, for an adapted model's card."""
        adapter = adapter_of(self.loaded, config.adapt, config.model_out)
        ordinary = None
        if config.alert_text is not None:
            from pantoum.data import live

            reading = replace(
                config, alert=None, alert_text=None, adapt=False, streams=max(config.streams, SIDE_BY_SIDE)
            )
            ordinary = peaks_of(Scorer(self.loaded, reading).read(live.parts(config.alert_text)))
        nats, notes = threshold(self.loaded, config, ordinary)
        if config.documents and self.documents is not None:
            notes.append(f"documents has no effect: this model's documents are {self.documents} already")
        say(notes)
        if adapter is None:
            return Scorer(self.loaded, config, threshold=nats, pieces=pieces)
        texts = [] if named is None else [{"name": PurePath(named).name}]
        keep = None if config.model_out is None else partial(adapter.write, config.model_out, texts)
        return Scorer(
            self.loaded, config, threshold=nats, pieces=pieces, reader=adapter.of_streams, at_end=keep
        )


def _fingerprint(text: Mapping[str, Any]) -> dict[str, Any]:
    """A text's name without its path, its size, its hash."""
    return {"name": PurePath(str(text["name"])).name, "size": text["size"], "sha256": text["sha256"]}


def load(path: str | os.PathLike[str]) -> Model:
    """A model from its file, or the best model of a run folder."""
    return Model(load_model(Path(path)))


def listed(texts: Texts) -> list[str]:
    """Texts as a list of names."""
    if isinstance(texts, (str, os.PathLike)):
        return [os.fspath(texts)]
    return [os.fspath(text) for text in texts]


def say(notes: Iterable[str]) -> None:
    """What a person should know, as warnings."""
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=3)


@contextlib.contextmanager
def counting(what: str, progress: bool) -> Iterator[Callable[[int, int], None] | None]:
    """What counts progress on stderr, or nothing."""
    if not progress:
        yield None
        return
    with Counter(what) as counter:
        yield counter
