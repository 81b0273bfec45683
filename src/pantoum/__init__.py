"""pantoum: train a recurrent language model on your own text, on the machine you have, in minutes.

    import pantoum
    run = pantoum.train("book.txt", minutes=5)
    print(run.model.generate("Once upon", length=200, seed=1))

``__all__`` lists what is public; ``pantoum.network`` has the cells and the model, ``pantoum.data`` the
batches. Names are imported when they are first used, so that ``import pantoum`` costs nothing and imports
nothing, ``typing`` included.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pantoum import data as data
    from pantoum import network as network
    from pantoum.api import compare, doctor, export, info, plan, prepare, train
    from pantoum.apps.archive.functions import compress, decompress
    from pantoum.apps.convert.import_model import import_model
    from pantoum.errors import PantoumError
    from pantoum.finished_run import Run
    from pantoum.inference.evaluation import Evaluation
    from pantoum.inference.session import Session
    from pantoum.inference.state import State
    from pantoum.model import Model, load
    from pantoum.report.surprisal import Scores
    from pantoum.text.tokenizer import Tokenizer

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
    "compress",
    "decompress",
    "doctor",
    "export",
    "import_model",
    "info",
    "load",
    "plan",
    "prepare",
    "train",
]

_PACKAGES = ("data", "network")
_HOMES = {
    "Evaluation": "inference.evaluation",
    "Model": "model",
    "PantoumError": "errors",
    "Scores": "report.surprisal",
    "Session": "inference.session",
    "State": "inference.state",
    "Tokenizer": "text.tokenizer",
    "load": "model",
}
"""The module of each public name that is not in ``api``."""
_OF_APPS = ("compress", "decompress", "import_model")
"""Public functions that apps add (``extensions``)."""


def __getattr__(name: str) -> "Any":
    import importlib

    if name in _PACKAGES:
        return importlib.import_module(f"pantoum.{name}")
    if name == "__version__":
        value = importlib.import_module("pantoum.config").VERSION
    elif name in _OF_APPS:
        value = importlib.import_module("pantoum.extensions").find("functions", name)
    elif name in __all__:
        value = getattr(importlib.import_module(f"pantoum.{_HOMES.get(name, 'api')}"), name)
    else:
        raise AttributeError(f"module 'pantoum' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_PACKAGES, "__version__"])
