"""Every target is scored exactly once, from the past that the protocol gives it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pantoum.errors import SettingError
from pantoum.inference.scoring import protocols
from pantoum.inference.scoring.protocols import ROWS, WARM_TOKENS, blocks, parse_protocol, typical_spans

PROTOCOLS = st.sampled_from(
    [
        "carried",
        "segments:1",
        "segments:3",
        "segments:64",
        "windows:1",
        "windows:7",
        "windows:512",
        "windows:100000",
    ]
)


def pasts(length: int, protocol: str, part: NDArray[np.int64] | None = None) -> dict[int, int]:
    """For each scored target, how many tokens its row had read since the row's state was zero."""
    tokens, found = np.arange(length), {}
    read = np.zeros(0, np.int64)
    for block in blocks(tokens, protocol, part=part):
        assert block.inputs_BT.size <= max(ROWS, len(block.inputs_BT))
        np.testing.assert_array_equal(block.targets_BT, block.inputs_BT + 1)
        if block.rows == "zero":
            read = np.zeros(len(block.inputs_BT), np.int64)
        elif block.rows == "join":
            read = np.concatenate([np.zeros(1, np.int64), read])
        for row, column in zip(*np.nonzero(block.scored_BT), strict=True):
            target = int(block.targets_BT[row, column])
            assert target not in found
            found[target] = int(read[row]) + column + 1
        read = read + block.inputs_BT.shape[1]
    return found


@given(length=st.integers(2, 3_000), protocol=PROTOCOLS)
@settings(max_examples=40)
def test_every_target_is_scored_once(length: int, protocol: str) -> None:
    assert sorted(pasts(length, protocol)) == list(range(1, length))


def test_carried_reads_all_that_came_before() -> None:
    assert all(past == target for target, past in pasts(10_000, "carried").items())


@pytest.mark.parametrize("length", [1_025, 2_000, 40_000])
def test_segments_are_equal_spans_warmed_by_the_tokens_before(length: int) -> None:
    found, targets = pasts(length, "segments:64"), length - 1
    spans = max(1, min(64, targets // 512))
    starts = [i * targets // spans for i in range(spans)]
    for start in starts[1:]:
        assert found[start + 1] == WARM_TOKENS + 1
        assert found[start] > WARM_TOKENS + 1
    assert all(found[target] == target for target in range(1, starts[1] + 1))


@pytest.mark.parametrize("length", [2, 513, 1_024])
def test_a_short_text_is_one_segment(length: int) -> None:
    assert pasts(length, "segments:64") == pasts(length, "carried")


def test_windows_begin_from_nothing() -> None:
    assert pasts(100, "windows:30") == {t: (t - 1) % 30 + 1 for t in range(1, 100)}


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "segment:64",
        "segments",
        "segments:0",
        "windows:-1",
        "windows:x",
        "carried:2",
        "windows:9999999999999",
        None,
    ],
)
def test_another_protocol_is_refused_with_the_rule(wrong: str) -> None:
    with pytest.raises(SettingError, match=r"protocol is .*must be carried, segments:N or windows:N"):
        parse_protocol(wrong)


LENGTHS = [(200_000, 7_700), (5_000, 2_048), (5_000, 4_998), (700, 600), (1_031, 1_029)]


@pytest.mark.parametrize(("length", "part"), LENGTHS)
def test_a_part_of_the_targets_is_spread_over_the_text(length: int, part: int) -> None:
    """What a run monitors: as many targets as asked for, each warmed, in every part of the text."""
    text = np.random.default_rng(1).integers(0, 9, length)
    spans = typical_spans(text, part, text[::-1])
    found = pasts(length, "segments:64", spans)
    assert len(found) == part
    at_N, parts = np.array(sorted(found)) - 1, max(1, min(64, part // 512))
    assert np.bincount(at_N * parts // (length - 1), minlength=parts).min() >= part // parts - 2
    for start in spans[0][spans[0] >= WARM_TOKENS]:
        assert found[start + 1] == WARM_TOKENS + 1
    assert spans[0][1:].min(initial=WARM_TOKENS) >= WARM_TOKENS


def test_the_part_that_is_monitored_is_as_hard_as_the_text() -> None:
    """Half of each stretch is noise, which no context predicts: the part has as much of it as the text."""
    draw = np.random.default_rng(3)
    easy = np.resize(np.arange(40), 1_200)
    text = np.concatenate(
        [p for _ in range(16) for p in (easy, draw.integers(0, 40, draw.integers(900, 1_500)))]
    )
    part, noise = typical_spans(text, 5_000, np.resize(easy, 9_000)), np.diff(text, prepend=0) % 40 != 1
    shares = [noise[start + 1 : end + 1].mean() for start, end in part.T]
    assert abs(np.mean(shares) - noise.mean()) < 0.02
    begins = np.arange(9) * len(text) // 9
    assert abs(np.mean([noise[a : a + 555].mean() for a in begins]) - noise.mean()) > 0.05
    assert np.array_equal(part, typical_spans(text.astype(np.int32), 5_000, np.resize(easy, 9_000)))


@pytest.mark.parametrize("trained", [[3], [3, 4], [3, 4, 5]])
def test_a_part_can_be_chosen_after_hardly_any_training_text(trained: list[int]) -> None:
    part = typical_spans(np.arange(5_000), 2_048, np.array(trained, np.int64))
    assert (part[1] - part[0]).sum() == 2_048


def test_of_a_long_text_only_the_beginnings_of_its_parts_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = np.random.default_rng(4).integers(0, 9, 60_000)
    monkeypatch.setattr(protocols, "MOST_LOOKED", 9_000)
    (begins, ends), parts = typical_spans(text, 4_500, text[::-1]), np.arange(9) * 60_000 // 8
    assert (ends - begins).sum() == 4_500 and (begins >= parts[:-1] - 1).all()
    assert (ends <= parts[:-1] + 9_000 // 8 + 1).all()
