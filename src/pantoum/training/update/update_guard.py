"""The guard judges each loss and gradient before the weights are moved.

An update is **bad** if its loss or the norm of its gradient is not finite, or if the loss is a spike: above
``median + max(10 sigma, median, 1 nat)`` of the last 64 accepted losses, with sigma 1.4826 times the median
absolute deviation. Until 16 are known the limit is three times the loss of a uniform guess, and a nat.
Medians are used because a mean would follow the spikes that it should catch.

1. A bad update is skipped: weights, moments and averages stay as they are.
2. After three bad updates in a row the run is rolled back to its last good checkpoint, at half the rate.
3. A spike that returns in the same place after a rollback is caused by the text (another language, a table
   in a novel) if its loss is one that a sane model can have, or if the loss is as high as before the
   rollback: half the rate moves the weights half as far, so a spike that the weights cause would be lower.
   Such a spike is accepted, and a loss of that height is not a spike any more. If it is as high as before,
   the rate and the count of rollbacks return to what they were before it.
4. After three rollbacks for the same place, or six that count in all, the next is ``DivergedError``.

The guard decides and ``Trainer`` acts. The guard's record is plain; every checkpoint holds it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from enum import Enum
from statistics import median
from typing import Any

from pantoum.config.plain import Plain

WINDOW = 64
KNOWN = 16
PATIENCE = 3
MOST_ROLLBACKS, MOST_IN_ALL = 3, 6
"""Rollbacks for one place, and those that count in all: at a 64th of the rate a run hardly learns."""
NEAR = 8
"""Updates after an incident that are in its place: at another rate a passage is a spike a little later."""
AS_HIGH = (0.75, 1.33)
"""A loss within these factors of the one before a rollback is as high as before."""
ABSURD = 10.0
"""No text causes a loss above so many times that of a sane model."""
TOLERANCE = 1.25
"""A loss up to so many times one that the text has caused is not a spike."""


class Verdict(Enum):
    """What to do with an update."""

    ACCEPT = "accept"
    SKIP = "skip"
    ROLL_BACK = "roll back"
    """Or give up, if that was done too often (``gives_up``)."""


class UpdateGuard:
    """Judges one update after the other; ``vocab_size`` gives the loss of a uniform guess."""

    def __init__(self, vocab_size: int) -> None:
        self._sane = 3.0 * math.log(max(vocab_size, 2)) + 1.0
        self._losses: deque[float] = deque(maxlen=WINDOW)
        self._bad_in_a_row = 0
        self._incident: int | None = None
        self._height: float | None = None
        """The loss that caused the last rollback; ``None`` if it was not finite."""
        self._rollbacks_before = 0
        """Rollbacks before the last incident, which may cause several."""
        self._of_the_text = 0.0
        """The highest loss that the text was found to cause."""
        self.skipped = 0
        """Updates skipped so far."""
        self.rollbacks = 0
        """Rollbacks that count: those that the text caused are taken back."""
        self.last_reason = ""
        """Why the last update was not accepted as usual, for a person to read."""

    @property
    def in_trouble(self) -> bool:
        """Whether the last update was bad: no moment to keep."""
        return self._bad_in_a_row > 0

    @property
    def rate_factor(self) -> float:
        """What the learning rate is multiplied by: halved at each rollback."""
        return 0.5**self.rollbacks

    @property
    def limit(self) -> float:
        """The loss above which the next update is a spike."""
        limit = self._sane
        if len(self._losses) >= KNOWN:
            middle = median(self._losses)
            sigma = 1.4826 * median(abs(loss - middle) for loss in self._losses)
            limit = middle + max(10.0 * sigma, middle, 1.0)
        return max(limit, TOLERANCE * self._of_the_text)

    def judge(self, step: int, loss: float, gradient_norm: float) -> Verdict:
        """What to do with update number ``step``."""
        finite = math.isfinite(loss) and math.isfinite(gradient_norm)
        if finite and loss <= self.limit:
            self._bad_in_a_row = 0
            self._losses.append(loss)
            return Verdict.ACCEPT
        what = (
            f"loss {loss:.4g} is a spike above {self.limit:.3g}"
            if finite
            else (f"loss {loss:.4g}, gradient norm {gradient_norm:.4g}")
        )
        self._bad_in_a_row += 1
        if self._bad_in_a_row < PATIENCE:
            self.last_reason = f"step {step}: {what}; update skipped"
            self.skipped += 1
            return Verdict.SKIP
        as_high = finite and self._is_as_high(loss)
        if finite and self._again(step) and (as_high or loss <= self._sane):
            self.last_reason = f"step {step}: {what} again, at a lower rate: this part of the text is unusual"
            self._bad_in_a_row = 0
            self._losses.clear()
            self._losses.append(loss)
            self._of_the_text = max(self._of_the_text, loss)
            if as_high:
                self.rollbacks = self._rollbacks_before
            return Verdict.ACCEPT
        self.last_reason = f"step {step}: {what}, {PATIENCE} times in a row"
        self._height = loss if finite else None
        return Verdict.ROLL_BACK

    def gives_up(self, step: int) -> bool:
        """Whether another rollback for trouble at ``step`` would be one too many."""
        here = self.rollbacks - self._rollbacks_before if self._again(step) else 0
        return here >= MOST_ROLLBACKS or self.rollbacks >= MOST_IN_ALL

    def rolled_back(self, step: int, record: Mapping[str, Any] | None) -> None:
        """Count a rollback for trouble at ``step``; ``record``: that of the good checkpoint (none: the run's
        start), from which the accepted losses are taken."""
        if not self._again(step):
            self._incident, self._rollbacks_before = step, self.rollbacks
        self.rollbacks += 1
        self._bad_in_a_row, self.last_reason = 0, ""
        self._losses.clear()
        self._losses.extend(record["losses"] if record is not None else ())

    def _again(self, step: int) -> bool:
        """Whether ``step`` is in a place that has caused a rollback."""
        return self._incident is not None and step <= self._incident + NEAR

    def _is_as_high(self, loss: float) -> bool:
        """Whether the loss is as high as before the last rollback, and one that a text can cause."""
        if self._height is None or loss > ABSURD * self._sane:
            return False
        low, high = AS_HIGH
        return low * self._height <= loss <= high * self._height

    def spec(self) -> dict[str, Plain]:
        """The record as plain values, for the checkpoint."""
        return {
            "losses": list(self._losses),
            "bad_in_a_row": self._bad_in_a_row,
            "incident": self._incident,
            "height": self._height,
            "rollbacks_before": self._rollbacks_before,
            "of_the_text": self._of_the_text,
            "skipped": self.skipped,
            "rollbacks": self.rollbacks,
        }

    def restore(self, record: Mapping[str, Any]) -> None:
        """Go on from a record."""
        self._losses = deque((float(loss) for loss in record["losses"]), maxlen=WINDOW)
        self._bad_in_a_row = int(record["bad_in_a_row"])
        self._incident = record["incident"]
        self._height, self._rollbacks_before = record["height"], int(record["rollbacks_before"])
        self._of_the_text = float(record["of_the_text"])
        self.skipped, self.rollbacks = int(record["skipped"]), int(record["rollbacks"])
