"""An archive's bytes: exact, and every one of them under a checksum."""

from __future__ import annotations

import io
import tracemalloc
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.apps.archive import archive
from pantoum.apps.archive.archive import Frame, Header, Index, Kind
from pantoum.errors import ArchiveError

FRAMES = [
    Frame(Kind.BEGUN, 5, 0x01020304, b"abc"),
    Frame(Kind.STORED, 0, 0, b""),
    Frame(Kind.LEARNED, 300, 7, b"x" * 300),
    Frame(Kind.RECORDS, 9, 1, b"\x82\x01zz", records=130),
]


def written(header: Header, frames: list[Frame]) -> bytes:
    index = Index()
    for frame in frames:
        index.add(frame)
    return header.to_bytes() + b"".join(frame.head + frame.payload for frame in frames) + index.to_bytes()


def given_back(data: bytes, keep_going: bool = False) -> list[Frame | tuple[int, int]]:
    source = io.BytesIO(data)
    return list(archive.read(source, archive.read_header(source), keep_going=keep_going))


def test_exact_bytes() -> None:
    data = written(Header(), FRAMES[:1])
    assert data[:11] == b"PANTOUMZ\x03\x00\x00"
    assert data[15:27] == b"\xf5\x03\x05\x00\x00\x03\x00\x00\x04\x03\x02\x01"
    assert data[33:36] == b"abc" and data[36:40] == b"\xf6\x05\x03\x00"
    assert len(data) == 15 + 18 + 3 + 1 + 3 + 4 + 8


@pytest.mark.parametrize("header", [Header(), Header("ab" * 32, "lines"), Header("cd" * 32, "list")])
def test_bytes_give_the_frames_back(header: Header) -> None:
    data = written(header, FRAMES)
    assert archive.read_header(io.BytesIO(data)) == header
    assert given_back(data) == FRAMES
    assert given_back(written(header, [])) == []
    found, index = archive.read_index(io.BytesIO(data))
    assert found == header and index.plain == [5, 0, 300, 9] and index.records == [0, 0, 0, 130]
    places = index.offsets(header)
    assert [archive.frame_at(io.BytesIO(data), place) for place in places] == FRAMES


@given(st.lists(st.integers(0, 2**35 - 1)))
def test_numbers(numbers: list[int]) -> None:
    data = archive.to_numbers(numbers)
    assert archive.from_numbers(data) == (numbers, len(data))
    assert archive.from_numbers(data + b"\x80", len(numbers)) == (numbers, len(data))


@pytest.mark.parametrize("data", [b"\x80", b"\xff" * 6, b"\x81\x82"])
def test_numbers_that_are_cut(data: bytes) -> None:
    with pytest.raises(ValueError, match="cut"):
        archive.from_numbers(data, 1)


def test_no_byte_can_change_unseen() -> None:
    data = written(Header("ab" * 32, "lines"), FRAMES)
    for place in range(len(data)):
        for change in (1, 0x80, 0xFF):
            changed = bytearray(data)
            changed[place] ^= change
            with pytest.raises(ArchiveError, match="the archive cannot be used"):
                given_back(bytes(changed))


def test_no_cut_is_unseen() -> None:
    data = written(Header("ab" * 32, "lines"), FRAMES)
    for size in range(len(data)):
        with pytest.raises(ArchiveError):
            given_back(data[:size])
    for more in (b"\0", b"\xf5", data):
        with pytest.raises(ArchiveError):
            given_back(data + more)


def test_frames_in_another_order_or_missing_are_refused() -> None:
    header = Header()
    start, end = header.to_bytes(), written(header, FRAMES)[len(header.to_bytes()) :]
    bodies = [frame.head + frame.payload for frame in FRAMES]
    index = end[sum(map(len, bodies)) :]
    for order in ([1, 0, 2, 3], [0, 2, 3], [0, 1, 2, 3, 3]):
        with pytest.raises(ArchiveError):
            given_back(start + b"".join(bodies[n] for n in order) + index)


@given(st.data())
def test_what_is_whole_is_found_beside_damage(data: st.DataObject) -> None:
    header = Header()
    whole = written(header, FRAMES)
    spoilt = data.draw(st.integers(0, len(FRAMES) - 1))
    places, at = [], len(header.to_bytes())
    for frame in FRAMES:
        places.append(at)
        at += len(frame.head) + len(frame.payload)
    end = places[spoilt + 1] if spoilt + 1 < len(places) else at
    damage = data.draw(st.binary(max_size=60))
    found = given_back(whole[: places[spoilt]] + damage + whole[end:], keep_going=True)
    expected = [frame for number, frame in enumerate(FRAMES) if number != spoilt]
    assert [one for one in found if isinstance(one, Frame)] == expected


def test_a_damaged_index_costs_no_frame() -> None:
    data = written(Header(), FRAMES)
    for cut in (1, 5, 13):
        found = given_back(data[:-cut], keep_going=True)
        assert found[:-1] == FRAMES and isinstance(found[-1], tuple)
        with pytest.raises(ArchiveError):
            archive.read_index(io.BytesIO(data[:-cut]))


@given(st.binary(max_size=300))
def test_foreign_bytes_are_refused(data: bytes) -> None:
    for start in (b"", b"PANTOUMZ", Header().to_bytes()):
        with pytest.raises(ArchiveError):
            given_back(start + data)
        with pytest.raises(ArchiveError):
            archive.read_index(io.BytesIO(start + data))


def test_an_index_of_zeros_takes_no_more_than_ten_times_its_size() -> None:
    """It would be three million numbers of frames that cannot be there."""
    zeros = bytes([archive.INDEX]) + bytes(3_000_000) + bytes(4)
    body = zeros + len(zeros).to_bytes(4, "little")
    data = Header().to_bytes() + body + crc32(body).to_bytes(4, "little")
    tracemalloc.start()
    with pytest.raises(ArchiveError, match="does not fit its size"):
        archive.read_index(io.BytesIO(data))
    assert tracemalloc.get_traced_memory()[1] < 10 * len(data)
    tracemalloc.stop()
