"""How a run goes on: from its newest checkpoint that verifies, as if nothing had happened.

- An unfinished run completes its budget. A budget that is given again must say something: the same one is
  accepted, a longer or shorter one takes its place (from the checkpoint where the rate began to fall, if the
  run is past it).
- A finished run is left alone, unless a budget is given: then it goes *further* by that, from the
  checkpoint where the rate began to fall, without a new warm-up.
- Another budget counts from one instant on: that of the first checkpoint which has it. A command that is
  killed before has changed nothing, and one that is given again after that goes on with it.
- A command that is killed after the last checkpoint of a finished run, and before its own end, has that end
  done again: the same budget, given again, is not one to go further by.
- A run that was killed before its first checkpoint begins again from what ``config.json`` says was asked.
- An address that stands in ``config.json`` is not opened, because whoever made the folder could have named
  any. The run keeps its tokens; where they are missing, the address must be given again.
- Only the budget, threads, the device and the saving interval may change. Text, tokenizer, shape or a
  setting that differs is refused with what differs; settings that are left out are those of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from pantoum.config import (
    AUTO,
    BUDGETS,
    OF_ONE_COMMAND,
    DropoutConfig,
    ModelConfig,
    TrainSettings,
    declared,
    parse_softmax,
    spell_softmax,
    whole,
)
from pantoum.config.plain import Plain, as_typed, quoted
from pantoum.config.setting import flag
from pantoum.data.forms import is_address
from pantoum.data.prepare import differences, open_prepared, restored
from pantoum.data.prepared_file import Prepared
from pantoum.errors import (
    CheckpointError,
    PantoumError,
    RunError,
    SettingError,
    ShardError,
    StorageError,
    TextError,
)
from pantoum.formats import checkpoint
from pantoum.formats.checkpoint import Checkpoint
from pantoum.network.spec import number
from pantoum.training.assembly import STREAMS, TrainingRun, make_batches
from pantoum.training.begin import TrainingCommand, begin, every, identity, learned_text
from pantoum.training.recipe.recipe import Recipe
from pantoum.training.run.budget import Budget, Schedule, Span
from pantoum.training.run.run_folder import RunFolder, alike
from pantoum.training.run.run_state import RunState
from pantoum.training.source import grown, read_source

OF_THE_RECIPE = {"softmax", *(each.name for kind in (Recipe, ModelConfig) for each in fields(kind))}
"""Settings that the recipe of a run tells, if it was not given them too."""

BEGUN_WITH = "stop_after", "checkpoint_every", "data"
"""What a run that begins again from its start takes from the new command, beside the budget."""


def resume(folder: RunFolder, command: TrainingCommand) -> TrainingRun | RunState:
    """The run in ``folder``, ready to go on; of one that is finished, where nothing further was asked, its
    state."""
    settings, texts = command.settings, command.texts
    found = checkpoint.newest(folder.path)
    config = folder.read_config() if found is None or folder.config.exists() else {}
    known = _recorded(config)
    recorded = known or TrainSettings()
    if found is None:
        _refuse_other_names(texts, config)
        given = texts or _texts_here(config)
        hidden = is_address(recorded.valid or "") and settings.valid is None
        if hidden or (config.get("texts") and not given):
            raise TextError(
                f"the run in {str(folder.path)!r} was begun from an address and has no checkpoint yet: an "
                "address from a file is not opened; give TEXT again, and --valid if there was one"
            )
        return _from_the_start(folder, command, recorded, given)
    notes = list(found.notes)
    state = RunState.of(found)
    if config:
        state.require_run(config.get("run"), found.path)
    _refuse_other_settings(settings, known, state.recipe, config.get("kind"))
    asked = Budget.asked(settings)
    again = state.finished and folder.is_ending and asked in (None, state.budget)
    anew = asked is not None and not again and (state.finished or asked != state.budget)
    if state.finished and not again and not anew:
        _refuse_other_names(texts, config)
        return state
    named = {"valid": recorded.valid, "data": recorded.data, "from_": recorded.from_}
    there = {key: _there(config, name) for key, name in named.items() if name and not is_address(name)}
    valid = settings.valid or there.get("valid")
    try:
        prepared = _tokens(folder, settings.data or there.get("data"), texts or _texts_here(config), valid)
    except TextError:
        if again:  # its text is gone: its end stays as it is
            return state
        raise
    _refuse_other_texts(prepared, state, texts, valid)
    _require_arrays(found, state, prepared.tokenizer.vocab_size)
    command.clock.used_before = state.seconds
    further = anew and state.finished
    if asked is not None and anew:
        found, state = _with_budget(folder, found, state, asked, prepared, notes)
    batches = make_batches(prepared, state.batch_size, state.seq_len, state.cursor)
    run = TrainingRun(
        folder,
        prepared,
        state,
        batches,
        command.engine,
        found=found,
        weights=_source_weights(there.get("from_"), state, prepared.tokenizer.vocab_size),
        notes=notes,
        checkpoint_every=every(settings) or every(recorded),
    )
    run.opens_span, run.begins_anew = further, anew
    step, given_by = state.step, () if asked is None else command.words
    run.when_begun = lambda: [
        *folder.drop_records_after(step),
        *_record_budget(folder, config, state, prepared, given_by),
    ]
    lost = run.keep_best.recall(folder.model)
    if again:
        run.notes.append("the command was killed while it finished the run: its last part is repeated")
    run.notes += [f"continuing from step {state.step:,}", *([lost] if lost else [])]
    return run


def _tokens(folder: RunFolder, elsewhere: str | None, texts: Sequence[str], valid: str | None) -> Prepared:
    """The tokens that the run learns from; a finished run makes its own again from the text."""
    if elsewhere is not None:
        return open_prepared(elsewhere)
    return restored(folder.data, texts, valid)


def _texts_here(config: Mapping[str, Any]) -> Sequence[str]:
    """The texts that the run's folder names; none if one of them is an address."""
    texts: Sequence[str] = config.get("texts", ())
    return () if any(map(is_address, texts)) else [_there(config, text) for text in texts]


