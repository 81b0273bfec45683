"""Settings as frozen dataclasses: one docstring a field, checked where they are built.

The command line's options are made from these fields (``help``, ``choices``, ``metavar`` in each
field's metadata), so that a flag, a Python keyword and a field have one name and one text. ``"auto"``
means "chosen from the text, the time and this machine"; ``None`` means off. Nothing here imports NumPy.
"""

# ruff: noqa: RUF009 - `option` makes a field, as `dataclasses.field` does
from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

from pantoum.errors import SettingError

__all__ = [
    "AUTO",
    "CELLS",
    "UNITS",
    "VERSION",
    "Alert",
    "DropoutConfig",
    "GenerationConfig",
    "ModelConfig",
    "SamplingConfig",
    "ScoreConfig",
    "TrainSettings",
]

VERSION = "0.1.0"
"""Of pantoum; the same as in ``pyproject.toml`` (tested)."""

AUTO = "auto"
Auto = Literal["auto"]
CELLS = ("rnn", "gru", "gru-before", "lstm", "mingru")
DOCUMENTS = ("lines", "files", "blank-lines")
NORMS = ("layer",)
OPTIMIZERS = ("adamw", "muon")
PRECISIONS = ("auto", "float32", "bf16")
SCHEDULES = ("trapezoid", "constant", "cosine")
UNITS = ("token", "word", "line")
TOKENS_RULE = "must be bytes, characters, words, words:whitespace or bpe:N"


def option(default: Any, help: str, *, group: str = "", choices: tuple[str, ...] = (),
           metavar: str = "", off: bool = False) -> Any:
    """A dataclass field with the text of its flag. ``off``: the flag also takes ``none``."""
    meta = {"help": help, "group": group, "choices": choices, "metavar": metavar, "off": off}
    return field(default=default, metadata=meta)


def require(condition: bool, argument: str, value: object, rule: str, advice: str) -> None:
    """Raise ``SettingError`` unless ``condition`` holds."""
    if not condition:
        raise SettingError(argument, value, rule, advice)


def whole(value: object, argument: str, *, least: int = 1, most: int | None = None) -> None:
    """Require a whole number within bounds."""
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
    fits = fits and (most is None or int(value) <= most)  # type: ignore[call-overload]
    bounds = f"at least {least}" if most is None else f"from {least} to {most}"
    require(fits, argument, value, f"must be a whole number, {bounds}", f"give {argument} such a number")


def number(value: object, argument: str, *, above: float | None = None, least: float | None = None,
           most: float | None = None, below: float | None = None) -> None:
    """Require a finite number within bounds."""
    words = [f"above {above:g}" if above is not None else "",
             f"at least {least:g}" if least is not None else "",
             f"at most {most:g}" if most is not None else "", f"below {below:g}" if below is not None else ""]
    rule = "must be a number " + " and ".join(w for w in words if w)
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if fits:
        x = float(value)  # type: ignore[arg-type]
        fits = ((above is None or x > above) and (least is None or x >= least)
                and (most is None or x <= most) and (below is None or x < below))
    require(fits, argument, value, rule, f"give {argument} such a number")


def one_of(value: object, argument: str, choices: tuple[str, ...]) -> None:
    """Require one of the named choices."""
    require(value in choices, argument, value, "must be one of " + ", ".join(choices), "choose one of them")


