"""The examples for river, PyOD and scikit-learn's way of writing, in these packages."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import pantoum

LINES = [f"GET /page/{n * 7 % 121} 200" for n in range(120)]
ODD = "zzzz qqq !!! 7777"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model") / "run"
    pantoum.train(
        text=LINES, documents="lines", run=str(folder), steps=30, seed=1, hidden_size=16, num_layers=1,
        progress=False,
    )  # fmt: skip
    return str(folder)


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples" / "plugins"))


def test_what_river_learned_becomes_ordinary_and_a_score_changes_nothing(model: str) -> None:
    pytest.importorskip("river.anomaly")
    detector, new = importlib.import_module("river_detector").RiverDetector(model), "PUT /other/7 503"
    before = detector.score_one(new)
    assert before > detector.score_one(LINES[0]) and detector.score_one(new) == before
    for _ in range(60):
        detector.learn_one(new)
    assert detector.score_one(new) < 0.9 * before


def test_it_is_a_part_of_a_filter_of_river(model: str) -> None:
    anomaly = pytest.importorskip("river.anomaly")
    detector = importlib.import_module("river_detector").RiverDetector(model, on="line")
    found = anomaly.QuantileFilter(detector, q=0.95)
    for line in LINES:
        found.learn_one({"line": line})
    assert found.classify(found.score_one({"line": ODD}))
    assert not found.classify(found.score_one({"line": LINES[0]}))
    assert found.clone().anomaly_detector.on == "line"


def test_it_uses_the_base_class_of_older_versions(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    pytest.importorskip("river")
    older = ModuleType("river.anomaly.base")
    older.AnomalyDetector = type("AnomalyDetector", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "river.base", ModuleType("river.base"))
    monkeypatch.setitem(sys.modules, "river.anomaly.base", older)
    monkeypatch.delitem(sys.modules, "river_detector", raising=False)
    found = importlib.import_module("river_detector").RiverDetector
    monkeypatch.delitem(sys.modules, "river_detector")
    assert found.__mro__[1] is older.AnomalyDetector and found(model).score_one("GET /page/7 200") > 0


@pytest.mark.filterwarnings("ignore")  # those of its imports
def test_odd_texts_are_outliers_of_pyod(model: str) -> None:
    pytest.importorskip("pyod")
    kind = importlib.import_module("pyod_detector").PyodDetector
    detector = kind(model=model, contamination=0.05).fit(LINES)
    odd = np.array([ODD, LINES[0]], object)
    np.testing.assert_array_equal(detector.predict(odd), [1, 0])
    assert detector.labels_.mean() == pytest.approx(0.05, abs=0.03)
    np.testing.assert_array_equal(detector.predict_proba(odd.tolist()), detector.predict_proba(odd))
    assert detector.predict_proba(odd)[0, 1] > 0.9 and detector.threshold_ > 0
    assert detector.get_params()["model"] == model


@pytest.mark.filterwarnings("ignore")  # those of scikit-learn
def test_the_generator_writes_what_the_model_writes(model: str) -> None:
    base = pytest.importorskip("sklearn.base")
    kind = importlib.import_module("text_generator").TextGenerator
    writer = base.clone(kind(model, writing={"length": 5, "seed": 1})).fit()
    expected = pantoum.load(model).generate(["GET", "PUT"], length=5, seed=1)
    assert writer.predict(["GET", "PUT"]).tolist() == list(expected)
