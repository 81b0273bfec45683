"""The lower bound of a network's size is below the true size, and never far below."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.config import ModelConfig
from pantoum.errors import ModelFileError
from pantoum.inference.files.precision import SPARE, require_filled
from pantoum.network import LanguageModel
from pantoum.network.spec import number


@settings(max_examples=150)
@given(st.data())
def test_its_numbers_are_known_before_it_is_made(data: st.DataObject) -> None:
    config = ModelConfig(
        cell=data.draw(st.sampled_from(["rnn", "gru", "gru-before", "lstm", "mingru"])),
        hidden_size=data.draw(st.integers(3, 20)),
        num_layers=data.draw(st.integers(1, 3)),
        embedding_size=data.draw(st.none() | st.integers(3, 20)),
        ngrams=data.draw(st.sampled_from([(), (2,), (2, 5)])),
        ngram_rows=16,
    )
    vocab_size = data.draw(st.integers(3, 40))
    true = LanguageModel(vocab_size, config=config, seed=None).num_parameters
    assert number(config, vocab_size) == true


def test_what_the_arrays_cannot_fill_is_refused_before_it_is_made() -> None:
    config = ModelConfig("lstm", 65_536, 256)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match="m: its configuration needs 8,779,0"):
            require_filled(config, 98, 100, Path("m"))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_what_is_nearly_filled_is_left_to_the_check_of_each_array() -> None:
    config = ModelConfig("gru", 64, 1)
    needed = number(config, 10)
    assert 0 < needed < SPARE
    require_filled(config, 10, 0, "m")
    with pytest.raises(ModelFileError):
        require_filled(ModelConfig("gru", 1024, 1), 10, 10, "m")
    exact = number(ModelConfig("gru", 2048, 1), 10) - SPARE
    require_filled(ModelConfig("gru", 2048, 1), 10, exact, "m")
