"""Models of TensorFlow 1: the checkpoint of ``tf.train.Saver``, by the names of its variables.

    .../gru_cell/gates/kernel, bias; .../gru_cell/candidate/kernel, bias     GRUCell, gates r u
    .../basic_lstm_cell/kernel, bias or .../lstm_cell/kernel, bias           i j f o, 1 is added to f
    .../basic_rnn_cell/kernel, bias

Older versions say ``weights`` and ``biases``. A kernel has the rows of the input, then those of the state.
What optimisers keep is passed over. The output layer and the embedding are told by their shapes.

Shapes: V symbols, I inputs, H units, G columns of gates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pantoum.apps.convert import bundle
from pantoum.apps.convert.foreign_model import ForeignModel, SourceLayer, natural
from pantoum.errors import ModelFileError
from pantoum.seams import Array

__all__ = ["read"]

PART = re.compile(
    r"(.*?)(gru_cell|basic_lstm_cell|lstm_cell|basic_rnn_cell)/(gates/|candidate/)?(kernel|bias)"
)
KEPT = re.compile(
    r"/(Adam|Adam_1|RMSProp|RMSProp_1|Momentum|Adagrad|ExponentialMovingAverage)$|^(beta\d_power|global_step)"
)
REFUSED = re.compile(r"w_[ifo]_diag|projection/|/(bw|fw)/")
FORGET = 1.0
"""``forget_bias``, which is no variable."""
Parts = Mapping[str, Array]


def read(index: Path) -> ForeignModel:
    """The model of a checkpoint."""
    layers: dict[str, dict[str, Array]] = {}
    others: dict[str, Array] = {}
    for name, array in bundle.read(index).items():
        if KEPT.search(name):
            continue
        if REFUSED.search(name):
            raise ModelFileError(
                f"cannot import {str(index)!r}: {name} belongs to peepholes, a projection or two directions; "
                "only plain layers can be imported"
            )
        plain = re.sub("weights$", "kernel", re.sub("biases$", "bias", name))
        match = PART.fullmatch(plain)
        if match is None:
            others[name] = array
        else:
            layers.setdefault(match[1] + match[2], {})[(match[3] or "") + match[4]] = array
    order = sorted(layers, key=natural)
    try:
        made = tuple(_layer(place, layers[place]) for place in order)
    except KeyError as problem:
        raise ModelFileError(
            f"cannot import {str(index)!r}: a cell is without {problem}; save it again"
        ) from None
    if not made:
        raise ModelFileError(
            f"cannot import {str(index)!r}: no variable of it is of GRUCell, BasicLSTMCell or BasicRNNCell"
        )
    head_HV, bias_V = _head(others, made[-1].units, index)
    tables = [
        array
        for array in others.values()
        if array.shape == (len(bias_V), made[0].inputs) and array is not head_HV
    ]
    one_hot = made[0].inputs == len(bias_V) and not tables
    if not one_hot and len(tables) != 1:
        raise ModelFileError(
            f"cannot import {str(index)!r}: it has {len(tables)} possible embeddings, not one"
        )
    notes = ["forget_bias is taken to be 1, TensorFlow's default"] * (made[0].cell == "lstm")
    return ForeignModel("TensorFlow 1", made, None if one_hot else tables[0], head_HV.T, bias_V, tuple(notes))


def _layer(place: str, parts: Parts) -> SourceLayer:
    """A cell of these variables."""
    if place.endswith("gru_cell"):
        kernels = parts["gates/kernel"], parts["candidate/kernel"]
        kernel_G = np.concatenate(kernels, axis=1)
        bias_G = np.concatenate([parts["gates/bias"], parts["candidate/bias"]])
        return _made("gru-before", "rzn", kernel_G, bias_G)
    if place.endswith("lstm_cell"):
        bias_G = parts["bias"].copy()
        units = len(bias_G) // 4
        bias_G[2 * units : 3 * units] += FORGET
        return _made("lstm", "igfo", parts["kernel"], bias_G)
    return _made("rnn", "h", parts["kernel"], parts["bias"])


def _made(cell: str, gates: str, kernel_G: Array, bias_G: Array) -> SourceLayer:
    units = len(bias_G) // len(gates)
    inputs = len(kernel_G) - units
    return SourceLayer(cell, gates, kernel_G[:inputs].T, kernel_G[inputs:].T, bias_G, np.zeros_like(bias_G))


def _head(others: Parts, units: int, index: Path) -> tuple[Array, Array]:
    """(weight [H,V], bias [V])."""
    biases = {array.shape: array for array in others.values() if array.ndim == 1}
    found = [
        (array, biases[array.shape[1:]])
        for array in others.values()
        if array.ndim == 2 and len(array) == units and array.shape[1:] in biases
    ]
    if len(found) != 1:
        raise ModelFileError(
            f"cannot import {str(index)!r}: it has {len(found)} possible output layers (a matrix of {units} "
            f"rows and a bias) among {', '.join(sorted(others)) or 'no other variables'}; it must have one"
        )
    return found[0]