@dataclass(frozen=True)
class DropoutConfig:
    """How much is dropped where; ``0.0`` everywhere is off."""

    inputs: float = 0.0
    """Share of the first layer's inputs (the embedding) that is dropped."""
    between: float = 0.0
    """Share of each further layer's inputs that is dropped."""
    outputs: float = 0.0
    """Share of the last layer's outputs that is dropped before the head."""
    kind: str = "independent"
    """``independent``: a new mask each time step. ``variational``: one mask over a chunk's time steps
    (Gal and Ghahramani 2016)."""

    def __post_init__(self) -> None:
        for place in ("inputs", "between", "outputs"):
            number(getattr(self, place), "dropout", least=0.0, below=1.0)
        one_of(self.kind, "dropout", ("independent", "variational"))

    @property
    def active(self) -> bool:
        """Whether anything is dropped at all."""
        return max(self.inputs, self.between, self.outputs) > 0.0

    @staticmethod
    def parse(text: str | float) -> DropoutConfig:
        """``0.2`` (everywhere), ``variational:0.2``, ``inputs=0.1,outputs=0.3``, or both parts joined."""
        rule = "must be a rate, [variational:]RATE, or [variational:]inputs=R,between=R,outputs=R"
        advice = "give for example --dropout 0.2 or --dropout variational:0.2"
        body = str(text).strip()
        kind = "independent"
        for known in ("variational", "independent"):
            if body.startswith(known + ":"):
                kind, body = known, body[len(known) + 1 :]
        try:
            if "=" not in body:
                rate = float(body)
                return DropoutConfig(rate, rate, rate, kind)
            pairs = [part.split("=", 1) for part in body.split(",")]
            rates = {place.strip(): float(rate) for place, rate in pairs}
        except ValueError as error:
            if isinstance(error, SettingError):
                raise
            raise SettingError("dropout", text, rule, advice) from None
        if not set(rates) <= {"inputs", "between", "outputs"}:
            raise SettingError("dropout", text, rule, advice)
        return DropoutConfig(kind=kind, **rates)

    def spell(self) -> str:
        """The text that ``parse`` reads back."""
        prefix = "" if self.kind == "independent" else self.kind + ":"
        if self.inputs == self.between == self.outputs:
            return f"{prefix}{self.inputs:g}"
        return f"{prefix}inputs={self.inputs:g},between={self.between:g},outputs={self.outputs:g}"


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a language model: all that is needed to build it, but for the vocabulary's size."""

    cell: str = "gru"
    """``rnn``, ``gru`` (reset after the product), ``gru-before`` (the original's), ``lstm``, ``mingru``."""
    hidden_size: int = 512
    """Units in each layer, H."""
    num_layers: int = 3
    """Layers in the stack, L."""
    embedding_size: int | None = None
    """Size of the learned input vectors, E; ``None``: one-hot inputs, by row look-up."""
    tied: bool = False
    """Whether the head uses the embedding's weights (with a projection where E differs from H)."""
    residual: bool = False
    """Whether each layer's input is added to its output where their sizes are equal."""
    norm: str | None = None
    """``layer``: layer normalisation of each layer's output (Ba et al. 2016); ``None``: off."""
    dropout: DropoutConfig = field(default_factory=DropoutConfig)
    """What is dropped in training."""

    def __post_init__(self) -> None:
        one_of(self.cell, "cell", CELLS)
        whole(self.hidden_size, "hidden_size", most=65_536)
        whole(self.num_layers, "num_layers", most=256)
        if self.embedding_size is not None:
            whole(self.embedding_size, "embedding_size", most=65_536)
        if self.norm is not None:
            one_of(self.norm, "norm", NORMS)
        require(not self.tied or self.embedding_size is not None, "tied", self.tied,
                "needs an embedding", "give embedding_size a number")

    def spec(self) -> dict[str, Any]:
        """A plain dict, as written into files; ``from_spec`` reads it back."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "dropout"}
        return {**plain, "dropout": self.dropout.spell()}

    @staticmethod
    def from_spec(spec: dict[str, Any]) -> ModelConfig:
        """The inverse of ``spec``."""
        known = {f.name for f in fields(ModelConfig)}
        unknown = sorted(set(spec) - known)
        require(not unknown, "model configuration", unknown, "has unknown keys", "use a newer pantoum")
        values = dict(spec)
        if "dropout" in values:
            values["dropout"] = DropoutConfig.parse(values["dropout"])
        return ModelConfig(**values)


@dataclass(frozen=True)
class SamplingConfig:
    """How the next token is drawn from the model's distribution."""

    temperature: float = option(0.8, "divides the logits; 0 is greedy", metavar="X")
    """Divides the logits before the draw; 0 means greedy."""
    top_k: int | None = option(None, "draw from the K most probable tokens", metavar="K", off=True)
    """Draw among the K most probable tokens only."""
    top_p: float | None = option(None, "draw from the smallest set that holds this probability",
                                 metavar="P", off=True)
    """Draw among the smallest set of tokens whose probability reaches P (nucleus sampling)."""
    min_p: float | None = option(None, "drop tokens below P times the most probable one's probability",
                                 metavar="P", off=True)
    """Drop tokens less probable than P times the most probable one."""
    repetition_penalty: float | None = option(
        None, "divides positive logits of recent tokens, multiplies negative ones", metavar="X", off=True)
    """Penalty on the logits of the last 64 tokens (Keskar et al. 2019)."""
    greedy: bool = option(False, "always take the most probable token")
    """Always take the most probable token."""
    stop: tuple[str, ...] = option((), "end before this text, which is not printed; may be repeated",
                                   metavar="S")
    """Texts before which the writing ends, also across tokens; a single text may be given as it is."""

    def __post_init__(self) -> None:
        if isinstance(self.stop, str):
            object.__setattr__(self, "stop", (self.stop,))
        for text in self.stop:
            require(isinstance(text, str) and text != "", "stop", text, "must be a text that is not empty",
                    "leave it out, or give it characters")
        number(self.temperature, "temperature", least=0.0, most=100.0)
        if self.top_k is not None:
            whole(self.top_k, "top_k")
        if self.top_p is not None:
            number(self.top_p, "top_p", above=0.0, most=1.0)
        if self.min_p is not None:
            number(self.min_p, "min_p", least=0.0, most=1.0)
        if self.repetition_penalty is not None:
            number(self.repetition_penalty, "repetition_penalty", above=0.0, most=100.0)


