"""One run as plain values: its records as columns, its settings, its validation figures.

Every curve, page and table is made from a ``Story``. Records are the lines of ``metrics.jsonl``, each a plain
dict with the fields of ``report.record.Report``. A key may be missing or ``None``, a figure may not be finite
(a diverged step): such points are left out, never drawn. When a run goes on from an earlier step (resumed
after a crash, rolled back), the records of later steps before it no longer count, but for their notes; two
records of one step stand together.

The files of a run that another process trains, or trained, are read without disturbing it: nothing is locked
or written. A file that is not there yet is a run that has just begun; a folder without any of them is no run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from pantoum.config import CELLS, table_words, token_unit
from pantoum.config.model_config import TABLE_TITLE
from pantoum.config.plain import Plain
from pantoum.errors import FormatError, RunError
from pantoum.formats import bounded, metrics_file, model_file, plain_json
from pantoum.formats.run_lock import held
from pantoum.report.record import PHASES
from pantoum.report.wording import comparable, count, finite

Record = Mapping[str, Any]
Point = tuple[float, float]
LARGEST = 1e18
"""No figure of a run is larger; a picture of such a figure would hide the others."""


class Sample(NamedTuple):
    """A text that the model wrote during training, and when."""

    text: str
    tokens: float | None
    seconds: float | None
    loss: float | None
    """Validation loss at that time where there is one, else training loss; nats per token."""


class Note(NamedTuple):
    """Something that a person should know: a rollback, a full disk, a text smaller than the batch."""

    text: str
    step: float | None
    tokens: float | None
    seconds: float | None


class Reference(NamedTuple):
    """A level to compare with: what ``xz`` reaches on the same validation text, in nats per token."""

    name: str
    loss: float


@dataclass(frozen=True, eq=False)
class RunHistory:
    """The records that count, in order of their step, and all notes. One history equals only itself."""

    records: tuple[Record, ...] = ()
    notes: tuple[Note, ...] = ()

    @staticmethod
    def of(records: Iterable[Record]) -> RunHistory:
        """The history of these records, in the order in which they were written."""
        counting: list[Record] = []
        notes: list[Note] = []
        for record in records:
            step = finite(record.get("step"))
            while step is not None and counting and (finite(counting[-1].get("step")) or 0.0) > step:
                counting.pop()
            counting.append(record)
            notes += _notes(record)
        return RunHistory(tuple(counting), tuple(notes))

    def __len__(self) -> int:
        return len(self.records)

    @property
    def last(self) -> Record:
        """The newest record; empty before the first."""
        return self.records[-1] if self.records else {}

    @property
    def ended(self) -> str | None:
        """How the run ended by itself (``finished``, ``stopped``, ``failed``); ``None`` while it runs."""
        word = self.last.get("ended")
        return word if isinstance(word, str) else None

    def points(self, y: str, x: str = "tokens") -> list[Point]:
        """Pairs (x, y) of two fields where both are finite numbers; x never goes back."""
        points: list[Point] = []
        for record in self.records:
            a, b = finite(record.get(x)), finite(record.get(y))
            if a is None or b is None or max(abs(a), abs(b)) > LARGEST:
                continue
            if not points or a >= points[-1][0]:
                points.append((a, b))
        return points

    def newest(self, field: str) -> float | None:
        """The last finite value of a field."""
        return next((v for r in reversed(self.records) if (v := finite(r.get(field))) is not None), None)

    @cached_property
    def best(self) -> Record | None:
        """The record with the lowest validation loss; the earliest of equal ones."""
        scored = [r for r in self.records if finite(r.get("valid")) is not None]
        return min(scored, key=lambda r: float(r["valid"]), default=None)

    @cached_property
    def samples(self) -> list[Sample]:
        """The samples."""
        samples, valid = list[Sample](), None
        for record in self.records:
            known = finite(record.get("valid"))
            valid = valid if known is None else known
            if isinstance(text := record.get("sample"), str) and text:
                loss = finite(record.get("loss")) if valid is None else valid
                when = finite(record.get("tokens")), finite(record.get("seconds"))
                samples.append(Sample(text, *when, loss))
        return samples

    @cached_property
    def phases(self) -> dict[str, float]:
        """Seconds spent in each phase so far, the known ones first; empty where none was recorded."""
        spent: Any = next((r["phases"] for r in reversed(self.records) if r.get("phases")), {})
        if not isinstance(spent, Mapping):
            return {}
        names = [name for name in PHASES if name in spent] + [name for name in spent if name not in PHASES]
        return {str(name): value for name in names if (value := finite(spent[name])) is not None}


def _notes(record: Record) -> list[Note]:
    texts = record.get("notes")
    where = [finite(record.get(name)) for name in ("step", "tokens", "seconds")]
    return [Note(str(text), *where) for text in texts] if isinstance(texts, (list, tuple)) else []


@dataclass(frozen=True, eq=False)
class Story:
    """One run."""

    name: str
    """The name of the run: that of its folder."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """``config.json``: settings, what was chosen, command, machine."""
    records: Sequence[Mapping[str, Plain]] = ()
    """The lines of ``metrics.jsonl``."""
    evaluation: Mapping[str, Plain] | None = None
    """The validation figures of the best model, with the keys of ``evaluate --json``."""
    passage: tuple[Sequence[str], Sequence[float | None]] | None = None
    """The beginning of the validation text: its pieces and their nats under the best model."""

    @cached_property
    def history(self) -> RunHistory:
        """The records as columns."""
        return RunHistory.of(self.records)

    @property
    def unit(self) -> str:
        """What a token of this run is: a byte, a character, a word, or a token."""
        units = (token_unit(self.get(name)) for name in ("kind", "tokens"))
        return next((unit for unit in units if unit != "token"), "token")

    def get(self, name: str, default: object = None) -> object:
        """A value of ``config.json``, at any level; ``auto`` counts as missing."""
        parts = [self.config, *(part for part in self.config.values() if isinstance(part, Mapping))]
        parts += [inner for part in parts[1:] for inner in part.values() if isinstance(inner, Mapping)]
        return next(
            (part[name] for part in parts if name in part and part[name] not in ("auto", None)), default
        )

    def number(self, name: str) -> float | None:
        """The same where it is a number."""
        return finite(self.get(name))

    def score(self, name: str) -> float | None:
        """A validation figure, where there is one."""
        return finite((self.evaluation or {}).get(name))

    @property
    def perplexity(self) -> float | None:
        """The validation perplexity per word of a model of words, which is what people compare."""
        return self.score("perplexity") if self.unit == "word" else None

    @property
    def cell(self) -> str:
        """The name of the cell, empty where it is unknown."""
        known = CELLS.get(str(self.get("cell", "")))
        return "" if known is None else known.title

    @property
    def about(self) -> str:
        """The model in a few words: ``GRU 3 × 512 and n-grams, 7.36 M parameters``."""
        layers, hidden, parameters = map(self.number, ("num_layers", "hidden_size", "parameters"))
        shape = f" {layers:.0f} × {hidden:.0f}" if layers and hidden else ""
        shape += f" and {TABLE_TITLE}" if self.tables else ""
        members = f"{self.members} members" if self.members > 1 else ""
        many = f"{count(parameters)} parameters" if parameters else ""
        return ", ".join(part for part in ((self.cell + shape).strip(), members, many) if part)

    @property
    def tables(self) -> str:
        """The rows of logits that are added to those of the network, in words; empty if there are none."""
        return table_words(self.get, self.unit)

    @property
    def members(self) -> int:
        """Members of the ensemble, which is saved as one model."""
        return int(self.number("members") or 1)

    @property
    def references(self) -> list[Reference]:
        """What ``bz2`` and ``xz`` reach on the validation text, in nats per token of this run."""
        tokens, size = self.score("tokens"), self.score("bytes")
        if not tokens or not size or not comparable(size):
            return []
        bits = [(name, self.score(f"{name}_bits_per_byte")) for name in ("bz2", "xz")]
        return [Reference(name, b * math.log(2) * size / tokens) for name, b in bits if b is not None]


CONFIG, METRICS, MODEL = "config.json", "metrics.jsonl", "model.safetensors"
CONFIG_LIMIT = 1 << 20
POLL = 0.5
"""Seconds between two looks at a run."""
RESTRAINT = 20.0
"""At least this many times as long as reading took, nothing is read again."""
PATIENCE = 3.0
"""Seconds that a run without a process may look unfinished: its last line may be on its way."""


def read(folder: Path | str, *, validation: bool = True) -> Story:
    """The story of the run in this folder; ``validation``: with the validation figures of its model."""
    path = Path(folder)
    if not any((path / name).is_file() for name in (CONFIG, METRICS)):
        what = f"there is neither {CONFIG} nor {METRICS} in it"
        if not path.is_dir():
            what = "it is a file" if path.exists() else "it does not exist"
        raise RunError(f"run is {str(folder)!r}: {what}; give the folder of a run, such as runs/book")
    card: Plain = None
    if validation and (path / MODEL).is_file():
        with suppress(FormatError):  # it is being replaced
            card = model_file.read(path / MODEL).card.get("validation")
    evaluation = card if isinstance(card, dict) else None
    return Story(path.absolute().name, _config(path / CONFIG), metrics_file.read(path / METRICS), evaluation)


def latest(folder: Path | str) -> dict[str, Plain]:
    """The newest record of a run."""
    records = read(folder, validation=False).records
    if not records:
        raise RunError(f"run is {str(folder)!r}: it has no record yet; wait for the first one")
    return dict(records[-1])


def _config(path: Path) -> dict[str, Plain]:
    if not path.is_file():
        return {}
    try:
        config = plain_json.decode(bounded.read_small(path, CONFIG_LIMIT, FormatError))
    except ValueError as problem:
        raise RunError(
            f"{path} cannot be used: {problem}; give the folder of a run that pantoum began"
        ) from None
    return config if isinstance(config, dict) else {}


def follow(
    folder: Path | str,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[tuple[RunHistory, bool]]:
    """A run's history each time it has grown, and whether it has ended; the last says that it has."""
    path = Path(folder)
    seen: tuple[int, ...] | None = ()
    history = RunHistory()
    silent_since: float | None = None
    while True:
        began, state, running = clock(), _state(path / METRICS), held(path)
        changed = state != seen
        if changed:
            seen, history, silent_since = state, RunHistory.of(metrics_file.read(path / METRICS)), None
        over = history.ended is not None and not running
        if running is False and not over:
            # Killed: no process has the run, and no last word came.
            silent_since = began if silent_since is None else silent_since
            over = began - silent_since >= PATIENCE
        if changed or over:
            yield history, over
        if over:
            return
        sleep(max(POLL, RESTRAINT * (clock() - began)))


def _state(path: Path) -> tuple[int, ...] | None:
    """What changes when the file does."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
