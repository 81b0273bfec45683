"""No value of any kind makes the public Python interface raise anything but a ``PantoumError``.

The calls are read from the interface itself: every public function and every public method, each of its
parameters, settings too. The other arguments are good ones.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import itertools
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pantoum
from pantoum.config import GenerationConfig, SamplingConfig, ScoreConfig


class Unshowable:
    """A value whose ``repr`` fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no picture")


class Odd(enum.IntEnum):
    """An ``int`` that is not only an ``int``."""

    ONE = 1


class NoIndex:
    """An index that cannot be had, and a path that cannot be had."""

    def __index__(self) -> int:
        raise OverflowError("no index")

    def __fspath__(self) -> str:
        raise OSError("no path")


BAD: list[Any] = [
    *(float("nan"), float("inf"), -float("inf"), 1e308, -0.5, 0.3, 5e-324),
    *(-1, 0, 1, 3, 2**31, 3_000_000_000, 2**63 - 1, 2**63, 2**64, 10**30, 10**5000, -(10**5000)),
    *(True, None, Ellipsis, object(), object, 1j, Fraction(1, 3), Decimal("1.5"), Odd.ONE),
    *("", "x", "\udc80", "a\0b", "é\u0301", "9" * 10_000, "none", "auto", "nan", str, np.str_("x")),
    *(b"bytes", b"\xff\xfe", b"", bytearray(b"x"), memoryview(b"x")),
    *(np.int64(3), np.uint8(200), np.float32("nan"), np.float64(0.5), np.bool_(True), np.longdouble(2)),
    *(np.array(3), np.array([1.0, 2.0]), np.zeros((2, 6))[:, ::2], np.array(["a"]), np.array([None])),
    *(np.array([2**63], np.uint64), np.arange(6, dtype=">i4")[::2], np.datetime64("2020")),
    *([], [None], ["a", 3], [1, 2], [2**70], (), (1,), {}, {"a": 1}, {1}, range(3), range(10**30)),
    *(lambda: None, lambda *values: None, Path("nowhere"), Path("a\0b"), Path(), Unshowable(), NoIndex()),
]
LONG = {"length", "steps", "epochs", "minutes", "count", "stop_after"}
"""Parameters by which a call may rightly take very long."""
SHARE = 7
"""In the quick form each parameter meets one in so many of the values."""
SHARE_OF_TRAIN = 3
"""The same for ``train`` in the slow form: each value that is right trains a model."""
SMALL = {"steps": 1, "hidden_size": 8, "num_layers": 1, "progress": False}
CALLS = [
    *("train", "load", "prepare", "info", "compare", "export"),
    *("Model.batch", "Model.evaluate", "Model.generate", "Model.generation", "Model.score", "Model.scores"),
    *("Model.score_stream", "Model.scorer", "Model.session", "Model.stream"),
    *("Model.choices", "Model.suggest", "Session.suggest", "compress", "decompress"),
    *("Model.compress", "Model.compress_many", "Model.decompress", "Model.decompress_many"),
    *(
        "Model.save",
        "Session.stream",
        "Session.feed",
        "Session.fork",
        "Session.generate",
        "Session.predict",
        "Session.rewind",
    ),
    *(
        "State.from_bytes",
        "State.read",
        "State.write",
        "ModelBatch.join",
        "ModelBatch.leave",
        "ModelBatch.start",
        "Scores.html",
    ),
    *("State.State", "Scorer.feed", "Tokenizer.encode", "Tokenizer.decode", "Tokenizer.decode_bytes"),
]