@dataclass(frozen=True)
class GenerationConfig:
    """How much is written, and from which random numbers."""

    length: int = option(500, "tokens to write at most", metavar="N")
    """Tokens to write at most."""
    seed: int | None = option(None, "seed of the draws; without it one is drawn and told", metavar="S")
    """The seed of the random draws; ``None``: one is drawn."""
    count: int = option(1, "texts to write side by side, text k from stream k of the seed", metavar="K")
    """Texts to write side by side."""
    adapt: bool = option(False, "let a copy of the model learn from the prompt before it writes")
    """Whether it is a copy of the model that writes, adapted to the prompt."""
    unique: bool = option(False, "only texts that differ from one another")
    """Whether a text that was written already is replaced by another."""
    novel: bool = option(False, "only texts that are no training document (needs a model of --documents)")
    """Whether a text that the model was trained on is replaced by another."""

    def __post_init__(self) -> None:
        whole(self.length, "length", least=0)
        whole(self.count, "count", most=100_000)
        if self.seed is not None:
            whole(self.seed, "seed", least=0, most=2**63 - 1)


@dataclass(frozen=True)
class Alert:
    """When a token, word or line is out of the ordinary: its *peak*, the nats of its most surprising token,
    is beyond a figure. One of the two is given."""

    nats: float | None = None
    """The figure itself."""
    share: float | None = None
    """The share of ordinary text's units that may be beyond the figure, which is learned from such text."""

    @staticmethod
    def parse(text: str | float) -> Alert:
        """``9.5``, or ``auto:0.1%``."""
        rule = "must be a number of nats, or auto:P% with P above 0 and at most 50"
        advice = "give for example 9.5, or auto:0.1%"
        found = re.fullmatch(r"(auto:)?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(%?)", str(text).strip())
        learned = found is not None and found[1] is not None
        require(found is not None and learned == bool(found[3]), "alert", text, rule, advice)
        value = float(found[2]) if found is not None else 0.0
        require(not learned or 0.0 < value <= 50.0, "alert", text, rule, advice)
        require(math.isfinite(value), "alert", text, rule, advice)
        return Alert(share=value / 100.0) if learned else Alert(nats=value)


@dataclass(frozen=True)
class ScoreConfig:
    """What of a text is scored, and how it is read."""

    by: str = option("line", "what is scored", choices=UNITS)
    """The unit: each token, word or line."""
    streams: int = option(1, "for speed, read a long text in N segments side by side, each warmed by the 256 "
                             "tokens before it; answers come a block at a time", metavar="N")
    """Segments that are read side by side; 1 reads each token after all before it, and answers at once."""
    documents: bool = option(False, "each line is a text of its own: the state is zeroed before it")
    """Whether the state is zeroed before each line. A model trained on documents does so before each of
    them."""
    alert: str | float | None = option(
        None, "mark what is beyond a threshold: nats of its most surprising token, or learned so that P%% of "
              "the held-out text is beyond it", metavar="NATS|auto:P%")
    """The threshold of an alert (``Alert``)."""
    alert_text: str | None = option(None, "learn auto:P%% from this ordinary text, not from the held-out one",
                                    metavar="FILE")
    """An ordinary text from which ``auto:P%`` is learned; ``None``: the run's held-out text."""
    adapt: bool = option(False, "a copy of the model learns from each stretch of the text after scoring it")
    """Whether a copy of the model follows the text as it reads."""
    model_out: str | None = option(None, "keep the adapted model in this file", metavar="F")
    """Where the adapted model is kept when the text has ended; ``None``: nowhere."""

    def __post_init__(self) -> None:
        one_of(self.by, "by", UNITS)
        whole(self.streams, "streams", most=100_000)
        learned = self.alert is not None and Alert.parse(self.alert).share is not None
        require(self.alert_text is None or learned, "alert_text", self.alert_text,
                "is what auto:P% is learned from", "give alert auto:P%, or leave alert_text out")
        require(not self.adapt or self.streams == 1, "streams", self.streams,
                "must be 1 with adapt, which reads a text in order", "leave one of the two out")


