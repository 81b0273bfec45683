"""Where a scorer of a growing text stands, in a file: to go on after a restart as if there had been none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pantoum.apps.logs import score_state_file
from pantoum.seams import Plain, Scorer

__all__ = ["read", "write"]


def write(scorer: Scorer, path: Path, of: Mapping[str, Plain], place: Mapping[str, Plain]) -> bool:
    """Write it; ``of``: what it is a state of; ``place``: how far the text was read. Whether it could be: not
    within a character."""
    kept = scorer.kept()
    if kept is None:
        return False
    arrays, plain = kept
    score_state_file.write(path, arrays, {"of": _listed(of), "place": place, "scorer": plain})
    return True


def read(scorer: Scorer, path: Path, of: Mapping[str, Plain]) -> tuple[Mapping[str, Plain], int]:
    """Let a new scorer go on from the file: (how far the text was read, the lines of it that are unanswered).
    ``StateError`` where the file is damaged, or of another model or other settings."""
    arrays, body = score_state_file.read(path)
    kept, place, was = body.get("scorer"), body.get("place"), body.get("of")
    if not (isinstance(kept, dict) and isinstance(place, dict) and isinstance(was, dict)):
        raise score_state_file.unusable(path, "it is no state of score")
    other = [name for name, value in _listed(of).items() if was.get(name) != value]
    if other:
        raise score_state_file.unusable(path, f"it was made with another {other[0]}")
    try:
        scorer.resume(arrays, kept)
    except (KeyError, ValueError, TypeError, IndexError, OverflowError) as problem:
        raise score_state_file.unusable(path, problem) from None
    return place, scorer.waiting_text.count("\n")


def _listed(of: Mapping[str, Plain]) -> dict[str, Plain]:
    """As JSON has it: a tuple is a list."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in of.items()}
