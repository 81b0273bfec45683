"""The records of a run as columns, from which every curve, page and table is made.

Records are the lines of ``metrics.jsonl``, each a plain dict with the fields of ``report.record.Report``. A
key may be missing or ``None``, a figure may not be finite (a diverged step): such points are left out,
never drawn. When a run goes on from an earlier step (resumed after a crash, rolled back), the
records of later steps before it no longer count, but for their notes; two records of one step stand
together. Nothing here reads a file or a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pantoum.report.record import PHASES
from pantoum.report.wording import finite

__all__ = ["Note", "RunHistory", "Sample"]

Record = Mapping[str, Any]
Point = tuple[float, float]
LARGEST = 1e18
"""No figure of a run is larger; a picture of such a figure would hide the others."""


@dataclass(frozen=True)
class Sample:
    """A text that the model wrote during training, and when."""

    text: str
    tokens: float | None
    seconds: float | None
    loss: float | None
    """Validation loss at that time where there is one, else training loss; nats per token."""


@dataclass(frozen=True)
class Note:
    """Something that a person should know: a rollback, a full disk, a text smaller than the batch."""

    text: str
    step: float | None
    tokens: float | None
    seconds: float | None


@dataclass(frozen=True, eq=False)
class RunHistory:
    """The records that count, in order of their step, and all notes. One history equals only itself."""

    records: tuple[Record, ...]
    notes: tuple[Note, ...] = ()

    @staticmethod
    def of(records: Iterable[Record]) -> RunHistory:
        """The history of these records, in the order in which they were written."""
        kept: list[Record] = []
        notes: list[Note] = []
        for record in records:
            del kept[_before(kept, record) :]
            kept.append(record)
            notes.extend(_notes(record))
        return RunHistory(tuple(kept), tuple(notes))

    def plus(self, record: Record) -> RunHistory:
        """This history and one record more."""
        kept = self.records[: _before(self.records, record)]
        return RunHistory((*kept, record), (*self.notes, *_notes(record)))

    def __len__(self) -> int:
        return len(self.records)

    @property
    def last(self) -> Record:
        """The newest record; empty before the first."""
        return self.records[-1] if self.records else {}

    def points(self, y: str, x: str = "tokens") -> list[Point]:
        """Pairs (x, y) of two fields where both are finite numbers; x never goes back."""
        found: list[Point] = []
        for record in self.records:
            a, b = finite(record.get(x)), finite(record.get(y))
            if a is None or b is None or max(abs(a), abs(b)) > LARGEST:
                continue
            if not found or a >= found[-1][0]:
                found.append((a, b))
        return found

    def newest(self, field: str) -> float | None:
        """The last finite value of a field."""
        return next((v for r in reversed(self.records) if (v := finite(r.get(field))) is not None), None)

    @cached_property
    def best(self) -> Record | None:
        """The record with the lowest validation loss; the earliest of equal ones."""
        scored = [r for r in self.records if finite(r.get("valid")) is not None]
        return min(scored, key=lambda r: float(r["valid"])) if scored else None

    @cached_property
    def samples(self) -> list[Sample]:
        """The samples."""
        found, loss = [], None
        for record in self.records:
            valid = finite(record.get("valid"))
            loss = valid if valid is not None else loss
            text = record.get("sample")
            if isinstance(text, str) and text:
                now = loss if loss is not None else finite(record.get("loss"))
                found.append(Sample(text, finite(record.get("tokens")), finite(record.get("seconds")), now))
        return found

    @cached_property
    def phases(self) -> dict[str, float]:
        """Seconds spent in each phase so far, the known ones first; empty where none was recorded."""
        for record in reversed(self.records):
            spent = record.get("phases")
            if isinstance(spent, Mapping) and spent:
                known = {name: finite(spent[name]) for name in PHASES if name in spent}
                other = {str(name): finite(value) for name, value in spent.items() if name not in PHASES}
                return {name: value for name, value in {**known, **other}.items() if value is not None}
        return {}

    @property
    def ended(self) -> str | None:
        """How the run ended by itself (``finished``, ``stopped``, ``failed``); ``None`` while it runs."""
        word = self.last.get("ended")
        return word if isinstance(word, str) else None


def _before(kept: Sequence[Record], record: Record) -> int:
    """How many of the records so far stand before this one's step."""
    step, many = finite(record.get("step")), len(kept)
    while step is not None and many and (finite(kept[many - 1].get("step")) or 0.0) > step:
        many -= 1
    return many


def _notes(record: Record) -> list[Note]:
    texts = record.get("notes")
    if isinstance(texts, str):
        texts = [texts]
    if not isinstance(texts, (list, tuple)):
        return []
    where = [finite(record.get(name)) for name in ("step", "tokens", "seconds")]
    return [Note(str(text), *where) for text in texts if str(text).strip()]
