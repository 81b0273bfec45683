"""Chooses every setting that was not given, from the size of the text and the time.

One number leads: the multiply-adds of the model per token, its *work* (the parameters that take part in
products). A run of D tokens costs about ``6 * work * D`` operations, forward and backward.

- With minutes the machine is measured (``pace.py``), so the operations that fit are known; they are
  split as D = 8.5 tokens for each unit of work: a larger model has too few updates.
- With steps or epochs the work comes from the text alone, as the square root of its length, so that it
  depends neither on a clock nor on a machine. With minutes the text limits the work too: a long run on a
  short text only memorizes it.
- Where one model would read the text for too many epochs in the time, the time is divided among the members
  of an ensemble (``network.ensemble``): another member helps more than another epoch.
- B is 64 and T is 64, smaller where that would leave too few updates.
- Muon updates the matrices of the stack, where its Newton-Schulz iterations cost little beside the rest of
  the update. The learning rate falls linearly from the warm-up to the end; it is proportional to the square
  root of the batch and inversely proportional to that of the width.
- N-grams are added to the network (``network.ngrams``) where the text is read for few epochs: they learn
  short contexts at almost no cost.
- N-grams are counted, too, and mixed with the network, where the vocabulary is too large for such a table: in
  minutes a network learns less about short contexts than the counts say.
- Weight decay is ten times as large under Muon as usual for Adam: the steps of Muon have one size, whatever
  the gradient, so nothing else keeps the weights small.
- Variational dropout grows with the number of epochs and with the size of the model relative to the text.

For a vocabulary of more than 512 symbols some choices are others: see ``large_vocabulary``.

A setting that was given is never changed. Each choice comes with its reason (``--plan`` prints them). Nothing
here reads a clock or a text. The runs behind the numbers: decisions 049 and 059, docs/log.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from pantoum.config import AUTO, CELLS, DropoutConfig, ModelConfig, TrainSettings, parse_softmax
from pantoum.config.plain import Plain
from pantoum.errors import SettingError
from pantoum.network.ensemble import joined_config
from pantoum.training import large_vocabulary

__all__ = ["MOST_EPOCHS", "Outlook", "Recipe", "choose", "work"]

SIZES = (
    (32, 1),
    (64, 1),
    (96, 1),
    (128, 1),
    (128, 2),
    (160, 2),
    (192, 2),
    (208, 2),
    (224, 2),
    (256, 2),
    (288, 2),
    (320, 2),
    (352, 2),
    (384, 2),
    (416, 2),
    (448, 2),
    (480, 2),
    (512, 2),
    (576, 2),
    (640, 2),
    (704, 2),
    (768, 2),
    (768, 3),
    (1024, 3),
    (1280, 3),
    (1536, 3),
)
"""(H, L), from the smallest model that is chosen by itself to the largest."""
TOKENS_PER_WORK = 8.5
WORK_OF_A_MEGABYTE = 1.6e6
"""Where no clock counts, for 1e6 tokens; with the square root of the text."""
MOST_FOR_A_MEGABYTE, MOST_POWER = 3.5e6, 0.7
"""The most that minutes choose for 1e6 tokens, and how it grows with the text."""
MOST_EPOCHS = 50.0
"""Most epochs of a run by the clock; a run that has time for more ends early."""
MOST_MEMBERS, LEAST_EPOCHS, MOST_WIDTH = 4, 5.0, 1100
"""Most members of an ensemble, least epochs for each of them, most units of all of them together."""
BATCH, CHUNK = 64, 64
UPDATES_PER_EPOCH, LEAST_UPDATES = 30, 160
RATE_BATCH = 4096
RATES = {"adamw": (4e-3, 384), "muon": (8e-3, 288)}
"""Peak learning rate at this many units, for batches of ``RATE_BATCH`` tokens; Muon uses five times it."""
ROUNDS_COST, MOST_FOR_ROUNDS = 1.8, 0.6
"""The Newton-Schulz iterations take ``ROUNDS_COST * H / (B * T)`` of the time of an update
(``benchmarks/optimizers.py``); above this share the cheaper updates of AdamW are worth more."""
WEIGHT_DECAY = {"adamw": 0.01, "muon": 0.1}
WARM_UP = 0.04
AVERAGED_SHARE = 0.05
"""The weights are averaged over about this share of the run."""
DROPOUT, LEAST_DROPOUT, MOST_DROPOUT = 0.033, 0.12, 0.35
"""Variational dropout: this times the square root of (epochs times the root of the work per token of the
text); none where that is below the least."""
NGRAMS, NGRAM_EPOCHS = (3, 4, 5), 6.5
"""Orders of the n-grams, and the most epochs of a text for which they are added."""
NGRAM_NUMBERS, TOKENS_PER_ROW = 1.2e7, 48
"""Most values of their tables, and tokens of text per row of an order."""
SAMPLED_SYMBOLS = 4096
"""Symbols of a vocabulary above which a step compares its targets with samples (``network.candidates``)."""
TARGETS = 1024
"""Different targets of a batch of words, about; they are candidates beside the samples."""
COUNTED_ORDER = 5
"""The highest order of the n-grams that are counted, for words and BPE."""
FINE_TUNING = 0.3
"""The learning rate of fine-tuning, as a share of the rate from scratch."""


@dataclass(frozen=True)
class Outlook:
    """What is known before training: the text, and how much of it can be read."""

    tokens: int
    """Tokens of the training text, N."""
    vocab_size: int
    steps: int | None = None
    """Updates that the budget asks for; ``None`` with minutes, and with epochs, whose B x T come first."""
    epochs: float | None = None
    """The epochs that the budget asks for."""
    precision: str = "float32"
    """The default precision of products: the machine's fastest, but only with minutes."""
    operations: float | None = None
    """Floating-point operations that fit into the time, by measurement; only with minutes."""
    samples: int | None = None
    """Symbols that each step samples to compare its targets with; ``None``: all are compared."""

    @property
    def compared(self) -> int:
        """Symbols that a step compares its targets with, about."""
        return compared(self.vocab_size, self.samples)

    @property
    def large(self) -> bool:
        """Whether the vocabulary is one of words or pieces (``large_vocabulary``), not of characters."""
        return self.vocab_size > large_vocabulary.SYMBOLS


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
    members: int = 1
    """Members of the ensemble, each of this shape."""
    shards: int = 1
    """Parts of the batch whose gradients are added in a fixed order (``training.shards``)."""
    kneser_ney: int | None = None
    """The highest order of the n-grams that are counted and mixed with the network; ``None``: none are."""
    samples: int | None = None
    """Symbols that each step samples to compare its targets with; ``None``: all are compared."""
    reasons: tuple[str, ...] = ()

    def spec(self) -> dict[str, Plain]:
        """Plain values, for files; the reasons are for people and stay out."""
        plain = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "reasons"}
        for name in ("kneser_ney", "samples"):
            if plain[name] is None:
                del plain[name]
        return {**plain, "model": self.model.spec()}

    @property
    def kept(self) -> ModelConfig:
        """The shape of the model that is kept."""
        return joined_config(self.model, self.members)

    def work(self, vocab_size: int) -> int:
        """Multiply-adds of a token in training, forward, by all members."""
        return self.members * work(self.model, compared(vocab_size, self.samples))

    def work_to_read(self, vocab_size: int) -> int:
        """Multiply-adds of a token that is scored, with all symbols."""
        return self.members * work(self.model, vocab_size)

    @staticmethod
    def from_spec(spec: Mapping[str, Any]) -> Recipe:
        """The inverse of ``spec``."""
        return Recipe(**{**spec, "model": ModelConfig.from_spec(dict(spec["model"]))})


