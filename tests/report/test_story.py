"""What follows from a run's settings and figures."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pantoum.report.story import Story


def test_settings_are_found_wherever_they_stand(config: dict[str, Any]) -> None:
    story = Story("book", {**config, "settings": {**config["settings"], "num_layers": "auto"},
                           "chosen": {"model": {"num_layers": 2}}})  # fmt: skip
    assert story.get("cores") == 2 and story.get("num_layers") == 2
    assert story.get("nowhere", 7) == 7
    assert story.about == "GRU 2 × 512, 4.14 M parameters"
    beside = Story("book", {**config, "chosen": {"model": {"ngrams": [2, 3]}}})
    assert beside.about == "GRU 3 × 512 and n-grams, 4.14 M parameters"
    three = Story("book", {**config, "chosen": {"members": 3}})
    assert three.members == 3 and "3 members" in three.about and story.members == 1


@pytest.mark.parametrize(("settings", "unit"), [
    ({"tokens": "characters"}, "character"), ({"tokens": "auto", "kind": "bytes"}, "byte"),
    ({"tokens": "words:whitespace"}, "word"), ({"tokens": "bpe:500"}, "token"), ({}, "token"),
])  # fmt: skip
def test_what_a_token_is(settings: dict[str, Any], unit: str) -> None:
    assert Story("book", {"settings": settings}).unit == unit


def test_references_are_in_nats_a_token(evaluation: dict[str, Any]) -> None:
    found = Story("book", evaluation={**evaluation, "tokens": 5_000}).references
    assert [r.name for r in found] == ["bz2", "xz"]
    assert found[0].loss == pytest.approx(2.58 * math.log(2) * 2)


def test_nothing_known_nothing_told() -> None:
    story = Story("book")
    assert (story.about, story.references, story.ended, story.cell) == ("", [], None, "")
    assert Story("book", evaluation={"tokens": math.nan}).score("tokens") is None
