"""From the size of a text and the time there is to everything that a person did not choose.

One number leads: the multiply-adds that the model does for a token, its *work* (the parameters that take
part in products). A run of D tokens costs about ``6 * work * D`` operations, forward and backward.

- With minutes the machine is measured (``pace.py``), so the operations that fit are known; they are
  split as D = 1.25 tokens for each unit of work, which is where 2 x 384 GRU units stand after two
  and a half minutes of two CPU cores on a megabyte of text.
- With steps or epochs the work comes from the text alone, as the square root of its length, so that neither
  a clock nor a machine has a say. The same root, three times as large, caps what minutes choose:
  a long run on a short text only learns it by heart.
- B is 64 and T is 64, smaller where that would leave too few updates; the rate goes with the square root of
  the batch and against that of the width; dropout with the passes over the text, for what is read
  often is remembered instead of understood.

What a person did choose always stands. Each choice comes with its reason (``--plan`` prints them). Nothing
here reads a clock or a text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from pantoum.config import AUTO, DropoutConfig, ModelConfig, TrainSettings

__all__ = ["GATES", "Outlook", "Recipe", "choose", "work"]

GATES = {"rnn": 1, "gru": 3, "gru-before": 3, "lstm": 4, "mingru": 2}
SIZES = ((32, 1), (64, 1), (96, 1), (128, 1), (128, 2), (192, 2), (256, 2), (320, 2), (384, 2), (448, 2),
         (512, 2), (640, 2), (768, 2), (768, 3), (1024, 3), (1280, 3), (1536, 3))
"""(H, L), from the smallest model that is chosen by itself to the largest."""
TOKENS_PER_WORK = 1.25
WORK_OF_A_MEGABYTE = 1.6e6
MOST_FOR_THE_TEXT = 3.0
BATCH, CHUNK = 64, 64
LEAST_UPDATES = 160
RATE, RATE_WIDTH, RATE_BATCH = 4e-3, 384, 4096
WARM_UP = 0.04
AVERAGED_SHARE = 0.05
"""The averaged weights look back over about this share of the run."""
DROPOUT_BY_EPOCHS = ((30.0, 0.3), (10.0, 0.2), (4.0, 0.1))
FINE_TUNING = 0.3
"""The rate on another model's weights, as a share of the rate from scratch."""


@dataclass(frozen=True)
class Outlook:
    """What is known before training: the text, and how much of it can be read."""

    tokens: int
    """Tokens of the training text, N."""
    vocab_size: int
    steps: int | None = None
    """Updates that the budget asks for; ``None`` with minutes, and with epochs, whose B x T come first."""
    epochs: float | None = None
    """Passes that the budget asks for."""
    precision: str = "float32"
    """Of products, where a person did not choose: the machine's fastest, but only with minutes."""
    operations: float | None = None
    """Floating-point operations that fit into the time, by measurement; only with minutes."""


@dataclass(frozen=True)
class Recipe:
    """Everything that a run needs to know before its first step, and why."""

    model: ModelConfig
    batch_size: int
    seq_len: int
    optimizer: str
    learning_rate: float
    schedule: str
    warm_up: float
    """Share of the run over which the rate rises."""
    weight_decay: float
    clip: float | None
    average: float | None
    """Decay a step of the averaged weights."""
    precision: str
    seed: int
    reasons: tuple[str, ...] = ()

    def spec(self) -> dict[str, Any]:
        """Plain values, for files; the reasons are for people and stay out."""
        plain = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "reasons"}
        return {**plain, "model": self.model.spec()}

    @staticmethod
    def from_spec(spec: Mapping[str, Any]) -> Recipe:
        """The inverse of ``spec``."""
        return Recipe(**{**spec, "model": ModelConfig.from_spec(dict(spec["model"]))})


def work(model: ModelConfig, vocab_size: int) -> int:
    """Multiply-adds of a token, forward; the look-up of one-hot inputs costs none."""
    hidden, gates = model.hidden_size, GATES[model.cell]
    recurrent = 0 if model.cell == "mingru" else gates * hidden * hidden
    first = recurrent if model.embedding_size is None else recurrent + gates * hidden * model.embedding_size
    further = recurrent + gates * hidden * hidden
    return first + (model.num_layers - 1) * further + hidden * vocab_size


def choose(settings: TrainSettings, outlook: Outlook, *, source: ModelConfig | None = None) -> Recipe:
    """The recipe for a run. ``source``: the shape of the model whose weights it starts from."""
    reasons: list[str] = []
    model = source or _model(settings, outlook, reasons)
    batch_size, seq_len = _batch(settings, outlook, model, reasons)
    read = _tokens_read(outlook, model, batch_size * seq_len)
    model = replace(model, dropout=_dropout(settings, outlook, read, reasons))
    rate = _rate(settings, model, batch_size * seq_len, source is not None, reasons)
    updates = max(1.0, read / (batch_size * seq_len))
    schedule = "trapezoid" if settings.schedule == AUTO else settings.schedule
    if settings.average == AUTO:
        average: float | None = round(1.0 - 1.0 / min(max(10.0, AVERAGED_SHARE * updates), 1000.0), 6)
        reasons.append(f"average {average:g}: looks back over {AVERAGED_SHARE:.0%} of {updates:,.0f} updates")
    else:
        average = _float_or_off(settings.average)
    return Recipe(
        model=model, batch_size=batch_size, seq_len=seq_len,
        optimizer="adamw" if settings.optimizer == AUTO else settings.optimizer,
        learning_rate=rate, schedule=schedule, warm_up=0.0 if schedule == "constant" else WARM_UP,
        weight_decay=0.01 if settings.weight_decay == AUTO else float(settings.weight_decay),
        clip=1.0 if settings.clip == AUTO else _float_or_off(settings.clip),
        average=average, precision=outlook.precision if settings.precision == AUTO else settings.precision,
        seed=settings.seed, reasons=tuple(reasons))


