"""Counted contexts beside a copy that adapts: better where a text repeats itself, never much worse."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pantoum.data.prepared_file import TokenWriter
from pantoum.formats import durable
from pantoum.formats.model_file import SCALE
from pantoum.formats.token_file import NAME
from pantoum.inference import adapted
from pantoum.inference.adapt import Adapter, Settings
from pantoum.inference.adapted import adapter_of, contexts_beside
from pantoum.inference.loaded_model import LoadedModel, load
from pantoum.inference.session import Session
from pantoum.inference.state import State
from pantoum.kernels import without_core

Make = Callable[..., LoadedModel]
FAST = Settings(chunk=8, rate=0.01, decay=0.01)
pytestmark = pytest.mark.skipif(without_core() is not None, reason="commands have contexts with the core")


def with_scale(model: LoadedModel) -> LoadedModel:
    extras = {
        SCALE + name: np.full(len(array), 0.05, np.float32)
        for name, array in model.network.parameters.items()
    }
    return dataclasses.replace(model, extras=extras)


def adapter(model: LoadedModel) -> Adapter:
    return Adapter(model, FAST, contexts=contexts_beside(model))


def verse(model: LoadedModel, count: int) -> np.ndarray:
    """A drawn passage of 90 symbols, again and again."""
    ids_T = np.tile(np.random.default_rng(8).integers(2, model.vocab_size, 90), count // 90 + 1)
    return ids_T[None, :count]


@pytest.fixture
def model(make: Make) -> LoadedModel:
    return with_scale(make("characters"))


def test_what_was_said_before_is_expected_at_once(model: LoadedModel) -> None:
    ids_BT = verse(model, 361)
    alone, found = (
        each.losses(ids_BT[:, :-1], ids_BT[:, 1:]) for each in (Adapter(model, FAST), adapter(model))
    )
    assert found[:, 180:].mean() < 0.5 * alone[:, 180:].mean()


def test_where_contexts_know_nothing_they_cost_next_to_nothing(model: LoadedModel) -> None:
    ids_BT = np.random.default_rng(4).integers(0, model.vocab_size, (1, 1501))
    alone, found = (
        each.losses(ids_BT[:, :-1], ids_BT[:, 1:]) for each in (Adapter(model, FAST), adapter(model))
    )
    assert found.sum() < alone.sum() + 0.4


@pytest.mark.parametrize("documents", [None, "lines"])
def test_however_the_text_is_cut_the_nats_are_the_same(make: Make, documents: str | None) -> None:
    model = with_scale(make("characters", documents=documents))
    ids_BT = verse(model, 201)
    reset_BT = (ids_BT[:, :-1] == ids_BT[0, 5]) if documents else np.zeros((1, 200), bool)
    whole, parted = adapter(model), adapter(model)
    wanted = whole.losses(ids_BT[:, :-1], ids_BT[:, 1:], reset_BT)
    found = []
    for start, end in pairwise([0, 1, 7, 8, 60, 191, 200]):
        if start == 60:  # a state is the reader that it was made from
            state, parted = parted.kept(), adapter(model)
            parted.resume(*state)
        part = np.s_[:, start:end]
        found.append(parted.losses(ids_BT[:, :-1][part], ids_BT[:, 1:][part], reset_BT[part]))
    assert np.array_equal(np.concatenate(found, axis=1), wanted)


def test_contexts_are_for_characters_bytes_and_pieces(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(contexts_beside(make(kind)) is not None for kind in ("characters", "bytes", "bpe"))
    monkeypatch.setattr(adapted, "MOST_SYMBOLS", 20)
    assert contexts_beside(make("characters")) is None


def test_the_text_of_a_run_that_keeps_it_is_read_first(model: LoadedModel, tmp_path: Path) -> None:
    ids_T = verse(model, 900)[0]
    (tmp_path / "data").mkdir()
    facts = {"kind": "", "documents": None, "valid_fraction": 0.0, "valid_text": None, "valid": None}
    facts |= {"texts": [], "train": {"tokens": len(ids_T)}, "vocab_size": model.vocab_size}
    with durable.new_file(tmp_path / "data" / NAME) as file:
        writer = TokenWriter(file)
        writer.add("train", [ids_T], model.vocab_size)
        writer.finish(model.tokenizer, facts, {}, [])
    own = dataclasses.replace(model, path=tmp_path / "model.safetensors")
    found, alone = (
        adapter_of(each, True, None).losses(ids_T[None, :-1], ids_T[None, 1:])[0, 20:90].mean()
        for each in (own, model)
    )
    assert found < 0.5 * alone
    (tmp_path / "data" / NAME).write_bytes(b"no prepared text")
    assert contexts_beside(own) is not None


def test_what_has_adapted_writes_beside_the_contexts(model: LoadedModel, tmp_path: Path) -> None:
    ids_BT = verse(model, 361)
    reader = adapter(model)
    reader.read(ids_BT[:, :-1], ids_BT[:, 1:])
    made, saved = reader.adapted(), reader.write(tmp_path / "m.safetensors")
    nats = [
        each.program.losses(ids_BT[:, :-1], ids_BT[:, 1:], each.program.initial_state(1), predict=False)[0]
        for each in (saved, made)
    ]
    assert nats[1][:, 20:].mean() < 0.5 * nats[0][:, 20:].mean()
    assert load(tmp_path / "m.safetensors").program.mixer("contexts") is None  # a file holds no text


def test_a_fork_of_a_session_that_has_adapted_is_its_own(model: LoadedModel) -> None:
    ids_BT = verse(model, 361)
    reader = adapter(model)
    reader.read(ids_BT[:, :-1], ids_BT[:, 1:])
    session = Session(reader.adapted())
    session.feed(ids_BT[0, :50])
    wanted, fork = Session(session.model, session.state).generate(30, seed=1), session.fork()
    fork.feed(ids_BT[0, 5:30])
    assert session.generate(30, seed=1) == wanted
    assert Session(session.model, State.from_bytes(bytes(fork.state))).generate(9, seed=2) == fork.generate(
        9, seed=2
    )
