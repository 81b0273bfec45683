"""What the values of a checkpoint's ``state.json`` must be, and the check; ``RunState`` names them.

A checkpoint's hash shows that no byte has changed by accident, not that we wrote it. So every value is
checked before anything is built from it, and a wrong one is refused by its path: ``guard.losses[3] is "x": it
must be a number``. Rules between values (a step within its text, arrays that fit the recipe) belong to those
who know both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from pantoum.config import AUTO, BUDGETS, TrainSettings, declared
from pantoum.config.plain import Plain
from pantoum.config.setting import Setting
from pantoum.errors import CheckpointError, SettingError
from pantoum.training.recipe.recipe import Recipe
from pantoum.training.run.meter import MOST_POINTS
from pantoum.training.update.update_guard import MOST_IN_ALL, PATIENCE, WINDOW

__all__ = [
    "AMOUNT",
    "BEST",
    "BUDGET",
    "COUNT",
    "CURSOR",
    "CURVE",
    "FLAG",
    "GUARD",
    "IDENTITY",
    "MOST_EARLIER",
    "RECIPE",
    "SIZE",
    "SPAN",
    "STEP",
    "TEXT",
    "Later",
    "Maybe",
    "Several",
    "require_state",
    "stored",
]

MOST_STEPS = 10**12
MOST_TEXT = 1000
MOST_EARLIER = 100
"""Earlier budgets that are kept."""


@dataclass(frozen=True)
class StateRule:
    """What a value must be, in words and as a test."""

    words: str
    fits: Callable[[Any], bool]


@dataclass(frozen=True)
class Several:
    """A list of at most so many values of one rule."""

    of: object
    most: int


@dataclass(frozen=True)
class Maybe:
    """``null``, or a value of the rule."""

    of: object


@dataclass(frozen=True)
class Later:
    """A value that states of older versions do not have."""

    of: object


def _whole(least: int, most: int) -> StateRule:
    return StateRule(
        f"must be a whole number from {least:,} to {most:,}",
        lambda value: type(value) is int and least <= value <= most,
    )


def _number(least: float, most: float) -> StateRule:
    return StateRule(
        f"must be a number from {least:g} to {most:g}",
        lambda value: type(value) in (int, float) and least <= value <= most,
    )


def _one_of(*names: str) -> StateRule:
    return StateRule(
        f"must be one of {', '.join(names)}", lambda value: isinstance(value, str) and value in names
    )


def _settings() -> dict[str, object]:
    """The rules of what a recipe has of the settings."""
    known = declared(TrainSettings)
    found: dict[str, object] = {}
    for each in fields(Recipe):
        if each.name in known:
            one = known[each.name]
            found[each.name] = one if each.default is MISSING else Later(one)
    return found


STEP, COUNT = _whole(0, MOST_STEPS), _whole(0, 2**62)
SIZE = _whole(1, 2**31)
AMOUNT, LOSS = _number(0.0, 1e15), _number(-1e300, 1e300)
SHARE = _number(0.0, 1.0)
FLAG = StateRule("must be true or false", lambda value: type(value) is bool)
TEXT = StateRule(
    f"must be a text of at most {MOST_TEXT} characters", lambda v: isinstance(v, str) and len(v) <= MOST_TEXT
)
OBJECT = StateRule("must be an object", lambda value: isinstance(value, dict))

RECIPE: dict[str, object] = {
    "model": OBJECT,  # ``ModelConfig`` has its own rules
    "warm_up": SHARE,
    "samples": Later(SIZE),
    **_settings(),
}
SPAN = {"by_clock": FLAG, "begin": AMOUNT, "end": AMOUNT, "warm_up": FLAG}
BUDGET = {"kind": _one_of(*BUDGETS), "amount": AMOUNT}
IDENTITY = {"text": TEXT, "held-out text": Maybe(TEXT), "tokenizer": TEXT, "began_from": Maybe(TEXT)}
CURSOR = dict.fromkeys(("epoch", "batch", "batch_size", "seq_len", "tokens"), COUNT)
GUARD = {
    "losses": Several(LOSS, WINDOW),
    "bad_in_a_row": _whole(0, PATIENCE),
    "incident": Maybe(COUNT),
    "skipped": COUNT,
    "rollbacks": _whole(0, MOST_IN_ALL),
    "height": Later(Maybe(LOSS)),
    "rollbacks_before": Later(_whole(0, MOST_IN_ALL)),
    "of_the_text": Later(LOSS),
}
POINT = {"step": STEP, "tokens": COUNT, "loss": Maybe(LOSS), "valid": Maybe(LOSS)}
CURVE = {
    "points": Several(POINT, MOST_POINTS),
    "sums": {"loss": LOSS, "accuracy": LOSS, "updates": COUNT, "tokens": COUNT},
}
BEST = {"step": STEP, "averaged": FLAG, "loss": LOSS}


def stored(rule: object, read: Callable[[Any], Any] = lambda plain: plain, **more: Any) -> Any:
    """A field of the state with the rule of its plain value, and what reads that."""
    return field(metadata={"rule": rule, "read": read}, **more)


def require_state(spec: Mapping[str, Plain], rules: Mapping[str, object]) -> None:
    """``CheckpointError`` that names the first value which is not as it must be."""
    _require(spec, rules, "")
    span: Any = spec["span"]
    budget: Any = spec["budget"]
    if span["by_clock"] != (budget["kind"] == "minutes"):  # steps would be taken for seconds
        words = f"is {span['by_clock']}: it must agree with the budget, which is in {budget['kind']}"
        raise _refusal("span.by_clock", words)
    # How many steps are in an epoch depends on the text, which is not known here.
    size = {"minutes": 60.0 * budget["amount"], "steps": max(1.0, math.ceil(budget["amount"]))}
    most = span["begin"] + size.get(budget["kind"], math.inf)
    if span["end"] > most:
        raise _refusal("span.end", f"is {span['end']:g}: it must be at most {most:g}, where the budget ends")


def _require(value: Any, rule: Any, path: str) -> None:
    if isinstance(rule, Later):
        rule = rule.of
    if isinstance(rule, Maybe):
        if value is None:
            return
        rule = rule.of
    if isinstance(rule, Setting):
        try:
            chosen = rule.plain(value) != AUTO
        except SettingError as problem:
            raise _refusal(path, f"is {_short(value)}: it {problem.rule}") from None
        if not chosen:
            raise _refusal(path, f"is {_short(value)}: it must be chosen")
    elif isinstance(rule, StateRule):
        if not rule.fits(value):
            raise _refusal(path, f"is {_short(value)}: it {rule.words}")
    elif isinstance(rule, Several):
        if not isinstance(value, list) or len(value) > rule.most:
            raise _refusal(path, f"is {_short(value)}: it must be a list of at most {rule.most} values")
        for place, each in enumerate(value):
            _require(each, rule.of, f"{path}[{place}]")
    else:
        _require_keys(value, rule, path)
        for name, each in value.items():
            _require(each, rule[name], f"{path}.{name}" if path else name)


def _require_keys(value: Any, rule: Mapping[str, object], path: str) -> None:
    if not isinstance(value, dict):
        raise _refusal(path, f"is {_short(value)}: it must be an object")
    needed = {name for name, of in rule.items() if not isinstance(of, Later)}
    for name in sorted(needed - set(value)):
        raise _refusal(f"{path}.{name}" if path else name, "is missing")
    for name in sorted(set(value) - set(rule)):
        raise _refusal(
            f"{path}.{name}" if path else name, "is not known here: a newer pantoum may have written it"
        )


def _refusal(path: str, words: str) -> CheckpointError:
    return CheckpointError(
        f"the checkpoint's state cannot be used: {path or 'the whole'} {words}; "
        "go on from another checkpoint, or start a new run"
    )


def _short(value: object) -> str:
    """At most 60 characters of a value, whatever it is."""
    if isinstance(value, (dict, list)):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**30:
        return "a number of more than 30 digits"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
