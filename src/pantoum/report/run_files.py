"""A run's files read back: what ``watch`` and ``compare`` know of a run that another process trains, or
trained.

Reading never disturbs the run: nothing is locked or written. A file that is not there yet is a run that has
just begun; a folder without any of them is no run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pantoum.config.plain import Plain
from pantoum.errors import FormatError, RunError
from pantoum.formats import bounded, metrics_file, model_file, plain_json
from pantoum.formats.model_file import ModelFile
from pantoum.formats.run_lock import held
from pantoum.report import learned_text
from pantoum.report.run_history import RunHistory
from pantoum.report.story import Story

__all__ = ["follow", "read"]

CONFIG, METRICS, MODEL = "config.json", "metrics.jsonl", "model.safetensors"
CONFIG_LIMIT = 1 << 20
POLL = 0.5
"""Seconds between two looks at a run."""
RESTRAINT = 20.0
"""At least this many times as long as reading took, nothing is read again."""
PATIENCE = 3.0
"""Seconds that a run without a process may look unfinished: its last line may be on its way."""


def read(folder: Path | str, *, validation: bool = True) -> Story:
    """The story of the run in this folder; ``validation``: with its model's validation figures, and what
    ``config.json`` of an older run lacks."""
    path = Path(folder)
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise RunError(f"run is {str(folder)!r}: it {what}; give the folder of a run, such as runs/book")
    if not any((path / name).is_file() for name in (CONFIG, METRICS)):
        raise RunError(
            f"run is {str(folder)!r}: there is neither {CONFIG} nor {METRICS} in it; "
            "give the folder of a run, such as runs/book"
        )
    config, model = _config(path / CONFIG), _model(path / MODEL) if validation else None
    found = None if model is None else model.card.get("validation")
    return Story(
        path.absolute().name,
        config if model is None else _completed(config, model),
        metrics_file.read(path / METRICS),
        found if isinstance(found, dict) else None,
    )


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


def _model(path: Path) -> ModelFile | None:
    """The best model; none while it is being replaced."""
    try:
        return model_file.read(path) if path.is_file() else None
    except FormatError:
        return None


def _completed(config: dict[str, Plain], model: ModelFile) -> dict[str, Plain]:
    """``config.json`` with the text and the last budget of the model's card, where an older pantoum wrote it:
    that one told neither the text nor a later budget."""
    if "text" in config:
        return config
    began, last = config.get("budget"), model.card.get("budget")
    told = {**config, "text": learned_text.of_model(model.card, model.tokenizer)}
    if isinstance(last, str) and last != began:
        told["budget"] = last if began is None else f"{last}, begun with {began}"
    return told


def follow(
    folder: Path | str,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[tuple[RunHistory, bool]]:
    """A run's history each time it has grown, and whether it has ended; the last says that it has."""
    path = Path(folder)
    seen: tuple[int, ...] | None = ()
    history = RunHistory(())
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
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
