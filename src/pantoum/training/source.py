"""What a run begins from: a text as tokens, and a model whose weights and tokenizer it takes over, if any.

The model is that of ``--from``. Where that is not given, it is the installed base that helps with the text,
if there is one. A base has read far more text than a person has; it helps where it knows the language of the
text, and its own loss on the beginning of the text says whether it does. A setting that was given and asks
for another model or for other tokens than those of the base comes first.

The vocabulary of a model of characters or words grows by what the text has and the model lacks: the weights
of a new symbol begin as the mean of those of the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pantoum import extensions
from pantoum.config import AUTO, SHAPE, ModelConfig, TextSettings, TrainSettings, declared
from pantoum.config.plain import as_typed
from pantoum.config.tokens import parse_tokens
from pantoum.data.prepare import LOOKED, open_prepared, prepare
from pantoum.data.prepared_file import Prepared
from pantoum.errors import SettingError, TextError
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.evaluation import held_out_loss
from pantoum.inference.files.precision import plain
from pantoum.inference.loaded_model import BASE, checked, load, model_path
from pantoum.kernels import Array
from pantoum.network import LanguageModel
from pantoum.network import spec as network_spec
from pantoum.network.program import Program
from pantoum.text.tokenizer import Tokenizer, declared_size, from_spec

SURPRISING_TOKENS = 8192
"""Tokens of the text that the model of ``--from`` reads, to learn how strange the text is to it."""
MOST_NATS = 2.0
"""Nats per byte of the base itself up to which it helps (decision 118)."""
READ_BYTES = 8192
"""Bytes of the text that a base reads to be judged."""
OTHERWISE = (*SHAPE, "members", "kneser_ney", "neighbours", "vocab_size", "documents", "data")
"""Settings that ask for another model or text than that of a base."""


class BaseChoice:
    """The best of the bases that help with a text, once it has seen the beginning of the text."""

    def __init__(self, settings: TrainSettings) -> None:
        self.name: str | None = None
        """The base, as ``--from`` names it; ``None``: the run begins from nothing."""
        self.reasons: list[str] = []
        asked = settings.from_ != AUTO or any(map(settings.given, OTHERWISE))
        self._names = [] if asked else [BASE + name for name in extensions.names("bases")]
        self._kind = parse_tokens(settings.tokens)[0]

    @property
    def open(self) -> bool:
        """Whether there is a base to try."""
        return bool(self._names)

    def tokenizer(self, beginning: str) -> Tokenizer | None:
        """The tokenizer of that base, which then reads the whole text; ``None`` where no base helps."""
        chosen, least = None, MOST_NATS
        text = beginning[-READ_BYTES:]
        for name in self._names:
            model = load(name)
            tokens = model.tokenizer.encode(text)
            if len(tokens) < 2 or (self._kind is not None and self._kind.name != model.tokenizer.kind):
                continue
            loss = held_out_loss(model.program, tokens, model.tokenizer)
            nats = loss * (len(tokens) - 1) / len(text.encode())
            self.reasons.append(f"{name} needs {nats:.2f} nats per byte for the beginning of the text")
            if nats < least:
                self.name, chosen, least = name, model.tokenizer, nats
        if self.name is not None:
            self.reasons.append(f"training begins from {self.name} (--from none begins from scratch)")
        elif self.reasons:
            self.reasons.append(f"begins from scratch: a base helps where it needs less than {MOST_NATS:g}")
        return chosen


@dataclass(frozen=True)
class Begun:
    """What a run begins from: the text as tokens, and the model whose weights and tokenizer it takes over."""

    prepared: Prepared
    source: ModelFile | None
    from_: str | None
    """What ``--from`` would say: a base that was chosen has its name here."""
    reasons: tuple[str, ...] = ()
    """Why that base was chosen, or none; empty where there was no choice."""

    @property
    def notes(self) -> list[str]:
        """What a person should know of it."""
        unknown = [] if self.source is None else _unknown(self.prepared)
        return [*unknown, *self.reasons[-1:]]


def begun_from(
    settings: TrainSettings, texts: Sequence[str], out: Path | None, prepared: Prepared | None = None
) -> Begun:
    """The text and the model of ``--from``, or of the base that helps with this text. ``prepared``: the text,
    if it is prepared already; else it is prepared into ``out`` (``None``: into memory)."""
    source, choice = read_source(settings), BaseChoice(settings)
    if prepared is None:
        prepared = prepare_texts(settings, texts, out, source, choice)
    elif choice.open:
        beginning = prepared.tokenizer.decode(prepared.train.read(0, LOOKED))
        tokenizer = choice.tokenizer(beginning)
        if tokenizer is None or tokenizer.spec() != prepared.tokenizer.spec():
            choice.name = None
    if choice.name is not None:
        source = read_source(replace(settings, from_=choice.name))
    if source is not None:
        source = grown(source, prepared.tokenizer.vocab_size)
    given = None if settings.from_ == AUTO else settings.from_
    return Begun(prepared, source, choice.name or given, tuple(choice.reasons))


def grown(source: ModelFile, vocab_size: int) -> ModelFile:
    """The model with a vocabulary of ``vocab_size``. Each array that has a place for each symbol gets places
    for the new ones, all of them the mean of those that are there."""
    before = declared_size(source.tokenizer)
    if vocab_size == before:
        return source
    wanted = network_spec.declared(ModelConfig.from_spec(source.config), vocab_size)

    def larger(name: str, array: Array) -> Array:
        for axis, size in enumerate(wanted[name].shape):
            if size != array.shape[axis]:
                mean = array.mean(axis=axis, keepdims=True, dtype=np.float64).astype(array.dtype)
                return np.concatenate([array, np.repeat(mean, size - array.shape[axis], axis)], axis)
        return array

    return replace(source, parameters={name: larger(name, each) for name, each in source.parameters.items()})


def prepare_texts(
    settings: TrainSettings,
    texts: Sequence[str],
    out: Path | None,
    source: ModelFile | None,
    choice: BaseChoice,
) -> Prepared:
    """The training text as tokens: prepared into ``out`` (``None``: into memory), or those of ``--data``."""
    tokenizer = None if source is None else from_spec(source.tokenizer)
    if settings.data is None:
        if not texts:
            raise TextError(
                "no text was given: name a file, a folder, or - for stdin, for example `pantoum train "
                "book.txt`"
            )
        asked: Any = {name: getattr(settings, name) for name in declared(TextSettings)}
        prefer = choice.tokenizer if choice.open else None
        grow = source is not None and not source.config.get("ngrams")
        return prepare(texts, out=out, tokenizer=tokenizer, grow=grow, prefer=prefer, **asked)
    if settings.valid is not None and not texts:
        raise SettingError(
            "valid",
            settings.valid,
            f"cannot be used: the text in {settings.data!r} was prepared with a held-out part",
            "leave it out, or prepare the text with `pantoum prepare --valid`",
        )
    for name in ("valid_fraction", "vocab_size", "encoding"):
        if settings.given(name):
            raise SettingError(
                name,
                getattr(settings, name),
                f"has no effect on {settings.data!r}, which is prepared already",
                "leave it out, or prepare the text with it",
            )
    prepared = open_prepared(settings.data, texts or None, valid=settings.valid)
    found = {"tokens": prepared.tokenizer.kind, "documents": prepared.tokenizer.documents}
    for name, value in found.items():
        asked = getattr(settings, name)
        if not _agrees(asked, value):
            raise SettingError(
                name,
                asked,
                f"must be {value}, as the text in {settings.data!r} was prepared",
                "leave it out, or prepare the text with it",
            )
    if tokenizer is not None and tokenizer.spec() != prepared.tokenizer.spec():
        raise SettingError(
            "data",
            settings.data,
            "was prepared with another tokenizer than the model's",
            "leave --data out, and the text is prepared with the model's tokenizer",
        )
    return prepared


def read_source(settings: TrainSettings) -> ModelFile | None:
    """The model that training starts from; settings that contradict it are refused."""
    if settings.from_ in (None, AUTO):
        return None
    assert settings.from_ is not None
    path = model_path(settings.from_)
    content = model_file.read(path)
    checked(content, path)
    source = plain(content)
    shape = ModelConfig.from_spec(source.config)
    for name in SHAPE:
        asked, known = getattr(settings, name), shape.setting(name)
        if settings.given(name) and asked != known:
            raise SettingError(
                name, asked, f"must be {as_typed(known)}, as in the model of --from", "leave it out"
            )
    kind = source.tokenizer.get("kind")
    if not _agrees(settings.tokens, kind):
        raise SettingError(
            "tokens", settings.tokens, f"must be {kind}, as in the model of --from", "leave it out"
        )
    return source


def surprise(source: ModelFile, prepared: Prepared) -> float | None:
    """How strange a text is to the model that training starts from: the nats per token that it needs for the
    beginning of the training text, more than its card says of its own held-out text. At least 0, and ``None``
    where the card does not say. To one decimal, because the recipe of a run with steps or epochs must not
    depend on the last bits of a machine. It sets the learning rate of fine-tuning (decision 079)."""
    monitor = source.card.get("monitor")
    own = monitor.get("nats_per_token") if isinstance(monitor, dict) else None
    if not isinstance(own, int | float) or prepared.train.count < 2:
        return None
    tokens = prepared.train.read(0, min(SURPRISING_TOKENS, prepared.train.count))
    more = needed(source, tokens, prepared.tokenizer) - own
    return max(0.0, round(more, 1)) if math.isfinite(more) else None


def needed(source: ModelFile, tokens: Array, tokenizer: Tokenizer) -> float:
    """The nats per token that a model needs for tokens (N,) before it is trained further."""
    config = ModelConfig.from_spec(source.config)
    model = LanguageModel(tokenizer.vocab_size, config=config, seed=None)
    return held_out_loss(Program(model, source.parameters), tokens, tokenizer)


def _unknown(prepared: Prepared) -> list[str]:
    """What of the text another model's tokenizer does not know."""
    unknown, count = int(prepared.facts["train"].get("unknown", 0)), prepared.train.count
    new = int(prepared.facts.get("new_symbols", 0))
    notes = [f"{new:,} symbols of the text are new to the model: they begin as the mean of the others"]
    if unknown:
        read = f"{unknown:,} of {count:,} training tokens are unknown to the model's tokenizer: read as <unk>"
        return [*notes[: min(new, 1)], read]
    return notes if new else ["the model's tokenizer knows all of the text"]


def _agrees(asked: object, known: object) -> bool:
    """Whether a setting was left out, or names what is there (``bpe:500`` names ``bpe``)."""
    kind, _ = parse_tokens(asked)
    return asked in (AUTO, None, known) or (kind is not None and kind.name == known)
