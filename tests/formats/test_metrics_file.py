"""metrics.jsonl: whole lines, read while it grows, and no step twice after a resume."""

from __future__ import annotations

import errno
import math
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.errors import FormatError, StorageError
from pantoum.formats import durable, metrics_file


def test_records_come_back_in_order_and_their_keys_too(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    metrics_file.append(log, {"step": 1, "loss": 2.5, "sample": "é\n\u2028\ud800"})
    metrics_file.append(log, {"step": 2, "notes": ("a", "b")})
    assert metrics_file.read(log) == [
        {"step": 1, "loss": 2.5, "sample": "é\n\u2028\ud800"},
        {"step": 2, "notes": ["a", "b"]},
    ]
    assert log.read_bytes().startswith(b'{"step":1,"loss":2.5,') and log.read_bytes().count(b"\n") == 2


def test_a_figure_that_is_not_finite_is_null(tmp_path: Path) -> None:
    metrics_file.append(tmp_path / "log", {"loss": math.nan, "more": {"rates": [1.0, math.inf]}})
    assert metrics_file.read(tmp_path / "log") == [{"loss": None, "more": {"rates": [1.0, None]}}]


def test_a_run_without_a_log_has_no_records(tmp_path: Path) -> None:
    assert metrics_file.read(tmp_path / "log") == []
    assert metrics_file.truncate_after(tmp_path / "log", 5) == 0
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=50)
@given(cut=st.integers(0, 60))
def test_every_prefix_of_the_file_reads_as_its_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    log = tmp_path_factory.getbasetemp() / "log"
    whole = b'{"step":1,"loss":2.5}\n{"step":2,"loss":2.25}\n{"step":3}\n'
    log.write_bytes(whole[:cut])
    assert [r["step"] for r in metrics_file.read(log)] == list(range(1, 1 + whole[:cut].count(b"\n")))


def test_damaged_lines_are_passed_over_and_the_others_are_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(
        b'{"step":1}\n{"st\n\0\0\0\n[1]\n\n{"step":NaN}\n' + b"x" * 3_000_000 + b'\n{"step":2}\r\n{"step"'
    )
    assert metrics_file.read(log) == [{"step": 1}, {"step": 2}]
    metrics_file.append(log, {"step": 3})
    assert metrics_file.read(log)[-1] == {"step": 3}


def test_a_resumed_run_has_no_step_twice(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for step in (10, 20, 30, 40):
        metrics_file.append(log, {"step": step})
    with log.open("ab") as file:
        file.write(b'{"step":50')
    assert metrics_file.truncate_after(log, 20) == 3
    metrics_file.append(log, {"step": 30})
    assert [record["step"] for record in metrics_file.read(log)] == [10, 20, 30]


def test_nothing_is_rewritten_where_nothing_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics_file.append(tmp_path / "log", {"step": 10})
    metrics_file.append(tmp_path / "log", {"note": "no step"})
    monkeypatch.setattr(durable, "write_file", None)
    assert metrics_file.truncate_after(tmp_path / "log", 10) == 0


def test_a_full_disk_is_told_and_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    metrics_file.append(log, {"step": 1})

    def full(descriptor: int, data: Any) -> int:
        os.write(descriptor, data[:4])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(durable.system, "write", full)
        with pytest.raises(StorageError, match="the disk is full"):
            metrics_file.append(log, {"step": 2})
    assert log.read_bytes() == b'{"step":1}\n'


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="it is a folder"):
        metrics_file.read(tmp_path)
    with pytest.raises(StorageError, match="a folder is in its place"):
        metrics_file.append(tmp_path, {"step": 1})


def test_a_log_of_more_lines_than_any_run_writes_is_refused_in_time(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b"{}\n" * metrics_file.MOST_LINES)
    assert len(metrics_file.read(path)) == metrics_file.MOST_LINES
    path.write_bytes(b"{}\n" * (metrics_file.MOST_LINES + 1))
    with pytest.raises(
        FormatError, match=f"^{str(path)!r} has more than 100,000 lines: no run writes those$"
    ):
        metrics_file.read(path)


def test_a_line_without_end_is_read_a_mebibyte_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * 20_000_000 + b'\n{"step":1}\n')
    tracemalloc.start()
    try:
        assert metrics_file.read(tmp_path / "log") == [{"step": 1}]
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_records_whose_step_is_no_number_stay(tmp_path: Path) -> None:
    for record in ({"step": 30.5}, {"step": "40"}, {"step": None}, {"step": 20.0}):
        metrics_file.append(tmp_path / "log", record)
    assert metrics_file.truncate_after(tmp_path / "log", 20) == 1
    assert [record["step"] for record in metrics_file.read(tmp_path / "log")] == ["40", None, 20.0]
