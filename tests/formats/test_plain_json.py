"""One spelling for one value, and strict reading."""

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
from pantoum.formats import durable, metrics_file, plain_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100)
@given(VALUES)
def test_every_value_comes_back_and_is_spelled_alike(value: object) -> None:
    data = plain_json.encode(value)
    assert plain_json.decode(data) == value
    assert plain_json.encode(plain_json.decode(data)) == data


def test_the_order_of_keys_does_not_matter() -> None:
    assert (
        plain_json.encode({"b": 1, "a": "é"})
        == b'{"a":"\\u00e9","b":1}'
        == plain_json.encode({"a": "é", "b": 1})
    )


@pytest.mark.parametrize("item", [b"[]", b"{}", b'{"a":1}', b"[[]]", b'""', b'{"a":{}}', b'"ab",[]'])
def test_text_that_would_expand_far_beyond_its_size_is_refused_unread(item: bytes) -> None:
    data = b"[" + item + (b"," + item) * (8_000_000 // len(item)) + b"]"
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="very many very small values"):
            plain_json.decode(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        b"[" + b"[1,2]," * 25_000 + b"1]",
        b"[" + b"999," * 40_000 + b"1]",
        b"[" + b'"ab",' * 40_000 + b"1]",
        b'["' + b"a" * 500_000 + b'\\ud83d\\ude00"]',
        b'["' + "a\u4e00\U0001f600".encode() * 90_000 + b'"]',
        b"{" + b",".join(b'"%x":1' % number for number in range(31_000)) + b"}",
    ],
)
def test_what_is_accepted_takes_no_more_than_the_bound(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_json, "SPARE", 6 << 20)
    tracemalloc.start()
    try:
        plain_json.decode(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 9 * len(data) + (7 << 20)


def test_what_would_not_be_read_back_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    plain_json.encode([[]] * 3_000)
    monkeypatch.setattr(plain_json, "SPARE", 100_000)
    with pytest.raises(ValueError, match="very many very small values"):
        plain_json.encode([[]] * 3_000)


@pytest.mark.parametrize(
    ("data", "cost"),
    [
        (b"1", 0),
        (b"[]", 80),
        (b"{}", 120),
        (b'""', 60),
        (b'"', 0),
        (b"[1,2]", 80 + 40),
        (b'{"a":1}', 120 + 80 + 60),
        (b'["a","b"]', 80 + 40 + 2 * 60),
        (b'"\\u4e00"', 4 * 8 + 60),
        ('"\u4e00"'.encode(), 8 * 5 + 60),
    ],
)
def test_what_a_text_costs(data: bytes, cost: int) -> None:
    assert plain_json.cost(data) == cost


def test_the_bound_itself_is_allowed_and_a_byte_more_is_told() -> None:
    most = 8 * 1_000 + (48 << 20)
    plain_json.require_cost(most, 1_000)
    with pytest.raises(ValueError) as caught:
        plain_json.require_cost(most + 1, 1_000)
    assert str(caught.value) == (
        f"its 1,000 bytes of JSON would take {most + 1:,} bytes of memory: it is made of very many very "
        "small values"
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", r"Expecting value: line 1 column 1 \(char 0\)"),
        (b"{", "Expecting property name enclosed in double quotes: .*"),
        (b"{} ,", r"Extra data: line 1 column 4 \(char 3\)"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff in position 0: .*"),
        (b"9" * 10_000, "Exceeds the limit .* for integer string conversion.*"),
        (b'{"a":1,"a":2}', "a key is given twice"),
        (b"[NaN]", "NaN is not a number"),
        (b"-Infinity", "-Infinity is not a number"),
        (b"1e999", "1e999 is too large"),
        (b"[" * 400_000 + b"]" * 400_000, "nested too deeply"),
        (b'{"a":' * 99_999, "nested too deeply"),
    ],
)
def test_what_is_not_strict_json_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}$"):
        plain_json.decode(data)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({1: 2}, "JSON keys must be text, not 1"),
        ([{"a": ({None: 1},)}], "JSON keys must be text, not None"),
        (float("nan"), "a figure is nan, which JSON cannot represent"),
        ((float("-inf"),), "a figure is -inf, which JSON cannot represent"),
        ({"a": {1}}, "Object of type set is not JSON serializable"),
    ],
)
def test_what_json_would_change_is_refused(value: object, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{words}$"):
        plain_json.encode(value)


def test_the_order_of_keys_may_be_kept_and_a_tuple_is_a_list() -> None:
    value = {"b": (1, 2), "a": True}
    assert plain_json.encode(value, keep_order=True) == b'{"b":[1,2],"a":true}'
    assert plain_json.encode(value) == b'{"a":true,"b":[1,2]}'


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
        FormatError, match=f"^{str(path)!r} has more than 100,000 lines: no run writes so many$"
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