def compared(vocab_size: int, samples: int | None) -> int:
    """Symbols that a training step compares its targets with, about."""
    return vocab_size if samples is None else min(vocab_size, samples + TARGETS)


def work(model: ModelConfig, symbols: int) -> int:
    """Multiply-adds per token, forward, with so many symbols in the output layer; the look-up of one-hot
    inputs costs none."""
    hidden, cell, embedding = model.hidden_size, CELLS[model.cell], model.embedding_size
    gates, recurrent = len(cell.gates), sum(cell.products) * hidden * hidden
    first = recurrent if embedding is None else recurrent + gates * hidden * embedding
    further = recurrent + gates * hidden * hidden
    head = hidden * symbols
    if model.tied and embedding is not None and embedding != hidden:
        head = embedding * (hidden + symbols)  # by way of the projection
    return first + (model.num_layers - 1) * further + head


def choose(settings: TrainSettings, outlook: Outlook, *, source: ModelConfig | None = None) -> Recipe:
    """The recipe for a run. ``source``: the shape of the model whose weights it starts from."""
    reasons: list[str] = []
    outlook = replace(outlook, samples=_samples(settings, outlook, reasons, source))
    members = _members(settings, outlook, reasons, source)
    if outlook.operations is not None:
        outlook = replace(outlook, operations=outlook.operations / members)
    model = _model(settings, outlook, reasons) if source is None else replace(source, members=1)
    batch_size, seq_len = _batch(settings, outlook, model, reasons)
    read = _tokens_read(outlook, model, batch_size * seq_len)
    if source is None:
        orders, rows = _ngrams(settings, outlook, read, reasons)
        model = replace(model, ngrams=orders, ngram_rows=rows)
    model = replace(model, dropout=_dropout(settings, outlook, model, read, reasons))
    optimizer = _optimizer(settings, model, batch_size * seq_len, reasons)
    rate = _rate(settings, model, optimizer, batch_size * seq_len, source is not None, reasons)
    updates = max(1.0, read / (batch_size * seq_len))
    schedule = "linear" if settings.schedule == AUTO else settings.schedule
    if settings.average == AUTO:
        average: float | None = round(1.0 - 1.0 / min(max(10.0, AVERAGED_SHARE * updates), 1000.0), 6)
        reasons.append(f"average {average:g}: averages over {AVERAGED_SHARE:.0%} of {updates:,.0f} updates")
    else:
        average = _float_or_off(settings.average)
    return Recipe(
        model=model,
        batch_size=batch_size,
        seq_len=seq_len,
        optimizer=optimizer,
        learning_rate=rate,
        schedule=schedule,
        warm_up=0.0 if schedule == "constant" else WARM_UP,
        weight_decay=(
            WEIGHT_DECAY[optimizer] if settings.weight_decay == AUTO else float(settings.weight_decay)
        ),
        clip=1.0 if settings.clip == AUTO else _float_or_off(settings.clip),
        average=average,
        precision=outlook.precision if settings.precision == AUTO else settings.precision,
        seed=settings.seed,
        members=members,
        shards=_shards(settings),
        kneser_ney=_kneser_ney(settings, outlook, reasons),
        samples=outlook.samples,
        reasons=tuple(reasons),
    )


