"""A batch may be used from several threads; a call on it that does not complete ends it with a clear
error."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable

import pytest

from pantoum.errors import PantoumError, SettingError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.session import Session
from pantoum.inference.writing.batch_rows import BatchRows
from pantoum.inference.writing.stream_batch import Stream, StreamBatch


def in_threads(count: int, work: Callable[[int], None]) -> None:
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_threads_share_a_batch_and_each_text_is_what_it_is_alone(characters: LoadedModel) -> None:
    batch, kept = StreamBatch(characters), threading.Lock()
    texts: dict[Stream, str] = {}
    asked: dict[Stream, int] = {}

    def work(number: int) -> None:
        for turn in range(6):
            seed = 10 * number + turn
            with kept:  # the stream is known before another thread's round writes a piece of it
                stream = batch.join(length=5 + seed % 17, seed=seed)
                texts[stream], asked[stream] = "", seed
            for _ in range(4):
                with kept:
                    for other, text in batch.round():
                        texts[other] += text
                assert 0 <= stream.tokens <= stream.state.tokens_seen
        for _ in range(30):
            with kept:
                for other, text in batch.round():
                    texts[other] += text

    in_threads(4, work)
    assert len(batch) == 0 and len(texts) == 24
    for stream, seed in asked.items():
        alone = StreamBatch(characters)
        alone.join(length=5 + seed % 17, seed=seed)
        assert texts[stream] == "".join(piece.text for piece in alone)


def test_rounds_and_readers_in_threads_see_whole_states(characters: LoadedModel) -> None:
    batch = StreamBatch(characters)
    streams = [batch.join(length=400, seed=k, stream=k) for k in range(8)]

    def work(number: int) -> None:
        if number == 0:
            while batch.round():
                pass
        elif number == 1:
            for stream in streams[:6]:
                batch.leave(stream)
        else:
            for _ in range(100):
                for stream in streams:
                    Session(characters, stream.state).feed("a")

    in_threads(4, work)
    for k, stream in enumerate(streams):
        alone = StreamBatch(characters)
        twin = alone.join(length=400, seed=k, stream=k)
        while len(alone) and twin.tokens < stream.tokens:
            alone.round()
        assert twin.state == stream.state


def test_a_stream_of_another_batch_is_refused_and_ends_nobody(characters: LoadedModel) -> None:
    one, other = StreamBatch(characters), StreamBatch(characters)
    mine, foreign = one.join(length=5, seed=1), other.join(length=5, seed=2)
    for wrong in (foreign, mine.state, None, 0):
        for call in (one.leave, one.park, one.resume):
            with pytest.raises(SettingError, match="is not a stream of this batch; give it to the batch"):
                call(wrong)  # type: ignore[arg-type]
    assert not mine.ended and not foreign.ended and len(one) == len(other) == 1
    assert one.leave(mine) == mine.state
    with pytest.raises(SettingError, match="is not a stream of this batch"):
        other.leave(mine)


@pytest.mark.parametrize(
    "where", [(BatchRows, "advance"), (StreamBatch, "_take"), (StreamBatch, "_leave"), (BatchRows, "resize")]
)
@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError])
def test_a_call_that_does_not_complete_ends_the_batch(
    characters: LoadedModel,
    monkeypatch: pytest.MonkeyPatch,
    where: tuple[type, str],
    failure: type[BaseException],
) -> None:
    batch = StreamBatch(characters)
    state = Session(characters).state
    streams = [batch.join(length=1 if k < 7 else 5, seed=k) for k in range(8)]

    def fail(*arguments: object) -> None:
        raise failure

    monkeypatch.setattr(*where, fail)
    monkeypatch.setattr(StreamBatch, "_to_take", lambda self, texts: {0})
    with pytest.raises(failure):
        for _ in batch:
            pass
    monkeypatch.undo()
    assert batch.failed
    for call in (
        batch.round,
        lambda: batch.join(state),
        lambda: batch.leave(streams[7]),
        lambda: streams[7].state,
    ):
        with pytest.raises(PantoumError, match=r"did not complete.*start a new batch"):
            call()


def test_a_refused_argument_leaves_a_batch_whole(characters: LoadedModel) -> None:
    batch = StreamBatch(characters)
    batch.join(length=3)
    for wrong in ({"length": -1}, {"state": b"no"}, {"sampling": {"top_k": 3}}, {"seed": 0.5}, {"speed": 1}):
        with pytest.raises(PantoumError):
            batch.join(**wrong)  # type: ignore[arg-type]
    assert not batch.failed and len("".join(text for _, text in batch)) == 3


def test_a_session_stays_where_it_was_when_its_writing_is_broken_off(
    characters: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(characters)
    session.feed("The cat")
    before = session.state

    def fail(*arguments: object) -> None:
        raise KeyboardInterrupt

    pieces = session.stream(50, seed=1)
    next(pieces)
    monkeypatch.setattr(BatchRows, "at_length", fail)
    with pytest.raises(KeyboardInterrupt):
        list(pieces)
    assert session.state == before


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_batch_and_its_streams_say_that_they_cannot_be_copied(
    characters: LoadedModel, way: Callable[[object], object]
) -> None:
    batch = StreamBatch(characters)
    stream = batch.join(length=3)
    for one in (batch, stream):
        with pytest.raises(PantoumError, match=r"cannot be copied or pickled.*state"):
            way(one)
