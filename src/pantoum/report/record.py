"""One record of a run: what the training loop says each time it reports.

The loop makes a ``Report`` and passes it to ``on_report``; ``metrics.jsonl`` stores the same record, one per
line. The live view, ``report.html``, ``watch`` and ``compare`` are made from these records alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

PHASES = ("preparing", "training", "evaluation", "sampling", "saving")
"""Where the time of a run goes; the keys of ``Report.phases``."""


@dataclass(frozen=True)
class Report:
    """A moment of a run. Losses are mean nats per token; times are seconds."""

    step: int
    """Updates done, including skipped ones."""
    tokens: int
    """Targets trained on so far."""
    seconds: float
    """Seconds used so far, including earlier sessions of a resumed run."""
    loss: float | None
    """Mean training loss since the record before this one; ``None`` if no update was accepted."""
    accuracy: float | None
    """Share of targets whose most probable token was right, over the same steps."""
    gradient_norm: float | None
    """Norm of the last gradient, before clipping; ``None`` if it was not finite."""
    learning_rate: float
    """Rate of the last update."""
    tokens_per_second: float
    """Targets trained on per second of training time, since the record before this one."""
    epoch: float
    """Epochs over the training text so far."""
    progress: float
    """Share of the budget that is used, 0 to 1."""
    time_left: float | None = None
    """Seconds to the end of the budget, estimated; ``None`` before anything is measured."""
    valid: float | None = None
    """Validation loss, nats per token by ``segments:64``, the better of the last and the averaged weights;
    ``None`` where this record has no evaluation."""
    sample: str | None = None
    """A text the model wrote at this moment, prompt not included."""
    phases: Mapping[str, float] = field(default_factory=dict)
    """Seconds by phase (``PHASES``)."""
    sampled: bool = False
    """Whether ``loss`` and ``accuracy`` compare each target with a sample of a large vocabulary only. Such a
    loss is well below the exact one; ``valid`` is always exact."""
    notes: tuple[str, ...] = ()
    """Notes for people: skipped updates, a full disk, a best model."""
    ended: str | None = None
    """``finished``, ``stopped`` or ``failed`` on the last record of a session that ended by itself."""

    @property
    def figures(self) -> dict[str, float]:
        """What has a curve over the steps, by its name: for programs that draw them."""
        values = {name: value for name, value in self.to_dict().items() if isinstance(value, (int, float))}
        return {name: value for name, value in values.items() if name not in ("step", "sampled")}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for one line of JSON: what is not finite becomes ``None``, which JSON has."""
        plain: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, float):
                value = value if math.isfinite(value) else None
            elif isinstance(value, Mapping):
                value = dict(value)
            elif isinstance(value, tuple):
                value = list(value)
            plain[each.name] = value
        return plain

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> Report:
        """The inverse of ``to_dict``; keys of a newer pantoum are passed over."""
        known = {each.name for each in fields(Report)}
        values = {name: value for name, value in plain.items() if name in known}
        values["notes"] = tuple(values.get("notes", ()))
        return Report(**values)
