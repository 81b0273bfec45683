"""A verdict beside the compressors follows the figures, and there is none within their error."""

from __future__ import annotations

import pytest

from pantoum.report.summary import judgement


def test_it_follows_the_figures() -> None:
    assert "better than xz and bz2 compress it" in judgement(1.0, 2.0, 3.0)
    assert "better than bz2 compresses it, not yet better than xz" in judgement(2.5, 2.0, 3.0)
    assert "better than xz compresses it, not yet better than bz2" in judgement(2.5, 3.0, 2.0)
    assert judgement(3.5, 3.0, 2.0).startswith("xz and bz2 compress the validation text better")


@pytest.mark.parametrize(("bits", "size"), [(8.01, 10_000), (8.0, 10**6), (8.05, 10_000)])
def test_random_bytes_are_predicted_no_better_than_they_are_compressed(bits: float, size: int) -> None:
    assert "about as well as xz and bz2" in judgement(bits, 8.02, 8.04, size)


def test_the_longer_the_text_the_smaller_the_difference_that_counts() -> None:
    assert "about as well" in judgement(2.0, 2.05, 2.05, 10_000)
    assert "better than xz and bz2" in judgement(2.0, 2.05, 2.05, 10**6)
    assert judgement(2.0, 2.01, 1.5, 10_000).endswith("as well as xz compresses it; bz2 compresses it better")
