"""The shape of a network as settings: what is refused, and that specs and spelled dropout read back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.config import DropoutConfig, ModelConfig
from pantoum.errors import SettingError

RATES = st.integers(0, 99).map(lambda percent: percent / 100)


@given(
    rates=st.tuples(RATES, RATES, RATES) | RATES.map(lambda rate: (rate, rate, rate)),
    kind=st.sampled_from(["independent", "variational"]),
)
@settings(max_examples=50)
def test_spelled_dropout_reads_back(rates: tuple[float, float, float], kind: str) -> None:
    dropout = DropoutConfig(*rates, kind)
    assert DropoutConfig.parse(dropout.spell()) == dropout
    assert dropout.active == any(rates)


def test_a_rate_alone_is_everywhere_and_a_place_alone_only_there() -> None:
    assert DropoutConfig.parse(0.2) == DropoutConfig(0.2, 0.2, 0.2)
    assert DropoutConfig.parse(" independent:outputs=0.3") == DropoutConfig(outputs=0.3)


@pytest.mark.parametrize("text", ["", "x", "inputs=x", "inside=0.1", "0.1:variational", "inputs=0.1,"])
def test_dropout_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SettingError, match=r"RATE.* --dropout variational:0\.2"):
        DropoutConfig.parse(text)


@pytest.mark.parametrize("text", ["1", "-0.1", "nan", "outputs=1.5"])
def test_a_rate_beyond_its_bounds_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="must be a number at least 0 and below 1"):
        DropoutConfig.parse(text)


@given(
    cell=st.sampled_from(["rnn", "gru", "lstm"]),
    embedding=st.none() | st.integers(1, 9),
    rate=RATES,
    orders=st.sets(st.integers(2, 16), max_size=4),
)
@settings(max_examples=30)
def test_a_model_s_spec_reads_back(cell: str, embedding: int | None, rate: float, orders: set[int]) -> None:
    model = ModelConfig(
        cell,
        5,
        2,
        embedding,
        embedding is not None,
        DropoutConfig(rate),
        tuple(sorted(orders)),
        1024 if orders else 16_384,
    )
    assert ModelConfig.from_spec(json.loads(json.dumps(model.spec()))) == model
    assert ("ngrams" in model.spec()) == bool(orders)  # without them a file is as it was before they were


def test_a_spec_may_leave_out_what_has_a_default_and_add_nothing() -> None:
    assert ModelConfig.from_spec({"hidden_size": 7}) == ModelConfig(hidden_size=7)
    with pytest.raises(SettingError, match="configuration has unknown keys: depth; use a newer"):
        ModelConfig.from_spec({"hidden_size": 7, "depth": 2})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cell": "transformer"}, "must be one of rnn, gru, gru-before, lstm, mingru"),
        ({"hidden_size": 0}, "from 1 to 65536"),
        ({"hidden_size": True}, "must be a whole number"),
        ({"num_layers": 257}, "from 1 to 256"),
        ({"embedding_size": 2.0}, "must be a whole number"),
        ({"tied": True}, "give --embedding-size a number"),
        ({"ngrams": (1, 2)}, "ngrams is 1: it must be a whole number from 2 to 16"),
        ({"ngrams": (2, 17)}, "ngrams is 17: it must be a whole number from 2 to 16"),
        ({"ngrams": (3, 2)}, r"ngrams is \[3, 2\]: it must be different orders, the lowest first"),
        ({"ngrams": (2, 2)}, "must be different orders"),
        ({"ngrams": (2, "3")}, "ngrams is '3': it must be a whole number"),
        ({"ngrams": 2.5}, "ngrams is 2.5: it must be a whole number"),
        ({"ngrams": {}}, "must be a whole number"),
        ({"ngrams": "2,x"}, "ngrams is '2,x': it must be whole numbers with commas between them; give"),
        ({"ngrams": (2,), "ngram_rows": 1000}, "ngram_rows is 1000: it must be a power of two; give 16384"),
        ({"ngrams": (2,), "ngram_rows": 8}, "ngram_rows is 8: it must be a whole number from 16 to 16777216"),
        ({"ngrams": (2,), "ngram_rows": "64"}, "ngram_rows is '64': it must be a whole number"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        ModelConfig(**given)


def test_what_there_was_is_in_every_file_and_no_network_has_it() -> None:
    spec = ModelConfig().spec()
    assert (spec["norm"], spec["residual"]) == (None, False)
    for gone in ({"norm": "layer"}, {"residual": True}, {"residual": 0}):
        with pytest.raises(SettingError, match=f"{next(iter(gone))}.*which this version no longer has"):
            ModelConfig.from_spec({**spec, **gone})
