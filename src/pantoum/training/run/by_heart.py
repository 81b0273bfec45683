"""Whether a run learned its text by heart: its validation loss rose again while its training loss fell."""

from __future__ import annotations

from typing import Any

from pantoum.config import DropoutConfig
from pantoum.training.run.meter import Curve
from pantoum.training.run.run_state import Best

__all__ = ["learned_by_heart"]

LEAST_RISE = 0.01
"""Nats per token. The learning rate ends close to 0, so a loss that ends higher by one percent of the
perplexity did not do so by chance."""


def learned_by_heart(curve: Curve, best: Best | None, dropout: DropoutConfig) -> str | None:
    """What a person should know and can do at the end of a run whose best weights are not its last ones;
    ``None`` where the text was not learned by heart."""
    points: list[dict[str, Any]] = curve.points
    judged = [point for point in points if point["valid"] is not None]
    trained = [point for point in points if point["loss"] is not None]
    before = [point for point in trained if best is not None and point["step"] <= best.step]
    if best is None or not judged or not before:
        return None
    end = judged[-1]["valid"]
    if end - best.loss < LEAST_RISE or trained[-1]["loss"] >= before[-1]["loss"]:
        return None
    more = f"more dropout than {dropout.spell()}" if dropout.active else "dropout"
    return (
        f"the best weights, which are kept, are those of step {best.step:,} of {points[-1]['step']:,}: after "
        f"that the validation loss rose from {best.loss:.3f} to {end:.3f} and the training loss fell, so the "
        f"text was learned by heart; give less time, {more} (--dropout), a smaller --hidden-size or more text"
    )