def _there(config: Mapping[str, Any], name: str) -> str:
    """The path of what the run's first command named: from the folder in which it was typed, or, if that has
    no such file any more, from this one."""
    here, there = Path(name), Path(str(config.get("folder", "")), name)
    elsewhere = there.exists() and not (here.exists() and here.samefile(there))
    return str(there) if elsewhere else name


def _require_arrays(found: Checkpoint, state: RunState, vocab_size: int) -> None:
    """Refuse a state that asks for larger networks or more streams than the checkpoint holds arrays for,
    before anything is made."""
    model, members, streams = state.recipe.model, state.recipe.members, state.batch_size
    whole(members, "members", most=len(found.arrays))
    whole(streams, "batch_size", most=max(1, found.arrays.get(STREAMS, np.zeros(0)).size))
    whole(state.recipe.shards, "shards", most=streams)
    held = sum(array.size for array in found.arrays.values())
    carried = streams * model.hidden_size * model.num_layers
    needed = members * (number(model, vocab_size) + carried)
    if held < needed:
        raise CheckpointError(
            f"{found.path}: its state needs at least {needed:,} numbers but its arrays hold {held:,}; go on "
            "from another checkpoint, or start a new run"
        )


def _from_the_start(
    folder: RunFolder, command: TrainingCommand, recorded: TrainSettings, texts: Sequence[str]
) -> TrainingRun:
    """A run that was killed before its first checkpoint, from these texts."""
    settings = command.settings
    _refuse_other_settings(settings, recorded, None)
    given = {name: getattr(settings, name) for name in (*BUDGETS, *BEGUN_WITH) if settings.given(name)}
    if Budget.asked(settings) is not None:
        given = {**dict.fromkeys(BUDGETS), **given}
    prepared = _from_stdin(folder, "-" in command.texts) if "-" in texts else None
    run = begin(folder, replace(command, settings=replace(recorded, **given), texts=texts), prepared)
    run.notes.append("there was no checkpoint yet: beginning from the start")
    return run


def _from_stdin(folder: RunFolder, again: bool) -> Prepared | None:
    """What came through stdin, which cannot be read twice; none if it was not all read and comes again."""
    try:
        return open_prepared(folder.data)
    except (ShardError, StorageError, TextError):
        if again:
            return None
        raise TextError(
            f"the run in {str(folder.path)!r} was killed before all of its text had come through stdin; pipe "
            f"the text once more into: pantoum train - --run {quoted(str(folder.path))} --resume"
        ) from None


def _with_budget(
    folder: RunFolder, found: Checkpoint, state: RunState, asked: Budget, prepared: Prepared, notes: list[str]
) -> tuple[Checkpoint, RunState]:
    """Where to go on from under a new budget, and the state with it."""
    finished, used = state.finished, state.seconds
    steps_per_epoch = (prepared.train.count - 1) // (state.batch_size * state.seq_len)
    size = asked.size(steps_per_epoch)
    schedule = Schedule(state.recipe.schedule)
    if state.decay_step is not None and state.decay_step != state.step and schedule.prolonged_from < 1.0:
        try:
            found = checkpoint.read(folder.path, state.decay_step)
            earlier = RunState.of(found)
            earlier.require_run(state.run, found.path)
            state = earlier
            notes.append(f"back to step {state.step:,}, where the rate began to fall")
        except CheckpointError as problem:
            notes.append(f"{problem}; continuing from the end instead")
    here = used if asked.by_clock else float(state.step)
    if finished:
        # Further by the clock: from what all sessions used; by steps: from where training goes on.
        span = Span(asked.by_clock, here, here + size, warm_up=schedule.rises_again)
    else:
        begin, end = 0.0, size
        if asked.by_clock == state.span.by_clock:  # a run that goes further counts from where that began
            begin = state.span.begin
            end, whole_end = begin + size, begin + state.budget.size(steps_per_epoch)
            if state.span.end < whole_end:  # it ends before its budget: the text is read often enough then
                end = min(end, state.span.end)
        warm_up = state.span.warm_up and state.decay_step is None
        span = Span(asked.by_clock, begin, end, warm_up=warm_up)
        if end <= here:
            raise SettingError(
                asked.kind,
                int(asked.amount) if asked.amount.is_integer() else asked.amount,
                f"must be more than the run has used already: it is at step {state.step:,}",
                "give more, or leave it out to complete the run",
            )
    notes.append(f"the budget is now {asked}" + (" further" if finished else ""))
    return found, state.with_budget(asked, span, used, further=finished)


