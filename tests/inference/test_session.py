"""A session reads and writes one stream of text; its state can be taken, forked and rewound."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.config import SamplingConfig
from pantoum.errors import SettingError
from pantoum.inference import reading as reading_module
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.session import Session
from pantoum.inference.state import State
from pantoum.inference.writing.batch_rows import BatchRows, columns
from pantoum.kernels.types import COLUMNS

Make = Callable[..., LoadedModel]
TEXT = "The cat sat on the mat.\nA dog ran and ran.\nThe end"


def assert_close(one: State, other: State) -> None:
    """Equal but for the rounding of products of other sizes."""
    assert (one.last_token, one.tokens_seen, one.pending) == (
        other.last_token,
        other.tokens_seen,
        other.pending,
    )
    for a, b in zip(one.layers, other.layers, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def fed(model: LoadedModel, *parts: object) -> Session:
    session = Session(model)
    for part in parts:
        session.feed(part)  # type: ignore[arg-type]
    return session


@given(
    cuts=st.lists(st.integers(0, len(TEXT)), max_size=4).map(sorted),
    documents=st.sampled_from([None, "lines"]),
    ngrams=st.sampled_from([(), (2, 3, 5)]),
)
@settings(max_examples=25)
def test_a_text_in_parts_is_the_text(
    make: Make, cuts: list[int], documents: str | None, ngrams: tuple[int, ...]
) -> None:
    model = make("characters", documents, ngrams=ngrams)
    edges = [0, *cuts, len(TEXT)]
    parts = [TEXT[a:b] for a, b in itertools.pairwise(edges)]
    assert_close(fed(model, *parts).state, fed(model, TEXT).state)


@pytest.mark.parametrize("kind", ["words", "words:whitespace", "bpe"])
def test_a_space_at_the_end_waits_for_the_word_that_brings_it(make: Make, kind: str) -> None:
    model = make(kind)
    for parts in (["The cat ", "sat on"], ["The cat", " ", "sat on"], ["The ", "cat sat", " on"]):
        assert_close(fed(model, *parts).state, fed(model, "The cat sat on").state)
    for seed in range(5):
        spaced, plain = (fed(model, text).generate(12, seed=seed) for text in ("The cat ", "The cat"))
        assert spaced == plain.removeprefix(" ") and State.from_bytes(bytes(fed(model, "A ").state))


@pytest.mark.parametrize("kind", ["bytes", "words", "words:whitespace", "bpe"])
def test_bytes_are_fed_as_their_text(make: Make, kind: str) -> None:
    model = make(kind)
    for parts in (["The cat ", "sat on"], ["The cat", " ", "sat on "], ["The ", "cat sat", " on"]):
        expected = fed(model, *parts).state
        assert fed(model, *(part.encode() for part in parts)).state == expected
        assert fed(model, parts[0], *(bytearray(part, "utf-8") for part in parts[1:])).state == expected


def test_chunks_do_not_matter(characters: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fed(characters, TEXT)
    hidden = Session(characters).feed(TEXT, hidden=True)
    monkeypatch.setattr(reading_module, "CHUNK", 3)
    assert_close(fed(characters, TEXT).state, whole.state)
    np.testing.assert_allclose(Session(characters).feed(TEXT, hidden=True), hidden, atol=1e-5)


def test_tokens_are_as_good_as_their_text(characters: LoadedModel) -> None:
    ids = characters.tokenizer.encode(TEXT)
    assert fed(characters, ids).state == fed(characters, ids.tolist()).state == fed(characters, TEXT).state
    assert fed(characters, TEXT.encode()).state == fed(characters, TEXT).state
    assert fed(characters, "", [], b"").state == Session(characters).state


@pytest.mark.parametrize("wrong", [[-1], [10_000], [0.5], np.array([1.5])])
def test_what_is_no_token_is_refused(characters: LoadedModel, wrong: object) -> None:
    with pytest.raises(SettingError, match=r"tokens is .*whole numbers from 0 to"):
        fed(characters, wrong)


@pytest.mark.parametrize("documents", [None, "lines"])
def test_writing_with_ngrams_is_what_reading_says(make: Make, documents: str | None) -> None:
    """The most probable tokens, by steps of the core, are those by logits of the whole text."""
    model = make("characters", documents, ngrams=(2, 3, 5))
    session = fed(model, TEXT)
    written = session.generate(30, greedy=True)
    ids = [*([] if model.eos is None else [model.eos]), *model.tokenizer.encode(TEXT + written).tolist()]
    tokens = np.array(ids)
    logits, _ = model.program.logits(
        tokens[None],
        model.program.initial_state(1),
        reset_BT=None if model.eos is None else (tokens == model.eos)[None],
    )
    logits[..., list(model.banned)] = -np.inf
    count = len(model.tokenizer.encode(written))
    assert count > 5 and logits[0, -count - 1 : -1].argmax(axis=1).tolist() == ids[-count:]


def test_a_fork_with_ngrams_writes_what_the_first_writes(make: Make) -> None:
    model = make("characters", ngrams=(2, 3, 5))
    session = fed(model, "The cat")
    session.generate(3, seed=2)
    state, twin = session.state, session.fork()
    first = session.generate(20, seed=1)
    assert twin.generate(20, seed=1) == first
    session.rewind(state)
    parts = [session.generate(n, seed=1) for n in (1, 7, 12)]
    assert "".join(parts) == first and session.state == twin.state


@pytest.mark.parametrize("documents", [None, "lines"])
def test_hidden_states_are_the_networks_own(make: Make, documents: str | None) -> None:
    model = make("characters", documents)
    session = Session(model)
    rows = np.concatenate([session.feed(part, hidden=True) for part in (TEXT[:11], TEXT[11:])])
    ids = model.tokenizer.encode(TEXT).astype(np.int64)
    expected, _ = model.program.hidden(
        ids[None], model.program.initial_state(1), reset_BT=(ids == model.eos)[None]
    )
    if documents is None:
        np.testing.assert_allclose(rows, expected[0], atol=1e-5)
    else:  # a document begins after a border, here as in training, so the first line differs from a bare one
        first = int(np.flatnonzero(ids == model.eos)[0])
        np.testing.assert_allclose(rows[first:], expected[0][first:], atol=1e-5)
        assert not np.allclose(rows[0], expected[0][0], atol=1e-3)
    assert_close(session.state, fed(model, TEXT).state)


def test_hidden_states_of_nothing_are_no_rows(characters: LoadedModel) -> None:
    assert Session(characters).feed("", hidden=True).shape == (0, 16)


def test_a_document_forgets_what_was_before_it(make: Make) -> None:
    model = make("characters", "lines")
    assert_close_layers = fed(model, "A dog\nThe cat").state
    expected = fed(model, "The end of the day\nThe cat").state
    for a, b in zip(assert_close_layers.layers, expected.layers, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(fed(model, "The cat").state.layers[1], expected.layers[1], atol=1e-6)


def test_a_fork_goes_its_own_way(characters: LoadedModel) -> None:
    session = fed(characters, "The cat")
    before = session.state
    twin = session.fork()
    assert twin.generate(20, seed=1) == session.generate(20, seed=1)
    other = Session(characters, before)
    assert other.generate(20, seed=2) != Session(characters, before).generate(20, seed=1)
    twin.feed("dog")
    assert twin.state != session.state


def test_a_session_goes_back_to_a_state(characters: LoadedModel) -> None:
    session = fed(characters, "The cat")
    state = session.state
    first = session.generate(15, seed=4)
    session.rewind(state)
    assert session.state == state
    assert session.generate(15, seed=4) == first


@pytest.mark.parametrize("kind", ["bytes", "characters", "words", "words:whitespace"])
def test_writing_in_parts_is_writing(make: Make, kind: str) -> None:
    model = make(kind)
    whole = fed(model, "The cat").generate(40, seed=9, temperature=1.0)
    session = fed(model, "The cat")
    parts = [session.generate(n, seed=9, temperature=1.0) for n in (1, 2, 0, 17)]
    again = Session(model, State.from_bytes(bytes(session.state)))
    assert "".join(parts) + again.generate(20, seed=9, temperature=1.0) == whole


def test_a_stream_that_is_left_stands_after_what_it_gave(characters: LoadedModel) -> None:
    session, other = fed(characters, "The cat"), fed(characters, "The cat")
    stream = session.stream(100, seed=3)
    taken = "".join(next(stream) for _ in range(5))
    stream.close()
    assert other.generate(5, seed=3) == taken
    assert session.state == other.state


def test_a_session_stands_after_what_an_open_stream_gave(characters: LoadedModel) -> None:
    session, other = fed(characters, "The cat"), fed(characters, "The cat")
    stream = session.stream(100, seed=3)
    taken = "".join(next(stream) for _ in range(5))
    assert other.generate(5, seed=3) == taken
    assert session.state == other.state and session.predict() == other.predict()
    assert repr(session) == repr(other) and session.fork().state == other.state
    taken += next(stream)  # looking at the session does not end its stream
    assert other.generate(1, seed=3) == taken[5:] and session.state == other.state


@pytest.mark.parametrize("then", ["feed", "rewind", "generate"])
def test_a_stream_that_the_session_has_left_changes_nothing_of_it(characters: LoadedModel, then: str) -> None:
    def go_on(session: Session) -> None:
        if then == "feed":
            session.feed(" and a dog")
        elif then == "rewind":
            session.rewind(State.start(characters))
        else:
            session.generate(4, seed=8)

    session, other = fed(characters, "The cat"), fed(characters, "The cat")
    stream, closed = session.stream(100, seed=3), other.stream(100, seed=3)
    taken = "".join(next(stream) for _ in range(5))
    assert taken == "".join(next(closed) for _ in range(5))
    closed.close()
    go_on(session)
    go_on(other)
    next(stream)
    assert session.state == other.state
    stream.close()
    assert session.state == other.state


def test_a_stream_that_fails_leaves_the_session_where_it_began(
    characters: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = fed(characters, "The cat")
    before, stream = session.state, session.stream(100, seed=3)
    next(stream)
    monkeypatch.setattr(BatchRows, "advance", Mock(side_effect=MemoryError))
    with pytest.raises(MemoryError):
        next(stream)
    assert session.state == before


def test_a_new_session_writes_as_after_a_newline(characters: LoadedModel) -> None:
    assert Session(characters).generate(30, greedy=True) == fed(characters, "\n").generate(30, greedy=True)


def test_without_a_seed_one_is_drawn(characters: LoadedModel) -> None:
    assert len({Session(characters).generate(30) for _ in range(4)}) > 1


@pytest.mark.parametrize(
    "prompt", ["", "Ж", "\x00\x1b[2J", "\udce9\ud800", "The cat\u2019s na\u00efve", "\ufeff"]
)
@pytest.mark.parametrize("kind", ["bytes", "characters", "words", "words:whitespace"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_prompt_can_be_fed(make: Make, kind: str, prompt: str) -> None:
    session = fed(make(kind), prompt)
    assert isinstance(session.generate(5, seed=0), str)


def test_unknown_symbols_are_said_once(characters: LoadedModel) -> None:
    with pytest.warns(UserWarning, match="read as unknown: 'Ж'") as said:
        Session(characters).feed("ЖЖЖ")
    assert len(said) == 1


def test_a_long_prompt_is_fed_in_chunks(characters: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    original = type(characters.program).hidden

    def hidden(self: object, tokens_BT: np.ndarray, *rest: object, **more: object) -> object:
        sizes.append(tokens_BT.size)
        return original(self, tokens_BT, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(type(characters.program), "hidden", hidden)
    session = fed(characters, "The cat " * 2_000)
    assert max(sizes) == reading_module.CHUNK and sum(sizes) == 15_999
    assert session.state.tokens_seen == 16_000


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (SamplingConfig(), {"temperature": 0.9, "min_p": 0.05}),
        (SamplingConfig(greedy=True, temperature=2.0, min_p=None), {"temperature": 0.0}),
        (
            SamplingConfig(1.5, 7, 0.9, 0.1, 1.2),
            {"temperature": 1.5, "top_k": 7, "top_p": 0.9, "min_p": 0.1, "penalty": 1.2},
        ),
    ],
)
def test_settings_become_columns(sampling: SamplingConfig, expected: dict[str, float]) -> None:
    assert columns(sampling) == expected
    assert set(expected) <= set(COLUMNS)
