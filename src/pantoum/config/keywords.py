"""The settings of calls as types, so that an editor completes them and mypy refuses a misspelt one.

``train(..., **settings: Unpack[Training])`` takes the fields of ``TrainSettings``, and so on: a test compares
the names and the kinds of both. Only type checkers read these classes; a call checks its values when it
builds the dataclass. ``Unpack`` is of Python 3.11 and is imported for type checkers alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from pantoum.config.rules import Auto

if TYPE_CHECKING:
    import os
    from typing import Any, TypeAlias

    import numpy as np

    State: TypeAlias = Any  # of a layer above

    Whole: TypeAlias = int | np.integer[Any]
    Number: TypeAlias = float | np.integer[Any] | np.floating[Any]
    Path: TypeAlias = str | os.PathLike[str]

__all__ = ["Preparing", "Sampling", "Scoring", "Training", "Writing"]


class Sampling(TypedDict, total=False):
    """How the next token is sampled (``SamplingConfig``)."""

    temperature: Number
    top_k: Whole | None
    top_p: Number | None
    min_p: Number | None
    repetition_penalty: Number | None
    frequency_penalty: Number | None
    presence_penalty: Number | None
    logit_bias: Mapping[int, float] | None
    greedy: bool
    stop: str | Sequence[str]


class Writing(Sampling, total=False):
    """How much is written, and how (``GenerationConfig`` and ``SamplingConfig``); ``count`` and ``n_best``,
    which decide what ``generate`` returns, are parameters of their own."""

    length: int
    seed: int | None
    exact: bool
    state: State | None
    adapt: bool
    model_out: Path | None
    cache: int | None
    unique: bool
    novel: bool


class Scoring(TypedDict, total=False):
    """What of a text is scored, and how (``ScoreConfig``); ``by`` is a parameter of its own."""

    streams: Whole
    documents: bool
    alert: str | Number | None
    alert_text: Path | None
    encoding: str | None
    adapt: bool
    cache: Whole | None
    model_out: Path | None


class Preparing(TypedDict, total=False):
    """How a text is tokenised (a part of ``TrainSettings``)."""

    valid: Path | None
    valid_fraction: Number
    tokens: str
    vocab_size: Whole | Auto
    documents: str | None
    encoding: str | None


class Training(TypedDict, total=False):
    """What is asked of a training run (``TrainSettings``)."""

    minutes: Number | None
    steps: Whole | None
    epochs: Number | None
    stop_after: Whole | None
    valid: Path | None
    valid_fraction: Number
    tokens: str
    vocab_size: Whole | Auto
    documents: str | None
    encoding: str | None
    cell: str
    hidden_size: Whole | Auto
    num_layers: Whole | Auto
    embedding_size: Whole | Auto | None
    tied: bool | Auto
    dropout: str | Number
    ngrams: str | Sequence[int] | None
    ngram_rows: Whole | Auto
    kneser_ney: Whole | Auto | None
    members: Whole | Auto
    softmax: str
    batch_size: Whole | Auto
    seq_len: Whole | Auto
    optimizer: str
    learning_rate: Number | Auto
    schedule: str
    weight_decay: Number | Auto
    clip: Number | Auto | None
    average: Number | Auto | None
    precision: str
    shards: Whole | Auto
    gradient_precision: str
    sync_every: Whole
    device: str | None
    seed: Whole
    run: Path | None
    data: Path | None
    checkpoint_every: Whole | Auto
    keep_data: bool
    resume: bool
    from_: Path | None