class World:
    """A trained model, one of everything that is public, and arguments that work."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._count = folder, itertools.count()
        self.text = folder / "t.txt"
        self.text.write_text("The cat sat on the mat. A dog ran!\n" * 30)
        self.model = pantoum.train(self.text, run=folder / "run", **SMALL).model
        self._session = self.model.session()
        self._session.feed("The cat")
        self.state = self._session.state
        fields = {one.name: getattr(self.state, one.name) for one in dataclasses.fields(self.state)}
        self._good: dict[str, Any] = {
            "texts": self.text,
            "text": "The cat",
            "prompt": "The",
            "parts": ["The cat"],
            "choices": ["a", "b"],
            "archive": b"",
            "records": [],
            "path": folder / "run",
            "to": "torch",
            "model": folder / "run",
            "runs": [folder / "run"],
            "data": bytes(self.state),
            "config": ScoreConfig(),
            "how_much": GenerationConfig(length=2, seed=1),
            "sampling": SamplingConfig(),
            "state": self.state,
            "ids": [3, 4],
            **fields,
        }

    def fresh(self) -> Path:
        return self.folder / f"fresh-{next(self._count)}"

    def function(self, call: str) -> Callable[..., Any]:
        kind, _, method = call.partition(".")
        if not method:
            return getattr(pantoum, kind)
        if method == "State":
            return pantoum.State
        if kind == "ModelBatch":
            batch = self.model.batch()
            batch.start("The", length=3, seed=1)
            return getattr(batch, method)
        one = {
            "Model": self.model,
            "Session": self._session.fork(),
            "State": self.state,
            "Scores": self.model.score("The cat"),
            "Scorer": self.model.scorer(ScoreConfig()),
            "Tokenizer": self.model.tokenizer,
        }[kind]
        return getattr(one, method)

    def archived(self, call: str) -> dict[str, Any]:
        """What a call that compresses, or reads an archive, needs."""
        kind, _, method = call.rpartition(".")
        if not method.startswith("decompress"):
            return {"records": [b"The cat"]} if method.endswith("many") else {"data": b"The cat"}
        made = method.removeprefix("de")
        given = [b"The", b"cat"] if made.endswith("many") else b"The cat"
        return {"archive": self.function(f"{kind}.{made}" if kind else made)(given)}

    def arguments(self, call: str) -> dict[str, Any]:
        """Those that a call needs."""
        if call == "ModelBatch.leave":
            batch = self.model.batch()
            return {"stream": batch.start("The", length=3)}
        needed = [
            name
            for name, one in inspect.signature(self.function(call)).parameters.items()
            if one.default is one.empty and one.kind is not one.VAR_KEYWORD
        ]
        found = {name: self.fresh() if name == "out" else self._good[name] for name in needed}
        if "compress" in call:
            found = {**found, **self.archived(call)}
        if call in ("State.write", "Model.save"):
            found["path"] = self.fresh()
        small = {"texts": self.text, "run": self.fresh(), **SMALL} if call == "train" else {}
        return found | small


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("bad"))


def problem(function: Callable[..., Any], arguments: dict[str, Any]) -> str | None:
    """What came out that should not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found = function(**arguments)
            if isinstance(found, Iterator):
                next(found, None)
    except pantoum.PantoumError as error:
        return f"more than a line: {error}" if "\n" in str(error) else None
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:100]}"
    return None


@pytest.mark.parametrize(
    "quick", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["some values", "many values"]
)
@pytest.mark.parametrize("call", CALLS)
def test_only_pantoum_errors_come_out(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, quick: bool
) -> None:
    """Where a parameter meets a share of the values, each parameter meets another part of them."""
    monkeypatch.chdir(tmp_path)
    share = SHARE if quick else SHARE_OF_TRAIN if call == "train" else 1
    wrong = []
    names = list(inspect.signature(world.function(call)).parameters)
    for (place, name), number in itertools.product(enumerate(names), range(len(BAD))):
        bad = BAD[number]
        if (number + place) % share or (name in LONG and isinstance(bad, int) and 100 < bad < 2**64):
            continue
        if name == "on_report" and callable(bad):
            continue  # what a function of the user's raises is the user's
        if found := problem(world.function(call), world.arguments(call) | {name: bad}):
            wrong.append(f"{call}({name}=BAD[{number}], a {type(bad).__name__}): {found}")
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize("call", CALLS[: CALLS.index("State.State")])
def test_arguments_that_a_call_does_not_take_are_pantoum_errors(world: World, call: str) -> None:
    good = world.arguments(call)
    with pytest.raises(pantoum.PantoumError, match="no_such_name is not a setting of"):
        world.function(call)(**good, no_such_name=3)
    with pytest.raises(pantoum.PantoumError, match="takes"):
        world.function(call)(*range(20))
