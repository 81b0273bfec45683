"""The models that are served, by name, and their change while requests run.

A name is that of the run folder, or of the file without its ending. Once a second a model's file is looked
at; when it changed, the new one is loaded beside the old one, verified, and takes all requests from then on.
The old one ends with its last request. A file that cannot be loaded is told in the log, and the old model
stays.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pantoum.config import ServeSettings
from pantoum.errors import PantoumError, SettingError
from pantoum.inference.loaded_model import LoadedModel, load, model_path
from pantoum.server.aside import Turns
from pantoum.server.engine import Engine
from pantoum.server.errors import RequestError
from pantoum.server.job import Inbox, Job

__all__ = ["Models", "Served"]

log = logging.getLogger("pantoum.server")
CHECK_EVERY = 1.0
"""Seconds between two looks at a model's file."""
GRACE = 30.0
"""Seconds for which a model that was replaced takes what requests that have begun still ask of it."""
Mark = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Served:
    """A model and the thread that runs it."""

    name: str
    path: str
    model: LoadedModel
    engine: Engine
    mark: Mark
    created: int
    settings: ServeSettings
    turns: Turns = field(default_factory=Turns)
    """Those of its large answers."""

    def inbox(self) -> Inbox:
        """The inbox of a request to this model."""
        return Inbox(self.settings.timeout, self._pause, self.engine.finish)

    def _pause(self, job: Job, paused: bool) -> None:
        if paused:
            self.engine.pause(job)
        else:
            self.engine.resume(job)

    @property
    def fingerprint(self) -> str:
        """The beginning of the model file's hash, as answers carry it."""
        return self.model.sha256[:16]


class Models:
    """All of them. Made before the event loop runs; ``start`` begins their threads."""

    def __init__(self, paths: Sequence[str], settings: ServeSettings) -> None:
        self._settings = settings
        self._paths: dict[str, str] = {}
        for path in paths:
            name = _name(path)
            if name in self._paths:
                rule = f"has the name {name!r} of {self._paths[name]!r}"
                raise SettingError("model", path, rule, "rename one of the two")
            self._paths[name] = path
        self._loaded = {name: _load(path) for name, path in self._paths.items()}
        self._served: dict[str, Served] = {}
        self._retiring: list[tuple[Served, float]] = []
        self._refused: dict[str, str] = {}
        """Why the file of a model was last not loaded again."""
        """Models that were replaced, and when: requests that have begun may still come to their engines."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin the threads."""
        for name, (model, mark) in self._loaded.items():
            self._served[name] = self._serve(name, model, mark, loop)
        self._loaded.clear()

    def all(self) -> list[Served]:
        """Those that take requests, in the order of the command line."""
        return list(self._served.values())

    def full(self) -> int | None:
        """Where no model can take another text now, the seconds after which to ask again."""
        engines = [one.engine for one in self._served.values()]
        if not all(engine.full for engine in engines):
            return None
        return min(engine.retry.seconds() for engine in engines)

    def get(self, name: str | None) -> Served:
        """The model of this name; the first where none is named."""
        if name is None:
            return next(iter(self._served.values()))
        if name not in self._served:
            known = ", ".join(self._served)
            raise RequestError(
                404, f"model is {name!r}: this server has {known}", param="model", code="model_not_found"
            )
        return self._served[name]

    def of_hash(self, sha256: str) -> Served | None:
        """The served model with this hash."""
        return next((one for one in self._served.values() if one.model.sha256 == sha256), None)

    async def watch(self) -> None:
        """Reload what changes, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_EVERY)
            for name, served in list(self._served.items()):
                await self._look(name, served)
            for one, since in self._retiring:
                if time.monotonic() - since > GRACE:
                    one.engine.stop()
            self._retiring = [each for each in self._retiring if not each[0].engine.join(0)]

    async def _look(self, name: str, served: Served) -> None:
        try:
            if _mark(served.path) == served.mark:
                return
            model, mark = await asyncio.to_thread(_load, served.path)
        except (PantoumError, OSError) as error:
            if self._refused.get(name) != str(error):  # it is looked at every second, and said once
                self._refused[name] = str(error)
                log.warning("model %s was not reloaded, the old one goes on: %s", name, error)
            return
        self._refused.pop(name, None)
        if model.sha256 != served.model.sha256:
            self._served[name] = self._serve(name, model, mark, asyncio.get_running_loop())
            self._retiring.append((served, time.monotonic()))
            log.info("model %s was reloaded: %s", name, self._served[name].fingerprint)
        else:
            self._served[name] = replace(served, mark=mark)

    def stop(self) -> None:
        """No engine takes more jobs; each ends with its last one."""
        for served in self._every():
            served.engine.stop()

    def join(self, seconds: float) -> bool:
        """Wait for the engines' end; whether all have ended."""
        until = time.monotonic() + seconds
        return all(one.engine.join(max(0.0, until - time.monotonic())) for one in self._every())

    def _every(self) -> list[Served]:
        return [*self._served.values(), *(one for one, _ in self._retiring)]

    def _serve(self, name: str, model: LoadedModel, mark: Mark, loop: asyncio.AbstractEventLoop) -> Served:
        engine = Engine(model, self._settings.slots, self._settings.queue, loop)
        return Served(name, self._paths[name], model, engine, mark, int(time.time()), self._settings)


def _name(path: str) -> str:
    place = Path(path).absolute()
    return place.name if place.is_dir() or place.suffix != ".safetensors" else place.stem


def _mark(path: str) -> Mark:
    """What changes when a file is replaced."""
    found = model_path(path).stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _load(path: str) -> tuple[LoadedModel, Mark]:
    """A model ready for use; the mark is taken before, so that a change while it loads is seen later."""
    mark = _mark(path)
    model = load(path)
    return model, mark
