"""Streams side by side: whatever the others do, each writes what it would have written alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum import kernels
from pantoum.config import SamplingConfig
from pantoum.errors import PantoumError, SettingError, StateError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.session import Session
from pantoum.inference.state import State
from pantoum.inference.writing.stream_batch import Stream, StreamBatch
from pantoum.network.program import Program
from pantoum.text.tokenizer import TokenTexts

Make = Callable[..., LoadedModel]
SAMPLINGS = [
    SamplingConfig(temperature=1.0),
    SamplingConfig(greedy=True),
    SamplingConfig(temperature=1.3, top_k=7, repetition_penalty=1.5),
    SamplingConfig(temperature=1.0, top_p=0.8, min_p=0.02, stop=("an", " t")),
]
DEEDS = ["join", "join", "round", "round", "leave", "fork", "restore", "rewind"]
PROMPTS = ["", "The cat", "The cat sat on the mat.\nA dog"]


def prompted(model: LoadedModel, prompt: str) -> State:
    session = Session(model)
    session.feed(prompt)
    return session.state


class Record:
    """A stream, what it was asked for, and what came of it so far."""

    def __init__(self, batch: StreamBatch, asked: dict[str, Any], state: State) -> None:
        self.asked, self.state = asked, state
        self.stream = batch.join(state, **asked)
        self.text, self.log_probabilities = "", list[float]()

    def alone(self, model: LoadedModel) -> Record:
        """The same in a batch of its own."""
        batch = StreamBatch(model)
        other = Record(batch, self.asked, self.state)
        while len(batch) and len(other.log_probabilities) < len(self.log_probabilities):
            take_round(batch, [other])
        return other


def take_round(batch: StreamBatch, records: list[Record]) -> None:
    writing = [record for record in records if not record.stream.ended]
    by = {record.stream: record for record in writing}
    for stream, text in batch.round():
        by[stream].text += text
    for record in writing:
        record.log_probabilities.append(record.stream.log_probability)


def check_any_schedule(model: LoadedModel, data: st.DataObject) -> None:
    batch, records = StreamBatch(model), list[Record]()
    for _ in range(data.draw(st.integers(1, 12))):
        deed = data.draw(st.sampled_from(DEEDS))
        writing = [record for record in records if not record.stream.ended]
        if deed == "join" or not writing:
            state = prompted(model, data.draw(st.sampled_from(PROMPTS)))
            asked = {
                "length": data.draw(st.integers(0, 12)),
                "sampling": data.draw(st.sampled_from(SAMPLINGS)),
                "seed": data.draw(st.integers(0, 3)),
                "stream": data.draw(st.integers(0, 2)),
            }
            records.append(Record(batch, asked, state))
        elif deed == "round":
            for _ in range(data.draw(st.integers(1, 4))):
                take_round(batch, records)
        else:
            record = data.draw(st.sampled_from(writing))
            state = record.stream.state
            if deed != "fork":
                assert batch.leave(record.stream) == state
            if deed == "restore":  # saved, and gone on with later
                records.append(Record(batch, record.asked, State.from_bytes(bytes(state))))
            elif deed in ("fork", "rewind"):
                records.append(Record(batch, record.asked, state if deed == "fork" else record.state))
    take_round(batch, records)
    for record in records:
        other = record.alone(model)
        assert record.log_probabilities == other.log_probabilities
        assert record.text == other.text and record.stream.state == other.stream.state
        assert (record.stream.tokens, record.stream.nats) == (other.stream.tokens, other.stream.nats)


@given(data=st.data())
@settings(max_examples=25)
@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.skipif(kernels.without_core() is not None, reason="promised by the native core")
def test_any_schedule_gives_each_stream_what_it_would_write_alone(
    make: Make, precision: str, data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(["bytes", "characters", "words", "words:whitespace"]))
    cell = data.draw(st.sampled_from(["gru", "lstm", "gru-before"]))
    model = make(
        kind,
        data.draw(st.sampled_from([None, "lines"])),
        cell,
        ngrams=data.draw(st.sampled_from([(), (2, 4)])),
    )
    model = replace(model, program=Program(model.network, precision=precision))
    check_any_schedule(model, data)


@pytest.mark.parametrize(
    ("kind", "ngrams"), [("bytes", ()), ("characters", ()), ("characters", (2, 4)), ("words:whitespace", ())]
)
def test_numpy_repeats_itself_and_agrees_with_the_core_to_rounding(
    make: Make, monkeypatch: pytest.MonkeyPatch, kind: str, ngrams: tuple[int, ...]
) -> None:
    """NumPy promises the same command the same result; its batches agree with single streams to rounding."""

    def written() -> list[tuple[str, float]]:
        batch = StreamBatch(make(kind, ngrams=ngrams))
        state = prompted(batch.model, "The cat")
        records = [
            Record(batch, {"length": 12 + k, "sampling": SAMPLINGS[k % 4], "seed": k}, state)
            for k in range(6)
        ]
        while len(batch):
            take_round(batch, records)
        return [(record.text, record.stream.nats) for record in records]

    expected = written()
    monkeypatch.setenv("PANTOUM_ISA", "numpy")
    once, again = written(), written()
    assert once == again
    assert [text for text, _ in once] == [text for text, _ in expected]
    np.testing.assert_allclose([nats for _, nats in once], [nats for _, nats in expected], rtol=1e-4)


@pytest.mark.parametrize("ngrams", [(), (2, 4)])
def test_streams_are_many_and_the_arrays_grow(make: Make, ngrams: tuple[int, ...]) -> None:
    characters = make("characters", ngrams=ngrams)
    batch, state = StreamBatch(characters), prompted(characters, "The cat")
    streams = [batch.join(state, length=5 + k % 7, seed=2, stream=k) for k in range(150)]
    text: dict[Stream, str] = dict.fromkeys(streams, "")
    for stream, piece in batch:
        text[stream] += piece
    assert len(batch) == 0 and batch.round() == [] and len(batch.draws) < 8
    assert [len(text[stream]) for stream in streams] == [5 + k % 7 for k in range(150)]
    for k in (0, 7, 80, 149):
        alone = StreamBatch(characters)
        other = alone.join(state, length=5 + k % 7, seed=2, stream=k)
        assert "".join(piece for _, piece in alone) == text[streams[k]]
        assert other.state == streams[k].state


def test_a_stream_may_join_and_leave_while_the_batch_is_read(characters: LoadedModel) -> None:
    batch = StreamBatch(characters)
    first = batch.join(length=50, seed=1)
    late: Stream | None = None
    for stream, _ in batch:
        if stream is first and first.tokens == 10:
            late = batch.join(length=5, seed=2)
        if late is not None and late.ended:
            batch.leave(first)
    assert late is not None and late.tokens == 5 and first.tokens == 15
    assert first.ended and first.stopped is None and batch.leave(first) == first.state
    assert repr(first) == "<Stream, ended after 15 tokens>"


def test_what_may_begin_a_stop_string_is_held_back(characters: LoadedModel) -> None:
    stream = Stream(StreamBatch(characters), 0, ("aan",), None)
    tokens = characters.tokenizer.encode("aaan").tolist()
    assert [stream.take(token, characters.tokenizer) for token in tokens] == ["", "", "a", ""]
    assert stream.stopped == "stop" and stream.finish() == ""


def test_tokens_alone_are_their_text_or_none(make: Make) -> None:
    alone = TokenTexts(make("bytes").tokenizer)
    assert (alone[ord("a") + 1], alone[0xC3 + 1], alone[0xFF + 1]) == ("a", None, "\ufffd")
    assert TokenTexts(make("words:whitespace").tokenizer)[5] is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"length": -1}, "length is -1"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    characters: LoadedModel, wrong: dict[str, int], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        StreamBatch(characters).join(**wrong)  # type: ignore[arg-type]


def test_another_models_state_is_refused_and_harms_nobody(characters: LoadedModel) -> None:
    batch = StreamBatch(characters)
    one = batch.join(length=3)
    foreign = State(one.state.layers, 1, 0, b"", "cd" * 32)
    with pytest.raises(StateError, match="belongs to the model"):
        batch.join(foreign)
    assert len("".join(text for _, text in batch)) == 3


def test_a_parked_stream_goes_on_as_if_nothing_had_been(characters: LoadedModel) -> None:
    asked = {
        "length": 40,
        "sampling": SamplingConfig(
            temperature=1.3, repetition_penalty=1.5, frequency_penalty=0.5, stop=("zzz",)
        ),
        "seed": 3,
        "alternatives": 1,
    }

    def written(parks: bool) -> tuple[str, float, bytes, int]:
        batch, text = StreamBatch(characters), ""
        batch.join(length=7)
        stream = batch.join(prompted(characters, "The cat"), **asked)
        rounds = 0
        while not stream.ended or stream.parked is not None:
            text += "".join(piece for one, piece in batch.round() if one is stream)
            rounds += 1
            if parks and rounds in (3, 20):
                batch.park(stream)
                batch.join(length=5, sampling=SamplingConfig(repetition_penalty=2.0))
                for _ in range(3):
                    assert all(one is not stream for one, _ in batch.round())
                assert stream.ended and stream.tokens == rounds
                batch.resume(stream)
        return text, stream.nats, bytes(stream.state), len(stream.drawn())

    assert written(True) == written(False)


def test_only_a_parked_stream_is_resumed(characters: LoadedModel) -> None:
    batch = StreamBatch(characters)
    with pytest.raises(SettingError, match="not parked"):
        batch.resume(batch.join())


def test_rows_double_when_full_and_halve_below_a_quarter(characters: LoadedModel) -> None:
    batch = StreamBatch(characters)
    streams, sizes = [], []
    for k in range(9):
        streams.append(batch.join(length=50, seed=k))
        sizes.append(len(batch.draws))
    assert sizes == [1, 2, 4, 4, 8, 8, 8, 8, 16]
    batch.round()
    sizes = []
    for stream in streams:
        batch.leave(stream)
        sizes.append(len(batch.draws))
    assert sizes == [16, 16, 16, 16, 16, 8, 8, 4, 2]
    wide = StreamBatch(characters, 8)
    for stream in [wide.join(length=5, seed=k) for k in range(8)]:
        wide.leave(stream)
    assert len(wide.draws) == 8
    with pytest.raises(SettingError, match="rows is 0: it must be a whole number of at least 1"):
        StreamBatch(characters, 0)


def test_what_a_stream_gets_where_nothing_is_said(characters: LoadedModel) -> None:
    batch, asked = StreamBatch(characters), StreamBatch(characters)
    plain, same = batch.join(), asked.join(length=500, sampling=SamplingConfig(), seed=0, stream=0)
    assert "".join(text for _, text in batch) == "".join(text for _, text in asked)
    assert plain.tokens == same.tokens == 500 and plain.state == same.state


@pytest.mark.parametrize("name", ["seed", "stream"])
def test_the_bounds_of_random_numbers_may_be_given(characters: LoadedModel, name: str) -> None:
    batch = StreamBatch(characters)
    for bound in (0, 2**63 - 1):
        batch.join(length=1, **{name: bound})  # type: ignore[arg-type]
    for outside in (-1, 2**63):
        with pytest.raises(SettingError, match=f"{name} is {outside}: it must be .* from 0 to {2**63 - 1}"):
            batch.join(length=1, **{name: outside})  # type: ignore[arg-type]
    assert len(list(batch)) == 2


def test_refusals_of_a_batch_are_in_these_words(characters: LoadedModel) -> None:
    batch = StreamBatch(characters)
    with pytest.raises(SettingError) as error:
        batch.join(sampling="hot")  # type: ignore[arg-type]
    assert str(error.value) == "sampling is 'hot': it must be a SamplingConfig; leave it out, or give one"
    with pytest.raises(SettingError) as error:
        batch.leave("it")  # type: ignore[arg-type]
    assert str(error.value) == (
        "stream is 'it': it is not a stream of this batch; give it to the batch that it joined"
    )
    with pytest.raises(PantoumError) as refusal:
        batch.__reduce__()
    assert str(refusal.value) == (
        "a batch cannot be copied or pickled, because its streams are bound to its arrays; keep the state of "
        "each stream, and let it join another batch"
    )


def test_a_stream_says_why_it_ended(make: Make) -> None:
    batch = StreamBatch(make("characters"))
    stopped = batch.join(length=300, seed=1, sampling=SamplingConfig(temperature=1.0, stop=("a",)))
    ended = batch.join(length=3, seed=1)
    text = "".join(text for stream, text in batch if stream is stopped)
    assert (stopped.stopped, ended.stopped) == ("stop", None) and "a" not in text and stopped.tokens < 300
    lines = StreamBatch(make("characters", "lines"))
    document = lines.join(length=3000, seed=1)
    list(lines)
    assert document.stopped == "eos"


@pytest.mark.skipif(kernels.without_core() is not None, reason="promised by the native core")
@pytest.mark.parametrize("fewest", [1, 2, 3, 64])
def test_streams_that_ask_for_more_are_the_same_in_chunks(
    characters: LoadedModel, monkeypatch: pytest.MonkeyPatch, fewest: int
) -> None:
    """Rows in chunks of 1, 2, 3 and all: some record their tokens, some have penalties, some are plain."""
    asked: list[dict[str, Any]] = [
        {},
        {"alternatives": 2},
        {"sampling": SamplingConfig(temperature=1.2, frequency_penalty=0.7)},
        {"sampling": SamplingConfig(repetition_penalty=1.5, stop=("zzz",)), "alternatives": 1},
        {"alternatives": 0},
    ]
    monkeypatch.setattr("pantoum.inference.writing.batch_rows.LOGITS", 1)
    monkeypatch.setattr("pantoum.inference.writing.batch_rows.FEWEST", fewest)
    together = StreamBatch(characters, len(asked))
    streams = [together.join(length=9 + k, seed=k, **each) for k, each in enumerate(asked)]
    texts: dict[Stream, str] = dict.fromkeys(streams, "")
    for stream, text in together:
        texts[stream] += text
    for k, each in enumerate(asked):
        batch = StreamBatch(characters)
        alone = batch.join(length=9 + k, seed=k, **each)
        assert "".join(text for _, text in batch) == texts[streams[k]]
        assert (alone.nats, alone.log_probability) == (streams[k].nats, streams[k].log_probability)
        assert alone.state == streams[k].state
        recorded = alone.drawn()
        assert recorded == streams[k].drawn() and len(recorded) == (9 + k if "alternatives" in each else 0)


def test_a_stream_of_no_length_has_ended_and_leaves_no_row(characters: LoadedModel) -> None:
    batch = StreamBatch(characters)
    first = batch.join(length=4, seed=1)
    none = batch.join(length=0)
    assert none.ended and none.tokens == 0 and len(batch) == 1 and none.state.tokens_seen == 0
    assert len("".join(text for _, text in batch)) == 4 and first.tokens == 4


def test_a_piece_always_has_text(characters: LoadedModel) -> None:
    batch = StreamBatch(characters)
    waits = batch.join(
        length=200, seed=1, sampling=SamplingConfig(temperature=1.0, stop=("e zz", "a zz", "t"))
    )
    batch.join(length=200, seed=2)
    pieces = list(batch)
    assert all(text for _, text in pieces) and waits.stopped == "stop"


def test_a_stream_counts_on_from_its_state_and_draws_by_its_own_number(characters: LoadedModel) -> None:
    batch, state = StreamBatch(characters), prompted(characters, "The cat")
    streams = [batch.join(state, length=20, seed=1, stream=number) for number in (0, 1, 2)]
    texts: dict[Stream, str] = dict.fromkeys(streams, "")
    for stream, text in batch:
        texts[stream] += text
    assert len(set(texts.values())) == 3 and batch.failed is False
    assert [stream.state.tokens_seen for stream in streams] == [state.tokens_seen + 20] * 3


def test_bytes_of_a_character_that_is_not_whole_go_on(make: Make) -> None:
    model = make("bytes")
    session = Session(model)
    session.feed("na\u00ef".encode()[:-1])
    batch = StreamBatch(model)
    stream = batch.join(session.state, length=9, seed=2, alternatives=0)
    text = "".join(text for _, text in batch)
    decoder = model.tokenizer.decoder(pending=b"\xc3")
    assert text == "".join(decoder.push(each.token) for each in stream.drawn()) + decoder.finish()


def test_after_the_end_of_a_document_the_next_one_begins_from_nothing(make: Make) -> None:
    batch = StreamBatch(make("characters", "lines"))
    first = batch.join(length=3000, seed=1)
    text = "".join(text for _, text in batch)
    assert first.stopped == "eos" and len(text) == first.tokens - 1 and first.state.layers[0].any()
    written = []
    for state in (None, first.state):
        stream = batch.join(state, length=30, sampling=SamplingConfig(greedy=True))
        written.append(("".join(text for _, text in batch), stream.nats))
    assert written[0] == written[1]


@pytest.mark.parametrize("others", [0, 1, 5])
def test_a_penalty_works_whoever_is_there_already(characters: LoadedModel, others: int) -> None:
    def written(**asked: Any) -> str:
        batch = StreamBatch(characters)
        for k in range(others):
            batch.join(length=40, seed=k)
        batch.round()
        one = batch.join(length=12, sampling=SamplingConfig(greedy=True, **asked))
        return "".join(text for stream, text in batch if stream is one)

    assert len(set(written())) < 12 == len(set(written(repetition_penalty=100.0)))


def test_a_round_that_did_not_complete_ends_the_batch(
    characters: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = StreamBatch(characters)
    stream = batch.join(length=9)
    batch.round()
    assert batch.failed is False
    with monkeypatch.context() as patch:

        def interrupted(texts: TokenTexts, token: int) -> None:
            raise KeyboardInterrupt

        patch.setattr(TokenTexts, "__getitem__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            batch.round()
    assert batch.failed is True
    calls: list[Callable[[], object]] = [batch.round, batch.join, lambda: batch.leave(stream)]
    for call in [*calls, lambda: batch.park(stream), lambda: stream.state]:
        with pytest.raises(PantoumError) as caught:
            call()
        assert str(caught.value) == (
            "the batch cannot be used: an earlier call on it did not complete, so that states and texts may "
            "differ; start a new batch"
        )