@dataclass(frozen=True)
class TrainSettings:
    """What a person asks of a training run; all of it may be left out."""

    minutes: float | None = option(None, "minutes by the clock, all included (default 5)", group="budget",
                                   metavar="M")
    """Budget in minutes by the clock, everything included; 5 where no budget is given."""
    steps: int | None = option(None, "optimiser steps; reads no clock, repeatable to the bit", group="budget",
                               metavar="N")
    """Budget in optimiser steps."""
    epochs: float | None = option(None, "passes over the training text", group="budget", metavar="E")
    """Budget in passes over the training text."""
    stop_after: int | None = option(None, "checkpoint and end after step N, schedule unchanged",
                                    group="budget", metavar="N")
    """Checkpoint and end there as SIGTERM would; the schedule is unchanged."""

    valid: str | None = option(None, "held-out text file", group="text", metavar="FILE")
    """A held-out text; without it the last part of the text is held out."""
    valid_fraction: float = option(0.1, "share of the text held out (0: none)", group="text", metavar="F")
    """Share of the text that is held out, at most 200,000 tokens; 0: none."""
    tokens: str = option(AUTO, "bytes, characters, words, words:whitespace or bpe:N", group="text",
                         metavar="KIND")
    """The tokenizer."""
    vocab_size: int | Auto = option(AUTO, "most tokens of the words tokenizer (20,000)", group="text",
                                    metavar="V")
    """Most tokens of a learned vocabulary."""
    documents: str | None = option(None, "what one document is", group="text", choices=DOCUMENTS)
    """Whether the text is many documents, and what parts them."""

    cell: str = option(AUTO, "recurrent cell", group="model", choices=CELLS)
    """The recurrent cell."""
    hidden_size: int | Auto = option(AUTO, "units in each layer", group="model", metavar="H")
    """Units in each layer."""
    num_layers: int | Auto = option(AUTO, "layers in the stack", group="model", metavar="L")
    """Layers in the stack."""
    embedding_size: int | Auto | None = option(AUTO, "size of input vectors; none: one-hot", group="model",
                                               metavar="E", off=True)
    """Size of the learned input vectors; none: one-hot."""
    tied: bool = option(False, "the head uses the embedding's weights", group="model")
    """Whether the head uses the embedding's weights."""
    residual: bool = option(False, "add each layer's input to its output", group="model")
    """Whether each layer's input is added to its output."""
    norm: str | Auto | None = option(AUTO, "normalise each layer's output: layer", group="model",
                                     metavar="KIND", off=True)
    """Normalisation of each layer's output."""
    dropout: str | float = option(AUTO, "rate, or variational:RATE, or inputs=R,between=R,outputs=R",
                                  group="model", metavar="SPEC")
    """What is dropped in training."""

    batch_size: int | Auto = option(AUTO, "parallel streams", group="training", metavar="B")
    """Parallel streams of text, B."""
    seq_len: int | Auto = option(AUTO, "time steps unrolled for one update", group="training", metavar="T")
    """Time steps unrolled for one update, T."""
    optimizer: str = option(AUTO, "optimiser", group="training", choices=OPTIMIZERS)
    """The optimiser."""
    learning_rate: float | Auto = option(AUTO, "highest learning rate", group="training", metavar="X")
    """The highest learning rate of the schedule."""
    schedule: str = option(AUTO, "shape of the learning rate over the budget", group="training",
                           choices=SCHEDULES)
    """Shape of the learning rate over the budget."""
    weight_decay: float | Auto = option(AUTO, "decoupled weight decay", group="training", metavar="X")
    """Decoupled weight decay (Loshchilov and Hutter 2019)."""
    clip: float | Auto | None = option(AUTO, "largest norm of the gradient", group="training", metavar="X",
                                       off=True)
    """Largest norm of the gradient of all parameters together."""
    average: float | Auto | None = option(AUTO, "decay a step of the averaged weights", group="training",
                                          metavar="X", off=True)
    """Decay a step of the exponential moving average of the weights."""
    precision: str = option(AUTO, "of the operands of products", group="training", choices=PRECISIONS)
    """Precision of the operands of matrix products."""
    seed: int = option(0, "seed of every random number", group="training", metavar="S")
    """The seed of initialisation and dropout."""

    run: str | None = option(None, "run folder (default runs/<name of the text>)", group="run", metavar="DIR")
    """The run folder."""
    data: str | None = option(None, "folder of tokens made by `pantoum prepare`", group="run", metavar="DIR")
    """A folder of token shards made by `pantoum prepare`."""
    checkpoint_every: int | Auto = option(AUTO, "steps between checkpoints", group="run", metavar="STEPS")
    """Steps between checkpoints."""
    resume: bool = option(False, "go on with an interrupted or finished run", group="run")
    """Go on with the run in the run folder."""
    from_: str | None = option(None, "start from a model's weights and tokenizer", group="run",
                               metavar="MODEL")
    """Start from this model's weights and tokenizer (fine-tuning)."""

    def __post_init__(self) -> None:
        self._check_budget()
        self._check_text()
        self._check_model()
        self._check_training()

    def _check_budget(self) -> None:
        given = [name for name in ("minutes", "steps", "epochs") if getattr(self, name) is not None]
        require(len(given) <= 1, "budget", " and ".join(given), "must be one of minutes, steps, epochs",
                "give one of them")
        if self.minutes is not None:
            number(self.minutes, "minutes", above=0.0, most=100_000.0)
        if self.epochs is not None:
            number(self.epochs, "epochs", above=0.0, most=1e6)
        for name in ("steps", "stop_after"):
            if getattr(self, name) is not None:
                whole(getattr(self, name), name)

    def _check_text(self) -> None:
        number(self.valid_fraction, "valid_fraction", least=0.0, below=1.0)
        require(re.fullmatch(r"auto|bytes|characters|words|words:whitespace|bpe:[0-9]{1,7}", self.tokens)
                is not None, "tokens", self.tokens, TOKENS_RULE, "choose one of them")
        if self.vocab_size != AUTO:
            whole(self.vocab_size, "vocab_size", least=2)
        if self.documents is not None:
            one_of(self.documents, "documents", DOCUMENTS)

    def _check_model(self) -> None:
        if self.cell != AUTO:
            one_of(self.cell, "cell", CELLS)
        for name in ("hidden_size", "num_layers"):
            if getattr(self, name) != AUTO:
                whole(getattr(self, name), name, most=256 if name == "num_layers" else 65_536)
        if self.embedding_size not in (AUTO, None):
            whole(self.embedding_size, "embedding_size", most=65_536)
        if self.norm not in (AUTO, None):
            one_of(self.norm, "norm", NORMS)
        if self.dropout != AUTO:
            DropoutConfig.parse(self.dropout)
        require(not (self.tied and self.embedding_size is None), "tied", True, "needs an embedding",
                "give embedding_size a number")

    def _check_training(self) -> None:
        for name in ("batch_size", "seq_len"):
            if getattr(self, name) != AUTO:
                whole(getattr(self, name), name, most=1_000_000)
        for name, choices in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if getattr(self, name) != AUTO:
                one_of(getattr(self, name), name, choices)
        one_of(self.precision, "precision", PRECISIONS)
        if self.learning_rate != AUTO:
            number(self.learning_rate, "learning_rate", above=0.0, most=1e3)
        if self.weight_decay != AUTO:
            number(self.weight_decay, "weight_decay", least=0.0, most=1e3)
        if self.clip not in (AUTO, None):
            number(self.clip, "clip", above=0.0)
        if self.average not in (AUTO, None):
            number(self.average, "average", above=0.0, below=1.0)
        whole(self.seed, "seed", least=0, most=2**63 - 1)
        if self.checkpoint_every != AUTO:
            whole(self.checkpoint_every, "checkpoint_every")


Setting: TypeAlias = "str | int | float | bool | None"
