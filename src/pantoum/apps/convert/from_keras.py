"""Models of Keras 3: ``NAME.weights.h5``, or ``NAME.keras``, which is an archive with such a file.

    layers/gru/cell/vars/0, 1, 2      kernel [I,G], recurrent kernel [H,G], bias; gates z r n, i f g o, or h
    layers/embedding/vars/0           [V,E]
    layers/dense/vars/0, 1            [H,V], [V]

Needs h5py. Links and data in other files are not followed. The archive's description says which activations
the layers have; weights alone do not, and are taken to have the usual ones.

Shapes: V symbols, E embedding, I inputs, H units, G columns of gates.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pantoum.apps.convert.foreign_model import ForeignModel, SourceLayer, natural
from pantoum.errors import ModelFileError, SettingError
from pantoum.seams import Array, bounded, plain_json

__all__ = ["ARCHIVE", "HDF5", "read"]

HDF5, ARCHIVE = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
CELL = re.compile(r"(.*)/cell/vars/([012])")
VARIABLE = re.compile(r"(.*)/vars/([01])")
ORDERS = {1: ("rnn", "h"), 3: ("gru", "zrn"), 4: ("lstm", "ifgo")}
USUAL = {"activation": "tanh", "recurrent_activation": "sigmoid", "go_backwards": False}
MOST_BYTES, MOST_CONFIG = 2**40, 16 << 20
EXPANDS, AND = 10, 64 << 20
"""What an archive or a compressed array may become: so many times its size, and 64 MB."""
Parts = Mapping[str, Mapping[int, Array]]


def read(path: Path) -> ForeignModel:
    """The model of such a file."""
    data = bounded.read_small(path, MOST_BYTES, ModelFileError)
    try:
        config: dict[str, dict[str, Any]] = {}
        if data.startswith(ARCHIVE):
            config, data = _unpacked(data)
        found = _arrays(data)
    except ModelFileError as problem:
        raise ModelFileError(f"cannot import {str(path)!r}: {problem}; save it again") from None
    except (ValueError, KeyError, OSError, RuntimeError, zipfile.BadZipFile) as problem:
        raise ModelFileError(
            f"cannot import {str(path)!r}: it is damaged ({problem}); save it again"
        ) from None
    return _source(found, config, path)


def _unpacked(data: bytes) -> tuple[dict[str, dict[str, Any]], bytes]:
    """(what the archive says of its layers by name, the bytes of its weights)."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        if "model.weights.h5" not in sizes or sizes.get("config.json", 0) > MOST_CONFIG:
            raise ModelFileError(
                "it has no model.weights.h5: it is no .keras file (nothing is unpickled here)"
            )
        if sizes["model.weights.h5"] > EXPANDS * len(data) + AND:
            raise ModelFileError("it would become more than ten times as large")
        config = plain_json.decode(archive.read("config.json")) if "config.json" in sizes else {}
        return dict(_layers(config)), archive.read("model.weights.h5")


def _layers(config: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The settings of every layer by its name."""
    if isinstance(config, dict):
        own = config.get("config")
        if isinstance(own, dict) and isinstance(own.get("name"), str):
            yield own["name"], own
        for value in config.values():
            yield from _layers(value)
    elif isinstance(config, list):
        for value in config:
            yield from _layers(value)


def _arrays(data: bytes) -> dict[str, Array]:
    """The float arrays of an HDF5 file by their paths."""
    try:
        import h5py
    except ImportError:
        rule, advice = "of Keras needs the package `h5py`", "run: pip install 'pantoum[keras]'"
        raise SettingError("file", "an HDF5 file", rule, advice) from None
    found: dict[str, Array] = {}
    total = 0
    with h5py.File(io.BytesIO(data), "r") as file:
        chosen = list[Any]()
        file.visititems(lambda _, item: chosen.append(item) if isinstance(item, h5py.Dataset) else None)
        for item in chosen:
            name = item.name.lstrip("/")
            if name.startswith("optimizer") or item.dtype.kind != "f":
                continue
            total += item.nbytes
            if item.is_virtual or item.external or total > EXPANDS * len(data) + AND:
                raise ModelFileError(f"{name} lies in another file, or becomes too large")
            found[name] = np.asarray(item[()], np.float64 if item.dtype.itemsize > 4 else np.float32)
    return found


def _source(found: Mapping[str, Array], config: Mapping[str, dict[str, Any]], path: Path) -> ForeignModel:
    cells: dict[str, dict[int, Array]] = {}
    others: dict[str, dict[int, Array]] = {}
    for name, array in found.items():
        group, match = cells, CELL.fullmatch(name)
        if match is None:
            group, match = others, VARIABLE.fullmatch(name)
        if match is not None:
            group.setdefault(match[1], {})[int(match[2])] = array
    order = sorted(cells, key=natural)
    twofold = next((name for name in order if re.search("(forward|backward)_layer", name)), None)
    if not order or twofold:
        what = f"{twofold} reads in two directions" if twofold else "it has no GRU, LSTM or SimpleRNN"
        raise ModelFileError(f"cannot import {str(path)!r}: {what}; give a model of plain recurrent layers")
    made = tuple(_layer(cells[name], config.get(name.rpartition("/")[2], {}), path) for name in order)
    dense = [parts for parts in others.values() if 1 in parts and parts[0].ndim == 2]
    tables = [parts[0] for parts in others.values() if 1 not in parts and parts[0].ndim == 2]
    if len(dense) != 1 or len(tables) > 1:
        raise ModelFileError(
            f"cannot import {str(path)!r}: it has {len(dense)} dense layers and {len(tables)} embeddings; it "
            "must have one dense layer with a bias, and at most one embedding"
        )
    return ForeignModel("Keras", made, tables[0] if tables else None, dense[0][0].T, dense[0][1])


def _layer(parts: Mapping[int, Array], config: Mapping[str, Any], path: Path) -> SourceLayer:
    """A layer of these variables."""
    for name, usual in USUAL.items():
        if config.get(name, usual) != usual:
            raise ModelFileError(
                f"cannot import {str(path)!r}: a layer has {name} {config[name]!r}, only {usual!r} can be "
                "imported"
            )
    kernel, recurrent = parts.get(0, np.zeros((0, 0))), parts.get(1, np.zeros((0, 0)))
    units = max(1, len(recurrent))
    known = ORDERS.get(recurrent.size // units**2)
    if kernel.ndim != 2 or known is None:
        raise ModelFileError(f"cannot import {str(path)!r}: a layer has weights of no GRU, LSTM or SimpleRNN")
    cell, gates = known
    bias = parts.get(2)
    after = config.get("reset_after", bias is None or bias.ndim == 2)
    if cell == "gru" and not after:
        cell = "gru-before"
    none = np.zeros(kernel.shape[1], np.float32)
    bias_ih, bias_hh = (none, none) if bias is None else bias if bias.ndim == 2 else (bias, none)
    return SourceLayer(cell, gates, kernel.T, recurrent.T, bias_ih, bias_hh)
