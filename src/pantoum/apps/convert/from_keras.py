"""Models of Keras 3: ``NAME.weights.h5``, or ``NAME.keras``, which is an archive with such a file.

    layers/gru/cell/vars/0, 1, 2      kernel [I,G], recurrent kernel [H,G], bias; gates z r n, i f g o, or h
    layers/embedding/vars/0           [V,E]
    layers/dense/vars/0, 1            [H,V], [V]

Needs h5py. The archive describes its layers: one that this module does not know, or that has other settings
than ``USUAL``, is refused by name. So is every array that no layer takes. Weights alone do not say what their
layers do, and are taken to have the usual settings.

Shapes: V symbols, E embedding, I inputs, H units, G columns of gates.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import IO, Any

import numpy as np

from pantoum.apps.convert.foreign_model import ForeignModel, SourceLayer, blocks, natural
from pantoum.seams import Array, BadFileError, plain_json

__all__ = ["reader"]

ARCHIVE = b"PK\x03\x04"
WEIGHTS, CONFIG = "model.weights.h5", "config.json"
CELL = re.compile(r"(.*)/cell/vars/([012])")
VARIABLE = re.compile(r"(.*)/vars/([01])")
ORDERS = {1: ("rnn", "h"), 3: ("gru", "zrn"), 4: ("lstm", "ifgo")}
RECURRENT = {"activation": ("tanh",), "recurrent_activation": ("sigmoid",), "go_backwards": (False,)}
USUAL: dict[str, dict[str, tuple[Any, ...]]] = {
    "InputLayer": {}, "Dropout": {}, "SpatialDropout1D": {}, "Softmax": {}, "Embedding": {},
    "GRU": RECURRENT, "LSTM": RECURRENT, "SimpleRNN": RECURRENT,
    "Dense": {"activation": ("linear", "softmax")}, "Activation": {"activation": ("linear", "softmax")},
    "TimeDistributed": {},
}  # fmt: skip
"""The layers that can be imported, and the settings that they must have."""
UNSAID = (
    "a file of weights does not describe its layers: the default activations and directions are assumed, "
    "and layers in sequence; a .keras file describes them"
)
Parts = Mapping[str, Mapping[int, Array]]
Settings = dict[str, dict[str, Any]]


def reader() -> Callable[[IO[bytes]], Iterator[bytes]]:
    """What reads such files. h5py is loaded before the process is bounded; ``_arrays`` says if it lacks."""
    with suppress(ImportError):
        import h5py  # noqa: F401
    return lambda file: blocks(_model(file))


def _model(file: IO[bytes]) -> ForeignModel:
    settings, weights = dict[str, dict[str, Any]](), file
    notes: tuple[str, ...] = (UNSAID,)
    if file.read(len(ARCHIVE)) == ARCHIVE:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if any(name.endswith("data.pkl") for name in names):
                raise BadFileError(
                    "it is a pickle (torch.save), and pantoum opens no pickles",
                    "save its state_dict with safetensors.torch.save_file",
                )
            if WEIGHTS not in names:
                raise BadFileError(
                    f"it has no {WEIGHTS}, so it is not a .keras file", "save the model as .keras"
                )
            config = plain_json.decode(archive.read(CONFIG)) if CONFIG in names else None
            weights = io.BytesIO(archive.read(WEIGHTS))
        described = _described(config)
        if described is not None:
            settings, notes = described, ()
    weights.seek(0)
    return _source(_arrays(weights), settings, notes)


def _described(config: Any) -> Settings | None:
    """The settings of the layers by the names that they have in the file of weights; ``None`` where the model
    is of a class of its own."""
    own = config.get("config") if isinstance(config, dict) else None
    layers = own.get("layers") if isinstance(own, dict) else None
    if not isinstance(layers, list):
        return None
    found, used, before = Settings(), dict[str, int](), None
    for layer in layers:
        kind, given = layer["class_name"], layer["config"]
        name = str(given.get("name", kind))
        for setting, usual in USUAL.get(kind, {}).items():
            if given.get(setting, usual[0]) not in usual:
                raise _other(f"layer {name} has {setting} {given[setting]!r}, not {usual[0]!r}")
        wrapped = given.get("layer", {})
        if kind not in USUAL or (kind == "TimeDistributed" and wrapped.get("class_name") != "Dense"):
            raise _other(f"layer {name} is a {kind}")
        if (
            kind == "TimeDistributed"
            and wrapped["config"].get("activation") not in USUAL["Dense"]["activation"]
        ):
            raise _other(f"layer {name} has activation {wrapped['config'].get('activation')!r}")
        read = _histories(layer.get("inbound_nodes", []))
        if read and read != [before]:
            raise _other(f"layer {name} reads {', '.join(map(str, read))}, not only the layer before it")
        before = name
        path = re.sub(r"(?<!^)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", kind).lower()
        used[path] = used.get(path, -1) + 1
        found[f"layers/{path}{f'_{used[path]}' if used[path] else ''}"] = given
    return found


def _histories(nodes: Any) -> list[Any]:
    """The names of the layers whose outputs a layer takes."""
    if isinstance(nodes, dict):
        if "keras_history" in nodes:
            return [nodes["keras_history"][0]]
        nodes = list(nodes.values())
    return [name for node in nodes for name in _histories(node)] if isinstance(nodes, list) else []


def _other(problem: str) -> BadFileError:
    return BadFileError(
        problem, "only an embedding, plain GRU, LSTM or SimpleRNN and a Dense can be imported"
    )


def _arrays(file: IO[bytes]) -> dict[str, Array]:
    """The float arrays of an HDF5 file by their paths. Links are not followed."""
    try:
        import h5py
    except ImportError:
        raise BadFileError("it needs the package `h5py`", "run: pip install 'pantoum[keras]'") from None

    found: dict[str, Array] = {}
    with h5py.File(file, "r") as opened:
        chosen = list[Any]()
        opened.visititems(lambda _, item: chosen.append(item) if isinstance(item, h5py.Dataset) else None)
        for item in chosen:
            name = item.name.lstrip("/")
            if name.startswith("optimizer") or item.dtype.kind != "f":
                continue
            if item.is_virtual or item.external:
                raise BadFileError(f"{name} is in another file", "save it with its weights in one file")
            found[name] = np.asarray(item[()], np.float64 if item.dtype.itemsize > 4 else np.float32)
    return found


def _source(found: Mapping[str, Array], settings: Settings, notes: tuple[str, ...]) -> ForeignModel:
    cells: dict[str, dict[int, Array]] = {}
    others: dict[str, dict[int, Array]] = {}
    left = list[str]()
    for name, array in found.items():
        group, match = cells, CELL.fullmatch(name)
        if match is None:
            group, match = others, VARIABLE.fullmatch(name)
        if match is None or array.ndim < 1:
            left.append(name)
        else:
            group.setdefault(match[1], {})[int(match[2])] = array
    order = sorted(cells, key=natural)
    twofold = next((name for name in order if re.search("(forward|backward)_layer", name)), None)
    if not order or twofold:
        raise _other(f"{twofold} is bidirectional" if twofold else "it has no GRU, LSTM or SimpleRNN")
    dense = [name for name, parts in others.items() if 1 in parts and parts.get(0, parts[1]).ndim == 2]
    tables = [name for name, parts in others.items() if set(parts) == {0} and parts[0].ndim == 2]
    left += [f"{name}/vars" for name in others if name not in dense and name not in tables]
    if left:
        raise _other(f"it has arrays that belong to no layer: {', '.join(sorted(left)[:8])}")
    made = tuple(_layer(name, cells[name], settings.get(name, {})) for name in order)
    if len(dense) != 1 or len(tables) > 1:
        raise BadFileError(
            f"it has {len(dense)} dense layers and {len(tables)} embeddings",
            "it must have one dense layer with a bias, and at most one embedding",
        )
    masked = [name for name in tables if settings.get(name, {}).get("mask_zero")]
    notes += ("its embedding has mask_zero: token 0 is read like every other",) * len(masked)
    table = others[tables[0]][0] if tables else None
    return ForeignModel("Keras", made, table, others[dense[0]][0].T, others[dense[0]][1], notes)


def _layer(name: str, parts: Mapping[int, Array], settings: Mapping[str, Any]) -> SourceLayer:
    """A layer of these variables."""
    kernel, recurrent, bias = parts.get(0), parts.get(1), parts.get(2)
    if kernel is None or recurrent is None or kernel.ndim != 2 or recurrent.ndim != 2:
        raise BadFileError(f"{name}/cell/vars lacks a kernel or a recurrent kernel", "save it again")
    units = max(1, len(recurrent))
    if recurrent.size // units**2 not in ORDERS:
        raise BadFileError(f"{name} has weights that fit no GRU, LSTM or SimpleRNN")
    cell, gates = ORDERS[recurrent.size // units**2]
    if cell == "gru" and not settings.get("reset_after", bias is None or bias.ndim == 2):
        cell = "gru-before"
    none = np.zeros(kernel.shape[1], np.float32)
    bias_ih, bias_hh = (none, none) if bias is None else bias if bias.ndim == 2 else (bias, none)
    return SourceLayer(cell, gates, kernel.T, recurrent.T, bias_ih, bias_hh)
