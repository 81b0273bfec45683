"""Every byte comes back: from whatever bytes, tokenizer, network and cut; damage is never taken for a
text."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pantoum.apps.archive import archive, archiving, coding, learning, payloads, restoring
from pantoum.apps.archive.archive import Frame, Header, Index, Kind
from pantoum.apps.archive.settings import CompressConfig, DecompressConfig
from pantoum.errors import ArchiveError, PantoumError, SettingError, TextError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.kernels import without_core
from pantoum.model import Model
from pantoum.network import LanguageModel
from pantoum.network.program import Program

pytest.importorskip("constriction")
pytestmark = pytest.mark.skipif(without_core() is not None, reason="archives need the native core")
TEXT = "The cat sat on the mat.\nA naïve dog ran, ran and ran!\n\nThe end of the day: 12 o'clock.\n" * 3
DATA = TEXT.encode()
KINDS = ("characters", "bytes", "words", "bpe", "words:whitespace")
some_bytes = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(
        st.sampled_from(["The cat ", "sat", "\n", "\n\n\n", "\r\n", " ", "é", "\u2603"]), max_size=40
    ).map(lambda parts: "".join(parts).encode()),
)
drawn = settings(max_examples=10, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def few_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contexts that are made in little time."""
    monkeypatch.setattr(learning, "SLOTS", 10)


