"""How a new run begins: from texts and settings to a ``Run`` that is ready for its first step.

In order: the folder's ``config.json`` says at once what was asked (a run killed while it prepares can be
begun again from it); the model that training starts from, if any, is read; the texts are prepared, or a
prepared folder is opened; the recipe is chosen, with minutes after measuring the machine, and from a model
of words after measuring how strange the text is to it; the parts are put together; ``config.json`` is
written again with what was chosen and why.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from pantoum.config import AUTO, VERSION, ModelConfig, TrainSettings, declared, require
from pantoum.config.plain import Plain
from pantoum.config.setting import flag
from pantoum.data.prepared_file import Prepared, spec_fingerprint
from pantoum.formats import plain_json
from pantoum.formats.model_file import ModelFile
from pantoum.training.assembly import TrainingRun, make_batches
from pantoum.training.memory import require_memory
from pantoum.training.pace import chosen_by_pace
from pantoum.training.recipe.choose import choose
from pantoum.training.recipe.recipe import MOST_EPOCHS, Outlook, Recipe
from pantoum.training.result import card
from pantoum.training.run.budget import DEFAULT_MINUTES, Budget, Clock, Span
from pantoum.training.run.run_folder import BEGAN, RunFolder, machine
from pantoum.training.run.run_state import RunState
from pantoum.training.source import Begun, begun_from, surprise
from pantoum.training.update.backend import TrainingEngine

LEAST_MONITORED, MOST_MONITORED = 2048, 100_000
MONITORED_SHARE = 0.003
"""With minutes, an evaluation looks at as many tokens as are trained in this share of the time."""


@dataclass(frozen=True)
class TrainingCommand:
    """What one command asks for."""

    settings: TrainSettings
    texts: Sequence[str] = ()
    words: Sequence[str] = ()
    """The command as it was typed."""
    clock: Clock = field(default_factory=Clock)
    engine: TrainingEngine | None = None
    """What trains in place of the core in this process."""

    @property
    def processes(self) -> int:
        """How many processes train."""
        return 1 if self.engine is None else self.engine.processes


def begin(folder: RunFolder, command: TrainingCommand, prepared: Prepared | None = None) -> TrainingRun:
    """A new run in its (empty) folder. ``prepared``: the text, if it is prepared already."""
    settings, texts, clock, engine = command.settings, command.texts, command.clock, command.engine
    asked = {
        name: getattr(settings, name) for name in declared(TrainSettings) if name not in ("resume", "run")
    }
    config: dict[str, Any] = {
        "pantoum": VERSION,
        "run": secrets.token_hex(16),
        "command": list(command.words),
        "folder": str(Path.cwd()),
        "texts": [str(text) for text in texts],
        "settings": asked,
        "machine": machine(),
        "began": time.strftime(BEGAN),
    }
    folder.write_config(config)
    begun = begun_from(settings, texts, folder.data, prepared)
    prepared, source = begun.prepared, begun.source
    config["settings"] = {**asked, "from_": begun.from_}
    notes = [*prepared.notes, *begun.notes]
    budget = Budget.asked(settings) or Budget("minutes", DEFAULT_MINUTES)
    recipe, tokens_per_second = choose_recipe(settings, begun, budget, clock, command.processes)
    if engine is None or not engine.own_memory:
        require_memory(recipe, prepared.tokenizer.vocab_size, prepared.train.count, command.processes)
    for name, why in recipe.model.unused.items():
        if getattr(settings, name) != AUTO:
            notes.append(f"{flag(name)} has no effect: {why}")
    batches = make_batches(prepared, recipe.batch_size, recipe.seq_len, notes=notes)
    require(
        recipe.shards <= batches.batch_size,
        "shards",
        recipe.shards,
        f"must be at most the batch size, {batches.batch_size}",
        "give fewer shards and ranks, a larger --batch-size, or a longer text",
    )
    size = budget.size(batches.steps_per_epoch)
    if budget.by_clock:
        enough = clock.seconds + MOST_EPOCHS * prepared.train.count / tokens_per_second
        if enough < size:
            notes.append(
                f"{MOST_EPOCHS:g} epochs over {prepared.train.count:,} tokens are enough; more only memorize "
                f"them, so the run ends after about {enough:.0f} of {size:.0f} s (--epochs gives more)"
            )
            size = enough
    state = RunState(
        recipe=recipe,
        budget=budget,
        span=Span(budget.by_clock, 0.0, size),
        timeless=not budget.by_clock,
        run=config["run"],
        identity=identity(prepared, source),
        batch_size=batches.batch_size,
        seq_len=batches.seq_len,
        monitored=monitored_tokens(
            prepared,
            budget,
            size,
            batches.batch_size * batches.seq_len,
            tokens_per_second * _reading_speed(recipe, prepared),
        ),
    )
    weights = None if source is None else source.parameters
    run = TrainingRun(
        folder,
        prepared,
        state,
        batches,
        engine,
        weights=weights,
        notes=notes,
        checkpoint_every=every(settings),
    )
    run.keep_best.require_writable(card(state, None, None, prepared.facts, run.parameters))
    folder.write_config(
        {
            **config,
            "chosen": recipe.spec(),
            "reasons": list(recipe.reasons),
            "budget": state.budget_in_words,
            "parameters": run.parameters,
            "text": learned_text(prepared.facts, prepared.tokenizer.spec()),
            "kind": prepared.tokenizer.kind,
            "vocab_size": prepared.tokenizer.vocab_size,
            "batch_size": state.batch_size,
            "seq_len": state.seq_len,
            "tokens": {"train": prepared.train.count, "valid": prepared.valid.count if prepared.valid else 0},
            "monitored_tokens": state.monitored,
        }
    )
    return run


def choose_recipe(
    settings: TrainSettings,
    begun: Begun,
    budget: Budget,
    clock: Clock,
    ranks: int = 1,
) -> tuple[Recipe, float]:
    """The recipe, and with minutes the expected training speed of all ranks in tokens per second (else 0)."""
    prepared, source = begun.prepared, begun.source
    shape = None if source is None else ModelConfig.from_spec(source.config)
    outlook = Outlook(
        prepared.train.count,
        prepared.tokenizer.vocab_size,
        steps=int(budget.amount) if budget.kind == "steps" else None,
        epochs=budget.amount if budget.kind == "epochs" else None,
    )
    if source is not None and outlook.large:
        outlook = replace(outlook, surprise=surprise(source, prepared))
    chosen = partial(choose, settings, source=shape)
    if not budget.by_clock:
        recipe, tokens_per_second = chosen(outlook), 0.0
    else:
        seconds = budget.amount * 60.0
        left = max(seconds - clock.seconds, 0.1 * seconds)
        measures = settings.precision == AUTO
        recipe, tokens_per_second = chosen_by_pace(
            chosen, outlook, prepared, left, seconds, ranks=ranks, measures=measures
        )
    return replace(recipe, reasons=(*begun.reasons, *recipe.reasons)), tokens_per_second


def identity(prepared: Prepared, source: ModelFile | None) -> dict[str, Plain]:
    """What a resumed run must share with this one."""
    valid = None if prepared.valid is None else prepared.valid.text_fingerprint.hex()
    return {
        "text": prepared.train.text_fingerprint.hex(),
        "held-out text": valid,
        "tokenizer": prepared.train.tokenizer_fingerprint.hex(),
        "began_from": None if source is None else source.sha256,
    }


def monitored_tokens(
    prepared: Prepared, budget: Budget, size: float, batch: int, tokens_per_second: float
) -> int:
    """How much of the held-out text evaluations while training look at, so that they stay within a few
    percent of the time: a token scored costs a third of one trained, warming half as many again, and both
    weights are."""
    if prepared.valid is None:
        return 0
    if budget.by_clock:
        affordable = MONITORED_SHARE * size * tokens_per_second
    else:
        affordable = 0.05 * max(1, int(size) // 20) * batch
    return min(prepared.valid.count, int(min(max(affordable, LEAST_MONITORED), MOST_MONITORED)) + 1)


def _reading_speed(recipe: Recipe, prepared: Prepared) -> float:
    """How fast a token is scored, compared with a forward pass of training: 1 if both use all symbols."""
    vocab_size = prepared.tokenizer.vocab_size
    return recipe.work(vocab_size) / recipe.work_to_read(vocab_size)


def every(settings: TrainSettings) -> int | None:
    """Steps between checkpoints, if that was asked for."""
    return None if settings.checkpoint_every == AUTO else int(settings.checkpoint_every)


def learned_text(facts: Mapping[str, Any], tokenizer: Mapping[str, Plain]) -> dict[str, Plain]:
    """Which text a run learned from and how it was read, as fingerprints, for ``config.json`` and
    ``compare``; from the facts of a prepared text and the spec of its tokenizer. The SHA-256 of several texts
    is that of the list of theirs; ``None`` where one is not known."""
    hashes = [text.get("sha256") for text in facts.get("texts", ())]
    known = bool(hashes) and None not in hashes
    several = hashlib.sha256(plain_json.encode(hashes)).hexdigest()
    return {
        "sha256": None if not known else hashes[0] if len(hashes) == 1 else several,
        "valid_sha256": (facts.get("valid_text") or {}).get("sha256"),
        "tokenizer": spec_fingerprint(tokenizer).hex(),
        "documents": tokenizer.get("documents"),
        "valid_fraction": facts.get("valid_fraction"),
    }
