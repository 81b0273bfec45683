"""Checkpoints of TensorFlow 1: the imported model computes GRUCell, BasicLSTMCell and BasicRNNCell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pantoum.apps.convert.import_model import convert_file, read_source
from pantoum.errors import ModelFileError

Alphabet = Callable[[Path, int], Path]
Imported = Callable[..., Any]


def number(value: int) -> bytes:
    """Seven bits per byte."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(found) + bytes([value])


def field(tag: int, value: int | bytes) -> bytes:
    """A field of a protobuf."""
    if isinstance(value, int):
        return number(tag << 3) + number(value)
    return number(tag << 3 | 2) + number(len(value)) + value


def block(entries: Mapping[bytes, bytes]) -> bytes:
    """A block of a table, each key without what it shares with the one before, and its trailer."""
    data, before = b"", b""
    for key, value in entries.items():
        shared = next((i for i, (a, b) in enumerate(zip(key, before, strict=False)) if a != b), None)
        shared = min(len(key), len(before)) if shared is None else shared
        data += number(shared) + number(len(key) - shared) + number(len(value)) + key[shared:] + value
        before = key
    return data + bytes(4) + (1).to_bytes(4, "little") + bytes(5)


def checkpoint(path: Path, arrays: Mapping[str, Any]) -> Path:
    """What ``tf.train.Saver`` writes: the index and one file of data; two blocks, as large ones have."""
    data, entries = b"", {b"": field(1, 1)}
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        shape = b"".join(field(2, field(1, size)) for size in array.shape)
        kind = {"float32": 1, "float64": 2, "int64": 9}[array.dtype.name]
        entry = field(1, kind) + field(2, shape) + field(4, len(data)) + field(5, array.nbytes)
        entries[name.encode()] = entry + number(6 << 3 | 5) + bytes(4)  # its CRC
        data += array.tobytes()
    keys = list(entries)
    table, handles = b"", dict[bytes, bytes]()
    for part in (keys[: len(keys) // 2], keys[len(keys) // 2 :]):
        made = block({key: entries[key] for key in part})
        handles[part[-1]] = number(len(table)) + number(len(made) - 5)
        table += made
    places = []
    for made in (block({}), block(handles)):
        places.append(number(len(table)) + number(len(made) - 5))
        table += made
    footer = b"".join(places).ljust(40, b"\0") + (0xDB4775248B80FB57).to_bytes(8, "little")
    path.with_name(f"{path.name}.index").write_bytes(table + footer)
    path.with_name(f"{path.name}.data-00000-of-00001").write_bytes(data)
    return path


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def gru(x: Any, state: Any, kernels: Any) -> Any:
    """GRUCell of TensorFlow 1."""
    (gates, gates_bias), (candidate, candidate_bias) = kernels
    (h,) = state
    r, u = np.split(sigmoid(np.concatenate([x, h]) @ gates + gates_bias), 2)
    c = np.tanh(np.concatenate([x, r * h]) @ candidate + candidate_bias)
    return (u * h + (1 - u) * c,)


def lstm(x: Any, state: Any, kernels: Any) -> Any:
    """BasicLSTMCell with ``forget_bias=1.0``."""
    ((kernel, bias),) = kernels
    h, c = state
    i, j, f, o = np.split(np.concatenate([x, h]) @ kernel + bias, 4)
    c = c * sigmoid(f + 1.0) + sigmoid(i) * np.tanh(j)
    return np.tanh(c) * sigmoid(o), c


def rnn(x: Any, state: Any, kernels: Any) -> Any:
    """BasicRNNCell."""
    ((kernel, bias),) = kernels
    return (np.tanh(np.concatenate([x, state[0]]) @ kernel + bias),)


CELLS: dict[str, Any] = {
    "gru": (gru, 1, {"gru_cell/gates": 2, "gru_cell/candidate": 1}),
    "lstm": (lstm, 2, {"basic_lstm_cell": 4}),
    "rnn": (rnn, 1, {"basic_rnn_cell": 1}),
}


def model(kind: str, V: int, E: int | None, H: int, layers: int, seed: int = 0) -> tuple[Any, Any]:
    """(the variables of a checkpoint, the function from tokens to logits)."""
    random = np.random.default_rng(seed)
    step, parts, matrices = CELLS[kind]
    arrays: dict[str, Any] = {"global_step": np.array(7), "softmax_w": (H, V), "softmax_b": (V,)}
    if E is not None:
        arrays["embedding"] = (V, E)
    for layer in range(layers):
        inputs = H if layer else (E or V)
        for name, gates in matrices.items():
            place = f"rnn/multi_rnn_cell/cell_{layer}/{name}"
            arrays |= {f"{place}/kernel": (inputs + H, gates * H), f"{place}/bias": (gates * H,)}
            arrays[f"{place}/kernel/Adam"] = (inputs + H, gates * H)
    for name, shape in arrays.items():
        if isinstance(shape, tuple):
            arrays[name] = (random.standard_normal(shape) / max(2, shape[0]) ** 0.5).astype(np.float32)

    def logits(tokens_T: Any) -> Any:
        states = [tuple(np.zeros(H) for _ in range(parts)) for _ in range(layers)]
        found = []
        for token in tokens_T:
            x = np.eye(V)[token] if E is None else arrays["embedding"][token].astype(np.float64)
            for layer in range(layers):
                names = [f"rnn/multi_rnn_cell/cell_{layer}/{name}" for name in matrices]
                kernels = [(arrays[f"{name}/kernel"], arrays[f"{name}/bias"]) for name in names]
                states[layer] = step(x, states[layer], kernels)
                x = states[layer][0]
            found.append(x @ arrays["softmax_w"] + arrays["softmax_b"])
        return np.array(found)

    return arrays, logits


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("embedding", [None, 4])
def test_a_checkpoint_has_the_same_logits(
    tmp_path: Path, alphabet: Alphabet, imported: Imported, losses: Imported, kind: str, embedding: int | None
) -> None:
    arrays, logits = model(kind, 9, embedding, 5, 11)
    tokens = np.random.default_rng(1).integers(0, 9, 12)
    path = checkpoint(tmp_path / "rnn-1000", arrays)
    found = imported(path, tmp_path, tokens[None], alphabet(tmp_path, 9))
    np.testing.assert_allclose(found[0], logits(tokens), atol=1e-5)
    nats = read_source(tmp_path / "rnn-1000.index").nats(tokens)
    np.testing.assert_allclose(nats, losses(logits(tokens)[:-1], tokens[1:]), atol=1e-6)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(CELLS)),
    st.integers(4, 30),
    st.none() | st.integers(1, 3),
    st.integers(1, 17).filter(lambda H: H != 4),
    st.integers(1, 3),
    st.integers(0, 99),
)
def test_drawn_checkpoints_have_the_same_logits(
    tmp_path: Path, alphabet: Alphabet, imported: Imported,
    kind: str, V: int, E: int | None, H: int, layers: int, seed: int,
) -> None:  # fmt: skip
    if E == H:
        E = H + 1  # an embedding that could as well be the output layer is refused
    V += V == H
    arrays, logits = model(kind, V, E, H, layers, seed)
    tokens = np.random.default_rng(seed).integers(0, V, 9)
    path = checkpoint(tmp_path / "m", arrays)
    found = imported(path, tmp_path, tokens[None], alphabet(tmp_path, V))
    np.testing.assert_allclose(found[0], logits(tokens), atol=1e-5)


