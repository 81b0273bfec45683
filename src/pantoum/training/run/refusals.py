"""How saves that the disk refuses are told: the first in full, then a count, then that saving works again."""

from __future__ import annotations

from collections.abc import Callable

from pantoum.training.run.checkpointing import Outcome

__all__ = ["Refusals"]

LOUD = (10, 100, 1000, 10_000)
"""Failures in a row after which the count is said."""


class Refusals:
    """Listens to the outcomes of saving."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._in_a_row: dict[str, int] = {}

    def hear(self, outcome: Outcome) -> None:
        """Take note of one outcome, and say what is new."""
        count = self._in_a_row.get(outcome.what, 0)
        if outcome.error is None:
            self._in_a_row[outcome.what] = 0
            if count > 1:
                self._note(
                    f"saving works again: {outcome.what} of step {outcome.step:,}, after {count:,} failures"
                )
            return
        count += 1
        self._in_a_row[outcome.what] = count
        if count == 1:
            self._note(
                f"SAVING FAILED, {outcome.what} of step {outcome.step:,}: {outcome.error}; "
                "what was saved before is whole, training goes on and tries again"
            )
        elif count in LOUD:
            self._note(
                f"SAVING FAILED {count:,} times in a row, {outcome.what} of step {outcome.step:,} the last"
            )
