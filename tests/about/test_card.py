"""A card may say anything; what it says of nothing gives no row, and never an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.about.file import card_rows, curve_rows, inspect, some
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.network import LanguageModel
from pantoum.text.byte import ByteTokenizer

KEYS = (
    "texts",
    "all_texts",
    "step",
    "tokens_trained",
    "validation",
    "int8",
    "adapted",
    "adapted_times",
    "curve",
)
KNOWN_KEYS = ("name", "number", "cost", "loss", "tokens", "protocol", "nats_per_token", "accuracy", "texts")
STRANGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just(10**400),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(KNOWN_KEYS), each, max_size=3),
    max_leaves=9,
)


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(KEYS), STRANGE))
def test_no_card_is_an_error(card: dict[str, Any]) -> None:
    assert all(isinstance(name, str) and isinstance(text, str) for name, text in card_rows(card))


def test_what_a_card_of_ours_says_is_shown() -> None:
    rows = dict(
        card_rows(
            {
                "texts": [{"name": f"{letter}.txt"} for letter in "abcd"],
                "all_texts": {"number": 9_000},
                "step": 12_345,
                "tokens_trained": 5_140_000,
                "validation": {"nats_per_character": 1.25, "bits_per_byte": 1.8, "protocol": "segments:64"},
                "int8": {"cost": {"float32": 1.5, "int8": 1.5012, "protocol": "carried", "tokens": 900}},
                "adapted": [{"texts": [{"name": "z"}], "tokens": 10}],
                "adapted_times": 1_200,
                "curve": [{"loss": 4.0}, {"loss": 2.0}],
            }
        )
    )
    assert rows["trained on"] == "a.txt, b.txt, c.txt and 8,997 more"
    assert rows["after"] == "12,345 steps; the whole run read 5.14 M tokens"
    assert rows["held out"].startswith("1.250 nats per character, 1.80 bits per byte (xz —) (segments:64)")
    assert rows["int8"] == "1.5012 nats per token, 1.5000 in float32 (carried)"
    assert rows["adapted"] == "1,200 times; the first and the last:"
    assert rows["adapted to"] == "z, 10 tokens"
    assert rows["training"] == "4.00 █▁ 2.00 nats per token of its batches"


@pytest.mark.parametrize(
    "card", [{"step": "x"}, {"curve": 7}, {"texts": 3}, {"curve": [{"loss": 1e308}, {"loss": -1e308}]}]
)
def test_a_model_of_such_a_card_can_be_looked_at(tmp_path: Path, card: dict[str, Any]) -> None:
    network = LanguageModel(257, None, "gru", 4, 1)
    made = ModelFile(network.config.spec(), dict(network.parameters), ByteTokenizer().spec(), card)
    model_file.write(tmp_path / "m", made)
    found = inspect(tmp_path / "m", verify=True)
    assert found.rows[-1] == ("verified", "it loads")
    assert json.loads(json.dumps(found.to_dict()))["card"] == card
    assert np.isfinite(found.facts["parameters"])


def test_a_card_that_says_little_is_shown_as_far_as_it_goes() -> None:
    assert card_rows({}) == [] and curve_rows([]) == [] and curve_rows([None]) == []
    assert some(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
