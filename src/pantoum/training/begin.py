"""How a new run begins: from texts and settings to a ``Run`` that is ready for its first step.

In order: the folder's ``config.json`` says at once what was asked (a run killed while it prepares can be
begun again from it); the model that training starts from, if any, is read; the texts are prepared, or a
prepared folder is opened; the recipe is chosen, with minutes after measuring the machine, and from a model
of words after measuring how strange the text is to it; the parts are put together; ``config.json`` is
written again with what was chosen and why.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from pantoum.config import AUTO, SHAPE, VERSION, ModelConfig, TextSettings, TrainSettings, declared, require
from pantoum.config.plain import Plain, as_typed
from pantoum.config.setting import flag
from pantoum.config.tokens import parse_tokens
from pantoum.data.prepare import open_prepared, prepare
from pantoum.data.prepared_file import Prepared, spec_fingerprint
from pantoum.errors import SettingError, TextError
from pantoum.formats import model_file, plain_json
from pantoum.formats.model_file import ModelFile
from pantoum.inference.evaluation import held_out_loss
from pantoum.inference.files.precision import plain
from pantoum.inference.loaded_model import checked, model_path
from pantoum.network import LanguageModel
from pantoum.network.program import Program
from pantoum.text.tokenizer import from_spec
from pantoum.training.assembly import TrainingRun, make_batches
from pantoum.training.memory import require_memory
from pantoum.training.pace import chosen_by_pace
from pantoum.training.recipe.choose import choose
from pantoum.training.recipe.recipe import MOST_EPOCHS, Outlook, Recipe
from pantoum.training.result import card
from pantoum.training.run.budget import DEFAULT_MINUTES, Budget, Clock, Span
from pantoum.training.run.run_folder import BEGAN, RunFolder, machine
from pantoum.training.run.run_state import RunState
from pantoum.training.update.backend import TrainingEngine

LEAST_MONITORED, MOST_MONITORED = 2048, 100_000
MONITORED_SHARE = 0.002
"""With minutes, an evaluation looks at as many tokens as are trained in this share of the time."""
SURPRISING_TOKENS = 8192
"""Tokens of the text that the model of ``--from`` reads, to learn how strange the text is to it."""


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
    source = read_source(settings)
    if prepared is None:
        prepared = prepare_texts(settings, texts, folder.data, source)
    notes = list(prepared.notes)
    if source is not None:
        notes.append(_unknown(prepared))
    budget = Budget.asked(settings) or Budget("minutes", DEFAULT_MINUTES)
    recipe, tokens_per_second = choose_recipe(settings, prepared, budget, clock, source, command.processes)
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
                f"{MOST_EPOCHS:g} epochs over {prepared.train.count:,} tokens are enough, more would only "
                f"memorize them: the run ends after about {enough:.0f} of {size:.0f} s (--epochs gives more)"
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


def prepare_texts(
    settings: TrainSettings,
    texts: Sequence[str],
    out: Path | None,
    source: ModelFile | None,
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
        return prepare(texts, out=out, tokenizer=tokenizer, **asked)
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
    if settings.from_ is None:
        return None
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


def choose_recipe(
    settings: TrainSettings,
    prepared: Prepared,
    budget: Budget,
    clock: Clock,
    source: ModelFile | None,
    ranks: int = 1,
) -> tuple[Recipe, float]:
    """The recipe, and with minutes the expected training speed of all ranks in tokens per second (else 0)."""
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
        return chosen(outlook), 0.0
    seconds = budget.amount * 60.0
    left = max(seconds - clock.seconds, 0.1 * seconds)
    measures = settings.precision == AUTO
    return chosen_by_pace(chosen, outlook, prepared, left, seconds, ranks=ranks, measures=measures)


def surprise(source: ModelFile, prepared: Prepared) -> float | None:
    """How strange a text is to the model that training starts from: the nats per token that it needs for the
    beginning of the training text, more than its card says of its own held-out text. At least 0, and ``None``
    where the card does not say. To one decimal, because the recipe of a run with steps or epochs must not
    depend on the last bits of a machine. It sets the learning rate of fine-tuning (decision 079)."""
    monitor = source.card.get("monitor")
    own = monitor.get("nats_per_token") if isinstance(monitor, dict) else None
    if not isinstance(own, int | float) or prepared.train.count < 2:
        return None
    config = ModelConfig.from_spec(source.config)
    model = LanguageModel(prepared.tokenizer.vocab_size, config=config, seed=None)
    tokens = prepared.train.read(0, min(SURPRISING_TOKENS, prepared.train.count))
    found = held_out_loss(Program(model, source.parameters), tokens, prepared.tokenizer)
    more = found - own
    return max(0.0, round(more, 1)) if math.isfinite(more) else None


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


def _unknown(prepared: Prepared) -> str:
    """What of the text another model's tokenizer does not know."""
    unknown, count = int(prepared.facts["train"].get("unknown", 0)), prepared.train.count
    if not unknown:
        return "the model's tokenizer knows all of the text"
    return f"{unknown:,} of {count:,} training tokens are unknown to the model's tokenizer: read as <unk>"


def _agrees(asked: object, known: object) -> bool:
    """Whether a setting was left out, or names what is there (``bpe:500`` names ``bpe``)."""
    kind, _ = parse_tokens(asked)
    return asked in (AUTO, None, known) or (kind is not None and kind.name == known)


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
