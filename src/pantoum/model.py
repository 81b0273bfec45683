"""A trained model as Python users see it: it writes, scores, evaluates and compresses, and its sessions hold
all state.

A thin layer over ``inference``: the options of the command line as keywords, texts given as files. Nothing
here trains. Every argument is checked here, so that a mistake is a ``SettingError`` that names it. What only
some calls need is imported when they are made: who only generates loads neither scoring nor adapting.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from pantoum.config import (
    EvaluationConfig,
    GenerationConfig,
    SamplingConfig,
    ScoreConfig,
    StreamConfig,
    require,
    text,
    truth,
)
from pantoum.config import path as checked
from pantoum.config.calls import public, taking
from pantoum.formats import durable
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.loaded_model import load as load_model
from pantoum.inference.session import Session
from pantoum.inference.state import State
from pantoum.inference.writing.generation import Candidate, completed, draw_seed
from pantoum.inference.writing.stream_batch import Stream, StreamBatch
from pantoum.text.tokenizer import Tokenizer
from pantoum.texts import counting, listed, listed_parts, listed_prompts, named, require_kind, say

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pantoum.config import CompleteConfig
    from pantoum.config.keywords import Reading, Sampling, Scoring, Streaming, Writing
    from pantoum.inference.after_prompts import WrittenTexts
    from pantoum.inference.evaluation import Evaluation
    from pantoum.inference.next_word import Completer, Suggestion
    from pantoum.inference.probabilities import Continuation, PairsFound
    from pantoum.inference.scorer import Scorer
    from pantoum.inference.scoring.units import Score
    from pantoum.report.surprisal import Scores
    from pantoum.texts import GivenText, Prompts, Texts


class Model:
    """A trained model: it writes, scores and evaluates. It never changes; sessions hold all state."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded

    def __copy__(self) -> Model:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Model:
        return self

    @property
    def tokenizer(self) -> Tokenizer:
        """Text to tokens and back."""
        return self._loaded.tokenizer

    @property
    def card(self) -> Mapping[str, Any]:
        """How it was trained: fingerprints of the texts, validation loss with its protocol, settings,
        curve."""
        return self._loaded.card

    @property
    def num_parameters(self) -> int:
        """The number of learned parameters."""
        return self._loaded.program.model.num_parameters

    @property
    def documents(self) -> str | None:
        """What a document is to this model (``lines``, ``files``, ``blank-lines``); ``None``: one long
        text."""
        return self._loaded.tokenizer.documents

    def __repr__(self) -> str:
        shape = self._loaded.config
        return (
            f"<Model {shape.num_layers} x {shape.hidden_size} {shape.cell}, "
            f"{self.num_parameters:,} parameters, {self.tokenizer.kind}>"
        )

    def _repr_html_(self) -> str:
        shape, sha256 = self._loaded.network.config, self._loaded.sha256
        rows = [
            ("shape", f"{shape.num_layers} x {shape.hidden_size} {shape.cell}"),
            ("parameters", f"{self.num_parameters:,}"),
            ("tokens", f"{self.tokenizer.kind}, vocabulary {self.tokenizer.vocab_size:,}"),
            ("documents", self.documents or ""),
            ("sha256", sha256),
        ]
        from pantoum.inference.evaluation import figures_html

        return figures_html("model", [row for row in rows if row[1]])

    @public
    def completer(self, config: CompleteConfig) -> Completer:
        """What suggests words for a text that is typed: after one text or another, learning if asked to."""
        from pantoum.inference.next_word import Completer

        return Completer(self._loaded, config)

    @public
    def require_apart(self, argument: str, path: str | os.PathLike[str]) -> None:
        """Raise ``SettingError`` if a file cannot be written there, or would overwrite the model."""
        from pantoum.config.rules import require_apart, require_place

        require_place(argument, path)
        require_apart(argument, path, "the model itself", [self._loaded.path])

    @public
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file, by a temporary file and a rename: the same bytes, so that its states
        stay valid."""
        durable.write_file(checked(path, "path"), self._loaded.file_bytes())

    @public
    def session(self, state: State | None = None, *, cache: int | None = None) -> Session:
        """A new stream of text, from the beginning or from a state. ``cache``: mix the model with a
        cache of so many tokens, which its states contain."""
        return Session(self._with_cache(cache), state)

    @public
    def batch(self) -> ModelBatch:
        """Streams side by side that start and end at any time: ``batch.start("Once", length=100, seed=1)``,
        then ``for stream, text in batch``."""
        return ModelBatch(self._loaded)

    @overload
    def generate(
        self,
        prompt: str = "",
        *,
        state: State | None = None,
        count: None = None,
        n_best: None = None,
        **settings: Unpack[Writing],
    ) -> str: ...
    @overload
    def generate(
        self,
        prompt: str = "",
        *,
        state: State | None = None,
        count: int,
        n_best: None = None,
        **settings: Unpack[Writing],
    ) -> list[str]: ...
    @overload
    def generate(
        self,
        prompt: str = "",
        *,
        state: State | None = None,
        count: int | None = None,
        n_best: int,
        **settings: Unpack[Writing],
    ) -> list[Candidate]: ...
    @overload
    def generate(
        self,
        prompt: Prompts,
        *,
        state: State | None = None,
        count: None = None,
        n_best: None = None,
        **settings: Unpack[Writing],
    ) -> list[str]: ...
    @overload
    def generate(
        self,
        prompt: Prompts,
        *,
        state: State | None = None,
        count: int,
        n_best: None = None,
        **settings: Unpack[Writing],
    ) -> list[list[str]]: ...
    @overload
    def generate(
        self,
        prompt: Prompts,
        *,
        state: State | None = None,
        count: int | None = None,
        n_best: int,
        **settings: Unpack[Writing],
    ) -> list[list[Candidate]]: ...

    @taking(GenerationConfig, SamplingConfig)
    def generate(
        self,
        prompt: str | Prompts = "",
        *,
        state: State | None = None,
        count: int | None = None,
        n_best: int | None = None,
        **settings: Unpack[Writing],
    ) -> Any:
        """The continuation of a prompt, or of a state and a prompt; for several prompts, one each. With
        ``count`` a list of that many; with ``n_best`` the most probable of these, best first, each a
        ``Candidate`` with its log-probability."""
        given: dict[str, Any] = {**settings, "count": 1 if count is None else count, "n_best": n_best}
        how_much, sampling = GenerationConfig.of(given), SamplingConfig.of(given)
        prompts = listed_prompts(prompt)
        found: list[list[str | Candidate]] = [[] for _ in prompts]
        for one in completed(self.generation(prompts, how_much, sampling, state=state)).texts:
            written = one.text if n_best is None else Candidate(one.text, -one.nats, one.tokens)
            found[one.prompt].append(written)
        each = found if count is not None or n_best is not None else [texts[0] for texts in found]
        return each[0] if isinstance(prompt, str) else each

    @taking(StreamConfig, SamplingConfig)
    def stream(
        self, prompt: str = "", *, state: State | None = None, **settings: Unpack[Streaming]
    ) -> Iterator[str]:
        """The same, piece by piece as it is written; no piece ends within a character."""
        given: dict[str, Any] = {**settings}
        how_much, sampling = GenerationConfig.of(given), SamplingConfig.of(given)
        return (piece.text for piece in self.generation(prompt, how_much, sampling, state=state))

    @public
    def generation(
        self,
        prompt: str | Sequence[str],
        how_much: GenerationConfig,
        sampling: SamplingConfig,
        *,
        state: State | None = None,
    ) -> WrittenTexts:
        """The same as an object to iterate, with all that is known of each text: tokens, nats, why it ended,
        the state after it, and which of several prompts it follows. Where texts are chosen (``unique``,
        ``novel``, ``n_best``) a piece is a whole text."""
        from pantoum.inference.after_prompts import write_after

        prompts = listed_prompts(prompt)
        require_kind(how_much, GenerationConfig, "how_much")
        require_kind(sampling, SamplingConfig, "sampling")
        return write_after(self._with_cache(how_much.cache), prompts, how_much, sampling, state)

    @public
    def suggest(self, prompt: str = "", k: int = 3) -> list[Suggestion]:
        """The ``k`` most probable words after a prompt, or those that begin with the letters that it ends
        with, most probable first."""
        from pantoum.inference.next_word import begun_word

        before, begun = begun_word(text(prompt, "prompt"))
        session = self.session()
        session.feed(before)
        return session.suggest(k, begun=begun)

    @public
    def choices(self, prompt: str, choices: Sequence[str], *, cache: int | None = None) -> list[Continuation]:
        """How probable each of some continuations of a prompt is, in their order: alone, and as a share of
        all of them."""
        from pantoum.inference.probabilities import choices_after

        session = self.session(cache=cache)
        session.feed(text(prompt, "prompt"))
        return choices_after(session.model, session.state, choices)

    @taking(EvaluationConfig)
    def evaluate(
        self,
        texts: Texts = (),
        protocol: str = "carried",
        *,
        text: GivenText | None = None,
        progress: bool = False,
        **settings: Unpack[Reading],
    ) -> Evaluation:
        """How well the model predicts texts (files, folders, addresses), or a ``text`` itself (as ``train``
        takes it). ``protocol``: ``carried``, ``segments:N``, ``windows:N``."""
        from pantoum.data.prepare import prepare as prepare_texts
        from pantoum.inference.adapted import adapter_of
        from pantoum.inference.evaluation import evaluate
        from pantoum.inference.scoring.protocols import parse_protocol

        parse_protocol(protocol)
        asked = EvaluationConfig.of({**settings})
        model = self._with_cache(asked.cache)
        with named(texts, text, self.documents) as names:
            adapter = adapter_of(model, asked.adapt, asked.model_out, names)
            prepared = prepare_texts(
                names, tokenizer=self.tokenizer, encoding=asked.encoding, valid_fraction=0.0, out=None
            )
            say(prepared.notes)
            with counting("scoring", truth(progress, "progress")) as count:
                found = evaluate(
                    model.program,
                    prepared.train.tokens,
                    self.tokenizer,
                    protocol,
                    progress=count,
                    adapter=adapter,
                    encoded=prepared.facts["train"],
                )
        if adapter is not None and asked.model_out is not None:
            adapter.write(asked.model_out, prepared.facts.get("texts", ()))
        return found

    @public
    def pairs(self, files: Texts) -> PairsFound:
        """How often the good sentence of two is more probable than the bad one: files of minimal pairs in the
        form of BLiMP, or folders of such files."""
        from pantoum.inference.probabilities import judge

        names = listed(files, "files")
        require(bool(names), "files", names, "must be at least one file of pairs", "give one")
        return judge(self._loaded, names)

    @taking(ScoreConfig)
    def score(self, text: str, by: str = "line", **settings: Unpack[Scoring]) -> Scores:
        """How surprising each token, word or line of a text is, in nats."""
        return self.scores([text], by, **settings)

    @taking(ScoreConfig)
    def scores(self, parts: Iterable[str | bytes], by: str = "line", **settings: Unpack[Scoring]) -> Scores:
        """The same for a text that comes in parts."""
        from pantoum.report.surprisal import Scores

        scorer = self.scorer(ScoreConfig.of({"by": by, **settings}), pieces=True)
        return Scores(scorer.by, tuple(scorer.read(listed_parts(parts))), scorer.threshold)

    @taking(ScoreConfig)
    def score_stream(
        self, parts: Iterable[str | bytes], by: str = "line", **settings: Unpack[Scoring]
    ) -> Iterator[Score]:
        """The same, each score as soon as it is known; memory does not grow with the text."""
        return self.scorer(ScoreConfig.of({"by": by, **settings})).read(listed_parts(parts))

    @public
    def scorer(self, config: ScoreConfig, *, pieces: bool = False, named: str | None = None) -> Scorer:
        """A scorer of a text that grows: ``feed`` and ``finish``, or ``batches``. ``pieces=True``: each score
        also holds the texts and nats of its tokens. ``named``: the name of the text, for the card of an
        adapted model."""
        from pantoum.inference.scorer import asked_scorer

        require_kind(config, ScoreConfig, "config")
        pieces, named = truth(pieces, "pieces"), None if named is None else text(named, "named")
        scorer, notes = asked_scorer(self._loaded, config, pieces, named)
        say(notes)
        return scorer

    @public
    def compress(self, data: bytes, **settings: Any) -> bytes:
        """An archive of ``data``, which only this model can read. The settings are the options of ``pantoum
        compress``."""
        made: bytes = _archives().compress_by(self._loaded, data, **settings)
        return made

    @public
    def decompress(self, archive: bytes, **settings: Any) -> bytes:
        """The bytes in an archive, or a part of them. The settings are the options of ``pantoum
        decompress``."""
        made: bytes = _archives().decompress_by(self._loaded, archive, **settings)
        return made

    @public
    def compress_many(self, records: Iterable[bytes], *, no_verify: bool = False) -> bytes:
        """An archive of many short records (messages, names, lines); each is read without the others."""
        made: bytes = _archives().compress_many_by(self._loaded, records, no_verify)
        return made

    @public
    def decompress_many(self, archive: bytes, numbers: Sequence[int] | None = None) -> list[bytes]:
        """The records with these numbers, or all of them; no others are decoded."""
        made: list[bytes] = _archives().decompress_many_by(self._loaded, archive, numbers)
        return made

    def _with_cache(self, size: int | None) -> LoadedModel:
        """The model, with a cache of the last ``size`` tokens where one is asked for."""
        if size is None:
            return self._loaded
        from pantoum.inference.cache_settings import with_cache

        return with_cache(self._loaded, size)


def _archives() -> Any:
    """What an app adds to models (``extensions``)."""
    from pantoum import extensions

    return extensions.find("functions", "archives")


class ModelBatch(StreamBatch):
    """Streams of a model in one batch, each with a prompt, a length and settings of its own. Iterate for the
    pieces of all of them as they come; streams may join and leave meanwhile, from any thread."""

    @taking(SamplingConfig)
    def start(
        self,
        prompt: str = "",
        *,
        length: int = 500,
        seed: int | None = None,
        stream: int = 0,
        state: State | None = None,
        **sampling: Unpack[Sampling],
    ) -> Stream:
        """A stream that continues a prompt, or a state and a prompt; what it writes does not depend on the
        other streams."""
        settings = SamplingConfig(**dict[str, Any](sampling))
        session = Session(self.model, state)
        session.feed(text(prompt, "prompt"))
        chosen = draw_seed() if seed is None else seed
        return self.join(session.state, length=length, sampling=settings, seed=chosen, stream=stream)


@public
def load(path: str | os.PathLike[str]) -> Model:
    """A model from its file, or the best model of a run folder."""
    return Model(load_model(Path(checked(path, "path"))))
