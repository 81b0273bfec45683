"""A state is a value: it can be kept, compared, sent, and only used with its own model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pantoum.config import CELLS
from pantoum.errors import SettingError, StateError
from pantoum.inference import state as state_module
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.session import Session
from pantoum.inference.state import State
from pantoum.inference.writing.stream_batch import StreamBatch
from pantoum.network.network_state import NetworkState


def fed(model: LoadedModel, text: str | bytes = "The cat") -> State:
    session = Session(model)
    session.feed(text)
    return session.state


@pytest.mark.parametrize("cell", CELLS)
def test_bytes_give_the_state_back(make: Callable[..., LoadedModel], cell: str) -> None:
    state = fed(make("characters", cell=cell))
    again = State.from_bytes(bytes(state))
    assert again == state and hash(again) == hash(state)
    assert again.tokens_seen == 7 and len(again.layers) == (4 if cell == "lstm" else 2)


def test_ngrams_keep_the_last_tokens_in_the_state(make: Callable[..., LoadedModel], tmp_path: Path) -> None:
    plain, model = make("characters"), make("characters", ngrams=(2, 4))
    state = fed(model)
    tokens = model.tokenizer.encode("The cat")
    assert len(state.layers) == 3  # the last token is not read yet
    assert state.layers[2].tolist() == [[1 + token for token in tokens[-4:-1]]]
    assert fed(model, "The").layers[2].tolist() == [[0, *(1 + token for token in tokens[:2])]]
    assert len(bytes(state)) == len(bytes(fed(plain))) + 4 + 4 * 3
    assert len(bytes(state)) == len(bytes(Session(model).state))
    state.write(tmp_path / "a.state")
    again = State.read(tmp_path / "a.state")
    assert again == state and again == State.from_bytes(bytes(state))
    assert Session(model, again).generate(20, seed=1) == Session(model, state).generate(20, seed=1)
    with pytest.raises(StateError, match="this model needs"):
        Session(model, fed(plain))
    with pytest.raises(StateError, match="this model needs"):
        Session(plain, state)


def test_what_ngrams_keep_decides_what_follows(make: Callable[..., LoadedModel]) -> None:
    model = make("characters", ngrams=(2, 4))
    one, other = fed(model, "The cat"), fed(model, "The dog")
    swapped = replace(one, layers=(*one.layers[:2], other.layers[2]))
    nats = [
        model.program.last_logits(np.array([[one.last_token]]), state.for_model(model))[0]
        for state in (one, swapped)
    ]
    assert not np.allclose(*nats, atol=0.1)


def test_a_file_gives_the_state_back(characters: LoadedModel, tmp_path: Path) -> None:
    state = fed(characters)
    state.write(tmp_path / "a.state")
    assert State.read(tmp_path / "a.state") == state


def test_a_cut_character_is_part_of_the_state(make: Callable[..., LoadedModel]) -> None:
    state = fed(make("bytes"), "na\u00ef".encode()[:-1])
    assert state.pending == b"\xc3"
    assert State.from_bytes(bytes(state)).pending == b"\xc3"


def test_states_differ_as_their_texts_do(characters: LoadedModel) -> None:
    assert fed(characters) == fed(characters)
    assert fed(characters) != fed(characters, "The dog")
    assert fed(characters) != "The cat"


def test_one_size_for_a_model(characters: LoadedModel) -> None:
    sizes = {
        len(bytes(s)) for s in (Session(characters).state, fed(characters), fed(characters, "The " * 50))
    }
    assert len(sizes) == 1


def test_a_state_cannot_be_written_to(characters: LoadedModel) -> None:
    with pytest.raises(ValueError, match="read-only"):
        fed(characters).layers[0][0, 0] = 1.0


def test_another_models_state_is_refused(characters: LoadedModel) -> None:
    other = LoadedModel(characters.program, characters.tokenizer, sha256="cd" * 32)
    with pytest.raises(StateError, match=r"belongs to the model with SHA-256 ababab.*load that model"):
        Session(other, fed(characters))


@pytest.mark.parametrize("change", [{"last_token": 10_000}, {"layers": (np.zeros((1, 3), np.float32),)}])
def test_a_state_that_cannot_be_this_models_is_refused(
    characters: LoadedModel, change: dict[str, object]
) -> None:
    with pytest.raises(StateError, match="this model needs"):
        Session(characters, replace(fed(characters), **change))  # type: ignore[arg-type]


def test_damaged_bytes_are_refused(characters: LoadedModel, tmp_path: Path) -> None:
    data = bytearray(bytes(fed(characters)))
    data[50] ^= 1
    (tmp_path / "bad.state").write_bytes(data)
    with pytest.raises(StateError, match=r"bad\.state"):
        State.read(tmp_path / "bad.state")


def test_its_picture_says_how_far_it_is(characters: LoadedModel) -> None:
    assert repr(fed(characters)) == f"<State after 7 tokens, {len(bytes(fed(characters)))} bytes>"


def test_what_is_no_state_is_refused_in_these_words(characters: LoadedModel) -> None:
    with pytest.raises(SettingError) as error:
        Session(characters, "a.state")  # type: ignore[arg-type]
    assert str(error.value) == (
        "state is 'a.state': it must be a State; give session.state, or State.read(path)"
    )
    with pytest.raises(SettingError) as error:
        State.from_bytes("text")  # type: ignore[arg-type]
    assert str(error.value) == "data is 'text': it must be the bytes of a state; give bytes(state)"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layers": [np.zeros((1, 3), np.float32)]}, "layers is .*: it must be a tuple of float32 arrays"),
        ({"layers": (np.zeros((1, 3)),)}, "layers is .*float32"),
        ({"layers": (np.zeros(3, np.float32),)}, "layers is "),
        ({"layers": (np.zeros((1, 3), np.float32), None)}, "layers is "),
        ({"last_token": -1}, "last_token is -1: it must be a whole number from 0 to 4294967294"),
        ({"last_token": 2**32 - 1}, "last_token is 4294967295"),
        ({"tokens_seen": -1}, "tokens_seen is -1: it must be a whole number from 0 to 9223372036854775807"),
        ({"tokens_seen": 2**63}, "tokens_seen is 9223372036854775808"),
        ({"pending": "a"}, "pending is 'a': it must be bytes; take a state from a session, or State.read"),
        ({"model_sha256": b"ab"}, "model_sha256 is b'ab': it must be a text; take a state from a session"),
    ],
)
def test_a_state_of_impossible_values_is_not_made(
    characters: LoadedModel, change: dict[str, object], words: str
) -> None:
    state = fed(characters)
    with pytest.raises(SettingError, match=words):
        replace(state, **change)  # type: ignore[arg-type]
    for bound in (
        {"last_token": 2**32 - 2},
        {"last_token": 0},
        {"tokens_seen": 2**63 - 1},
        {"tokens_seen": 0},
    ):
        made = replace(state, **bound)  # type: ignore[arg-type]
        assert type(made.tokens_seen) is int and State.from_bytes(bytes(made)) == made


def test_another_models_state_is_refused_in_these_words(characters: LoadedModel) -> None:
    named = LoadedModel(characters.program, characters.tokenizer, sha256="cd" * 32)
    nameless = LoadedModel(characters.program, characters.tokenizer)
    for state, model, of, here in (
        (fed(characters), named, "abababababab", "cdcdcdcdcdcd"),
        (fed(characters), nameless, "abababababab", "none"),
        (fed(nameless), named, "none", "cdcdcdcdcdcd"),
    ):
        with pytest.raises(StateError) as error:
            Session(model, state)
        assert str(error.value) == (
            f"the state belongs to the model with SHA-256 {of}..., not to this one ({here}...): a state must "
            f"be used with the model that made it; load that model, or start without a state"
        )


def test_the_first_state_has_nothing_before_it(make: Callable[..., LoadedModel]) -> None:
    plain, lines = make("characters"), make("characters", "lines")
    for model, last in ((plain, None), (lines, lines.tokenizer.eos)):
        state = State.start(model)
        assert (state.last_token, state.tokens_seen, state.pending) == (last, 0, b"")
        assert all(array.dtype == np.float32 and not array.any() for array in state.layers)
    vocabulary = plain.vocab_size
    assert Session(plain, replace(fed(plain), last_token=vocabulary - 1)).generate(1, seed=1) != ""
    with pytest.raises(StateError, match="this model needs"):
        Session(plain, replace(fed(plain), last_token=vocabulary))


def test_a_hash_is_that_of_the_value(characters: LoadedModel) -> None:
    states = {fed(characters, text) for text in ("a", "The", "The cat", "The", "a")}
    assert len(states) == 3 and len({hash(state) for state in states}) == 3


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn", "mingru"])
@pytest.mark.parametrize("number", [3e38, -3e38, np.nan, np.inf])
def test_a_forged_state_of_huge_numbers_ends_no_other_stream(
    make: Callable[..., LoadedModel], cell: str, number: float
) -> None:
    model = make("characters", cell=cell, ngrams=(2, 4) if cell == "gru" else ())
    batch, state = StreamBatch(model), fed(model)
    one = batch.join(state, length=5, seed=1)
    huge = tuple(np.full_like(array, number) for array in state.layers)
    forged = replace(state, layers=huge)
    try:
        batch.join(forged, length=5, seed=2)
    except StateError as error:
        assert "scores after it are not finite" in str(error)
    list(batch)
    assert not batch.failed and one.tokens == 5
    alone = StreamBatch(model)
    again = alone.join(state, length=5, seed=1)
    list(alone)
    assert again.state == one.state


def test_a_state_of_large_numbers_that_the_model_can_read_is_used(characters: LoadedModel) -> None:
    state = fed(characters)
    large = replace(state, layers=tuple(array * np.float32(1e7) for array in state.layers))
    assert len(Session(characters, large).generate(5, seed=1)) == 5


ADVICE = "take a state from a session, or State.read(path)"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layers": (None,)}, "layers is (None,): it must be a tuple of float32 arrays [1,H]"),
        ({"pending": "a"}, "pending is 'a': it must be bytes"),
        ({"model_sha256": 7}, "model_sha256 is 7: it must be a text"),
    ],
)
def test_the_whole_of_a_refusal_of_a_value(
    characters: LoadedModel, change: dict[str, object], words: str
) -> None:
    with pytest.raises(SettingError) as error:
        replace(fed(characters), **change)  # type: ignore[arg-type]
    assert str(error.value) == f"{words}; {ADVICE}"


def test_the_whole_of_a_refusal_of_another_shape(characters: LoadedModel) -> None:
    state = replace(fed(characters), layers=(np.zeros((1, 3), np.float32),))
    with pytest.raises(StateError) as error:
        Session(characters, state)
    assert str(error.value) == (
        f"the state's layers are {[(1, 3)]}, last token {state.last_token}: this model needs "
        f"{[(1, 16), (1, 16)]} and a token below {characters.vocab_size}; a state with a cache "
        "needs a cache of the same size, and a state without one needs none; start without a state"
    )


def test_any_token_of_the_vocabulary_may_be_the_last_one(characters: LoadedModel) -> None:
    state = fed(characters)
    for token in (0, characters.vocab_size - 1):
        network = replace(state, last_token=token).for_model(characters)
        assert all(np.array_equal(a, b) for a, b in zip(network.arrays, state.layers, strict=True))
    assert replace(state, last_token=None).for_model(characters).shapes == [(1, 16), (1, 16)]


def test_a_state_is_one_row_of_float32_of_its_own(characters: LoadedModel) -> None:
    assert [array.shape for array in State.start(characters).layers] == [(1, 16), (1, 16)]
    arrays = tuple(np.full((1, 16), 0.1) for _ in range(2))
    state = State.of(characters, NetworkState(arrays), 3, 5, b"")
    arrays[0][...] = 7
    assert state.layers[0].dtype == np.float32 and (state.layers[0] == np.float32(0.1)).all()
    with pytest.raises(ValueError, match="read-only"):
        state.for_model(characters).arrays[0][...] = 7
    assert (state.layers[0] == np.float32(0.1)).all()
    assert (state.last_token, state.tokens_seen, state.model_sha256) == (3, 5, characters.sha256)


def test_a_state_of_large_numbers_before_the_first_token_is_tried_too(characters: LoadedModel) -> None:
    layers = tuple(np.full((1, 16), 3e38, np.float32) for _ in range(2))
    with pytest.raises(StateError, match="scores after it are not finite: it is damaged"):
        replace(State.start(characters), layers=layers).for_model(characters)


def test_numbers_of_numpy_become_those_of_python(characters: LoadedModel) -> None:
    made = replace(fed(characters), tokens_seen=np.int64(5), last_token=np.int32(3))
    assert (type(made.tokens_seen), type(made.last_token)) == (int, int)
    assert (made.tokens_seen, made.last_token) == (5, 3)


def test_a_state_is_tried_once_for_a_model(characters: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    monkeypatch.setattr(state_module, "_require_readable", lambda *given: tried.append(1))
    layers = tuple(np.full((1, 16), 2e6, np.float32) for _ in range(2))
    state = State.from_bytes(bytes(replace(State.start(characters), layers=layers)))
    session = Session(characters, state)
    assert session.fork().state.for_model(characters) is session.state.for_model(characters)
    assert len(tried) == 1
    Session(characters, replace(state, tokens_seen=1))
    assert len(tried) == 2
    State.of(characters, NetworkState(layers), 3, 1, b"").for_model(characters)
    assert len(tried) == 3
