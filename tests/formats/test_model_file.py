"""The model file: everything comes back, the same bytes each time, and no damage passes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.errors import ModelFileError
from pantoum.formats import container, model_file, tensor_layout
from pantoum.formats.model_file import ModelFile


def example(**changes: Any) -> ModelFile:
    model = ModelFile(
        config={"cell": "gru", "hidden_size": 2},
        parameters={
            "stack.0.weight_ih": np.arange(6, dtype=np.float32).reshape(3, 2),
            "head.weight": np.array([1, 2], np.int8),
            "head.bits": np.array([0x3F80], np.uint16),
        },
        tokenizer={"kind": "characters", "symbols": "aé\n\ud800"},
        card={"loss": 1.5, "protocol": "segments:64", "texts": [{"sha256": "f" * 64}]},
        extras={"rms.head": np.array([0.5], np.float32), "filter": np.array([1, 2], np.uint32)},
    )
    return dataclasses.replace(model, **changes)


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(a[k].dtype == b[k].dtype and np.array_equal(a[k], b[k]) for k in a)


def with_valid_digest(data: bytes) -> bytes:
    """The same file with a SHA-256 that matches, as someone hostile would make it."""
    zeros = data[: container.DIGITS.start] + b"0" * 64 + data[container.DIGITS.stop :]
    digest = hashlib.sha256(zeros).hexdigest().encode()
    return data[: container.DIGITS.start] + digest + data[container.DIGITS.stop :]


def test_everything_comes_back(tmp_path: Path) -> None:
    model = example()
    digest = model_file.write(tmp_path / "m", model)
    found = model_file.read(tmp_path / "m")
    assert found.sha256 == digest
    assert (found.config, found.tokenizer, found.card) == (model.config, model.tokenizer, model.card)
    assert same(found.parameters, model.parameters) and same(found.extras, model.extras)
    assert not any(array.flags.writeable for array in found.parameters.values())


def test_the_same_model_gives_the_same_bytes_whatever_the_order_it_was_made_in(tmp_path: Path) -> None:
    model = example()
    turned = example(
        parameters=dict(reversed(model.parameters.items())), card=dict(reversed(model.card.items()))
    )
    assert model_file.write(tmp_path / "a", model) == model_file.write(tmp_path / "b", turned)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_digest_covers_the_whole_file_with_its_own_digits_as_zeros(tmp_path: Path) -> None:
    digest = model_file.write(tmp_path / "m", example())
    data = (tmp_path / "m").read_bytes()
    assert data.count(digest.encode()) == 1
    assert hashlib.sha256(data.replace(digest.encode(), b"0" * 64)).hexdigest() == digest
    assert data == with_valid_digest(data)


def test_plain_safetensors_tools_open_it(tmp_path: Path) -> None:
    model_file.write(tmp_path / "m.safetensors", example())
    with safetensors.safe_open(tmp_path / "m.safetensors", framework="np") as file:
        assert set(file.keys()) >= {"stack.0.weight_ih", "extras.rms.head", "tokenizer"}
        assert np.array_equal(file.get_tensor("stack.0.weight_ih"), example().parameters["stack.0.weight_ih"])
        assert list(file.metadata()) == ["pantoum"]


def test_every_flipped_byte_is_refused(tmp_path: Path) -> None:
    model_file.write(tmp_path / "m", example())
    data = (tmp_path / "m").read_bytes()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << (place % 8)
        (tmp_path / "n").write_bytes(changed)
        with pytest.raises(ModelFileError) as caught:
            model_file.read(tmp_path / "n")
    words = "its SHA-256 does not match: it is truncated, damaged or was changed"  # of the last byte
    told = f"cannot use the model {str(tmp_path / 'n')!r}: {words}; use another copy of it, or train again"
    assert str(caught.value) == told


def test_every_truncation_and_any_tail_is_refused(tmp_path: Path) -> None:
    model_file.write(tmp_path / "m", example())
    data = (tmp_path / "m").read_bytes()
    for damaged in [data[:size] for size in range(0, len(data), 7)] + [data[:-1], data + b"\0", data + data]:
        (tmp_path / "n").write_bytes(damaged)
        with pytest.raises(ModelFileError, match=r"another copy|train again"):
            model_file.read(tmp_path / "n")


@settings(max_examples=60)
@given(data=st.binary(max_size=300))
def test_a_foreign_file_is_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "foreign"
    path.write_bytes(data)
    assert not model_file.is_model_file(path)
    with pytest.raises(ModelFileError, match="foreign"):
        model_file.read(path)


def test_another_safetensors_file_is_told_to_be_foreign(tmp_path: Path) -> None:
    (tmp_path / "n").write_bytes(safetensors.numpy.save({"a": np.zeros(9)}, metadata={"format": "np"}))
    with pytest.raises(ModelFileError, match="not a model file of pantoum"):
        model_file.read(tmp_path / "n")


def test_is_model_file_reads_the_beginning_only(tmp_path: Path) -> None:
    model_file.write(tmp_path / "m", example())
    assert model_file.is_model_file(tmp_path / "m")
    (tmp_path / "short").write_bytes((tmp_path / "m").read_bytes()[:20])
    for other in ("short", "missing", ""):
        assert not model_file.is_model_file(tmp_path / other)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parameters": {"w": np.array([np.nan], np.float32)}}, "'w' holds values that are not finite"),
        ({"parameters": {"w": np.array([0x7F80], np.uint16)}}, "'w' holds values that are not finite"),
        ({"extras": {"x": np.array([np.inf], np.float32)}}, "'extras.x' holds values"),
        ({"parameters": {"w": np.array([None])}}, "'w' is object"),
        ({"parameters": {"tokenizer": np.zeros(1, np.float32)}}, "taken by the format"),
        ({"parameters": {"a b": np.zeros(1, np.float32)}}, "not plain"),
        ({"card": {"loss": float("nan")}}, "nan"),
        ({"card": {"curve": ["x" * 999_999]}}, "1,000,000"),
        ({"config": {1: 2}}, "keys must be text"),
        ({"tokenizer": {"x": "y" * 70_000_000}}, "its tokenizer has"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_the_old_file_stays(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    (tmp_path / "m").write_bytes(b"old")
    with pytest.raises(ModelFileError, match=words) as caught:
        model_file.write(tmp_path / "m", example(**changes))
    assert "nothing was written" in str(caught.value)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


def test_what_is_written_is_what_was_hashed_though_arrays_change_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = example()
    real = container.durable.NewFile.write

    def meanwhile(file: Any, data: Any, place: Any = None) -> None:
        model.parameters["stack.0.weight_ih"][0, 0] += 1
        real(file, data, place)

    monkeypatch.setattr(container.durable.NewFile, "write", meanwhile)
    digest = model_file.write(tmp_path / "m", model)
    assert model_file.read(tmp_path / "m").sha256 == digest


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('\\"version\\":1', '\\"version\\":2', "this pantoum reads version 1, not 2"),
        (
            '\\"version\\":1',
            '\\"version\\":\\"9999999999999999999999999\\"',
            f"this pantoum reads version 1, not {'9' * 20}",
        ),
        ("pantoum model", "pantoum mobel", "it is not a model file of pantoum"),
        ("__metadata__", "__metadatb__", "it is not a model file of pantoum"),
        ('\\"card\\"', '\\"cart\\"', "it is not a model file of pantoum"),
        ('\\"config\\"', '\\"confix\\"', "its config is missing"),
        ('\\"config\\"', '\\"config\\u0000', "Invalid control character at: line 1 column 218 (char 217)"),
        ('"tokenizer"', '"tokenizes"', "its tokenizer is missing"),
        ('"BF16"', '"U16" ', "array 'head.bits' is U16, which no model has"),
    ],
)
def test_hostile_headers_with_a_valid_digest_are_refused(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    model_file.write(tmp_path / "m", example())
    data = (tmp_path / "m").read_bytes()
    changed = data.replace(old.encode(), new.encode())
    assert changed != data
    grown = int.from_bytes(data[:8], "little") + len(changed) - len(data)
    (tmp_path / "m").write_bytes(with_valid_digest(grown.to_bytes(8, "little") + changed[8:]))
    with pytest.raises(ModelFileError) as caught:
        model_file.read(tmp_path / "m")
    file = str(tmp_path / "m")
    assert str(caught.value) == f"cannot use the model {file!r}: {words}; {model_file.USE_ANOTHER}"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'{"kind"', b'["kind"', "delimiter"),
        (b"\x00\x00\x80?", b"\x00\x00\x80\x7f", "not finite"),
    ],
)
def test_hostile_data_with_a_valid_digest_is_refused(
    tmp_path: Path, old: bytes, new: bytes, words: str
) -> None:
    model_file.write(tmp_path / "m", example())
    data = (tmp_path / "m").read_bytes()
    assert old in data
    (tmp_path / "n").write_bytes(with_valid_digest(data.replace(old, new)))
    with pytest.raises(ModelFileError, match=words):
        model_file.read(tmp_path / "n")


@pytest.mark.parametrize("fills_before", [0, 1])
def test_a_file_cut_while_it_is_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fills_before: int
) -> None:
    model_file.write(tmp_path / "m", example())
    real, calls = container.bounded.fill, []

    def cut(file: Any, buffer: memoryview) -> int:
        calls.append(1)
        return real(file, buffer) - (len(calls) > fills_before)

    monkeypatch.setattr(container.bounded, "fill", cut)
    with pytest.raises(ModelFileError, match="': it was truncated while it was read; use another copy of it"):
        model_file.read(tmp_path / "m")


@pytest.mark.parametrize("place", ["bounded.fill", "tensor_layout.view"])
def test_a_file_that_does_not_fit_into_memory_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    model_file.write(tmp_path / "m", example())

    def none_left(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(f"pantoum.formats.container.{place}", none_left)
    with pytest.raises(ModelFileError, match=": it does not fit into memory; use another copy of it"):
        model_file.read(tmp_path / "m")


def test_reading_takes_little_more_memory_than_the_file(tmp_path: Path) -> None:
    model_file.write(tmp_path / "m", example(parameters={"w": np.ones(2_000_000, np.float32)}))
    tracemalloc.start()
    try:
        found = model_file.read(tmp_path / "m")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.parameters["w"].nbytes == 8_000_000 and peak < 1.5 * 8_000_000


def forged(path: Path, array: str, change: Any) -> Path:
    """A model file in which one array's entry in the header was changed, the hash made to match."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header[array])
    packed = json.dumps(header, separators=(",", ":")).encode().ljust(length)
    assert len(packed) == length
    path.write_bytes(with_valid_digest(data[:8] + packed + data[8 + length :]))
    return path


