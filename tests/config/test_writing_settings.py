"""How a model is asked to write: a single stop text, bounds, and what is off."""

from __future__ import annotations

from typing import Any

import pytest

from pantoum.config import GenerationConfig, SamplingConfig
from pantoum.errors import SettingError


def test_a_single_stop_text_is_one_text_and_not_its_letters() -> None:
    assert SamplingConfig(stop="end").stop == ("end",)  # type: ignore[arg-type]
    assert SamplingConfig(stop=("a", "b")).stop == ("a", "b")


def test_the_bounds_themselves_may_be_given() -> None:
    assert SamplingConfig(temperature=0.0, top_k=1, top_p=1.0, min_p=0.0, repetition_penalty=100.0)
    assert GenerationConfig(length=0, seed=2**63 - 1, count=100_000).model_out is None


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (SamplingConfig, {"stop": ("a", "")}, "must be a text that is not empty"),
        (SamplingConfig, {"stop": (3,)}, "must be a text that is not empty"),
        (SamplingConfig, {"temperature": -0.1}, "at least 0 and at most 100"),
        (SamplingConfig, {"temperature": "hot"}, "must be a number"),
        (SamplingConfig, {"top_k": 0}, "top_k is 0"),
        (SamplingConfig, {"top_p": 0.0}, "above 0 and at most 1"),
        (SamplingConfig, {"min_p": 1.1}, "at least 0 and at most 1"),
        (SamplingConfig, {"repetition_penalty": 0}, "above 0 and at most 100"),
        (GenerationConfig, {"length": -1}, "at least 0"),
        (GenerationConfig, {"count": 0}, "from 1 to 100000"),
        (GenerationConfig, {"seed": 2**63}, "seed is 9223372036854775808"),
    ],
)
def test_what_cannot_be_is_refused(kind: type[Any], given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        kind(**given)
