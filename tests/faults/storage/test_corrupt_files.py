"""Damaged and forged files of every kind: refused by one line, quickly, in little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import corrupt_files
import pytest
from damage import DAMAGES


@pytest.fixture
def counted_memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


# Archives have laws of their own, in tests/apps/archive.
KINDS = [kind for kind in corrupt_files.KINDS if kind.name != "archive"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_no_damage_is_accepted_and_no_forgery_crashes(kind: corrupt_files.Kind, counted_memory: None) -> None:
    count = 9 * len(DAMAGES)
    tally = corrupt_files.run(kind, count, seed=1)
    assert tally.faults == []
    assert tally.refused == count and len(tally.by_damage) >= len(DAMAGES) - 1
    assert tally.forged_refused > 0
