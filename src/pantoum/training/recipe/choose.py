"""Chooses every setting that was not given, from the size of the text and the time.

``model_choice`` chooses the model; here is the rest. B is 64 and T is 64, smaller where that would leave too
few updates. Muon updates the matrices of the stack, where its Newton-Schulz iterations cost little beside the
rest of the update. The learning rate is proportional to the square root of the batch and inversely
proportional to that of the width; it falls linearly from the warm-up to the end. With more epochs it is
higher, and that of n-grams lower: rows that few contexts use would be learned by heart. Weight decay is ten
times as large under Muon as usual for Adam: the steps of Muon have one size, whatever the gradient, so
nothing else keeps the weights small. Variational dropout grows with the number of epochs and with the size of
the model relative to the text. Weights are averaged. For a vocabulary of more than 512 symbols some choices
are others: see ``large_vocabulary``.

A setting that was given is never changed. Each choice comes with its reason (``--plan`` prints them). Nothing
here reads a clock or a text. The runs behind the numbers: decisions 049 and 059, docs/log.
"""

from __future__ import annotations

import math
from dataclasses import replace

from pantoum.config import AUTO, DropoutConfig, ModelConfig, TrainSettings, require
from pantoum.training.recipe import large_vocabulary
from pantoum.training.recipe.model_choice import counted_order, members_of, samples, shape, with_tables
from pantoum.training.recipe.recipe import Outlook, Recipe, work

WARM_UP = 0.04
AVERAGED_SHARE = 0.05
"""The weights are averaged over about this share of the run."""


def choose(settings: TrainSettings, outlook: Outlook, *, source: ModelConfig | None = None) -> Recipe:
    """The recipe for a run. ``source``: the shape of the model whose weights it starts from."""
    reasons: list[str] = []
    outlook = replace(outlook, samples=samples(settings, outlook, reasons, source))
    members = members_of(settings, outlook, reasons, source)
    if outlook.operations is not None:
        outlook = replace(outlook, operations=outlook.operations / members)
    model = shape(settings, outlook, reasons) if source is None else replace(source, members=1)
    batch_size, seq_len = batch_of(settings, outlook, model, reasons)
    read = outlook.tokens_read(model, batch_size * seq_len)
    if source is None:
        model = with_tables(settings, outlook, model, read, reasons)
    tables = table_rate_of(outlook, model, read, source is not None, reasons)
    model = replace(model, dropout=dropout_of(settings, outlook, model, read, source is not None, reasons))
    pull = pull_of(settings, outlook, source is not None, reasons)
    optimizer = optimizer_of(settings, outlook, model, batch_size * seq_len, reasons)
    spelling = spelling_of(settings, outlook, model, optimizer, read, source is not None, reasons)
    neighbours = neighbours_of(settings, outlook, model, source is not None, reasons)
    rate = (
        rate_of(outlook, model, optimizer, batch_size * seq_len, neighbours, source is not None, reasons)
        if settings.learning_rate == AUTO
        else float(settings.learning_rate)
    )
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
        weight_decay=_weight_decay(settings, optimizer, pull),
        clip=1.0 if settings.clip == AUTO else _float_or_off(settings.clip),
        average=average,
        precision=outlook.precision if settings.precision == AUTO else settings.precision,
        seed=settings.seed,
        members=members,
        pull=pull,
        shards=shards_of(settings),
        spelling=spelling,
        neighbours=neighbours,
        table_rate=tables,
        kneser_ney=counted_order(settings, outlook, reasons),
        samples=outlook.samples,
        reasons=tuple(reasons),
    )


def _float_or_off(value: float | str | None) -> float | None:
    return None if value is None else float(value)


def _weight_decay(settings: TrainSettings, optimizer: str, pull: float) -> float:
    """What is given, or else what suits the optimizer; none where matrices are pulled to others than zero."""
    if settings.weight_decay != AUTO:
        return float(settings.weight_decay)
    return 0.0 if pull else WEIGHT_DECAY[optimizer]


