"""What a run really was decides which runs are alike; where that is not known, what was typed."""

from __future__ import annotations

from typing import Any

import pytest

from pantoum.report.comparison import configuration
from pantoum.report.story import Story

TEXT = {"sha256": "aa", "valid_sha256": None, "tokenizer": "cc", "documents": "lines", "valid_fraction": 0.1}
CONFIG = {
    "texts": ["book.txt"],
    "settings": {"cell": "gru", "tokens": "auto", "vocab_size": "auto", "valid_fraction": 0.1, "seed": 0},
    "kind": "characters",
    "vocab_size": 77,
    "text": TEXT,
    "budget": "1 minute",
}


def told(settings: Any = (), text: Any = (), **changes: Any) -> dict[str, Any]:
    config: Any = {**CONFIG, **changes}
    whole = {**config["settings"], **dict(settings)}
    return configuration(Story("x", {**config, "settings": whole, "text": {**config["text"], **dict(text)}}))


@pytest.mark.parametrize("same", [
    {"settings": {"data": "prepared/book"}, "texts": []},
    {"texts": ["elsewhere/copy.txt"]},
    {"settings": {"tokens": "characters", "documents": "lines", "keep_data": True}},
    {"settings": {"run": "runs/7", "stop_after": 3, "resume": True}},
    {"settings": {"minutes": 1.0}},
])  # fmt: skip
def test_names_of_files_and_how_a_choice_was_made_do_not_count(same: dict[str, Any]) -> None:
    assert told(**same) == told()


@pytest.mark.parametrize("other", [
    {"text": {"sha256": "bb"}}, {"text": {"valid_sha256": "bb"}}, {"text": {"tokenizer": "dd"}},
    {"text": {"documents": None}}, {"text": {"valid_fraction": 0.2}}, {"kind": "bytes"},
    {"vocab_size": 78}, {"budget": "1 minute + 2 minutes"}, {"settings": {"cell": "lstm"}},
])  # fmt: skip
def test_what_came_of_the_settings_counts(other: dict[str, Any]) -> None:
    assert told(**other) != told()


@pytest.mark.parametrize("odd", [None, [], "x", 3])
def test_a_config_of_any_form_has_a_configuration(odd: Any) -> None:
    names = ("settings", "chosen", "text", "texts", "budget", "kind", "vocab_size")
    assert "text" in configuration(Story("x", dict.fromkeys(names, odd)))


def test_what_was_left_open_is_what_was_chosen_also_where_it_is_off() -> None:
    settings = {"ngrams": "auto", "members": "auto", "kneser_ney": "auto", "softmax": "auto"}
    plain = told(settings, chosen={"model": {"cell": "gru"}, "members": 1})
    assert (plain["ngrams"], plain["members"], plain["kneser_ney"], plain["softmax"]) == (None, 1, None, None)
    with_more = told(settings, chosen={"model": {"ngrams": [3, 4]}, "members": 4, "kneser_ney": 5})
    assert (with_more["ngrams"], with_more["members"], with_more["kneser_ney"]) == ([3, 4], 4, 5)
    typed = told({"members": 1, "ngrams": None}, chosen={"model": {"cell": "gru"}, "members": 1})
    assert {name: typed[name] for name in ("members", "ngrams")} == {"members": 1, "ngrams": None}
