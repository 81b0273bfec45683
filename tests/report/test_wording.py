"""Figures are spelled one way, and what is missing or not finite is an em dash."""

from __future__ import annotations

import math

import pytest

from pantoum.report import wording


@pytest.mark.parametrize(("value", "spelled"), [
    (0, "0"), (999, "999"), (1234, "1,234"), (9999, "9,999"), (15_000, "15.0 k"), (118_456, "118 k"),
    (999_499, "999 k"), (999_600, "1.00 M"), (5_138_001, "5.14 M"), (35.6e6, "35.6 M"), (2.5e9, "2.50 G"),
    (7e15, "7,000 T"), (None, "—"), (math.inf, "—"), ("12", "—"), (True, "—"),
])  # fmt: skip
def test_counts(value: object, spelled: str) -> None:
    assert wording.count(value) == spelled


@pytest.mark.parametrize(("seconds", "clock", "words"), [
    (0.4, "0:00", "0 seconds"), (7, "0:07", "7 seconds"), (245, "4:05", "4 minutes 5 seconds"),
    (300, "5:00", "5 minutes"), (3753, "1:02:33", "1 hour 2 minutes"), (-3, "0:00", "0 seconds"),
    (61, "1:01", "1 minute 1 second"), (None, "—", "—"), (math.nan, "—", "—"),
])  # fmt: skip
def test_durations(seconds: object, clock: str, words: str) -> None:
    assert (wording.clock(seconds), wording.spoken(seconds)) == (clock, words)


def test_other_figures() -> None:
    assert [wording.figure(1.23456), wording.figure(2, 1), wording.figure(None)] == ["1.235", "2.0", "—"]
    assert [wording.share(0.5813), wording.share(math.nan)] == ["58.1 %", "—"]
    assert [wording.rate(0.002), wording.rate(3.14159e-5), wording.rate(None)] == ["0.002", "3.14e-05", "—"]
    assert [wording.size(n) for n in (12, 6451, 16.5e6, 2e9, None)] == [
        "12 B",
        "6.5 kB",
        "16.5 MB",
        "2.0 GB",
        "—",
    ]


@pytest.mark.parametrize(
    ("nats", "spelled"),
    [
        (math.log(96.424), "96.42"),
        (math.log(99.999), "100.0"),
        (math.log(141.86), "141.9"),
        (math.log(33278), "33,278"),
        (20.0, "4.85e+08"),
        (None, "—"),
    ],
)
def test_perplexities_have_four_digits(nats: object, spelled: str) -> None:
    assert wording.perplexity(nats) == spelled
