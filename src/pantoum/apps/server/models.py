"""The models that are served, by name.

A model is given as ``[NAME=]PATH``. Without a name it has that of its run folder, or of its file without the
ending. What exists as a path is a path, whatever signs are in it. Names of one file share one engine.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pantoum.apps.server.answers import Turns
from pantoum.apps.server.chat import PLAIN, ChatTemplate
from pantoum.apps.server.engine import Engine
from pantoum.apps.server.job import Inbox
from pantoum.apps.server.refusals import RequestError
from pantoum.apps.server.settings import ServeSettings
from pantoum.errors import SettingError
from pantoum.seams import LoadedModel, Suggester
from pantoum.seams import load_model as load

__all__ = ["Models", "Served", "name_and_path"]

NAMED = re.compile(r"([\w.:@+/-]{1,128})=(.+)", re.ASCII | re.DOTALL)


@dataclass(frozen=True, eq=False)
class Served:
    """A model under a name, the thread that runs it, and what the models of a server share."""

    name: str
    model: LoadedModel
    engine: Engine
    template: ChatTemplate
    """How chats become prompts."""
    turns: Turns
    """Long work and large answers, in the turns of their clients."""
    created: int

    def inbox(self) -> Inbox:
        """The inbox of a request to this model."""
        return Inbox(self.engine.cancel, self.engine.pause)

    @cached_property
    def suggester(self) -> Suggester:
        """What says the next words; made by the first request for them."""
        return Suggester(self.model)

    @property
    def fingerprint(self) -> str:
        """The beginning of the model file's hash, as answers carry it."""
        return self.model.sha256[:16]


class Models:
    """All of them. Made before the event loop runs; ``start`` begins their threads."""

    def __init__(self, given: Sequence[str], settings: ServeSettings) -> None:
        """``given``: models as a person types them."""
        self._settings = settings
        file = settings.chat_template
        self._template = PLAIN if file is None else ChatTemplate.read(file)
        self._loaded: dict[str, LoadedModel] = {}
        paths: dict[str, str] = {}
        by_path: dict[Path, LoadedModel] = {}
        for text in given:
            name, path = name_and_path(text)
            if name in self._loaded:
                rule = f"has the name {name!r} of {paths[name]!r}"
                raise SettingError("model", path, rule, "give it another one: NAME=" + path)
            place = Path(path).resolve()
            if place not in by_path:
                by_path[place] = load(path)
            paths[name], self._loaded[name] = path, by_path[place]
        self._served: dict[str, Served] = {}

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin the threads."""
        settings, turns = self._settings, Turns()
        engines: dict[LoadedModel, Engine] = {}
        for name, model in self._loaded.items():
            if model not in engines:
                engines[model] = Engine(model, settings.slots, settings.queue, loop)
            created = int(time.time())
            self._served[name] = Served(name, model, engines[model], self._template, turns, created)

    def all(self) -> list[Served]:
        """Those that take requests, in the order of the command line."""
        return list(self._served.values())

    def engines(self) -> dict[Engine, str]:
        """Every engine once, with the first name of its model."""
        return {one.engine: one.name for one in reversed(self._served.values())}

    def full(self) -> bool:
        """Whether no model can take another text of this client now."""
        return bool(self._served) and all(engine.full for engine in self.engines())

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

    def stop(self) -> None:
        """No engine takes more jobs; each ends with its last one."""
        for engine in self.engines():
            engine.stop()

    def join(self, seconds: float) -> bool:
        """Wait for the engines' end; whether all have ended."""
        until = time.monotonic() + seconds
        return all(engine.join(max(0.0, until - time.monotonic())) for engine in self.engines())


def name_and_path(given: str) -> tuple[str, str]:
    """The name and the path of a model that a person typed."""
    found = None if Path(given).exists() else NAMED.fullmatch(given)
    if found:
        return found[1], found[2]
    place = Path(given).absolute()
    return (place.name if place.is_dir() or place.suffix != ".safetensors" else place.stem), given