def _record_budget(
    folder: RunFolder,
    config: Mapping[str, Plain],
    state: RunState,
    prepared: Prepared,
    command: Sequence[str],
) -> list[str]:
    """Write the state's budget into ``config.json``, if that is there and says another. ``command``: the one
    that gave the budget, if one did. A file that cannot be changed does not stop a run: that is a note."""
    words = state.budget_in_words
    if not config or config.get("budget") == words:
        return []
    before = config.get("resumed_by")
    commands: list[Plain] = list(before) if isinstance(before, list) else []
    if command:
        commands.append(list(command))
    text = learned_text(prepared.facts, prepared.tokenizer.spec())
    try:
        folder.write_config({**config, "text": text, "budget": words, "resumed_by": commands})
    except StorageError as problem:
        return [f"config.json keeps the earlier budget: {problem}"]
    return []


def _refuse_other_texts(prepared: Prepared, state: RunState, texts: Sequence[str], valid: str | None) -> None:
    """The tokens must be those the run began with, and texts, where they are given, those of the tokens."""
    now = identity(prepared, None)
    differ = [
        f"another {what}"
        for what in ("text", "held-out text", "tokenizer")
        if now[what] != state.identity[what]
    ]
    if not differ and texts:
        differ = differences(prepared, texts, valid=valid)
    if differ:
        raise RunError(
            f"the run cannot continue with other data: {'; '.join(differ)}; give what it began with "
            "(TEXT may be left out), or begin a new run, with --from for this one's model"
        )


def _refuse_other_names(texts: Sequence[str], config: Mapping[str, Any]) -> None:
    """Where the texts are not compared themselves their names are, so that a run of another text is not taken
    for the one that was meant."""
    began: Sequence[str] = config.get("texts", ())
    if not alike(began, texts):
        raise RunError(
            f"the run was begun with {', '.join(began[:3])}, not with {', '.join(texts[:3])}; give what it "
            "began with (TEXT may be left out), or another run with --run"
        )


def _refuse_other_settings(
    settings: TrainSettings, recorded: TrainSettings | None, recipe: Recipe | None, kind: object = None
) -> None:
    """What is given must be what the run has; what is left out is its default, and says nothing. ``kind``:
    the tokenizer that was chosen, if it was left to the run."""
    differ = []
    for name in declared(TrainSettings):
        if name in (*BUDGETS, *OF_ONE_COMMAND) or not settings.given(name):
            continue
        if recipe is not None and name in recipe.model.unused:
            continue  # it had no effect when the run began
        given = getattr(settings, name)
        if recipe is not None and name in OF_THE_RECIPE:
            known, given = _of_recipe(recipe, name), _spelt(name, given)
        elif recorded is not None:
            known = getattr(recorded, name)
            if name == "tokens" and known == AUTO and kind is not None:
                known = kind
        else:
            continue
        if known != given:
            differ.append(f"{flag(name)} is {as_typed(given)}, the run has {as_typed(known)}")
    if differ:
        raise RunError(
            f"a resumed run keeps its settings, but {'; '.join(differ)}; leave it out, or begin a new run"
        )


def _spelt(name: str, given: Any) -> Any:
    """A setting as ``_of_recipe`` spells it."""
    if name == "dropout":
        return DropoutConfig.parse(given).spell()
    return spell_softmax(parse_softmax(given)) if name == "softmax" else given


def _of_recipe(recipe: Recipe, name: str) -> object:
    """A setting as the run really has it."""
    if name == "dropout":
        return recipe.model.dropout.spell()
    if name == "softmax":
        return spell_softmax(recipe.samples)
    return getattr(recipe, name) if hasattr(recipe, name) else recipe.model.setting(name)


def _recorded(config: Mapping[str, object]) -> TrainSettings | None:
    """The settings that the run began with, if they are known."""
    known = config.get("settings")
    return TrainSettings.of(known) if isinstance(known, dict) else None


def _source_weights(path: str | None, state: RunState, vocab_size: int) -> Mapping[str, Any] | None:
    """The weights that the run began from: needed again only if it is rolled back to its very start."""
    if state.identity.get("began_from") is None or path is None:
        return None
    try:
        source = read_source(TrainSettings(from_=path))
    except PantoumError:  # moved or damaged since: the run goes on, without its start to return to
        return None
    same = source is not None and source.sha256 == state.identity["began_from"]
    return grown(source, vocab_size).parameters if source is not None and same else None
