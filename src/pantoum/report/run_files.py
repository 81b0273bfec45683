"""A run's files read back: what ``watch`` and ``compare`` know of a run that another process trains, or
trained.

Reading never disturbs the run: nothing is locked or written. A file that is not there yet is a run that has
just begun; a folder without any of them is no run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from pantoum.config.plain import Plain
from pantoum.errors import FormatError, RunError
from pantoum.formats import bounded, metrics_file, model_file, plain_json
from pantoum.formats.run_lock import held
from pantoum.report.story import RunHistory, Story

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
