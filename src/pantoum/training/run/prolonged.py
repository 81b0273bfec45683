"""``config.json`` of a run that goes on: the budget in force, and the commands that gave it.

The checkpoint decides what the budget is; ``config.json`` repeats it for people, the page and ``compare``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pantoum.config.plain import Plain
from pantoum.data.prepare import Prepared
from pantoum.errors import StorageError
from pantoum.report import learned_text
from pantoum.training.run.run_folder import RunFolder
from pantoum.training.run.run_state import RunState

__all__ = ["record_budget"]


def record_budget(
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
    text = learned_text.of_facts(prepared.facts, prepared.tokenizer.spec())
    try:
        folder.write_config({**config, "text": text, "budget": words, "resumed_by": commands})
    except StorageError as problem:
        return [f"config.json keeps the budget before: {problem}"]
    return []
