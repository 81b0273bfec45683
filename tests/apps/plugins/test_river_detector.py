"""river: a detector that learns from a stream."""

from __future__ import annotations

from pathlib import Path

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