def _model(settings: TrainSettings, outlook: Outlook, reasons: list[str]) -> ModelConfig:
    """The largest model of the ladder within the work that text and time allow."""
    for_the_text = WORK_OF_A_MEGABYTE * math.sqrt(outlook.tokens / 1e6)
    if outlook.operations is None:
        allowed, why = for_the_text, f"{outlook.tokens:,} tokens of text"
    else:
        for_the_time = math.sqrt(outlook.operations / (6.0 * TOKENS_PER_WORK))
        allowed = min(for_the_time, MOST_FOR_THE_TEXT * for_the_text)
        why = "the time on this machine" if allowed == for_the_time else f"{outlook.tokens:,} tokens of text"
    best = _shape(settings, *SIZES[0])
    for hidden, layers in SIZES[1:]:
        shape = _shape(settings, hidden, layers)
        if work(shape, outlook.vocab_size) <= allowed:
            best = shape
    reasons.append(f"{best.num_layers} x {best.hidden_size} {best.cell}: "
                   f"{work(best, outlook.vocab_size):,} multiply-adds a token, from {why}")
    return best


def _shape(settings: TrainSettings, hidden: int, layers: int) -> ModelConfig:
    """A rung of the ladder, with what the person chose in its place."""
    hidden = hidden if settings.hidden_size == AUTO else int(settings.hidden_size)
    layers = layers if settings.num_layers == AUTO else int(settings.num_layers)
    embedding = settings.embedding_size
    if embedding == AUTO:
        embedding = max(16, round(hidden / 3 / 16) * 16)
    return ModelConfig(cell="gru" if settings.cell == AUTO else settings.cell, hidden_size=hidden,
                       num_layers=layers, embedding_size=None if embedding is None else int(embedding),
                       tied=settings.tied, residual=settings.residual,
                       norm=None if settings.norm == AUTO else settings.norm)


def _tokens_read(outlook: Outlook, model: ModelConfig, batch: int) -> float:
    """Tokens that the whole budget reads, repeated passes counted."""
    if outlook.operations is not None:
        return outlook.operations / (6.0 * work(model, outlook.vocab_size))
    if outlook.steps is not None:
        return float(outlook.steps * batch)
    return (outlook.epochs or 1.0) * outlook.tokens


def _batch(settings: TrainSettings, outlook: Outlook, model: ModelConfig,
           reasons: list[str]) -> tuple[int, int]:
    """B and T: 64 x 64, smaller where the text or the time leaves too few updates."""
    chunk = CHUNK if settings.seq_len == AUTO else int(settings.seq_len)
    if settings.seq_len == AUTO:
        chunk = max(8, min(CHUNK, 2 ** int(math.log2(max(8, outlook.tokens // 64)))))
    if settings.batch_size != AUTO:
        return int(settings.batch_size), chunk
    most = outlook.tokens / (8 * chunk)
    if outlook.operations is not None:
        most = min(most, _tokens_read(outlook, model, 1) / (LEAST_UPDATES * chunk))
    batch = max(1, min(BATCH, 2 ** int(math.log2(max(1.0, most)))))
    reasons.append(f"{batch} streams x {chunk} steps: at least 8 updates a pass over the text"
                   + ("" if outlook.operations is None else f", and {LEAST_UPDATES} in the time"))
    return batch, chunk


def _dropout(settings: TrainSettings, outlook: Outlook, read: float, reasons: list[str]) -> DropoutConfig:
    """More of it the more often the text is read."""
    if settings.dropout != AUTO:
        return DropoutConfig.parse(settings.dropout)
    epochs = read / outlook.tokens
    rate = next((rate for least, rate in DROPOUT_BY_EPOCHS if epochs >= least), 0.0)
    reasons.append(f"dropout {rate:g}: about {epochs:.3g} passes over the text")
    return DropoutConfig(rate, rate, rate)


def _rate(settings: TrainSettings, model: ModelConfig, batch: int, fine_tuning: bool,
          reasons: list[str]) -> float:
    """The highest rate: with the square root of the batch, against that of the width."""
    if settings.learning_rate != AUTO:
        return float(settings.learning_rate)
    rate = RATE * math.sqrt(min(1.0, batch / RATE_BATCH)) * math.sqrt(RATE_WIDTH / model.hidden_size)
    rate = min(max(rate, 5e-4), 8e-3) * (FINE_TUNING if fine_tuning else 1.0)
    rate = float(f"{rate:.3g}")
    reasons.append(f"learning rate {rate:g}: for batches of {batch:,} tokens and {model.hidden_size} units"
                   + (", on weights already trained" if fine_tuning else ""))
    return rate


def _float_or_off(value: float | str | None) -> float | None:
    return None if value is None else float(value)
