"""The models that are served, by name, and their change while requests run.

Once a second a model's file is looked at; when it changed, the new one is loaded beside the old one,
verified, and takes all requests from then on. The old one ends with its last request, and its memory goes
back to the system. A file that cannot be loaded is told in the log, and the old model stays. Names of one
file with the same options have one engine.

Memory that is free goes back to the system.

Large arrays are mapped by themselves and go back at once. What a thread took in small pieces stays with the
allocator, in an arena of that thread: after a crowd some tens of megabytes, and a model that is replaced
every hour has another thread each time. glibc gives all of it back when it is asked to; other allocators do
it by themselves.

What a model is served as: ``[NAME=]PATH[,OPTION=VALUE]...``.

The name is that of the run folder, or of the file without its ending, unless one is given. An option is one
of the server's, for this model alone. What exists as a path is a path, whatever signs are in it.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pantoum.apps.server.aside import Answers, Line
from pantoum.apps.server.chat import PLAIN, ChatTemplate
from pantoum.apps.server.engine import Engine
from pantoum.apps.server.job import Inbox, Job
from pantoum.apps.server.refusals import RequestError
from pantoum.apps.server.settings import ServeSettings
from pantoum.errors import PantoumError, SettingError
from pantoum.seams import LoadedModel, model_path
from pantoum.seams import load_model as load

__all__ = ["Models", "Served", "spec_of", "trim"]

log = logging.getLogger("pantoum.apps.server")
CHECK_EVERY = 1.0
"""Seconds between two looks at a model's file."""
TRIM_EVERY = 30.0
"""Seconds after which free memory goes back to the system."""
GRACE = 30.0
"""Seconds for which a model that was replaced takes what requests that have begun still ask of it."""
Mark = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Served:
    """A model and the thread that runs it."""

    spec: ModelSpec
    model: LoadedModel
    engine: Engine
    mark: Mark
    created: int
    template: ChatTemplate
    """How chats become prompts."""
    line: Line
    """The server's thread for long work in Python."""
    answers: Answers
    """The server's large answers."""

    @property
    def name(self) -> str:
        """The name by which requests ask for it."""
        return self.spec.name

    @property
    def settings(self) -> ServeSettings:
        """The settings of the server, with the options of this model."""
        return self.spec.settings

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

    def __init__(self, given: Sequence[str], settings: ServeSettings) -> None:
        """``given``: models as a person types them, ``[NAME=]PATH[,OPTION=VALUE]...``."""
        self._settings = settings
        self.draining = False
        """Whether the server was told to end: it takes requests until a load balancer has noticed."""
        self._loaded: dict[str, tuple[ModelSpec, LoadedModel, Mark, ChatTemplate]] = {}
        for text in given:
            spec = spec_of(text, settings)
            if spec.name in self._loaded:
                rule = f"has the name {spec.name!r} of {self._loaded[spec.name][0].path!r}"
                raise SettingError("model", spec.path, rule, "give it another one: NAME=" + spec.path)
            same = next((one for one in self._loaded.values() if one[0].same_engine(spec)), None)
            model, mark = _load(spec.path) if same is None else same[1:3]
            self._loaded[spec.name] = spec, model, mark, _template(spec)
        self._line, self._answers = Line(), Answers(settings.max_answer << 20)
        self._served: dict[str, Served] = {}
        self._retiring: list[tuple[Served, float]] = []
        """Models that were replaced, and when: requests that have begun may still come to their engines."""
        self._past: dict[str, Counter[str]] = {}
        """What engines of each name had counted that have ended."""
        self._refused: dict[str, str] = {}
        """Why the file of a model was last not loaded again."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin the threads."""
        for spec, model, mark, template in self._loaded.values():
            self._serve(spec, model, mark, template, loop)
        self._loaded.clear()

    def all(self) -> list[Served]:
        """Those that take requests, in the order of the command line."""
        return list(self._served.values())

    def full(self) -> int | None:
        """Where no model can take another text now, the seconds after which to ask again."""
        engines = [one.engine for one in self._served.values()]
        if not engines or not all(engine.full for engine in engines):
            return None
        return min(engine.seconds_until() for engine in engines)

    def get(self, name: str | None) -> Served:
        """The model of this name; the first where none is named."""
        if name is None and self._served:
            return next(iter(self._served.values()))
        if name is None or name not in self._served:
            known = ", ".join(self._served) or "none now"
            raise RequestError(
                404, f"model is {name!r}: this server has {known}", param="model", code="model_not_found"
            )
        return self._served[name]

    def of_hash(self, sha256: str) -> Served | None:
        """The served model with this hash."""
        return next((one for one in self._served.values() if one.model.sha256 == sha256), None)

    async def load(self, given: str) -> Served:
        """Serve one more model, or refuse it."""
        spec = spec_of(given, self._settings)
        if spec.name in self._served:
            raise RequestError(409, f"model {spec.name!r} is served already; unload it, or give another name")
        model, mark = await asyncio.to_thread(_load, spec.path)
        template = _template(spec)
        if spec.name in self._served:  # meanwhile
            raise RequestError(409, f"model {spec.name!r} is served already")
        self._serve(spec, model, mark, template, asyncio.get_running_loop())
        log.info("model %s was loaded: %s", spec.name, self._served[spec.name].fingerprint)
        return self._served[spec.name]

    def unload(self, name: str) -> None:
        """Serve a model no more; requests that have begun go on to their end."""
        gone = self.get(name)
        del self._served[name]
        if not any(one.engine is gone.engine for one in self._served.values()):
            self._retiring.append((gone, time.monotonic()))
        log.info("model %s was unloaded", name)

    def reread(self) -> None:
        """Take the chat templates as their files are now; all of them, or none and an error."""
        fresh = {name: _template(one.spec) for name, one in self._served.items()}
        for name, template in fresh.items():
            self._served[name] = replace(self._served[name], template=template)

    def engines(self) -> list[Served]:
        """The models that take requests, those of one engine once."""
        return list({one.engine: one for one in reversed(self._served.values())}.values())[::-1]

    def counted(self, served: Served) -> Counter[str]:
        """What all engines of a name have counted since the start."""
        total = Counter(self._past.get(served.name, ()))
        for one in (served, *(old for old, _ in self._retiring)):
            if one.name == served.name:
                total.update(one.engine.counters)
        return total

    async def watch(self) -> None:
        """Reload what changes, and give free memory back, until cancelled."""
        trimmed = time.monotonic()
        while True:
            await asyncio.sleep(CHECK_EVERY)
            for served in self.engines():
                await self._look(served)
            await self._retire()
            if time.monotonic() - trimmed >= TRIM_EVERY:
                await asyncio.to_thread(trim)
                trimmed = time.monotonic()

    async def _retire(self) -> None:
        """Let engines end that were replaced long enough ago, and give their memory back."""
        for one, since in self._retiring:
            if time.monotonic() - since > GRACE:
                one.engine.stop()
        ended = [one for one, _ in self._retiring if one.engine.join(0)]
        self._retiring = [each for each in self._retiring if each[0] not in ended]
        for one in ended:
            self._past.setdefault(one.name, Counter()).update(one.engine.counters)
        if ended:
            ended.clear()
            del one
            await asyncio.to_thread(give_back)

    async def _look(self, served: Served) -> None:
        name = served.name
        if any(old.name == name for old, _ in self._retiring):
            return  # three models of one name would be in memory; the file is looked at again in a second
        try:
            if _mark(served.spec.path) == served.mark:
                return
            model, mark = await asyncio.to_thread(_load, served.spec.path)
        except (PantoumError, OSError) as error:
            if self._refused.get(name) != str(error):  # it is looked at every second, and said once
                self._refused[name] = str(error)
                log.warning("model %s was not reloaded, the old one goes on: %s", name, error)
            return
        self._refused.pop(name, None)
        engine = served.engine
        names = [one for one in self._served.values() if one.engine is engine]
        if not names:  # it was unloaded meanwhile
            return
        if model.sha256 == served.model.sha256:
            for one in names:
                self._served[one.name] = replace(one, mark=mark)
            return
        engine = self._engine(served.spec, model, asyncio.get_running_loop())
        for one in names:
            self._served[one.name] = replace(
                one, model=model, engine=engine, mark=mark, created=int(time.time())
            )
        self._retiring.append((served, time.monotonic()))
        log.info("model %s was reloaded: %s", name, self._served[name].fingerprint)

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

    def _serve(
        self,
        spec: ModelSpec,
        model: LoadedModel,
        mark: Mark,
        template: ChatTemplate,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Serve a model, with the engine of another name where that is the same."""
        for one in self._served.values():
            if one.spec.same_engine(spec) and one.model.sha256 == model.sha256:
                self._served[spec.name] = replace(one, spec=spec)
                return
        engine = self._engine(spec, model, loop)
        self._served[spec.name] = Served(
            spec, model, engine, mark, int(time.time()), template, self._line, self._answers
        )

    def _engine(self, spec: ModelSpec, model: LoadedModel, loop: asyncio.AbstractEventLoop) -> Engine:
        return Engine(model, spec.settings.slots, spec.settings.queue, loop)


def _template(spec: ModelSpec) -> ChatTemplate:
    file = spec.settings.chat_template
    return PLAIN if file is None else ChatTemplate.read(file)


def _mark(path: str) -> Mark:
    """What changes when a file is replaced."""
    found = model_path(path).stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _load(path: str) -> tuple[LoadedModel, Mark]:
    """A model ready for use; the mark is taken before, so that a change while it loads is seen later."""
    mark = _mark(path)
    model = load(path)
    return model, mark


def give_back() -> None:
    """Collect what nobody uses any more, and give its memory back. It takes some tens of milliseconds."""
    gc.unfreeze()  # what the server began with may be among it
    gc.collect()
    gc.freeze()
    trim()


def trim() -> None:
    """Give free memory back. It takes some milliseconds, in which other threads run."""
    try:
        asked = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # no glibc; Windows has no library without a name
        return
    asked(0)


OPTIONS: dict[str, type] = {
    "slots": int,
    "queue": int,
    "max_prompt": int,
    "max_tokens": int,
    "max_answer": int,
    "timeout": float,
    "chat_template": str,
}
"""Options that a model may have of its own, and what they are read as."""
NAMED = re.compile(r"([\w.:@+/-]{1,128})=(.+)", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class ModelSpec:
    """A model that is to be served."""

    name: str
    path: str
    settings: ServeSettings

    def same_engine(self, other: ModelSpec) -> bool:
        """Whether two names mean one model with the same options: it is then loaded once."""
        return Path(self.path).resolve() == Path(other.path).resolve() and self.settings == other.settings


def spec_of(given: str, settings: ServeSettings) -> ModelSpec:
    """The model that a person typed."""
    name, path, changed = "", given, {}
    if not Path(given).exists():
        if found := NAMED.fullmatch(given):
            name, path = found[1], found[2]
        while not Path(path).exists() and "=" in (last := path.rpartition(",")[2]) and "," in path:
            path = path.rpartition(",")[0]
            option, _, value = last.partition("=")
            changed[option.replace("-", "_")] = _value(given, option.replace("-", "_"), value)
    return ModelSpec(name or _name(path), path, replace(settings, **changed))


def _value(given: str, option: str, value: str) -> Any:
    if option not in OPTIONS:
        rule = f"has the option {option!r}"
        raise SettingError("model", given, rule, f"a model may have {', '.join(map(repr, OPTIONS))}")
    try:
        return OPTIONS[option](value)
    except ValueError:
        raise SettingError("model", given, f"has {option}={value}", "give a number") from None


def _name(path: str) -> str:
    place = Path(path).absolute()
    return place.name if place.is_dir() or place.suffix != ".safetensors" else place.stem
