"""The guard: looks at each loss and gradient before the weights do.

An update is **bad** if its loss or the norm of its gradient is not finite, or if the loss is a spike: above
``median + max(10 sigma, median, 1 nat)`` of the last 64 accepted losses, with sigma 1.4826 times the median
absolute deviation. Until 16 are known the limit is three times the loss of a uniform guess, and a nat.
Medians, because a mean would follow the very spikes it should catch.

1. A bad update is skipped: weights, moments and averages stay as they are.
2. Three in a row, and the run is rolled back to the last good checkpoint, at half the rate.
3. A spike that comes back after that, in the same place and at a loss that a sane model can have, is the
   text's own doing (another language, a table in a novel): it is accepted, and said.
4. After three rollbacks the next is ``DivergedError``.

The guard decides; ``loop.py`` acts. Its record is plain, and goes into the checkpoint and comes out of it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from enum import Enum
from statistics import median
from typing import Any

__all__ = ["Guard", "Verdict"]

WINDOW = 64
KNOWN = 16
PATIENCE = 3
MOST_ROLLBACKS = 3


class Verdict(Enum):
    """What to do with an update."""

    ACCEPT = "accept"
    SKIP = "skip"
    ROLL_BACK = "roll back"
    GIVE_UP = "give up"


class Guard:
    """Judges one update after the other; ``vocab_size`` gives the loss of a uniform guess."""

    def __init__(self, vocab_size: int) -> None:
        self._sane = 3.0 * math.log(max(vocab_size, 2)) + 1.0
        self._losses: deque[float] = deque(maxlen=WINDOW)
        self._bad_in_a_row = 0
        self._incident: int | None = None
        self.skipped = 0
        """Updates skipped so far."""
        self.rollbacks = 0
        """Rollbacks so far."""
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
        if len(self._losses) < KNOWN:
            return self._sane
        middle = median(self._losses)
        sigma = 1.4826 * median(abs(loss - middle) for loss in self._losses)
        return middle + max(10.0 * sigma, middle, 1.0)

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
        again = self._incident is not None and step <= self._incident
        if finite and loss <= self._sane and again:
            self.last_reason = f"step {step}: {what} again, at a lower rate: the text is like this here"
            self._bad_in_a_row = 0
            self._losses.clear()
            self._losses.append(loss)
            return Verdict.ACCEPT
        self.last_reason = f"step {step}: {what}, {PATIENCE} times in a row"
        return Verdict.ROLL_BACK if self.rollbacks < MOST_ROLLBACKS else Verdict.GIVE_UP

    def rolled_back(self, step: int, record: Mapping[str, Any] | None) -> None:
        """Take up the record of the good checkpoint (none: the run's start) after trouble at ``step``."""
        skipped, rollbacks = self.skipped, self.rollbacks + 1
        self.restore(record if record is not None else Guard(2).spec())
        self._bad_in_a_row, self._incident = 0, step
        self.skipped, self.rollbacks = skipped, rollbacks

    def spec(self) -> dict[str, Any]:
        """The record as plain values, for the checkpoint."""
        return {
            "losses": list(self._losses),
            "bad_in_a_row": self._bad_in_a_row,
            "incident": self._incident,
            "skipped": self.skipped,
            "rollbacks": self.rollbacks,
        }

    def restore(self, record: Mapping[str, Any]) -> None:
        """Go on from a record."""
        self._losses = deque((float(loss) for loss in record["losses"]), maxlen=WINDOW)
        self._bad_in_a_row = int(record["bad_in_a_row"])
        self._incident = record["incident"]
        self.skipped, self.rollbacks = int(record["skipped"]), int(record["rollbacks"])