def _samples(
    settings: TrainSettings, outlook: Outlook, reasons: list[str], source: ModelConfig | None
) -> int | None:
    """Samples for a large vocabulary; none with n-grams, which add to the logits of all symbols."""
    ngrams = isinstance(settings.ngrams, tuple) if source is None else bool(source.ngrams)
    if settings.softmax != AUTO:
        samples = parse_softmax(settings.softmax)
        if samples is not None and ngrams:
            raise SettingError(
                "softmax",
                settings.softmax,
                "must be full with n-grams, which add to the logits of all symbols",
                "leave one of the two out",
            )
        return samples
    if outlook.vocab_size <= SAMPLED_SYMBOLS or ngrams:
        return None
    samples = parse_softmax("sampled")
    reasons.append(
        f"softmax sampled:{samples}: a step compares its targets with one another and with {samples:,} of "
        f"{outlook.vocab_size:,} symbols"
    )
    return samples


def _members(
    settings: TrainSettings, outlook: Outlook, reasons: list[str], source: ModelConfig | None
) -> int:
    """As many as there is time for to read the text often enough: one, where the time is the bound."""
    if source is not None:
        if settings.members not in (AUTO, source.members):
            raise SettingError(
                "members",
                settings.members,
                f"must be {source.members}, as in the model of from",
                "leave it out",
            )
        return source.members
    if settings.members != AUTO:
        return int(settings.members)
    if outlook.operations is None or outlook.large or settings.hidden_size != AUTO:
        return 1  # a person who asks for so many units gets so many
    for members in range(MOST_MEMBERS, 1, -1):
        share = outlook.operations / members
        each = _model(settings, replace(outlook, operations=share), [])
        passes = share / (6.0 * work(each, outlook.compared)) / outlook.tokens
        if passes >= LEAST_EPOCHS and members * each.hidden_size <= MOST_WIDTH:
            reasons.append(
                f"an ensemble of {members} members: time for each to read the text {passes:,.3g} times"
            )
            return members
    return 1


