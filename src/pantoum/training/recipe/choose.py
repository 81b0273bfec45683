"""Chooses every setting that was not given, from the size of the text and the time.

``model_choice`` chooses the model, ``update_choice`` how it is updated; here are the order in which they do,
and the rest: the learning rate falls linearly from the warm-up to the end, and weights are averaged. For a
vocabulary of more than 512 symbols some choices are others: see ``large_vocabulary``.

A setting that was given is never changed. Each choice comes with its reason (``--plan`` prints them). Nothing
here reads a clock or a text. The runs behind the numbers: decisions 049 and 059, docs/log.
"""

from __future__ import annotations

from dataclasses import replace

from pantoum.config import AUTO, ModelConfig, TrainSettings
from pantoum.training.recipe.model_choice import counted_order, members_of, samples, shape, with_tables
from pantoum.training.recipe.recipe import Outlook, Recipe
from pantoum.training.recipe.update_choice import (
    WEIGHT_DECAY,
    batch_of,
    dropout_of,
    optimizer_of,
    rate_of,
    shards_of,
)

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
    model = replace(model, dropout=dropout_of(settings, outlook, model, read, reasons))
    optimizer = optimizer_of(settings, outlook, model, batch_size * seq_len, reasons)
    rate = (
        rate_of(outlook, model, optimizer, batch_size * seq_len, source is not None, reasons)
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
        weight_decay=(
            WEIGHT_DECAY[optimizer] if settings.weight_decay == AUTO else float(settings.weight_decay)
        ),
        clip=1.0 if settings.clip == AUTO else _float_or_off(settings.clip),
        average=average,
        precision=outlook.precision if settings.precision == AUTO else settings.precision,
        seed=settings.seed,
        members=members,
        shards=shards_of(settings),
        kneser_ney=counted_order(settings, outlook, reasons),
        samples=outlook.samples,
        reasons=tuple(reasons),
    )


def _float_or_off(value: float | str | None) -> float | None:
    return None if value is None else float(value)
