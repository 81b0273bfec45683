"""The settings of calls as types: an editor completes them, mypy refuses a misspelt one.

Made from the settings by `make docs`; do not edit. Only type checkers read it: a call checks its values when
it builds its settings. ``Unpack`` is of Python 3.11 and is imported for type checkers alone.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypedDict

import numpy as np

from pantoum.config.rules import Auto

Whole: TypeAlias = int | np.integer[Any]
Number: TypeAlias = float | np.integer[Any] | np.floating[Any]
Path: TypeAlias = str | os.PathLike[str]

__all__ = [
    "Preparing",
    "Reading",
    "Sampling",
    "Scoring",
    "Streaming",
    "Training",
    "Writing",
]

class Sampling(TypedDict, total=False):
    """``SamplingConfig``."""

    temperature: Number
    top_k: Whole | None
    top_p: Number | None
    min_p: Number | None
    repetition_penalty: Number | None
    frequency_penalty: Number | None
    presence_penalty: Number | None
    logit_bias: Mapping[int, float] | None
    greedy: bool
    stop: Sequence[str]
    matching: str | None
    json_schema: str | Mapping[str, Any] | bool | None
    grammar: str | None
    choices: Sequence[str] | None

class Streaming(Sampling, total=False):
    """``StreamConfig``."""

    length: Whole
    seed: Whole | None
    exact: bool
    adapt: bool
    model_out: Path | None
    cache: Whole | None

class Writing(Streaming, total=False):
    """``GenerationConfig``."""

    unique: bool
    novel: bool
    redraw: bool

class Reading(TypedDict, total=False):
    """``ReadingConfig``."""

    encoding: str | None
    adapt: bool
    cache: Whole | None
    model_out: Path | None

class Scoring(Reading, total=False):
    """``ScoreConfig``."""

    streams: Whole
    documents: bool
    alert: str | Number | None
    alert_text: Path | None
    alert_by: str
    mask: bool
    ignore: Sequence[str]

class Preparing(TypedDict, total=False):
    """``TextSettings``."""

    valid: Path | None
    valid_fraction: Number
    tokens: str
    vocab_size: Whole | Auto
    documents: str | None
    encoding: str | None

class Training(Preparing, total=False):
    """``TrainSettings``."""

    minutes: Number | None
    steps: Whole | None
    epochs: Number | None
    stop_after: Whole | None
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
    pull: Number | Auto | None
    spelling: Number | Auto | None
    neighbours: Whole | Auto | None
    precision: str
    shards: Whole | Auto
    device: str | None
    seed: Whole
    run: Path | None
    data: Path | None
    checkpoint_every: Whole | Auto
    keep_data: bool
    resume: bool
    from_: Path | Auto | None
