"""pantoum: train a recurrent language model on your own text, on the machine you have, in minutes.

    import pantoum
    run = pantoum.train("book.txt", minutes=5)
    print(run.model.generate("Once upon", length=200, seed=1))

``__all__`` lists what is public; ``pantoum.network`` has the cells and the model, ``pantoum.data`` the
batches. Names are imported when they are first used, so that ``import pantoum`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pantoum import data as data
    from pantoum import network as network
    from pantoum.api import (
        Evaluation,
        Model,
        Run,
        Scores,
        Session,
        State,
        Tokenizer,
        compare,
        doctor,
        export,
        info,
        load,
        plan,
        prepare,
        train,
    )
    from pantoum.errors import PantoumError

    __version__: str

__all__ = [
    "Evaluation",
    "Model",
    "PantoumError",
    "Run",
    "Scores",
    "Session",
    "State",
    "Tokenizer",
    "compare",
    "doctor",
    "export",
    "info",
    "load",
    "plan",
    "prepare",
    "train",
]

_PACKAGES = ("data", "network")
_ELSEWHERE = {"PantoumError": ("errors", "PantoumError"), "__version__": ("config", "VERSION")}
"""The module and the name there of what is not in ``api``."""


def __getattr__(name: str) -> Any:
    import importlib

    if name in _PACKAGES:
        return importlib.import_module(f"pantoum.{name}")
    home, own = _ELSEWHERE.get(name, ("api", name))
    if own == name and name not in __all__:
        raise AttributeError(f"module 'pantoum' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"pantoum.{home}"), own)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_PACKAGES, "__version__"])