BATCH, CHUNK = 64, 64
UPDATES_PER_EPOCH, LEAST_UPDATES = 30, 160
RATE_BATCH, RATE_EPOCHS, MOST_BY_EPOCHS = 4096, 5.0, 2.0
"""The tokens of a batch that ``RATES`` are for; with Muon the rate grows with the epochs from so many on, up
to this multiple: larger steps, and the weight decay that goes with them, learn less by heart."""
RATES = {"adamw": (4e-3, 384), "muon": (8e-3, 288)}
"""Peak learning rate at this many units, for batches of ``RATE_BATCH`` tokens; Muon uses five times it."""
ROUNDS_COST, MOST_FOR_ROUNDS = 1.8, 0.6
"""The Newton-Schulz iterations take ``ROUNDS_COST * H / (B * T)`` of the time of an update
(docs/log/training-speed.md); above this share the cheaper updates of AdamW are worth more."""
WEIGHT_DECAY = {"adamw": 0.01, "muon": 0.1}
TABLE_EPOCHS = 2.5
"""The most epochs in which n-grams learn as fast as the rest; with more epochs they learn less in each."""
DROPOUT, LEAST_DROPOUT, MOST_DROPOUT = 0.033, 0.12, 0.35
"""Variational dropout: this times the square root of (epochs times the root of the work per token of the
text); none where that is below the least."""
LONG_TEXT, LONG_TEXT_EPOCHS = 500_000, 16.0
"""Tokens of a text that needs no dropout for so many epochs: weight decay has enough updates to act."""
FINE_TUNING = 0.25
"""The learning rate of fine-tuning, as a share of the rate from scratch, for characters."""
PULL, PULL_POWER, MOST_PULL = 20.0, 0.5, 40.0
"""The pull of fine-tuning for a text of 100,000 characters, and how it falls with the size of the text."""
TUNED_DROPOUT, TUNED_EPOCHS = 0.1, 2.0
"""Variational dropout in fine-tuning, where the text is read more often than this."""


