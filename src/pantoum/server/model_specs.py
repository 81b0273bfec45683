"""What a model is served as: ``[NAME=]PATH[,OPTION=VALUE]...``.

The name is that of the run folder, or of the file without its ending, unless one is given. An option is one
of the server's, for this model alone. What exists as a path is a path, whatever signs are in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pantoum.config import ServeSettings
from pantoum.errors import SettingError

__all__ = ["ModelSpec", "spec_of"]

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
        raise SettingError("model", given, rule, f"a model may have {', '.join(OPTIONS)}")
    try:
        return OPTIONS[option](value)
    except ValueError:
        raise SettingError("model", given, f"has {option}={value}", "give a number") from None


def _name(path: str) -> str:
    place = Path(path).absolute()
    return place.name if place.is_dir() or place.suffix != ".safetensors" else place.stem