@pytest.mark.parametrize(
    "change",
    [lambda entry: entry.update(dtype="I8"), lambda entry: entry.update(shape=[entry["shape"][0], 1])],
)
def test_a_tokenizer_of_another_kind_is_refused(tmp_path: Path, change: Any) -> None:
    model_file.write(tmp_path / "m", example(card={"spare": " " * 40}))
    with pytest.raises(ModelFileError, match=": its tokenizer is missing; use another copy of it, or train"):
        model_file.read(forged(tmp_path / "m", "tokenizer", change))


@pytest.mark.parametrize("bits", [0x7F80, 0xFF80, 0x7FC0])
def test_bfloat16_that_is_not_finite_is_refused_on_reading(tmp_path: Path, bits: int) -> None:
    model_file.write(tmp_path / "m", example())
    data = (tmp_path / "m").read_bytes()
    place = data.rindex(b"\x80\x3f")
    changed = data[:place] + bits.to_bytes(2, "little") + data[place + 2 :]
    (tmp_path / "m").write_bytes(with_valid_digest(changed))
    with pytest.raises(ModelFileError, match=r"array 'head\.bits' holds values that are not finite"):
        model_file.read(tmp_path / "m")


def test_a_tokenizer_of_more_than_16_mb_comes_back(tmp_path: Path) -> None:
    pieces = ["слово" * 20 + str(number) for number in range(30_000)]
    spec = {"kind": "words", "documents": None, "pieces": pieces}
    model_file.write(tmp_path / "m", example(tokenizer=spec))
    assert (tmp_path / "m").stat().st_size > 16_000_000
    assert model_file.read(tmp_path / "m").tokenizer == spec