def test_older_names_and_a_cut_file(tmp_path: Path, alphabet: Alphabet, imported: Imported) -> None:
    arrays, logits = model("lstm", 9, 4, 5, 1)
    older = {name.replace("kernel", "weights").replace("bias", "biases"): a for name, a in arrays.items()}
    path = checkpoint(tmp_path / "m", older)
    tokens = np.arange(9)
    found = imported(path, tmp_path, tokens[None], alphabet(tmp_path, 9))
    np.testing.assert_allclose(found[0], logits(tokens), atol=1e-5)
    data = tmp_path / "m.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-4])
    with pytest.raises(ModelFileError, match="is cut short or has the wrong size"):
        convert_file(path, tmp_path / "n", alphabet(tmp_path, 9))
    index = tmp_path / "m.index"
    whole = index.read_bytes()
    for at in range(0, len(whole) - 8, 41):  # whatever is changed, the refusal is one of ours
        index.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with pytest.raises(ModelFileError):
            convert_file(path, tmp_path / "n", alphabet(tmp_path, 9))


def test_what_is_left_over_is_refused_and_single_numbers_are_said(tmp_path: Path, alphabet: Alphabet) -> None:
    arrays, _ = model("lstm", 9, 4, 5, 1)
    path = checkpoint(tmp_path / "m", {**arrays, "LayerNorm/gamma": np.ones(5, np.float32)})
    with pytest.raises(ModelFileError, match="LayerNorm/gamma"):
        convert_file(path, tmp_path / "n", alphabet(tmp_path, 9))
    path = checkpoint(tmp_path / "m", {**arrays, "Model/lr": np.array(0.5, np.float32)})
    assert "ignored: Model/lr" in convert_file(path, tmp_path / "n", alphabet(tmp_path, 9))["notes"][1]


def test_many_names_of_the_same_bytes_are_refused(tmp_path: Path, alphabet: Alphabet) -> None:
    """An index of 2,000 names, which share their beginnings and their data."""
    size = 40_000
    (tmp_path / "m.data-00000-of-00001").write_bytes(bytes(4 * size))
    entry = field(1, 1) + field(2, field(2, field(1, size))) + field(4, 0) + field(5, 4 * size)
    names = {b"": field(1, 1), **{b"a" * 500 + b"%05d/kernel" % number: entry for number in range(2000)}}
    table, handles = b"", dict[bytes, bytes]()
    for made in (block(names), block({})):
        handles[b"z"] = handles.get(b"z") or number(len(table)) + number(len(made) - 5)
        table += made
    last = block(handles)
    footer = number(0) + number(0) + number(len(table)) + number(len(last) - 5)
    magic = (0xDB4775248B80FB57).to_bytes(8, "little")
    (tmp_path / "m.index").write_bytes(table + last + footer.ljust(40, b"\0") + magic)
    with pytest.raises(ModelFileError, match="none of its variables"):
        convert_file(tmp_path / "m", tmp_path / "n", alphabet(tmp_path, 9))


@pytest.mark.parametrize(
    "name", ["rnn/lstm_cell/w_f_diag", "rnn/lstm_cell/projection/kernel", "rnn/bw/lstm_cell/bias"]
)
def test_peepholes_projections_and_two_directions_are_refused(
    tmp_path: Path, alphabet: Alphabet, name: str
) -> None:
    arrays, _ = model("lstm", 9, 4, 5, 1)
    path = checkpoint(tmp_path / "m", {**arrays, name: np.zeros(5, np.float32)})
    with pytest.raises(ModelFileError, match="only plain layers"):
        convert_file(path, tmp_path / "n", alphabet(tmp_path, 9))
