"""The shape of a network: cell, sizes, dropout. A model file stores it as ``spec``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

from pantoum.config.cells import CELLS
from pantoum.config.plain import Plain
from pantoum.config.rules import number, one_of, require, truth, whole
from pantoum.errors import SettingError

TABLE_TITLE = "n-grams"
"""The table of logits, as people read it."""
GONE: dict[str, Plain] = {"norm": None, "residual": False}
"""Settings that there were, as they are in every file: what a file says stays the same."""
MOST_IN_TABLE = 1 << 28
"""Largest number of values in the tables of all n-gram orders together."""


def table_rows(value: object, argument: str) -> int:
    """Rows of a table: a power of two."""
    rows = whole(value, argument, least=16, most=1 << 24)
    require(rows & (rows - 1) == 0, argument, rows, "must be a power of two", "give 16384 or 65536")
    return rows


# Rules of settings (``train``), and of what a file says.
CELL = partial(one_of, choices=CELLS)
HIDDEN_SIZE = EMBEDDING_SIZE = partial(whole, most=65_536)
NUM_LAYERS = partial(whole, most=256)
NGRAM_ROWS = table_rows
MEMBERS = partial(whole, most=64)


@dataclass(frozen=True)
class DropoutConfig:
    """Dropout rates by place; ``0.0`` everywhere is off."""

    inputs: float = 0.0
    """Dropout rate of the inputs of the first layer (the embedding)."""
    between: float = 0.0
    """Dropout rate of the inputs of the other layers."""
    outputs: float = 0.0
    """Dropout rate of the outputs of the last layer, before the output layer."""
    kind: str = "independent"
    """``independent``: a new mask per time step. ``variational``: one mask for all time steps of a chunk, and
    for embedded inputs one for each symbol (Gal and Ghahramani 2016)."""

    def __post_init__(self) -> None:
        for place in ("inputs", "between", "outputs"):
            number(getattr(self, place), "dropout", least=0.0, below=1.0)
        one_of(self.kind, "dropout", ("independent", "variational"))

    @property
    def active(self) -> bool:
        """Whether any rate is above 0."""
        return max(self.inputs, self.between, self.outputs) > 0.0

    @staticmethod
    def parse(text: str | float) -> DropoutConfig:
        """Read ``0.2`` (everywhere), ``variational:0.2``, or ``inputs=0.1,outputs=0.3``."""
        rule = "must be a rate, [variational:]RATE, or [variational:]inputs=R,between=R,outputs=R"
        advice = "give for example --dropout 0.2 or --dropout variational:0.2"
        if not isinstance(text, str):
            text = number(text, "dropout", least=0.0, below=1.0)
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


def dropout_words(value: Any, argument: str) -> str | float:
    """Dropout as people give it; ``DropoutConfig.parse`` reads it."""
    if not isinstance(value, str):
        return number(value, argument, least=0.0, below=1.0)
    DropoutConfig.parse(value)
    return str(value)


def check_table(orders: tuple[int, ...], rows: int, vocab_size: int) -> None:
    """Refuse a table that is too large for most machines: each row has one value per symbol."""
    numbers = len(orders) * rows * vocab_size
    require(
        numbers <= MOST_IN_TABLE,
        "ngrams",
        list(orders),
        f"must make a table of at most {MOST_IN_TABLE:,} values (1 GiB), but {len(orders)} x {rows:,} "
        f"rows of {vocab_size:,} symbols are {numbers:,}",
        "give fewer --ngram-rows, or --ngrams none",
    )


def table_words(setting: Callable[[str], object], unit: str) -> str:
    """What tables of logits a model with these settings has: ``n-grams of 3, 4 and 5 tokens``; empty if it
    has none."""
    orders = setting("ngrams")
    if not isinstance(orders, (list, tuple)) or not orders:
        return ""
    words = [str(order) for order in orders]
    listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return f"{TABLE_TITLE} of {listed} {unit}s"


def parse_orders(given: object) -> tuple[int, ...]:
    """N-gram orders as people give them: ``"2,3,4"``, one number, or several."""
    orders = given
    if isinstance(given, str):
        try:
            orders = tuple(int(part) for part in given.split(","))
        except ValueError:
            raise SettingError(
                "ngrams",
                given,
                "must be whole numbers with commas between them",
                "give for example --ngrams 2,3,4",
            ) from None
    given = orders if isinstance(orders, (tuple, list)) else (orders,)
    found = tuple(whole(order, "ngrams", least=2, most=16) for order in given)
    require(
        list(found) == sorted(set(found)),
        "ngrams",
        list(found),
        "must be different orders, the lowest first",
        "give for example --ngrams 2,3,4",
    )
    return found


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a language model: all that is needed to build it, except the vocabulary size."""

    cell: str = "gru"
    """Name of the cell, one of ``config.CELLS``."""
    hidden_size: int = 512
    """Units per layer, H."""
    num_layers: int = 3
    """Recurrent layers, L."""
    embedding_size: int | None = None
    """Size of the token embedding, E; ``None``: one-hot inputs, by row look-up."""
    tied: bool = False
    """Whether the output layer uses the weights of the embedding (through a projection if E is not H)."""
    dropout: DropoutConfig = field(default_factory=DropoutConfig)
    """Dropout in training."""
    ngrams: tuple[int, ...] = ()
    """Orders of the n-grams whose logits are added to those of the network (``mixers.ngrams``); (): none."""
    ngram_rows: int = 16_384
    """Rows of the table of each n-gram order, a power of two."""
    members: int = 1
    """Members of an ensemble, K; each has the sizes above. Their logits are averaged."""

    def __post_init__(self) -> None:
        CELL(self.cell, "cell")
        HIDDEN_SIZE(self.hidden_size, "hidden_size")
        NUM_LAYERS(self.num_layers, "num_layers")
        if self.embedding_size is not None:
            EMBEDDING_SIZE(self.embedding_size, "embedding_size")
        truth(self.tied, "tied")
        require(
            not self.tied or self.embedding_size is not None,
            "tied",
            self.tied,
            "needs an embedding",
            "give --embedding-size a number",
        )
        object.__setattr__(self, "ngrams", parse_orders(self.ngrams))
        NGRAM_ROWS(self.ngram_rows, "ngram_rows")
        MEMBERS(self.members, "members")
        require(
            not self.tied or self.members == 1 or self.embedding_size == self.hidden_size,
            "tied",
            self.tied,
            "needs an embedding as wide as the layers if there are several members",
            f"give --embedding-size {self.hidden_size}, or leave it out",
        )

    @property
    def described_tables(self) -> dict[str, str]:
        """What its tables of logits hold, by the titles of these."""
        orders = ", ".join(map(str, self.ngrams))
        return {TABLE_TITLE: f"of {orders} tokens, {self.ngram_rows:,} rows each"} if self.ngrams else {}

    def check_tables(self, vocab_size: int) -> None:
        """Refuse tables of logits that are too large for most machines."""
        check_table(self.ngrams, self.ngram_rows, vocab_size)

    def setting(self, name: str) -> object:
        """A value as people give it: ``None`` where the model has nothing of that kind."""
        value = getattr(self, name)
        return None if value == () or name in self.unused else value

    @property
    def unused(self) -> dict[str, str]:
        """Settings that say nothing about this model, and why."""
        why = "no n-grams were chosen (--ngrams 2,3,4 chooses them)"
        return {} if self.ngrams else {"ngram_rows": why}

    def spec(self) -> dict[str, Plain]:
        """A plain dict, as stored in files; ``from_spec`` reads it back."""
        plain = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name not in ("dropout", "ngrams", "ngram_rows", "members")
        }
        ngrams = {"ngrams": list(self.ngrams), "ngram_rows": self.ngram_rows} if self.ngrams else {}
        members = {"members": self.members} if self.members > 1 else {}
        return {**plain, **GONE, "dropout": self.dropout.spell(), **ngrams, **members}

    @staticmethod
    def from_spec(spec: dict[str, Any]) -> ModelConfig:
        """The inverse of ``spec``."""
        values = {name: value for name, value in spec.items() if name not in GONE}
        gone = {name: spec[name] for name in GONE if spec.get(name, GONE[name]) is not GONE[name]}
        if gone:
            rule = f"has {', '.join(gone)}, which this version no longer has"
            raise SettingError("the model's configuration", gone, rule, "train again", shown=False)
        unknown = sorted(set(values) - {f.name for f in fields(ModelConfig)})
        if unknown:
            rule = f"has unknown keys: {', '.join(unknown)}"
            raise SettingError("the model's configuration", unknown, rule, "use a newer pantoum", shown=False)
        if "dropout" in values:
            values["dropout"] = DropoutConfig.parse(values["dropout"])
        return ModelConfig(**values)


SHAPE = tuple(one.name for one in fields(ModelConfig) if one.name not in ("dropout", "members"))
"""What training that starts from a model cannot change."""