def test_the_bytes_of_a_file_are_read_as_the_file_is(tmp_path: Path) -> None:
    digest = model_file.write(tmp_path / "m", example())
    data = (tmp_path / "m").read_bytes()
    found = model_file.parsed(data, "m")
    assert found.sha256 == digest and same(found.parameters, example().parameters)
    assert not any(array.flags.writeable for array in found.parameters.values())
    for bad in (data[:-1], data + b"x", data[:200] + b"\0" + data[201:], data[:5], b""):
        with pytest.raises(ModelFileError, match=r"^cannot use the model 'm': .*; use another copy"):
            model_file.parsed(bad, "m")
    with pytest.raises(ModelFileError, match=r"^cannot use the model 'm': it is too short; use another copy"):
        model_file.parsed(b"", "m")


@pytest.mark.parametrize("spare", [100_000, 0])
def test_whether_a_model_can_be_written_is_known_before(spare: int) -> None:
    fits = 1_000_000 - spare - 1_500
    if spare:
        model_file.require_writable(example(card={"x": "y" * fits}))
    with pytest.raises(ModelFileError, match="of this shape and text cannot be written: its header"):
        model_file.require_writable(example(card={"x": "y" * (fits + 1_500)}))
    words = "a model of this shape and text cannot be written: the parameter name 'tokenizer' is taken"
    with pytest.raises(ModelFileError, match=words):
        model_file.require_writable(example(parameters={"tokenizer": np.zeros(1, np.float32)}))


