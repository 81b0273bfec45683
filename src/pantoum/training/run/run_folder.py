"""The folder of a run: its name, where each of its files stands, and ``config.json``.

    runs/book/                     named for the text; then book-2, book-3
      model.safetensors            the best model so far, the only safetensors file here
      config.json                  settings, what was chosen and why, the command, the machine
      metrics.jsonl                one line per report
      report.html                  the run to look at
      checkpoints/                 step-NNNNNNNN.safetensors: all that a resumed run needs
      data/                        prepared.safetensors: the tokens, until the run is finished
      .ending                      there from the last checkpoint until all that follows it is done

A new run makes its folder in one step and locks it, so that two commands never share one. An existing folder
is only entered to resume, or if it is empty. ``config.json`` is for people and for a run that was killed
before its first checkpoint; what a checkpoint says goes before it.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from pantoum.config import TrainSettings
from pantoum.config.plain import Plain, quoted
from pantoum.config.processors import processor_name
from pantoum.data.forms import is_address
from pantoum.data.prepare import remove_tokens
from pantoum.errors import RunError, StorageError
from pantoum.formats import durable, metrics_file, plain_json
from pantoum.formats.run_lock import LOCK_NAME, RunLock
from pantoum.formats.system_calls import translated

RUNS = Path("runs")
CONFIG = "config.json"
ENDING = ".ending"
BEGAN = "%Y-%m-%dT%H:%M:%S%z"
"""When a run began, in ``config.json``."""


@dataclass(frozen=True)
class RunFolder:
    """Where the files of one run are."""

    path: Path
    lock: RunLock | None = None
    """That of the command which trains."""

    @contextlib.contextmanager
    def locked(self) -> Iterator[RunFolder]:
        """The folder with its lock, which that of a new run has already; it is given back in the end."""
        lock = RunLock(self.path) if self.lock is None else self.lock
        if self.lock is None:
            lock.acquire()
        try:
            yield replace(self, lock=lock)
        finally:
            lock.release()

    def require(self) -> None:
        """Raise ``RunError`` if the folder was removed or replaced since it was locked."""
        if self.lock is not None:
            self.lock.require()

    @property
    def model(self) -> Path:
        """The best model so far."""
        return self.path / "model.safetensors"

    @property
    def config(self) -> Path:
        """Settings, command, machine."""
        return self.path / CONFIG

    @property
    def metrics(self) -> Path:
        """One line per report."""
        return self.path / "metrics.jsonl"

    @property
    def page(self) -> Path:
        """The run to look at."""
        return self.path / "report.html"

    @property
    def data(self) -> Path:
        """The prepared text, unless another folder was given for it."""
        return self.path / "data"

    @property
    def is_ending(self) -> bool:
        """Whether a command that finished the run was killed before its end."""
        return (self.path / ENDING).exists()

    def begin_ending(self) -> None:
        """The checkpoint of the finished run comes next: until ``ended`` its command may be killed, and is
        not done. A disk that refuses the mark does not stop a run."""
        with contextlib.suppress(StorageError):
            durable.write_file(self.path / ENDING, b"")

    def ended(self) -> None:
        """All that follows the checkpoint of the finished run is done: the last system call says so."""
        if self.lock is not None:
            self.lock.remove_name()
        with contextlib.suppress(StorageError):
            if self.is_ending:
                durable.remove_tree(self.path / ENDING)

    def write_config(self, config: Mapping[str, Plain]) -> None:
        """Write ``config.json``, for people: indented. A path that is not UTF-8 holds lone surrogates, whose
        ``backslashreplace`` form is their escape in JSON."""
        text = json.dumps(config, indent=2, ensure_ascii=False)
        durable.write_file(self.config, text.encode("utf-8", "backslashreplace") + b"\n")

    def read_config(self) -> dict[str, Any]:
        """Read ``config.json``."""
        advice = "give the folder of a run that pantoum began"
        with translated("read", self.config):
            if not self.config.is_file():
                raise RunError(
                    f"run is {str(self.path)!r}: it is not a run, because it has no {CONFIG}; {advice}, "
                    "or leave --resume out and give another name to begin one"
                )
            content = self.config.read_bytes()
        try:
            config = plain_json.decode(content)
        except ValueError as problem:
            raise RunError(f"{self.config} cannot be used: {problem}; {advice}") from None
        if not isinstance(config, dict):
            raise RunError(f"{self.config} cannot be used: it is not a JSON object; {advice}")
        texts = config.get("texts", [])
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise RunError(f"{self.config} cannot be used: its texts are not a list of names; {advice}")
        return config

    def drop_records_after(self, step: int) -> list[str]:
        """The steps after a checkpoint will be told again. A log that cannot be changed does not stop a run:
        that is a note."""
        try:
            metrics_file.truncate_after(self.metrics, step)
        except StorageError as problem:
            return [f"the log keeps records of steps that will be repeated: {problem}"]
        return []


def create(settings: TrainSettings, texts: Sequence[str]) -> RunFolder:
    """Make and lock the folder of a new run: the one named, which must not exist, or the next free
    ``runs/<stem>``."""
    if settings.run is not None:
        path = Path(settings.run)
        lock = _made(path)
        if lock is None:
            what, instead = "exists already", ", or --resume to go on with that run"
            if not path.is_dir():
                what, instead = "is a file", ""
            elif not (path / CONFIG).exists():
                what, instead = "exists already and is not a run", ", or remove that folder first"
            raise RunError(
                f"run is {settings.run!r}: it {what}, and a new run needs a new folder; "
                f"give another name{instead}"
            )
        return RunFolder(path, lock)
    number, lock = 0, None
    while lock is None:
        number += 1
        path = RUNS / _name(settings, texts, number)
        with contextlib.suppress(RunError):  # another command was faster
            lock = _made(path)
    return RunFolder(path, lock)


def run_named(settings: TrainSettings, texts: Sequence[str]) -> tuple[TrainSettings, Sequence[str]]:
    """The same settings and texts; a run that stands in the place of the text to resume is the run."""
    if settings.resume and settings.run is None and len(texts) == 1 and _is_run(Path(texts[0])):
        return replace(settings, run=texts[0]), ()
    return settings, texts


def _is_run(path: Path) -> bool:
    with contextlib.suppress(RunError, StorageError, OSError, ValueError):  # a name may be none
        return path.is_dir() and {"settings", "texts"} <= RunFolder(path).read_config().keys()
    return False


def find(settings: TrainSettings, texts: Sequence[str]) -> RunFolder:
    """The folder of the run to resume: the one named, or the newest ``runs/<stem>`` of the text."""
    settings, texts = run_named(settings, texts)
    if settings.run is not None:
        path = Path(settings.run)
        if not path.is_dir():
            what = "is a file" if path.exists() else "does not exist"
            raise RunError(f"run is {settings.run!r}: it {what}; give the folder of a run to resume")
        return RunFolder(path)
    runs = _runs()
    if not texts:
        advice = f"there is none in {str(RUNS)!r}"
        if runs and _is_run(runs[-1][0].path):
            command = f"pantoum train --run {quoted(str(runs[-1][0].path))} --resume"
            advice = f"`{command}` continues the newest one"
        raise RunError(f"it is not clear which run to continue: give --run DIR; {advice}")
    # ``runs/part-2`` may be the second of ``part.txt`` or the first of ``part-2.txt``.
    stem = _name(settings, texts, 1)
    named = re.compile(re.escape(stem) + r"(?:-[1-9][0-9]*)?")
    own = [folder for folder, known in runs if named.fullmatch(folder.path.name) and alike(known, texts)]
    if not own:
        raise RunError(
            f"run is {str(RUNS / stem)!r}: there is no such run to resume; give --run DIR, or leave "
            "--resume out to begin one"
        )
    return own[-1]


def _runs() -> list[tuple[RunFolder, Sequence[str]]]:
    """The runs in ``runs/`` and their texts, the newest last. Numbers do not tell the age where a run was
    removed."""
    found: list[tuple[float, int, str, Sequence[str]]] = []
    with translated("read", RUNS):
        paths = list(RUNS.iterdir()) if RUNS.is_dir() else []
    for path in filter(Path.is_dir, paths):
        began, texts = 0.0, list[str]()  # one whose config.json is lost goes by its name
        with contextlib.suppress(RunError, StorageError, ValueError, OverflowError):
            config = RunFolder(path).read_config()
            texts = config.get("texts", [])
            began = datetime.strptime(str(config.get("began")), BEGAN).timestamp()
        found.append((began, len(path.name), path.name, texts))
    return [(RunFolder(RUNS / name), texts) for _, _, name, texts in sorted(found, key=lambda run: run[:3])]


def alike(known: Sequence[str], given: Sequence[str]) -> bool:
    """Whether two lists of texts may be the same, by the names of the files: folders change with the place
    from which a command is given, and ``.`` says nothing. A text from an address may be given as a file."""
    if not known or not given or any(map(is_address, known)):
        return True
    names = zip(
        (PurePath(text).name for text in known), (PurePath(text).name for text in given), strict=False
    )
    return len(known) == len(given) and all(one == other or {one, other} & {"", ".."} for one, other in names)


def leave_needed(folder: RunFolder, settings: TrainSettings) -> None:
    """Remove the tokens of a finished run if its text gives them again. Without a ``config.json`` (a
    run goes on without one) nobody knows its text."""
    if not folder.config.exists():
        return
    config = folder.read_config()
    asked = config.get("settings")
    recorded = asked if isinstance(asked, Mapping) else {}
    if settings.data is None and recorded.get("data") is None and not recorded.get("keep_data"):
        remove_tokens(folder.data, config.get("texts", ()), settings.valid or recorded.get("valid"))


def machine() -> dict[str, Plain]:
    """What the run was trained on, as far as figures depend on it."""
    blas = np.show_config(mode="dicts")
    library = blas.get("Build Dependencies", {}).get("blas", {}) if isinstance(blas, dict) else {}
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "processor": processor_name(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": " ".join(str(library.get(key, "")) for key in ("name", "version")).strip(),
    }


def _made(path: Path) -> RunLock | None:
    """Make the folder, or take an empty one, as a command leaves that was killed at once, and lock it;
    ``None``: something is in it. Of two commands that take the same one, the lock decides: ``RunError``."""
    durable.make_folder(path.absolute().parent)
    with translated("make the run folder", path):
        try:
            durable.system.make_folder(path)
        except FileExistsError:
            if not _holds_nothing(path):
                return None
    lock = RunLock(path)
    lock.acquire()
    if _holds_nothing(path):
        return lock
    lock.release()
    return None


def _holds_nothing(path: Path) -> bool:
    """Whether a folder holds nothing but what a command leaves that was killed at once."""
    try:
        names = [entry.name for entry in path.iterdir()]
    except OSError:
        return False
    return not path.is_symlink() and all(name == LOCK_NAME or durable.is_temporary(name) for name in names)


def _name(settings: TrainSettings, texts: Sequence[str], number: int) -> str:
    """The stem of the first text, or of a prepared one, and a number from the second run on."""
    first = texts[0] if texts else settings.data or ""
    stem = "stdin" if first == "-" else Path(first).absolute().stem or "text"
    return stem if number == 1 else f"{stem}-{number}"
