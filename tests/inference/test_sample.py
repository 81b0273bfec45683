"""A person's sampling settings as columns of a row."""

from __future__ import annotations

import pytest

from pantoum.config import SamplingConfig
from pantoum.inference.writing.batch_rows import columns
from pantoum.kernels.types import COLUMNS


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (SamplingConfig(), {"temperature": 0.9, "min_p": 0.05}),
        (SamplingConfig(greedy=True, temperature=2.0, min_p=None), {"temperature": 0.0}),
        (
            SamplingConfig(1.5, 7, 0.9, 0.1, 1.2),
            {"temperature": 1.5, "top_k": 7, "top_p": 0.9, "min_p": 0.1, "penalty": 1.2},
        ),
    ],
)
def test_settings_become_columns(sampling: SamplingConfig, expected: dict[str, float]) -> None:
    assert columns(sampling) == expected
    assert set(expected) <= set(COLUMNS)