def _model(settings: TrainSettings, outlook: Outlook, reasons: list[str]) -> ModelConfig:
    """The largest model of the ladder within the work that text and time allow."""
    megabytes, why = outlook.tokens / 1e6, f"{outlook.tokens:,} tokens of text"
    sizes = large_vocabulary.SIZES if outlook.large else SIZES
    if outlook.operations is None:
        allowed = WORK_OF_A_MEGABYTE * math.sqrt(megabytes)
    else:
        tokens_per_work = large_vocabulary.TOKENS_PER_WORK if outlook.large else TOKENS_PER_WORK
        for_the_time = math.sqrt(outlook.operations / (6.0 * tokens_per_work))
        allowed = min(for_the_time, MOST_FOR_A_MEGABYTE * megabytes**MOST_POWER)
        why = "the time on this machine" if allowed == for_the_time else why
    best = _shape(settings, outlook, *sizes[0])
    for hidden, layers in sizes[1:]:
        shape = _shape(settings, outlook, hidden, layers)
        if work(shape, outlook.compared) <= allowed:
            best = shape
    reasons.append(
        f"{best.num_layers} x {best.hidden_size} {best.cell}: "
        f"{work(best, outlook.compared):,} multiply-adds per token, from {why}"
    )
    if best.tied and settings.tied == AUTO:
        reasons.append(
            f"the output layer shares the embedding of {best.embedding_size}: {outlook.vocab_size:,} symbols"
        )
    return best


def _shape(settings: TrainSettings, outlook: Outlook, hidden: int, layers: int) -> ModelConfig:
    """A rung of the ladder, with what the person chose in its place."""
    hidden = hidden if settings.hidden_size == AUTO else int(settings.hidden_size)
    layers = layers if settings.num_layers == AUTO else int(settings.num_layers)
    embedding = settings.embedding_size
    if embedding == AUTO:
        third = max(16, round(hidden / 3 / 16) * 16)
        embedding = large_vocabulary.embedding_size(hidden) if outlook.large else third
    tied = settings.tied
    if tied == AUTO:
        tied = outlook.large and embedding is not None
    return ModelConfig(
        cell="gru" if settings.cell == AUTO else settings.cell,
        hidden_size=hidden,
        num_layers=layers,
        embedding_size=None if embedding is None else int(embedding),
        tied=bool(tied),
        residual=settings.residual,
        norm=None if settings.norm == AUTO else settings.norm,
    )


def _ngrams(
    settings: TrainSettings,
    outlook: Outlook,
    read: float,
    reasons: list[str],
) -> tuple[tuple[int, ...], int]:
    """(orders, rows of each): by themselves where a text is not read too often, for they learn by heart, and
    a person did not ask for a network of so many units."""
    orders: tuple[int, ...] = ()
    passes, symbols = read / outlook.tokens, outlook.vocab_size
    if isinstance(settings.ngrams, tuple):
        orders = settings.ngrams
    elif (
        settings.ngrams == settings.hidden_size == AUTO
        and outlook.operations is not None
        and passes <= NGRAM_EPOCHS
        and not outlook.large
    ):
        orders = NGRAMS
    if settings.ngram_rows != AUTO or not orders:
        return orders, ModelConfig.ngram_rows if settings.ngram_rows == AUTO else int(settings.ngram_rows)
    most = min(NGRAM_NUMBERS / (len(orders) * symbols), outlook.tokens / TOKENS_PER_ROW)
    rows = 2 ** int(math.log2(min(max(most, 256), 2**24)))
    reasons.append(
        f"n-grams of {', '.join(map(str, orders))} tokens, {rows:,} rows each: about {passes:.3g} epochs"
    )
    return orders, rows


def _kneser_ney(settings: TrainSettings, outlook: Outlook, reasons: list[str]) -> int | None:
    """The highest order of counted n-grams, for vocabularies that are too large for a table of logits."""
    if settings.kneser_ney != AUTO:
        return None if settings.kneser_ney is None else int(settings.kneser_ney)
    if not outlook.large:
        return None
    reasons.append(
        f"n-grams of up to {COUNTED_ORDER} tokens are counted and mixed with the network: more than "
        f"{large_vocabulary.SYMBOLS} symbols"
    )
    return COUNTED_ORDER


