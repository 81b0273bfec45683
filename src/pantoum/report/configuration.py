"""What a run really was: its settings, and for what they left open or named by a path, what came of it.

Two runs with the same values, but for the seed, are two draws of one configuration. Text and tokenizer count
by their fingerprints, the budget with all that a prolonged run was given. Where a file of an older run lacks
one of these, what was typed stands for it. Chosen learning rates are left out: with ``--minutes`` they depend
on the speed of the machine.
"""

from __future__ import annotations

from collections.abc import Mapping

from pantoum.config import BUDGETS, OF_ONE_COMMAND
from pantoum.config.plain import Plain
from pantoum.report.story import Story
from pantoum.report.wording import finite

__all__ = ["configuration"]

PLACES = frozenset(OF_ONE_COMMAND) - {"device"}
"""Settings of files and length: runs that differ only in these are the same."""
OFF = {"members": 1, "ngrams": None, "ngram_rows": None, "kneser_ney": None, "norm": None, "softmax": None}
"""What files do not tell where it is off."""
OF_TEXTS = frozenset({"data", "texts", "valid"})
"""Paths, for which the texts themselves stand."""


def configuration(story: Story) -> dict[str, Plain]:
    """What identifies the run, ``seed`` among it."""
    asked, chosen = _part(story.config, "settings"), _part(story.config, "chosen")
    model = _part(chosen, "model")
    found = {**asked, **_left_open(asked, chosen), **model, **_tokens(story.config), **_budget(story.config)}
    if "budget" in found:
        found = {name: value for name, value in found.items() if name not in BUDGETS}
    kept = {name: value for name, value in found.items() if name not in PLACES | OF_TEXTS}
    return {**kept, **_text(story, asked)}


def _left_open(asked: Mapping[str, Plain], chosen: Mapping[str, Plain]) -> dict[str, Plain]:
    """What came of the settings that were left open and are no part of every model."""
    if not chosen:
        return {}
    came = {name: chosen.get(name, without) for name, without in OFF.items()}
    return {name: value for name, value in came.items() if asked.get(name) in ("auto", None)}


def _tokens(config: Mapping[str, Plain]) -> dict[str, Plain]:
    """The tokenizer that was chosen."""
    known = {"tokens": config.get("kind"), "vocab_size": config.get("vocab_size")}
    return {name: value for name, value in known.items() if value is not None}


def _budget(config: Mapping[str, Plain]) -> dict[str, Plain]:
    """The budget in force."""
    budget = config.get("budget")
    return {"budget": budget} if isinstance(budget, str) else {}


def _text(story: Story, asked: Mapping[str, Plain]) -> dict[str, Plain]:
    """The text, and how it was split and read."""
    known = _part(story.config, "text")
    typed = [_typed(story), asked.get("data")]
    own = 0.0 if asked.get("valid") is not None else asked.get("valid_fraction")  # it holds no part out
    return {
        "text": known.get("sha256") or typed,
        "held-out text": known.get("valid_sha256") if known else asked.get("valid"),
        "tokenizer": known.get("tokenizer"),
        "documents": known.get("documents", asked.get("documents")),
        "valid_fraction": finite(known.get("valid_fraction", own)),
    }


def _typed(story: Story) -> Plain:
    """The texts as they were given."""
    texts = story.get("texts")
    if isinstance(texts, (list, tuple)):
        return [text.get("sha256", text.get("name")) if isinstance(text, Mapping) else text for text in texts]
    return None if texts is None else str(texts)


def _part(whole: Mapping[str, Plain], name: str) -> Mapping[str, Plain]:
    """A part that is a mapping; empty for anything else."""
    part = whole.get(name)
    return part if isinstance(part, Mapping) else {}
