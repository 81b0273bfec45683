"""A state's bytes: exact, of one size for a model, and refused when anything is changed."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.errors import StateError
from pantoum.formats import state_file
from pantoum.formats.state_file import StateRecord

MODEL = "ab" * 32


def record(**changes: Any) -> StateRecord:
    made = StateRecord(
        [np.array([1.0, -2.0], np.float32), np.array([0.5], np.float32)], 7, 300, b"\xe2\x82", MODEL
    )
    return dataclasses.replace(made, **changes)


def checked(body: bytes) -> bytes:
    """A body with a checksum that matches, as someone hostile would make it."""
    return body + hashlib.sha256(body).digest()


def test_exact_bytes() -> None:
    body = (
        b"PANTOUMS"
        + b"\x01\x00"
        + b"\x02\x00"
        + b"\x07\x00\x00\x00"
        + b"\x2c\x01"
        + b"\x00" * 6
        + b"\xab" * 32
        + b"\x02"
        + b"\xe2\x82"
        + b"\x00" * 13
        + b"\x02\x00\x00\x00"
        + b"\x01\x00\x00\x00"
        + b"\x00\x00\x80\x3f"
        + b"\x00\x00\x00\xc0"
        + b"\x00\x00\x00\x3f"
    )
    assert state_file.to_bytes(record()) == checked(body)


floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=60)
@given(
    layers=st.lists(st.lists(floats, max_size=5), min_size=1, max_size=4),
    last=st.none() | st.integers(0, 2**32 - 2),
    seen=st.integers(0, 2**63 - 1),
    pending=st.binary(max_size=15),
    model=st.sampled_from([MODEL, ""]),
)
def test_every_state_comes_back_to_the_bit(
    layers: Any, last: Any, seen: int, pending: bytes, model: str
) -> None:
    given_record = StateRecord([np.array(layer, np.float32) for layer in layers], last, seen, pending, model)
    data = state_file.to_bytes(given_record)
    found = state_file.from_bytes(data)
    assert (found.last_token, found.tokens_seen, found.pending, found.model_sha256) == (
        last,
        seen,
        pending,
        model,
    )
    assert [a.tobytes() for a in found.layers] == [a.tobytes() for a in given_record.layers]
    assert state_file.to_bytes(found) == data


@pytest.mark.parametrize(("arrays", "most"), [(3, 6_451), (6, 12_902)])
def test_the_size_is_one_for_a_model_and_within_its_bound(arrays: int, most: int) -> None:
    layers = [np.ones(512, np.float32)] * arrays
    sizes = {
        len(state_file.to_bytes(record(layers=layers, last_token=last, tokens_seen=seen, pending=pending)))
        for last, seen, pending in [(None, 0, b""), (97, 2**62, b"\xf0\x9f\x98")]
    }
    assert len(sizes) == 1 and max(sizes) <= most


def test_layers_of_one_row_are_taken_flat() -> None:
    flat = state_file.to_bytes(record(layers=[np.ones(4, np.float32)]))
    assert state_file.to_bytes(record(layers=[np.ones((1, 4), np.float32)])) == flat


def test_every_flipped_bit_cut_and_tail_is_refused() -> None:
    data = state_file.to_bytes(record())
    damaged = [data[:size] for size in range(len(data))] + [data + b"\0"]
    for place in range(len(data) * 8):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        damaged.append(bytes(changed))
    for each in damaged:
        with pytest.raises(StateError, match=r"cannot be used.*another copy"):
            state_file.from_bytes(each)


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_foreign_bytes_are_refused_with_and_without_our_magic(data: bytes) -> None:
    for each in (data, checked(state_file.MAGIC + data)):
        with pytest.raises(StateError):
            state_file.from_bytes(each)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (8, b"\x02\x00", "this pantoum reads version 1, not 2"),
        (10, b"\x00\x00", "its number of arrays is impossible"),
        (10, b"\xff\x03", "its number of arrays is impossible"),
        (10, b"\xff\xff", "its number of arrays is impossible"),
        (10, b"\x01\x00", "its arrays do not fit its size"),
        (72, b"\xff\xff\xff\xff", "its arrays do not fit its size"),
        (23, b"\x80", "its count of tokens is impossible"),
        (56, b"\x10", "its undecoded bytes are impossible"),
        (56, b"\x01", "its undecoded bytes are impossible"),
        (71, b"\x01", "its undecoded bytes are impossible"),
        (80, b"\x00\x00\xc0\x7f", "it holds values that are not finite"),
        (84, b"\x00\x00\x80\xff", "it holds values that are not finite"),
    ],
)
def test_hostile_fields_with_a_valid_checksum_are_refused(place: int, value: bytes, words: str) -> None:
    body = bytearray(state_file.to_bytes(record())[:-32])
    body[place : place + len(value)] = value
    with pytest.raises(StateError, match=f"^the state cannot be used: {words}; use another copy of it"):
        state_file.from_bytes(checked(bytes(body)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layers": [np.array([np.nan], np.float32)]}, "it holds values that are not finite"),
        ({"layers": []}, "it has 0 arrays, not 1 to 1024"),
        ({"layers": [np.ones(1)] * 1025}, "it has 1025 arrays, not 1 to 1024"),
        ({"last_token": -1}, "its last token is -1"),
        ({"last_token": 2**32 - 1}, "its last token is 4294967295"),
        ({"tokens_seen": -1}, "its count of tokens is -1"),
        ({"tokens_seen": 2**63}, f"its count of tokens is {2**63}"),
        ({"pending": b"x" * 16}, "it has 16 undecoded bytes, at most 15"),
        ({"model_sha256": "AB" * 32}, "its model's SHA-256 is wrong"),
        ({"model_sha256": "ab"}, "its model's SHA-256 is wrong"),
    ],
)
def test_what_cannot_be_kept_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(StateError) as caught:
        state_file.to_bytes(record(**changes))
    advice = "use another copy of it, or start without a state"
    assert str(caught.value) == f"the state cannot be used: {words}; {advice}"


def test_files_are_written_and_read_and_named_when_damaged(tmp_path: Path) -> None:
    state_file.write(tmp_path / "state", record())
    assert state_file.read(tmp_path / "state").tokens_seen == 300
    assert state_file.read_bytes(tmp_path / "state") == state_file.to_bytes(record())
    (tmp_path / "state").write_bytes(b"PANTOUMS")
    for path, words in [("state", "8 bytes"), ("missing", "no such file")]:
        with pytest.raises(StateError, match=words) as caught:
            state_file.read(tmp_path / path)
        assert str(tmp_path / path) in str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"x" * 200, "it is not a state of pantoum"),
        (b"PANTOUMS" + bytes(95), "it has 103 bytes"),
        (b"PANTOUMS" + bytes(200), "its checksum does not match: it is truncated or was changed"),
        (checked(b"PANTOUMS" + b"\x01" + bytes(63)), "its number of arrays is impossible"),
    ],
)
def test_the_whole_of_a_refusal(data: bytes, words: str) -> None:
    with pytest.raises(StateError) as caught:
        state_file.from_bytes(data, "s")
    assert str(caught.value) == f"s cannot be used: {words}; use another copy of it, or start without a state"


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": [np.ones(1, np.float32)] * state_file.MOST_ARRAYS},
        {"last_token": 0},
        {"last_token": state_file.NO_TOKEN - 1},
        {"tokens_seen": 0},
        {"tokens_seen": 2**63 - 1},
        {"pending": b"x" * 15},
        {"model_sha256": ""},
    ],
)
def test_the_largest_and_the_least_of_each_value_come_back(changes: dict[str, Any]) -> None:
    found = state_file.from_bytes(state_file.to_bytes(record(**changes)))
    for name, value in changes.items():
        kept = getattr(found, name)
        assert len(kept) == len(value) if name == "layers" else kept == value


def test_layers_of_any_number_type_and_shape_are_float32_and_flat() -> None:
    layers = [np.arange(6.0).reshape(2, 3), np.arange(4)]
    found = state_file.from_bytes(state_file.to_bytes(record(layers=layers)))
    assert [layer.tolist() for layer in found.layers] == [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3]]
    assert all(layer.dtype == np.float32 for layer in found.layers)


def test_a_state_may_have_as_many_bytes_as_a_file_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_file.write(tmp_path / "state", record())
    data = (tmp_path / "state").read_bytes()
    monkeypatch.setattr(state_file, "MOST_BYTES", len(data))
    assert state_file.to_bytes(state_file.read(tmp_path / "state")) == data
    monkeypatch.setattr(state_file, "MOST_BYTES", len(data) - 1)
    with pytest.raises(StateError, match=f": it has {len(data)} bytes; use"):
        state_file.from_bytes(data)
    with pytest.raises(StateError, match=f"{len(data)} bytes are more than the {len(data) - 1} allowed"):
        state_file.read(tmp_path / "state")


def test_a_state_that_could_not_be_read_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(state_file.to_bytes(record()))
    monkeypatch.setattr(state_file, "MOST_BYTES", size - 1)
    words = (
        f"cannot be saved: it would have {size} bytes, more than the {size - 1} allowed; use a smaller cache"
    )
    with pytest.raises(StateError, match=words):
        state_file.write(tmp_path / "state", record())
    assert not list(tmp_path.iterdir())


def test_only_pending_bytes_that_are_counted_come_back() -> None:
    body = bytearray(state_file.to_bytes(record(pending=b"x" * 15))[:-32])
    body[56] = 14
    with pytest.raises(StateError, match="its undecoded bytes are impossible"):
        state_file.from_bytes(checked(bytes(body)))
    body[71] = 0
    assert state_file.from_bytes(checked(bytes(body))).pending == b"x" * 14
