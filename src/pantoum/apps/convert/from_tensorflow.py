"""Models of TensorFlow 1: the checkpoint of ``tf.train.Saver``, by the names of its variables.

    .../gru_cell/gates/kernel, bias; .../gru_cell/candidate/kernel, bias     GRUCell, gates r u
    .../basic_lstm_cell/kernel, bias or .../lstm_cell/kernel, bias           i j f o, 1 is added to f
    .../basic_rnn_cell/kernel, bias

Older versions say ``weights`` and ``biases``. A kernel has the rows of the input, then those of the state.
What optimisers keep is passed over, and so are single numbers. The output layer and the embedding are told
by their shapes; whatever is left over is refused by name.

Shapes: V symbols, I inputs, H units, G columns of gates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from pantoum.apps.convert.bundle import arrays_of
from pantoum.apps.convert.foreign_model import ForeignModel, SourceLayer, blocks, natural
from pantoum.seams import Array, BadFileError

__all__ = ["reader"]

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


def reader(*endings: str) -> Callable[..., Iterator[bytes]]:
    """What reads an index, and the data files with these endings."""
    return lambda index, *files: blocks(_model(arrays_of(index, dict(zip(endings, files, strict=True)))))


def _model(arrays: Mapping[str, Array]) -> ForeignModel:
    layers: dict[str, dict[str, Array]] = {}
    others: dict[str, Array] = {}
    for name, array in arrays.items():
        if KEPT.search(name):
            continue
        if REFUSED.search(name):
            raise BadFileError(
                f"{name} belongs to peepholes, a projection or two directions",
                "only plain layers can be imported",
            )
        plain = re.sub("weights$", "kernel", re.sub("biases$", "bias", name))
        match = PART.fullmatch(plain)
        if match is None:
            others[name] = array
        else:
            layers.setdefault(match[1] + match[2], {})[(match[3] or "") + match[4]] = array
    try:
        made = tuple(_layer(place, layers[place]) for place in sorted(layers, key=natural))
    except KeyError as problem:
        raise BadFileError(f"a cell is without {problem}") from None
    if not made:
        raise BadFileError("no variable of it is of GRUCell, BasicLSTMCell or BasicRNNCell")
    head, bias = _head(others, made[-1].units)
    numbers = [name for name, array in others.items() if array.ndim == 0]
    bias_V, inputs = others[bias], made[0].inputs
    tables = [name for name, array in others.items() if array.shape == (len(bias_V), inputs) and name != head]
    one_hot = inputs == len(bias_V) and not tables
    if not one_hot and len(tables) != 1:
        raise BadFileError(f"it has {len(tables)} possible embeddings, not one")
    left = sorted(set(others) - {head, bias, *tables, *numbers})
    if left:
        raise BadFileError(
            f"it has variables that no embedding, layer or output layer of it takes: {', '.join(left[:8])}",
            "only plain layers can be imported",
        )
    notes = ["forget_bias is taken to be 1, TensorFlow's default"] * (made[0].cell == "lstm")
    notes += [f"single numbers are passed over: {', '.join(sorted(numbers)[:8])}"] * bool(numbers)
    table = None if one_hot else others[tables[0]]
    return ForeignModel("TensorFlow 1", made, table, others[head].T, bias_V, tuple(notes))


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


def _head(others: Parts, units: int) -> tuple[str, str]:
    """The names of the weight [H,V] and the bias [V]."""
    biases = {array.shape: name for name, array in others.items() if array.ndim == 1}
    found = [
        (name, biases[array.shape[1:]])
        for name, array in others.items()
        if array.ndim == 2 and len(array) == units and array.shape[1:] in biases
    ]
    if len(found) != 1:
        listed = ", ".join(sorted(others)[:8]) or "no other variables"
        raise BadFileError(
            f"it has {len(found)} possible output layers ({units} rows and a bias) among {listed}",
            "it must have one",
        )
    return found[0]
