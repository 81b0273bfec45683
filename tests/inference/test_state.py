"""A state is a value: it can be kept, compared, sent, and only used with its own model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pantoum.config import CELLS
from pantoum.errors import StateError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.session import Session
from pantoum.inference.state import State


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
