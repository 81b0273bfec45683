"""Files of Keras: the imported model has the logits of Keras; without it, of its arrays by their meaning."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pantoum.apps.convert import from_keras
from pantoum.apps.convert.import_model import convert_file, read_source
from pantoum.errors import ModelFileError

h5py = pytest.importorskip("h5py")
Alphabet = Callable[[Path, int], Path]
Imported = Callable[..., Any]
CELLS = [
    ("gru", 3, (2, 15)),
    ("gru", 3, (15,)),
    ("lstm", 4, (20,)),
    ("simple_rnn", 1, (5,)),
    ("gru", 3, None),
]


def weights(path: Path, name: str, gates: int, bias: tuple[int, ...] | None, layers: int = 2) -> Path:
    """A .weights.h5 of layers of five units over nine symbols."""
    random = np.random.default_rng(0)
    with h5py.File(path, "w") as file:

        def put(place: str, *shape: int) -> None:
            file[place] = (random.standard_normal(shape) / 2).astype(np.float32)

        put("layers/embedding/vars/0", 9, 4)
        for layer in range(layers):
            cell = f"layers/{name}{f'_{layer}' if layer else ''}/cell"
            put(f"{cell}/vars/0", 5 if layer else 4, 5 * gates)
            put(f"{cell}/vars/1", 5, 5 * gates)
            if bias is not None:
                put(f"{cell}/vars/2", *bias)
            file[f"{cell}/seed_generator/vars/0"] = np.arange(2)
        put("layers/dense/vars/0", 5, 9)
        put("layers/dense/vars/1", 9)
        put("optimizer/vars/1", 9, 5)
    return path


@pytest.mark.parametrize(("name", "gates", "bias"), CELLS)
def test_a_file_of_weights_is_read(
    tmp_path: Path, alphabet: Alphabet, imported: Imported, losses: Imported,
    name: str, gates: int, bias: tuple[int, ...] | None,
) -> None:  # fmt: skip
    path = weights(tmp_path / "m.weights.h5", name, gates, bias, layers=11)
    tokens = np.random.default_rng(1).integers(0, 9, (1, 12))
    found = imported(path, tmp_path, tokens, alphabet(tmp_path, 9))
    source = read_source(path)
    np.testing.assert_allclose(losses(found[0, :-1], tokens[0, 1:]), source.nats(tokens[0]), atol=1e-5)
    with h5py.File(path) as file:
        expected = file[f"layers/{name}_10/cell/vars/1"][()].T
    np.testing.assert_array_equal(source.layers[10].weight_hh, expected)
    assert source.layers[0].cell == {"simple_rnn": "rnn"}.get(name, "gru-before" if bias == (15,) else name)


def test_arrays_in_other_files_and_two_directions_are_refused(tmp_path: Path, alphabet: Alphabet) -> None:
    (tmp_path / "raw").write_bytes(bytes(4 * 36))
    outside = weights(tmp_path / "outside.h5", "gru", 3, None)
    with h5py.File(outside, "a") as file:
        file.create_dataset("layers/other/vars/0", (9, 4), np.float32, external=[(tmp_path / "raw", 0, 144)])
    both = weights(tmp_path / "both.h5", "bidirectional/forward_layer", 3, None)
    cut = tmp_path / "cut.h5"
    cut.write_bytes(both.read_bytes()[:-900])
    for path, words in ((outside, "in another file"), (both, "is bidirectional"), (cut, "damaged")):
        with pytest.raises(ModelFileError, match=words):
            convert_file(path, tmp_path / "n", alphabet(tmp_path, 9))


@pytest.fixture
def keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("torch")
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return pytest.importorskip("keras")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of Keras
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["GRU", "GRU before", "LSTM", "SimpleRNN"]),
    st.tuples(st.integers(4, 20), st.integers(1, 9), st.integers(1, 14), st.integers(1, 3)),
    st.sampled_from(["m.weights.h5", "m.keras"]),
    st.integers(0, 99),
)
def test_drawn_models_of_keras_have_the_same_logits(
    tmp_path: Path, alphabet: Alphabet, imported: Imported, keras: Any,
    kind: str, sizes: tuple[int, int, int, int], ending: str, seed: int,
) -> None:  # fmt: skip
    (V, E, H, layers), random = sizes, np.random.default_rng(seed)
    after = {"reset_after": "before" not in kind} if "GRU" in kind else {}
    make = getattr(keras.layers, kind.split()[0])
    cells = [make(H, return_sequences=True, **after) for _ in range(layers)]
    model = keras.Sequential([keras.layers.Embedding(V, E), *cells, keras.layers.Dense(V)])
    model.build((2, 7))
    for variable in model.weights:
        if str(variable.dtype).startswith("float"):
            wide = max(2, variable.shape[0]) ** 0.5
            variable.assign(random.standard_normal(variable.shape) / wide)
    path = tmp_path / ending
    model.save(path) if ending.endswith(".keras") else model.save_weights(path)
    tokens = random.integers(0, V, (2, 7))
    expected = np.asarray(model(tokens).detach().cpu())
    found = imported(path, tmp_path, tokens, alphabet(tmp_path, V))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def archive(path: Path, saved: Path, *layers: tuple[str, dict[str, Any]]) -> Path:
    """A .keras file of these layers."""
    listed = [
        {"class_name": kind, "config": {"name": f"own_{place}", **own}}
        for place, (kind, own) in enumerate(layers)
    ]
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("config.json", json.dumps({"config": {"name": "m", "layers": listed}}))
        made.write(saved, "model.weights.h5")
    return path


EMBEDDING, DENSE = ("Embedding", {}), ("Dense", {"activation": "linear"})


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (
            [("GRU", {}), ("GRU", {"recurrent_activation": "hard_sigmoid"}), DENSE],
            "own_2 has recurrent_activ",
        ),
        ([("GRU", {"activation": "relu"}), ("GRU", {}), DENSE], "own_1 has activation 'relu', not 'tanh'"),
        ([("GRU", {}), ("GRU", {"go_backwards": True}), DENSE], "own_2 has go_backwards True"),
        ([("GRU", {}), ("GRU", {}), ("Dense", {"activation": "relu"})], "own_3 has activation 'relu'"),
        ([("GRU", {}), ("GRU", {}), ("LayerNormalization", {}), DENSE], "own_3 is a LayerNormalization"),
        ([("GRU", {}), ("GRU", {}), ("Activation", {"activation": "gelu"}), DENSE], "has activation 'gelu'"),
    ],
)
def test_what_layers_do_is_read_by_their_place_and_not_by_their_names(
    tmp_path: Path, alphabet: Alphabet, layers: list[tuple[str, dict[str, Any]]], words: str
) -> None:
    saved = weights(tmp_path / "m.weights.h5", "gru", 3, (2, 15))
    path = archive(tmp_path / "m.keras", saved, EMBEDDING, *layers)
    with pytest.raises(ModelFileError, match=words):
        convert_file(path, tmp_path / "n", alphabet(tmp_path, 9))
    plain = archive(tmp_path / "p.keras", saved, EMBEDDING, ("GRU", {}), ("GRU", {}), DENSE)
    assert convert_file(plain, tmp_path / "n", alphabet(tmp_path, 9))["notes"] == []
    told = convert_file(saved, tmp_path / "n", alphabet(tmp_path, 9))
    assert told["notes"] == [from_keras.UNSAID]


@pytest.mark.parametrize(
    ("place", "change", "words"),
    [
        ("layers/layer_normalization/vars/0", np.ones(5), "layer_normalization/vars"),
        ("layers/start", np.ones((1, 5)), "layers/start"),
        ("layers/gru/cell/vars/0", None, "lacks a kernel"),
        ("layers/gru/cell/vars/1", np.float32(1), "layers/gru/cell/vars/1"),
        ("layers/dense/vars/0", None, "layers/dense/vars|dense"),
        ("layers/embedding/vars/0", np.ones(9), "layers/embedding"),
    ],
)
def test_arrays_that_are_left_over_or_missing_are_refused_by_name(
    tmp_path: Path, alphabet: Alphabet, place: str, change: Any, words: str
) -> None:
    path = weights(tmp_path / "m.weights.h5", "gru", 3, (2, 15))
    with h5py.File(path, "a") as file:
        if place in file:
            del file[place]
        if change is not None:
            file[place] = change
    with pytest.raises(ModelFileError, match=words):
        convert_file(path, tmp_path / "n", alphabet(tmp_path, 9))
