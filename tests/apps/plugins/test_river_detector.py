"""river: a detector that learns from a stream."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

anomaly = pytest.importorskip("river.anomaly")


def test_what_is_learned_becomes_ordinary_and_a_score_changes_nothing(model: Path, lines: list[str]) -> None:
    from pantoum.apps.plugins.river_detector import RiverDetector

    detector, new = RiverDetector(str(model)), "PUT /other/7 503"
    before = detector.score_one(new)
    assert before > detector.score_one(lines[0]) and detector.score_one(new) == before
    for _ in range(60):
        detector.learn_one(new)
    assert detector.score_one(new) < 0.9 * before


def test_it_is_a_part_of_a_filter_of_river(model: Path, lines: list[str]) -> None:
    from pantoum.apps.plugins.river_detector import RiverDetector

    found = anomaly.QuantileFilter(RiverDetector(str(model), on="line"), q=0.95)
    for line in lines:
        found.learn_one({"line": line})
    odd = {"line": "zzzz qqq !!! 7777"}
    assert found.classify(found.score_one(odd)) and not found.classify(found.score_one({"line": lines[0]}))
    assert found.clone().anomaly_detector.on == "line"


def test_it_finds_the_base_of_older_versions(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    name = "pantoum.apps.plugins.river_detector"
    older = ModuleType("river.anomaly.base")
    older.AnomalyDetector = type("AnomalyDetector", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "river.base", ModuleType("river.base"))
    monkeypatch.setitem(sys.modules, "river.anomaly.base", older)
    monkeypatch.delitem(sys.modules, name, raising=False)
    found = importlib.import_module(name).RiverDetector
    monkeypatch.delitem(sys.modules, name)
    assert found.__mro__[1] is older.AnomalyDetector and found(str(model)).score_one("GET /page/7 200") > 0
