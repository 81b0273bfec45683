"""Who trains in place of the core, or together with this process: found when it is asked for.

An engine takes the place of the core (``--device``). A *group* is the processes that a launcher has started
to train one model together. Without either, one process trains with the core. A group has
``settings(asked)``, the settings of a run of this group; ``engine(asked, instead)``, what trains in all
processes (``instead``: in place of the core in each); and ``run(known, train, instead)``: ``train`` in the
first process, while the others serve it. ``known`` is what all must have in common; the result is that of
every process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from pantoum import extensions, kernels
from pantoum.config import VERSION, TrainSettings
from pantoum.config.launcher import launched
from pantoum.errors import PantoumError, SettingError
from pantoum.training.result import RunResult
from pantoum.training.update.backend import TrainingEngine


def engine(settings: TrainSettings) -> TrainingEngine | None:
    """What trains in place of the core, where these settings name a device."""
    if settings.device is None or (settings.device == "auto" and find_spec("torch") is None):
        return None
    for make in extensions.each("engines"):
        found: TrainingEngine | None = make(settings)
        if found is not None:
            return found
    if settings.device == "auto":
        return None
    rule = "is for an engine, and none that is installed trains on it"
    raise SettingError("device", settings.device, rule, "leave it out to train with the core")


@contextmanager
def group() -> Iterator[Any]:
    """The processes that a launcher has started with this one, while inside; ``None``: it is alone."""
    if not launched():
        yield None
        return
    with extensions.find("launchers", "ranks")() as found:
        yield found


def train(
    together: Any,
    texts: Sequence[str],
    settings: Mapping[str, Any],
    session: Callable[[TrainSettings, TrainingEngine | None], RunResult],
) -> RunResult:
    """``session`` with the settings and the engine of a group (``None``: of this process alone)."""

    if together is None:
        chosen = TrainSettings(**settings)
        return session(chosen, engine(chosen))

    def first() -> RunResult:
        chosen = together.settings(TrainSettings(**settings))
        return session(chosen, together.engine(chosen, engine(chosen)))

    known = _facts(texts, settings)
    result: RunResult = together.run(known, first, lambda: engine(TrainSettings(**settings)))
    return result


def _facts(texts: Sequence[str], settings: Mapping[str, Any]) -> dict[str, str]:
    """What all processes must have in common, by names that a person knows. A mistake is left to the first
    process."""
    try:
        found = engine(TrainSettings(**settings))
        name = "core" if found is None else found.name
    except PantoumError as problem:
        name = str(problem)
    return {
        "pantoum": VERSION,
        "arithmetic": "numpy" if kernels.without_core() is not None else "native core",
        "precisions": ", ".join(kernels.precisions()),
        "texts": ", ".join(texts),
        **{name: str(value) for name, value in settings.items()},
        "engine": name,
    }
