"""The units' values over a text, and the search for those that follow a property of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from pantoum.apps.server.activations import (
    UnitReading,
    after_tokens,
    indentation,
    line_length,
    quotes,
    shown_tokens,
)
from pantoum.errors import SettingError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.session import Session

Make = Callable[..., LoadedModel]
TEXT = 'He said "no".\n  def f():\n    pass\n\n"yes'


def read(model: LoadedModel, tokens_T: Any, units: Sequence[int] = (), **more: Any) -> UnitReading:
    """A reading that has come to its end, by odd parts."""
    reading = UnitReading(model, tokens_T, units, **more)
    while reading.left:
        assert 0 < reading.advance(7) <= 7
    return reading


@pytest.mark.parametrize("cell", ["gru", "lstm", "mingru"])
def test_the_last_layers_values_are_the_hidden_states(make: Make, cell: str) -> None:
    model = make("characters", cell=cell)
    tokens_T = model.tokenizer.encode("The cat sat.\nA dog")
    values_TK = read(model, tokens_T, range(32)).values_TK
    hidden_TH = Session(model).feed(tokens_T, hidden=True)
    assert "".join(shown_tokens(model, tokens_T)) == "The cat sat.\nA dog"
    assert values_TK.shape == (18, 32)
    if cell != "lstm":  # whose values are tanh of the cell, not its output
        assert values_TK[:, 16:] == pytest.approx(hidden_TH, abs=1e-6)
    assert np.abs(values_TK).max() <= 1.0 or cell == "mingru"


@pytest.mark.parametrize("feature", ["line-length", "indentation"])
def test_units_are_in_the_order_of_their_correlations_with_a_property(make: Make, feature: str) -> None:
    model = make("characters")
    tokens_T = model.tokenizer.encode(TEXT)
    property_T = after_tokens(shown_tokens(model, tokens_T), feature)
    best = read(model, tokens_T, property_T=property_T).following(9)
    values_TU = read(model, tokens_T, range(32)).values_TK.astype(np.float64)
    every = [float(np.corrcoef(values_TU[:, unit], property_T)[0, 1]) for unit in range(32)]
    expected = sorted(range(32), key=lambda unit: -abs(every[unit]))[:9]
    assert [unit for unit, _ in best] == expected
    assert [correlation for _, correlation in best] == pytest.approx([every[unit] for unit in expected])


def test_a_property_that_never_changes_has_no_followers(make: Make) -> None:
    model = make("characters")
    tokens_T = model.tokenizer.encode("The cat")
    reading = read(model, tokens_T, property_T=[2.0] * 7)
    assert {correlation for _, correlation in reading.following(5)} == {0.0}
    assert read(model, tokens_T[:0], property_T=[]).following(5) == []


def test_properties_of_a_text() -> None:
    assert line_length("ab\nc") == [1, 2, 0, 1]
    assert quotes('a"b"c') == [0, 1, 1, 0, 0]
    assert quotes('"a\n\nb') == [1, 1, 1, 0, 0]
    assert indentation("  a b\n\tc") == [1, 2, 2, 2, 2, 0, 4, 4]


def test_a_text_that_is_too_long_and_a_unit_that_is_none_are_refused(make: Make) -> None:
    model = make("characters")
    with pytest.raises(SettingError, match="4,000"):
        UnitReading(model, np.zeros(4001, np.uint32))
    with pytest.raises(SettingError, match="0 to 31"):
        UnitReading(model, np.zeros(4, np.uint32), [3, 32])