@pytest.fixture
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many frames of many lanes, of a short text."""
    monkeypatch.setattr(archiving, "MOST_PLAIN", 50)
    monkeypatch.setattr(archiving, "SEARCHED", 20)
    monkeypatch.setattr(payloads, "TOKENS_A_LANE", 7)


def mild(model: LoadedModel) -> LoadedModel:
    """The same tokens with a network that finds all of them about as probable: texts become shorter."""
    network = LanguageModel(model.vocab_size, config=model.config, seed=1)
    return replace(model, program=Program(network))


def compressed(data: bytes, model: LoadedModel | None, **options: Any) -> bytes:
    return b"".join(archiving.compress(io.BytesIO(data), model, CompressConfig(**options)))


def restored(data: bytes, model: LoadedModel | None, lost: list[str] | None = None, **asked: Any) -> bytes:
    return b"".join(restoring.restore(io.BytesIO(data), model, DecompressConfig(**asked), lost))


@pytest.mark.parametrize("documents", [None, "lines", "blank-lines", "files"])
@pytest.mark.parametrize("kind", KINDS)
@drawn
@given(data=some_bytes)
def test_every_byte_comes_back(
    make: Callable[..., LoadedModel], kind: str, documents: str | None, data: bytes
) -> None:
    if kind == "words:whitespace" and documents not in (None, "lines"):
        return
    model = make(kind, documents)
    assert restored(compressed(data, model), model) == data
    lines = compressed(data, model, documents="lines")
    assert restored(lines, model) == data
    if data:
        assert restoring.records(io.BytesIO(lines), model) == data.removesuffix(b"\n").split(b"\n")


def test_what_contexts_would_make_larger_stays_as_it_is(
    make: Callable[..., LoadedModel], small_frames: None
) -> None:
    """A random text, which grew by a third, and what comes before and after it."""
    model, noise = make("characters"), np.random.default_rng(3).bytes(150)
    given = DATA[:100] + noise + DATA[:100]
    archived = compressed(given, model, adapt=True)
    assert restored(archived, model) == given
    source = io.BytesIO(archived)
    found = [one for one in archive.read(source, archive.read_header(source)) if isinstance(one, Frame)]
    assert all(len(one.payload) <= one.plain for one in found)
    assert Kind.STORED in {one.kind for one in found}
    assert restored(archived, model, offset=len(given) - 60, length=40) == given[-60:-20]


@pytest.mark.parametrize("kind", ["characters", "bytes", "words", "bpe"])
def test_contexts_beside_the_model_learn(
    make: Callable[..., LoadedModel], small_frames: None, kind: str
) -> None:
    """Every byte comes back, in fewer bits the more there was to learn from."""
    model, odd = make(kind, "lines"), DATA + b"\xff\xfe odd\n" + DATA
    archived = compressed(odd, model, adapt=True)
    assert restored(archived, model) == odd
    assert restored(archived, model, offset=len(odd) - 60, length=40) == odd[-60:-20]
    source = io.BytesIO(archived)
    found = [one for one in archive.read(source, archive.read_header(source)) if isinstance(one, Frame)]
    alone, kinds = payloads.code_texts(model, [odd])[0], [one.kind for one in found]
    assert alone is not None
    if kind != "words":  # of which there are few here, and blocks cut some of them
        assert sum(len(one.payload) for one in found) < 0.9 * len(alone.payload)
    assert kinds[0] == Kind.ADAPTED_BEGUN and set(kinds[1:]) == {Kind.ADAPTED}
    with pytest.raises(SettingError, match="needs a model"):
        compressed(odd, None, adapt=True)


@pytest.mark.parametrize("shape", [{"cell": "lstm"}, {"ngrams": (2, 3)}, {"members": 2}, {"cell": "mingru"}])
def test_whatever_network_there_is(
    make: Callable[..., LoadedModel], shape: dict[str, Any], small_frames: None
) -> None:
    model = make("characters", **shape)
    assert restored(compressed(DATA, model), model) == DATA


@drawn
@given(data=st.data())
def test_wherever_frames_and_lanes_are_cut(
    make: Callable[..., LoadedModel], monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    model = make(data.draw(st.sampled_from(["characters", "bpe"])))
    monkeypatch.setattr(archiving, "MOST_PLAIN", data.draw(st.integers(40, 300)))
    monkeypatch.setattr(archiving, "SEARCHED", data.draw(st.integers(1, 99)))
    monkeypatch.setattr(payloads, "TOKENS_A_LANE", data.draw(st.integers(1, 99)))
    monkeypatch.setattr(payloads, "MOST_LANES", data.draw(st.integers(1, 128)))
    monkeypatch.setattr(coding, "MOST_ROWS", data.draw(st.integers(1, 40)))
    assert restored(compressed(DATA, model), model) == DATA


def test_a_frame_is_the_same_alone_and_among_others(make: Callable[..., LoadedModel]) -> None:
    model, parts = make("characters"), [DATA, DATA[7:90], b"The cat", DATA[3:]]
    together = payloads.code_texts(model, parts)
    assert [payloads.code_texts(model, [part])[0] for part in parts] == together
    apart = [payloads.decode_texts(model, [one])[0] for one in together if one is not None]
    assert apart == parts


def test_it_takes_what_the_model_says(make: Callable[..., LoadedModel]) -> None:
    """The bits are those of the model's own losses, but for the lanes' ends."""
    model = make("characters")
    frame = payloads.code_texts(model, [DATA])[0]
    tokens = model.tokenizer.encode(TEXT).astype(np.int32)
    inputs = np.concatenate([[model.border], tokens[:-1]])
    nats, _, _ = model.program.losses(inputs[None], tokens[None], model.program.initial_state(1))
    bits = float(nats.sum(dtype=np.float64)) / np.log(2)
    assert frame is not None and bits / 8 <= len(frame.payload) <= bits / 8 + 8


def test_what_the_vocabulary_lacks_costs_little(make: Callable[..., LoadedModel]) -> None:
    model = make("characters")
    odd = DATA.replace(b"mat", "\u2603\U0001f600".encode() + b"\xff\xfe", 1)
    frame = payloads.code_texts(model, [odd])[0]
    assert frame is not None and payloads.decode_texts(model, [frame]) == [odd]


def test_without_a_model(small_frames: None) -> None:
    for data in (b"", b"x", DATA, bytes(range(256)) * 3):
        assert restored(compressed(data, None), None) == data
    assert len(compressed(DATA * 4, None)) < len(DATA * 4) * 0.9


def test_random_bytes_grow_by_little() -> None:
    for size in (0, 1, 20, 3000):
        data = np.random.default_rng(size).bytes(size)
        archived = compressed(data, None)
        assert len(archived) <= 64 + size * 1.001 and restored(archived, None) == data


def test_bytes_that_are_stored_are_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "MOST_PLAIN", len(DATA))
    noise = np.random.default_rng(1).bytes(len(DATA))
    data = DATA + noise + noise + DATA
    archived = compressed(data, None)
    source = io.BytesIO(archived)
    kinds = [one.kind for one in archive.read(source, archive.read_header(source)) if isinstance(one, Frame)]
    assert kinds[:2] == [Kind.BEGUN, Kind.LEARNED] and restored(archived, None) == data


def test_a_part_is_read_alone(make: Callable[..., LoadedModel], small_frames: None) -> None:
    for model in (mild(make("characters")), make("bpe"), None):
        archived = compressed(DATA, model)
        for offset, length in ((0, 1), (49, 3), (120, 70), (len(DATA) - 5, 99), (len(DATA), 4), (3, 0)):
            assert restored(archived, model, offset=offset, length=length) == DATA[offset : offset + length]
        assert restored(archived, model, offset=77) == DATA[77:]


def test_a_record_is_read_without_its_neighbours(make: Callable[..., LoadedModel]) -> None:
    model = make("characters", "lines")
    records = [b"The cat sat", b"", b"on the mat.", b"\xff\x00 odd", "naïve".encode()]
    archived = Model(model).compress_many(records)
    assert Model(model).decompress_many(archived) == records
    assert Model(model).decompress_many(archived, [4, 0, 4]) == [records[4], records[0], records[4]]
    header, index = archive.read_index(io.BytesIO(archived))
    frame = archive.frame_at(io.BytesIO(archived), index.offsets(header)[0])
    columns = payloads.columns_of(frame)
    begin, end = columns.begins[2], columns.begins[3]
    alone = bytes(byte if begin <= place < end else 0 for place, byte in enumerate(frame.payload))
    assert payloads.decode_records(model, replace(frame, payload=alone), columns, [2]) == [records[2]]


def test_records_by_number(make: Callable[..., LoadedModel]) -> None:
    model = make("characters")
    archived = compressed(DATA, model, documents="lines")
    assert restored(archived, model, record=1) == DATA.split(b"\n")[1]
    with pytest.raises(SettingError, match="the last record"):
        restored(archived, model, record=10**6)
    with pytest.raises(ArchiveError, match="it has no records"):
        restored(compressed(DATA, model), model, record=0)
    with pytest.raises(SettingError, match="needs a model"):
        compressed(DATA, None, documents="lines")


def test_a_line_must_fit(make: Callable[..., LoadedModel], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "MOST_PLAIN", 20)
    with pytest.raises(TextError, match="a line has more than 20 bytes"):
        compressed(b"short\n" + b"long" * 9 + b"\nshort", make("characters"), documents="lines")


def test_another_model_is_refused_by_name(make: Callable[..., LoadedModel]) -> None:
    model = make("characters")
    archived = compressed(DATA, model)
    with pytest.raises(
        ArchiveError, match=f"needs the model with SHA-256 {'ab' * 32}; give the model that made it"
    ):
        restored(archived, None)
    with pytest.raises(ArchiveError, match=f"SHA-256 {'ab' * 32}, this one has {'cd' * 32}"):
        restored(archived, replace(model, sha256="cd" * 32))
    with pytest.raises(SettingError, match="never written"):
        compressed(DATA, replace(model, sha256=""))


def test_no_damage_gives_a_wrong_byte(make: Callable[..., LoadedModel], small_frames: None) -> None:
    model = mild(make("characters"))
    archived, draw = compressed(DATA[:150], model), np.random.default_rng(3)
    source = io.BytesIO(archived)
    assert {
        one.kind for one in archive.read(source, archive.read_header(source)) if isinstance(one, Frame)
    } == {1}
    for _ in range(150):
        changed = bytearray(archived)
        for _ in range(draw.integers(1, 4)):
            changed[draw.integers(len(changed))] ^= draw.integers(1, 256)
        if bytes(changed) == archived:
            continue
        with pytest.raises(ArchiveError, match="the archive cannot be used"):
            restored(bytes(changed), model)


def test_what_is_whole_is_saved(make: Callable[..., LoadedModel], small_frames: None) -> None:
    model = mild(make("characters"))
    archived, lost = bytearray(compressed(DATA, model)), list[str]()
    source = io.BytesIO(archived)
    parts = [one.plain for one in archive.read(source, archive.read_header(source)) if isinstance(one, Frame)]
    header, index = archive.read_index(io.BytesIO(archived))
    archived[index.offsets(header)[2] + 25] ^= 1
    saved = restored(bytes(archived), model, lost, keep_going=True)
    first, second = sum(parts[:2]), sum(parts[:3])
    assert saved == DATA[:first] + DATA[second:] and len(lost) == 1 and "damaged or missing" in lost[0]
    cut, lost = bytes(archived[: index.offsets(header)[3] + 9]), []
    assert restored(cut, model, lost, keep_going=True) == DATA[:first] and len(lost) == 1


def forged(model: LoadedModel, *given: Frame) -> bytes:
    """An archive of frames with checksums that match, as someone hostile would make it."""
    index, header = Index(), Header(model.sha256, "list" if given[0].records else None)
    for frame in given:
        index.add(frame)
    return header.to_bytes() + b"".join(one.head + one.payload for one in given) + index.to_bytes()


@drawn
@given(data=st.data())
def test_forged_frames_are_refused_in_words(make: Callable[..., LoadedModel], data: st.DataObject) -> None:
    model = make(data.draw(st.sampled_from(["characters", "words", "bpe"])))
    numbers = st.lists(st.integers(0, data.draw(st.sampled_from([9, 300, 2**34]))), max_size=9)
    payload = archive.to_numbers(data.draw(numbers)) + data.draw(st.binary(max_size=40))
    plain, kind = data.draw(st.integers(0, 400)), data.draw(st.sampled_from(list(Kind)))
    try:
        records = archive.from_numbers(payload, 1)[0][0] if kind == Kind.RECORDS else 0
    except ValueError:
        return
    frame = Frame(kind, plain, data.draw(st.sampled_from([0, crc32(payload)])), payload, records)
    for asked in ({}, {"record": 0}, {"offset": 3}):
        try:
            given_back = restored(forged(model, frame), model, **asked)
        except PantoumError as problem:
            assert "\n" not in str(problem)
        else:
            assert len(given_back) <= plain or asked


def test_a_bomb_stops_at_the_bound(make: Callable[..., LoadedModel]) -> None:
    archived = compressed(b"a" * 5000, None)
    with pytest.raises(ArchiveError, match=r"more than --max-output \(4,999 bytes\)"):
        restored(archived, None, max_output=4999)
    assert restored(archived, None, max_output=5000) == b"a" * 5000


def test_what_does_not_decode_is_not_written(
    make: Callable[..., LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payloads, "decode_texts", lambda model, given: [b"other"] * len(given))
    with pytest.raises(PantoumError, match="did not decode to the same bytes"):
        compressed(DATA, make("characters"))
    assert compressed(DATA, make("characters"), no_verify=True)


def test_the_same_archive_on_every_path_and_with_any_threads(make: Callable[..., LoadedModel]) -> None:
    """Made on one path, read on the others; and the bytes of today, which must always be read."""
    from pantoum.kernels import native

    core = native.core()
    isa, threads, found = core.isa, core.threads, set()
    archives = []
    try:
        for name in core.paths():
            core.set_isa(name)
            for count in (1, 2):
                core.set_threads(count)
                model = make("characters", "lines", ngrams=(2, 3))
                archives.append(compressed(DATA, model))
                found.add(archives[-1])
                assert restored(archives[0], model) == DATA
    finally:
        core.set_isa(isa)
        core.set_threads(threads)
    assert len(found) == 1
    assert hashlib.sha256(archives[0]).hexdigest() == GOLDEN
    assert hashlib.sha256(compressed(DATA, None)).hexdigest() == LEARNED


LEARNED = "6b8921149ea413adf137a824062ccfa9c18222ae781c1bf09ded1a71ec5e88f9"
"""The same of one that was made without a model."""
GOLDEN = "894824fa9e6f39c105e52ef4fb73099765eb2032af1f50476a91756a9e37826b"
"""SHA-256 of that archive: one that was made yesterday must be read tomorrow."""
