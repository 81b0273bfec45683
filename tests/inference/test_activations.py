"""The units' values over a text, and the search for those that follow a property of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pantoum.apps.server.activations import activations, following, indentation, line_length, quotes
from pantoum.errors import SettingError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.session import Session

Make = Callable[..., LoadedModel]


@pytest.mark.parametrize("cell", ["gru", "lstm", "mingru"])
def test_the_last_layers_values_are_the_hidden_states(make: Make, cell: str) -> None:
    model = make("characters", cell=cell)
    tokens_T = model.tokenizer.encode("The cat sat.\nA dog")
    texts, values_TU = activations(model, tokens_T)
    hidden_TH = Session(model).feed(tokens_T, hidden=True)
    assert "".join(texts) == "The cat sat.\nA dog"
    assert values_TU.shape == (18, 32)
    if cell != "lstm":  # whose values are tanh of the cell, not its output
        assert values_TU[:, 16:] == pytest.approx(hidden_TH, abs=1e-6)
    assert np.abs(values_TU).max() <= 1.0 or cell == "mingru"


def test_the_unit_that_follows_is_found() -> None:
    text = 'He said "no".\n  def f():\n    pass\n\n"yes'
    for feature, values in (
        ("line-length", line_length(text)),
        ("quotes", quotes(text)),
        ("indentation", indentation(text)),
    ):
        values_TU = np.random.default_rng(3).standard_normal((len(text), 9)).astype(np.float32)
        values_TU[:, 4] = -2.0 * np.array(values) + 1
        best, told = following(list(text), values_TU, feature, 2)
        assert (best[0][0], round(best[0][1], 5)) == (4, -1.0) and told == values


def test_properties_of_a_text() -> None:
    assert line_length("ab\nc") == [1, 2, 0, 1]
    assert quotes('a"b"c') == [0, 1, 1, 0, 0]
    assert quotes('"a\n\nb') == [1, 1, 1, 0, 0]
    assert indentation("  a b\n\tc") == [1, 2, 2, 2, 2, 0, 4, 4]


def test_a_text_that_is_too_long_is_refused(make: Make) -> None:
    with pytest.raises(SettingError, match="4,000"):
        activations(make("characters"), np.zeros(4001, np.uint32))