def batch_of(
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
        most = min(most, outlook.tokens_read(model, 1) / (LEAST_UPDATES * chunk))
    batch, shards = max(1, min(BATCH, 2 ** int(math.log2(max(1.0, most))))), shards_of(settings)
    batch = math.ceil(batch / shards) * shards  # shards of one size
    reasons.append(
        f"{batch} streams x {chunk} steps: at least {UPDATES_PER_EPOCH} updates per epoch"
        + ("" if outlook.operations is None else f", and {LEAST_UPDATES} in the time")
    )
    return batch, chunk


def shards_of(settings: TrainSettings) -> int:
    """Parts of the batch whose gradients are added in a fixed order."""
    return 1 if settings.shards == AUTO else int(settings.shards)


def table_rate_of(
    outlook: Outlook, model: ModelConfig, read: float, fine_tuning: bool, reasons: list[str]
) -> float:
    """The rate of n-grams falls with the epochs, in which their rows would be learned by heart."""
    passes = read / outlook.tokens
    if fine_tuning or not model.ngrams or passes <= TABLE_EPOCHS:
        return 1.0
    rate = float(f"{TABLE_EPOCHS / passes:.2g}")
    reasons.append(f"table rate {rate:g}: n-grams learn at that share of the learning rate")
    return rate


def dropout_of(
    settings: TrainSettings,
    outlook: Outlook,
    model: ModelConfig,
    read: float,
    fine_tuning: bool,
    reasons: list[str],
) -> DropoutConfig:
    """More of it the more often the text is read, and the larger the model is beside it. In fine-tuning the
    pull does most of that."""
    if settings.dropout != AUTO:
        return DropoutConfig.parse(settings.dropout)
    passes = read / outlook.tokens
    if outlook.large:
        per_token = None if fine_tuning else work(model, symbols=0) / outlook.tokens
        dropout = large_vocabulary.dropout(passes, per_token)
    elif fine_tuning:
        rate = TUNED_DROPOUT if passes > TUNED_EPOCHS else 0.0
        dropout = DropoutConfig(rate, rate, rate, "variational") if rate else DropoutConfig()
    else:
        by_heart = passes * math.sqrt(work(model, outlook.compared) / outlook.tokens)
        rate = round(min(DROPOUT * math.sqrt(by_heart), MOST_DROPOUT), 2)
        few = rate < LEAST_DROPOUT or (outlook.tokens >= LONG_TEXT and passes <= LONG_TEXT_EPOCHS)
        dropout = DropoutConfig() if few else DropoutConfig(rate, rate, rate, "variational")
    reasons.append(f"dropout {dropout.spell()}: about {passes:.3g} epochs")
    return dropout


def pull_of(settings: TrainSettings, outlook: Outlook, fine_tuning: bool, reasons: list[str]) -> float:
    """Strong for a short text, which would be learned by heart; none for large vocabularies."""
    if settings.pull != AUTO:
        pull = _float_or_off(settings.pull) or 0.0
        rule, advice = "needs a model that training begins from", "give --from MODEL, or leave it out"
        require(fine_tuning or not pull, "pull", pull, rule, advice)
        return pull
    if not fine_tuning or outlook.large:
        return 0.0
    pull = min(PULL * (1e5 / outlook.tokens) ** PULL_POWER, MOST_PULL)
    pull = float(f"{pull:.2g}")
    reasons.append(f"pull {pull:g}: {outlook.tokens:,} tokens of text would be learned by heart without it")
    return pull


def spelling_of(
    settings: TrainSettings,
    outlook: Outlook,
    model: ModelConfig,
    optimizer: str,
    read: float,
    fine_tuning: bool,
    reasons: list[str],
) -> float | None:
    """How much a word learns by itself, where words of like spelling learn together: in large vocabularies,
    from nothing."""
    if settings.spelling != AUTO:
        rate = _float_or_off(settings.spelling)
        rule, advice = "needs an embedding", "give --embedding-size a number, or leave it out"
        require(model.embedding_size is not None or rate is None, "spelling", rate, rule, advice)
        return rate
    if not outlook.large or fine_tuning or model.embedding_size is None:
        return None
    passes = read / outlook.tokens
    rate = large_vocabulary.spelling(passes, outlook.tokens / outlook.vocab_size, optimizer)
    reasons.append(
        f"spelling {rate:g}: words of like spelling learn together, each by itself at that share of the "
        f"learning rate, for about {passes:.3g} epochs"
    )
    return rate


def neighbours_of(
    settings: TrainSettings, outlook: Outlook, model: ModelConfig, fine_tuning: bool, reasons: list[str]
) -> int | None:
    """Within how many tokens co-occurrence is counted to initialise the embedding: in large vocabularies,
    from nothing."""
    here = model.embedding_size is not None and not fine_tuning
    if settings.neighbours != AUTO:
        window = None if settings.neighbours is None else int(settings.neighbours)
        rule, advice = "needs a new embedding", "give --embedding-size a number and no --from"
        require(here or window is None, "neighbours", window, rule, advice)
        return window
    if not outlook.large or not here:
        return None
    found = large_vocabulary.neighbours(outlook.tokens / outlook.vocab_size)
    if found is not None:
        reasons.append(
            f"neighbours {found}: the embedding is initialised from co-occurrence within {found} tokens"
        )
    return found


def optimizer_of(
    settings: TrainSettings, outlook: Outlook, model: ModelConfig, batch: int, reasons: list[str]
) -> str:
    """Muon where its iterations are cheap beside the update: they grow with the width, not with the batch."""
    if settings.optimizer != AUTO:
        return settings.optimizer
    if settings.learning_rate != AUTO or settings.schedule == "constant":
        reasons.append("adamw: a given learning rate and a constant schedule are meant for it")
        return "adamw"
    rounds_cost = large_vocabulary.ROUNDS_COST if outlook.large else ROUNDS_COST
    share = rounds_cost * model.hidden_size / batch
    kind = "muon" if share <= MOST_FOR_ROUNDS else "adamw"
    reasons.append(f"{kind}: the iterations of Muon would take {share:.0%} of an update")
    return kind


def rate_of(
    outlook: Outlook,
    model: ModelConfig,
    optimizer: str,
    batch: int,
    neighbours: int | None,
    fine_tuning: bool,
    reasons: list[str],
) -> float:
    """The highest rate: with the square root of the batch, against that of the width; higher for words."""
    rate, width = RATES[optimizer]
    rate *= math.sqrt(min(1.0, batch / RATE_BATCH)) * math.sqrt(width / model.hidden_size)
    rate = min(max(rate, 5e-4), 8e-3)
    why = f"batches of {batch:,} tokens and {model.hidden_size} units"
    updates = max(1.0, outlook.tokens_read(model, batch) / batch)
    if fine_tuning:
        why += ", starting from trained weights"
        if outlook.large and outlook.surprise is not None:
            rate *= large_vocabulary.fine_tuning(outlook.surprise, updates)
            why += (
                f", whose loss is {outlook.surprise:g} nats per token higher on this text than on their own, "
                f"{updates:,.0f} updates of a large vocabulary"
            )
        else:
            rate *= FINE_TUNING
    elif optimizer == "muon" and not outlook.large:
        passes = updates * batch / outlook.tokens
        rate *= min(max(passes / RATE_EPOCHS, 1.0), MOST_BY_EPOCHS)
        why += f", about {passes:.3g} epochs"
    elif outlook.large and optimizer == "muon" and neighbours is not None:
        rate *= large_vocabulary.NEIGHBOURS_RATE
        why += ", an embedding from co-occurrence counts"
    elif outlook.large and optimizer == "muon":
        rate *= large_vocabulary.rate(updates)
        why += f", {updates:,.0f} updates of a large vocabulary"
    rate = float(f"{rate:.3g}")
    reasons.append(f"learning rate {rate:g}: for {why}")
    return rate