def test_the_size_of_a_header_that_does_not_fit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made = example()
    size = (
        len(container.header(model_file.MODEL, model_file._body(made), model_file._named_arrays(made))[0])
        + model_file.CARD_GROWS
    )
    monkeypatch.setattr(tensor_layout, "HEADER_LIMIT", size)
    model_file.require_writable(made)
    monkeypatch.setattr(tensor_layout, "HEADER_LIMIT", size - 1)
    with pytest.raises(ModelFileError, match=f"have {size:,} bytes, more than the {size - 1:,} allowed"):
        model_file.require_writable(made)


@pytest.mark.parametrize("tokenizer", [[], None, 3])
def test_a_tokenizer_that_is_no_object_is_told(tmp_path: Path, tokenizer: Any) -> None:
    model_file.write(tmp_path / "m", example(tokenizer=tokenizer))
    with pytest.raises(ModelFileError, match="': its tokenizer is missing; use another copy of it, or train"):
        model_file.read(tmp_path / "m")


def test_a_tokenizer_of_the_largest_size_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {"kind": "characters", "characters": "abc"}
    size = len(json.dumps(spec, separators=(",", ":")))
    monkeypatch.setattr(model_file, "TOKENIZER_LIMIT", size)
    model_file.write(tmp_path / "m", example(tokenizer=spec))
    assert model_file.read(tmp_path / "m").tokenizer == spec
    monkeypatch.setattr(model_file, "TOKENIZER_LIMIT", size - 1)
    with pytest.raises(ModelFileError, match="': its tokenizer is missing;"):
        model_file.read(tmp_path / "m")
    words = f"its tokenizer has {size} bytes, more than the {size - 1} allowed; nothing was written"
    with pytest.raises(ModelFileError, match=f"': {words}$"):
        model_file.write(tmp_path / "m", example(tokenizer=spec))


def test_the_whole_of_a_refusal_to_write(tmp_path: Path) -> None:
    kinds = "float32, float16, uint16, int8, uint8, uint32"
    for parameters, words in (
        ({"w": np.zeros(1)}, f"array 'w' is float64, not one of {kinds}"),
        ({"extras.x": np.zeros(1, np.float32)}, "the parameter name 'extras.x' is taken by the format"),
    ):
        with pytest.raises(ModelFileError) as caught:
            model_file.write(tmp_path / "m", example(parameters=parameters))
        file = str(tmp_path / "m")
        assert str(caught.value) == f"cannot write the model {file!r}: {words}; nothing was written"
        with pytest.raises(ModelFileError) as caught:
            model_file.require_writable(example(parameters=parameters))
        assert str(caught.value) == (
            f"a model of this shape and text cannot be written: {words}; give fewer layers, fewer words or "
            "shorter names of texts"
        )
