"""Means of what the steps found out: since the last report, and for the curve that the model's card keeps.

Reports come by the clock, so that a person sees something move; the curve's points come by the steps (with
minutes, by the time used), and are part of the run: their sums go into the checkpoint, so that a resumed
run draws the same curve to the bit. At most ``MOST_POINTS`` are kept; then every second one goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pantoum.config.plain import Plain

MOST_POINTS = 200


@dataclass
class UpdateSums:
    """Sums over accepted updates."""

    loss: float = 0.0
    accuracy: float = 0.0
    updates: int = 0
    tokens: int = 0

    def add(self, loss: float, accuracy: float, tokens: int) -> None:
        """Count one update."""
        self.loss += loss
        self.accuracy += accuracy
        self.updates += 1
        self.tokens += tokens

    @property
    def mean_loss(self) -> float | None:
        """``None`` if nothing was counted."""
        return self.loss / self.updates if self.updates else None

    @property
    def mean_accuracy(self) -> float | None:
        """``None`` if nothing was counted."""
        return self.accuracy / self.updates if self.updates else None


class Curve:
    """Points ``{step, tokens, loss, valid}`` of a whole run, however long it is."""

    def __init__(self) -> None:
        self.points: list[dict[str, Plain]] = []
        self.sums = UpdateSums()
        """Since the last point."""

    def mark(self, step: int, tokens: int, valid: float | None) -> None:
        """Make a point of what was counted since the last one."""
        self.points.append({"step": step, "tokens": tokens, "loss": self.sums.mean_loss, "valid": valid})
        self.sums = UpdateSums()
        if len(self.points) > MOST_POINTS:
            # The newest stays; of the others those with a validation loss go last, being fewer.
            without = [point for point in self.points[:-1] if point["valid"] is None]
            going = without[::2] if len(without) > MOST_POINTS // 2 else self.points[:-1:2]
            gone = {id(point) for point in going}
            self.points = [point for point in self.points if id(point) not in gone]

    def spec(self) -> dict[str, Plain]:
        """Plain values, for the checkpoint."""
        return {"points": [dict(point) for point in self.points], "sums": asdict(self.sums)}

    @staticmethod
    def from_spec(spec: Mapping[str, Any]) -> Curve:
        """The inverse of ``spec``."""
        curve = Curve()
        curve.points = [dict(point) for point in spec["points"]]
        curve.sums = UpdateSums(**spec["sums"])
        return curve