def _tokens_read(outlook: Outlook, model: ModelConfig, batch: int) -> float:
    """Tokens that the whole budget reads, in all epochs."""
    if outlook.operations is not None:
        return min(outlook.operations / (6.0 * work(model, outlook.compared)), MOST_EPOCHS * outlook.tokens)
    if outlook.steps is not None:
        return float(outlook.steps * batch)
    return (outlook.epochs or 1.0) * outlook.tokens


def _batch(
    settings: TrainSettings, outlook: Outlook, model: ModelConfig, reasons: list[str]
) -> tuple[int, int]:
    """B and T: 64 x 64 (of words 64 x 32), smaller where the text or the time leaves too few updates."""
    longest = large_vocabulary.CHUNK if outlook.large else CHUNK
    chunk = longest if settings.seq_len == AUTO else int(settings.seq_len)
    if settings.seq_len == AUTO:
        chunk = max(8, min(longest, 2 ** int(math.log2(max(8, outlook.tokens // 64)))))
    if settings.batch_size != AUTO:
        return int(settings.batch_size), chunk
    most = outlook.tokens / (UPDATES_PER_EPOCH * chunk)
    if outlook.operations is not None:
        most = min(most, _tokens_read(outlook, model, 1) / (LEAST_UPDATES * chunk))
    batch, shards = max(1, min(BATCH, 2 ** int(math.log2(max(1.0, most))))), _shards(settings)
    batch = math.ceil(batch / shards) * shards  # shards of one size
    reasons.append(
        f"{batch} streams x {chunk} steps: at least {UPDATES_PER_EPOCH} updates per epoch"
        + ("" if outlook.operations is None else f", and {LEAST_UPDATES} in the time")
    )
    return batch, chunk


def _shards(settings: TrainSettings) -> int:
    return 1 if settings.shards == AUTO else int(settings.shards)


def _dropout(
    settings: TrainSettings, outlook: Outlook, model: ModelConfig, read: float, reasons: list[str]
) -> DropoutConfig:
    """More of it the more often the text is read, and the larger the model is beside it."""
    if settings.dropout != AUTO:
        return DropoutConfig.parse(settings.dropout)
    passes = read / outlook.tokens
    if outlook.large:
        dropout = large_vocabulary.dropout(passes)
    else:
        by_heart = passes * math.sqrt(work(model, outlook.compared) / outlook.tokens)
        rate = round(min(DROPOUT * math.sqrt(by_heart), MOST_DROPOUT), 2)
        dropout = DropoutConfig(rate, rate, rate, "variational") if rate >= LEAST_DROPOUT else DropoutConfig()
    reasons.append(f"dropout {dropout.spell()}: about {passes:.3g} epochs")
    return dropout


def _optimizer(settings: TrainSettings, model: ModelConfig, batch: int, reasons: list[str]) -> str:
    """Muon where its iterations are cheap beside the update: they grow with the width, not with the batch."""
    if settings.optimizer != AUTO:
        return settings.optimizer
    if settings.learning_rate != AUTO or settings.schedule == "constant":
        reasons.append("adamw: a given learning rate and a constant schedule are meant for it")
        return "adamw"
    share = ROUNDS_COST * model.hidden_size / batch
    kind = "muon" if share <= MOST_FOR_ROUNDS else "adamw"
    reasons.append(f"{kind}: the iterations of Muon would take {share:.0%} of an update")
    return kind


def _rate(
    settings: TrainSettings,
    model: ModelConfig,
    optimizer: str,
    batch: int,
    fine_tuning: bool,
    reasons: list[str],
) -> float:
    """The highest rate: with the square root of the batch, against that of the width."""
    if settings.learning_rate != AUTO:
        return float(settings.learning_rate)
    rate, width = RATES[optimizer]
    rate *= math.sqrt(min(1.0, batch / RATE_BATCH)) * math.sqrt(width / model.hidden_size)
    rate = min(max(rate, 5e-4), 8e-3) * (FINE_TUNING if fine_tuning else 1.0)
    rate = float(f"{rate:.3g}")
    reasons.append(
        f"learning rate {rate:g}: for batches of {batch:,} tokens and {model.hidden_size} units"
        + (", on weights already trained" if fine_tuning else "")
    )
    return rate


def _float_or_off(value: float | str | None) -> float | None:
    return None if value is None else float(value)
