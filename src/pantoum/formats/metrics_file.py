"""``metrics.jsonl``: one report of a run a line, appended while it trains, read by anyone at any time.

A line is one JSON object, appended by a single write, so that a reader sees whole lines or, at the very
end, a torn one, which it passes over. A figure that is not finite is ``null``: JSON has no other word.
Lines go to the operating system, not to the disk: a killed run loses none, a power cut may lose the last.

A log that cannot be written raises ``StorageError``; whether training goes on is the loop's decision.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from pantoum.config.plain import Plain
from pantoum.errors import FormatError
from pantoum.formats import bounded, durable, plain_json

LINE_LIMIT = 1 << 20
MOST_LINES = 100_000
"""A run writes some 3,000 lines a day."""


def append(path: Path | str, record: Mapping[str, Plain]) -> None:
    """Append one record, its keys in their own order."""
    durable.append_line(path, plain_json.encode(_without_infinities(dict(record)), keep_order=True))


def read(path: Path | str) -> list[dict[str, Plain]]:
    """Every whole record so far; none where there is no file yet."""
    return [record for _, record in _lines(path) if record is not None]


def truncate_after(path: Path | str, step: int) -> int:
    """Drop the records of steps after ``step``, and torn lines; return how many lines went.

    A run that goes on from the checkpoint of ``step`` will report those steps again.
    """
    lines = list(_lines(path))
    kept = [line for line, record in lines if record is not None and not _later(record, step)]
    if len(kept) != len(lines):
        durable.write_file(path, kept)
    return len(lines) - len(kept)


def _later(record: Mapping[str, Plain], step: int) -> bool:
    found = record.get("step")
    return isinstance(found, (int, float)) and found > step


def _lines(path: Path | str) -> Iterator[tuple[bytes, dict[str, Plain] | None]]:
    """Each line with its record; ``None`` for one that is torn or damaged."""
    try:
        with bounded.opened(path, FormatError) as (file, _):
            reader = io.BufferedReader(file)
            number = 0
            while line := reader.readline(LINE_LIMIT):
                number += 1
                if number > MOST_LINES:
                    raise FormatError(
                        f"{str(path)!r} has more than {MOST_LINES:,} lines: no run writes so many"
                    )
                yield line, _record(line)
    except FormatError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise


def _record(line: bytes) -> dict[str, Plain] | None:
    try:
        record = plain_json.decode(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _without_infinities(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_infinities(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_infinities(item) for item in value]
    return value
