"""The safetensors layout: the library reads what we write, and what does not fit is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.formats import tensor_layout as layout

NUMPY_NAMES = [name for name in layout.DTYPES if name != "BF16"]


def whole(arrays: dict[str, tuple[str, Any]], metadata: str = "{}") -> bytes:
    header, order = layout.header_bytes(arrays, metadata)
    return header + b"".join(layout.data_chunks(arrays, order))


def read(data: bytes) -> dict[str, Any]:
    length = layout.header_length(data[:8], len(data))
    _, tensors = layout.parse(data[8 : 8 + length], len(data) - 8 - length)
    body = np.frombuffer(data, np.uint8, offset=8 + length)
    return {tensor.name: layout.view(body, tensor) for tensor in tensors}


@st.composite
def array_sets(draw: st.DrawFn) -> dict[str, tuple[str, Any]]:
    names = draw(st.lists(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.\-]{0,8}\Z"), max_size=5, unique=True))
    made = {}
    for i, name in enumerate(names):
        dtype = draw(st.sampled_from(NUMPY_NAMES))
        shape = tuple(draw(st.lists(st.integers(0, 3), max_size=3)))
        values = np.random.default_rng(i).integers(0, 2, shape)
        made[name] = (dtype, np.asarray(values).astype(layout.DTYPES[dtype]))
    return made


@settings(max_examples=60)
@given(array_sets())
def test_the_library_and_we_read_the_same(arrays: dict[str, tuple[str, Any]]) -> None:
    data = whole(arrays)
    ours, theirs = read(data), safetensors.numpy.load(data)
    assert set(ours) == set(theirs) == set(arrays)
    for name, (_, array) in arrays.items():
        for found in (ours[name], theirs[name]):
            assert found.dtype == array.dtype and found.shape == array.shape and np.array_equal(found, array)


@settings(max_examples=60)
@given(array_sets())
def test_the_bytes_do_not_depend_on_the_order_of_names(arrays: dict[str, tuple[str, Any]]) -> None:
    assert whole(arrays) == whole(dict(reversed(arrays.items())))


def test_exact_bytes() -> None:
    arrays = {"b": ("U8", np.array([7], np.uint8)), "a": ("F32", np.array([[1.0]], np.float32))}
    header = (
        b'{"__metadata__":{"pantoum":"{}"},"a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},'
        b'"b":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}}'
    )
    header += b" " * (-len(header) % 8)
    assert whole(arrays) == len(header).to_bytes(8, "little") + header + b"\x00\x00\x80\x3f\x07"


def test_arrays_in_any_memory_order_are_written_as_they_are_indexed() -> None:
    array = np.arange(24, dtype=">f4").reshape(2, 3, 4).transpose(2, 0, 1)[::2]
    assert np.array_equal(read(whole({"a": ("F32", array)}))["a"], array)


def test_views_are_read_only_and_aligned() -> None:
    arrays = {
        "byte": ("U8", np.ones(3, np.uint8)),
        "long": ("I64", np.ones(2, np.int64)),
        "float": ("F32", np.ones(1, np.float32)),
    }
    for array in read(whole(arrays)).values():
        assert not array.flags.writeable and array.flags.aligned


@pytest.mark.parametrize("name", ["", "__metadata__", "a b", "ä", "a/b", "x" * 201, ".hidden"])
def test_names_that_are_not_plain_are_refused_both_ways(name: str) -> None:
    with pytest.raises(ValueError, match="not plain"):
        whole({name: ("U8", np.zeros(1, np.uint8))})
    if name != "__metadata__":
        header = {"__metadata__": {"pantoum": ""}, name: {"dtype": "U8", "shape": [], "data_offsets": [0, 1]}}
        with pytest.raises(ValueError, match="not plain"):
            layout.parse(json.dumps(header).encode(), 1)


def test_a_header_over_the_limit_is_not_written() -> None:
    with pytest.raises(ValueError, match="more than the 1,000,000 allowed"):
        layout.header_bytes({}, "x" * layout.HEADER_LIMIT)


@pytest.mark.parametrize("sign", [",", "[", "{"])
def test_a_header_of_too_many_parts_is_neither_written_nor_parsed(sign: str) -> None:
    many = sign * (layout.MOST_PARTS + 1)
    with pytest.raises(ValueError, match=r"^its header would have more than 65,536 parts$"):
        layout.header_bytes({}, many)
    with pytest.raises(ValueError, match=r"^its header has more than 65,536 parts$"):
        layout.parse(many.encode(), 0)


@pytest.mark.parametrize(
    ("first", "size", "words"),
    [
        (b"1234567", 7, "it is too short"),
        (
            (1_000_001).to_bytes(8, "little"),
            1 << 30,
            "it claims a header of 1,000,001 bytes, more than the 1,000,000 allowed",
        ),
        (b"\xff" * 8, 1 << 30, "it claims a header of 18,446,744,073,709,551,615 bytes, more than .*"),
        ((100).to_bytes(8, "little"), 107, "it is cut short: its header is not complete"),
    ],
)
def test_a_lying_header_length_is_refused_before_it_is_read(first: bytes, size: int, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}$"):
        layout.header_length(first, size)


GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ([], "is not described by dtype, shape and data_offsets"),
        ({**GOOD, "more": 1}, "is not described by dtype, shape and data_offsets"),
        ({**GOOD, "dtype": "F4"}, "has a dtype that is not used here"),
        ({**GOOD, "dtype": ["F32"]}, "has a dtype that is not used here"),
        ({**GOOD, "shape": 2}, "has an impossible shape"),
        ({**GOOD, "shape": [-2]}, "has an impossible shape"),
        ({**GOOD, "shape": [2.0]}, "has an impossible shape"),
        ({**GOOD, "shape": [True, 2]}, "has an impossible shape"),
        ({**GOOD, "shape": [1] * 9}, "has an impossible shape"),
        ({**GOOD, "shape": [1 << 60]}, "has an impossible shape"),
        ({**GOOD, "shape": [1 << 48] * 8}, "has a size that does not fit its shape"),
        ({**GOOD, "data_offsets": 8}, "has impossible offsets"),
        ({**GOOD, "data_offsets": [0]}, "has impossible offsets"),
        ({**GOOD, "data_offsets": [0, 8, 8]}, "has impossible offsets"),
        ({**GOOD, "data_offsets": [0, 8.0]}, "has impossible offsets"),
        ({**GOOD, "data_offsets": [8, 0]}, "has a size that does not fit its shape"),
        ({**GOOD, "shape": [3]}, "has a size that does not fit its shape"),
        ({**GOOD, "data_offsets": [4, 12]}, "does not begin where the one before it ends"),
        ({**GOOD, "data_offsets": [2, 10]}, "has a size that does not fit its shape"),
    ],
)
def test_entries_that_do_not_fit_are_refused(entry: object, words: str) -> None:
    header = {"__metadata__": {"pantoum": ""}, "a": entry}
    with pytest.raises(ValueError, match=f"^array 'a' {words}$"):
        layout.parse(json.dumps(header).encode(), 8)


def test_overlapping_arrays_are_refused() -> None:
    header = {"__metadata__": {"pantoum": ""}, "a": GOOD, "b": GOOD}
    with pytest.raises(ValueError, match="does not begin where"):
        layout.parse(json.dumps(header).encode(), 8)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"__metadata__": {}},
        {"__metadata__": {"pantoum": 1}},
        {"__metadata__": {"pantoum": "", "more": ""}},
        {"__metadata__": "pantoum"},
        {"__metadata__": "p"},
    ],
)
def test_a_header_without_our_metadata_is_refused(header: object) -> None:
    with pytest.raises(ValueError, match=r"^it was not written by pantoum$"):
        layout.parse(json.dumps(header).encode(), 0)


def test_the_entries_of_a_header_may_have_any_order() -> None:
    far, empty = {**GOOD, "data_offsets": [8, 16]}, {**GOOD, "shape": [0], "data_offsets": [8, 8]}
    header = {"far": far, "near": GOOD, "__metadata__": {"pantoum": "words"}, "empty": empty}
    words, tensors = layout.parse(json.dumps(header).encode(), 16)
    assert words == "words" and [(tensor.name, tensor.begin, tensor.end) for tensor in tensors] == [
        ("near", 0, 8),
        ("empty", 8, 8),
        ("far", 8, 16),
    ]
    assert [tensor.shape for tensor in tensors] == [(2,), (0,), (2,)]


@pytest.mark.parametrize(
    ("dtype", "array"),
    [
        ("F32", np.array([0, np.inf], np.float32)),
        ("F64", np.array([[np.nan]])),
        ("BF16", np.array([0x3F80, 0x7F80], np.uint16)),
        ("BF16", np.array([0xFFC1], np.uint16)),
    ],
)
def test_values_that_are_not_finite_are_found(dtype: str, array: Any) -> None:
    with pytest.raises(ValueError, match="'a' holds values that are not finite"):
        layout.require_finite("a", dtype, array)


def test_finite_values_pass() -> None:
    layout.require_finite("a", "BF16", np.array([0x7F7F, 0xFF7F, 0], np.uint16))
    large = np.full(300_000, np.finfo(np.float32).max)
    layout.require_finite("a", "F32", large)
    for place in (0, 131_071, 131_072, 299_999):  # in every piece that is looked at, and at its ends
        spoiled = large.copy()
        spoiled[place] = np.inf
        with pytest.raises(ValueError, match="not finite"):
            layout.require_finite("a", "F32", spoiled)


def test_arrays_that_lie_ready_are_not_copied_and_pieces_are_bounded() -> None:
    array = np.arange(3 * (1 << 18) + 5, dtype=np.float32)
    pieces = list(layout.data_chunks({"a": ("F32", array)}, ["a"]))
    assert [len(piece) for piece in pieces] == [1 << 20, 1 << 20, 1 << 20, 20]
    assert all(np.shares_memory(np.frombuffer(piece, np.uint8), array) for piece in pieces)
    assert b"".join(pieces) == array.tobytes()


def test_the_longest_header_and_the_most_parts_are_written_and_parsed() -> None:
    few = layout.header_bytes({}, "")[0][8:].rstrip()
    longest = "x" * (layout.HEADER_LIMIT - len(few))
    header, _ = layout.header_bytes({}, longest)
    assert layout.header_length(header[:8], len(header)) == layout.HEADER_LIMIT
    assert layout.parse(header[8:], 0)[0] == longest
    with pytest.raises(ValueError, match=r"^its header would have 1,000,008 bytes, more than"):
        layout.header_bytes({}, longest + "x")
    most = "," * (layout.MOST_PARTS - few.count(b"{"))
    header, _ = layout.header_bytes({}, most)
    assert layout.parse(header[8:], 0)[0] == most
    with pytest.raises(ValueError, match=r"^its header would have more than 65,536 parts$"):
        layout.header_bytes({}, most + ",")


@pytest.mark.parametrize(
    ("header", "size", "words"),
    [
        ([], 0, "its header is not an object"),
        ({"a" * 201: {}}, 0, "array name " + repr("a" * 80) + " is not plain: .*"),
        ({"a": GOOD}, 9, "it has bytes after its end: its arrays have 8 bytes, the file 9 for them"),
        ({"a": GOOD}, 7, "it is cut short: its arrays have 8 bytes, the file 7 for them"),
    ],
)
def test_the_whole_of_a_refusal_to_parse(header: Any, size: int, words: str) -> None:
    if header:
        header = {"__metadata__": {"pantoum": ""}, **header}
    with pytest.raises(ValueError, match=f"^{words}$"):
        layout.parse(json.dumps(header).encode(), size)


def test_a_header_may_end_with_the_file() -> None:
    assert layout.header_length((100).to_bytes(8, "little"), 108) == 100
