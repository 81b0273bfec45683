"""One token for each row of a batch through a whole model, in one call of the core.

The list of its parts becomes the core's structs once, with every address in them; a call changes
two numbers. NumPy has no stepper: without the core, ``network.stepping`` reads by scans of one step,
which give the same bits as this.

Shapes: R rows that there is room for, C rows of logits, V symbols, E inputs, H units, G gate rows,
K tokens that the n-grams or the counts look back.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pantoum.config import CellSpec
from pantoum.kernels.native.library import core
from pantoum.kernels.native.product import number_of
from pantoum.kernels.native.tables import counts_struct, row_table
from pantoum.kernels.types import Array, StepPart

__all__ = ["CoreStepper", "stepper"]


class CoreStepper:
    """Steps of rows of a batch: tokens in, states on in place, logits out."""

    def __init__(
        self, parts: Sequence[StepPart], tokens_R: Array, states: Sequence[Array], logits_CV: Array
    ) -> None:
        (C, V), R = logits_CV.shape, len(tokens_R)
        layers, inputs, (head,) = (_of(parts, kind) for kind in ("layer", "inputs", "head"))
        cell, members = layers[0]["cell"], len(inputs)
        each, H = len(cell.state), len(layers[0]["input_bias_G"]) // len(cell.gates)
        (L, none), G = divmod(len(layers), members), len(cell.gates) * H
        assert not none
        self._most, self._held = (C, R), [list(parts), tokens_R, list(states), logits_CV]
        """The most rows of a call, and the memory that its arguments are addresses of."""
        filled, layer_states = [], iter(states[: each * len(layers)])
        for place, member in enumerate(inputs):
            embedding_VE = member["embedding_VE"]
            embedded = 0 if embedding_VE is None else embedding_VE.shape[1]  # 0: its inputs are one-hot
            own = core().structs(
                "layer",
                [
                    _layer(layer, H, embedded, [next(layer_states) for _ in range(each)], R)
                    for layer in layers[place * L : (place + 1) * L]
                ],
            )
            arrays = {"table": member["table_VG"], "embedding": embedding_VE}
            filled.append(core().struct("member", layers=own, **arrays, V=V, G=G))
            self._held.append(own)
        table = core().structs("member", filled)
        more, beside = {"ngram_rows": 0}, iter(states[each * len(layers) :])
        for kind, fields in (("ngrams", _ngrams), ("counts", _counts)):
            for values in _of(parts, kind):
                more |= fields(values, next(beside), V)
        assert next(beside, None) is None, "more arrays of a state than parts that have one"
        self._held += [table, more]
        weight, projection = head["weight"], head["projection"]
        inputs_of_head = members * H if projection is None else projection.shape[0]
        _check(weight, (V, inputs_of_head), V)
        if projection is not None:
            _check(projection, (inputs_of_head, members * H), inputs_of_head)
        self._operation, fill = core().operation("step")
        self._arguments = fill(
            members=table,
            tokens=tokens_R,
            head=weight.panels(False),
            head_bias=head["bias_V"],
            projection=None if projection is None else projection.panels(False),
            logits=logits_CV,
            vocabulary=V,
            units=H,
            first=0,
            member_count=members,
            layer_count=L,
            head_inputs=inputs_of_head,
            kind=core().cells[cell.kernel],
            head_precision=number_of(weight.precision),
            projection_precision=0 if projection is None else number_of(projection.precision),
            rows=R,
            **more,
        )

    def step(self, first: int, count: int) -> None:
        """Let the model read the tokens of the rows first .. first + count - 1; their next tokens' logits are
        the first ``count`` rows. The tokens are this model's own, which is not looked at here."""
        assert 0 <= count <= self._most[0] and 0 <= first <= self._most[1] - count
        arguments = self._arguments
        arguments.first, arguments.count = first, count
        status = self._operation(arguments)
        if status:
            core().refuse("step", status)


def stepper(
    parts: Sequence[StepPart], tokens_R: Array, states: Sequence[Array], logits_CV: Array
) -> CoreStepper | None:
    """Steps through the model of these parts, of tokens and states in these arrays; None where the core lacks
    its cell."""
    known = _of(parts, "layer")[0]["cell"].kernel in core().cells
    return CoreStepper(parts, tokens_R, states, logits_CV) if known else None


def _of(parts: Sequence[StepPart], kind: str) -> list[Mapping[str, Any]]:
    return [part.values for part in parts if part.kind == kind]


def _layer(
    layer: Mapping[str, Any], H: int, embedded: int, states: Sequence[Array], rows: int
) -> ctypes.Structure:
    """``embedded``: the width of the vectors that the member reads."""
    cell: CellSpec = layer["cell"]
    G, weight, recurrent = len(cell.gates) * H, layer["weight_ih"], layer["weight_hh"]
    if weight is not None:
        _check(weight, (G, weight.shape[1]), H)
    for matrix, gates in zip(recurrent, cell.products, strict=True):
        _check(matrix, (gates * H, H), H)
    addresses = [matrix.panels(False) for matrix in recurrent] + [None, None]
    return core().struct(
        "layer",
        input=None if weight is None else weight.panels(False),
        recurrent=addresses[0],
        more_recurrent=addresses[1],
        input_bias=layer["input_bias_G"],
        bias=layer["scan_bias_H"],
        hidden=states[0],
        cell=states[1] if len(states) > 1 else None,
        inputs=embedded if weight is None else int(weight.shape[1]),
        input_precision=0 if weight is None else number_of(weight.precision),
        recurrent_precision=number_of(recurrent[0].precision) if recurrent else 0,
        rows=rows,
        H=H,
        G=G,
    )


def _ngrams(own: Mapping[str, Any], recent: Array, V: int) -> dict[str, Any]:
    """The fields of n-grams. What the state holds is not looked at: each row that it leads to is in the
    table."""
    table_RV, rows, orders = own["table_RV"], own["rows"], np.array(own["orders"], np.int64)
    assert orders[0] >= 2 and (np.diff(orders) > 0).all()
    assert rows >= 2 and not rows & (rows - 1) and table_RV.shape == (len(orders) * rows, V)
    fields = {"ngrams": row_table(table_RV), "orders": orders, "recent": recent}
    return {**fields, "ngram_rows": rows, "recent_kept": int(orders[-1]) - 1}


def _counts(own: Mapping[str, Any], recent: Array, V: int) -> dict[str, Any]:
    """The fields of counts. What the state holds is not looked at: what can be no token is none."""
    tree = own["tree"]
    assert len(tree.unigrams_V) == V
    counts = counts_struct(tree, own["weights_C"])
    return {"counts": counts, "counts_recent": recent, "K": len(tree.lengths)}


def _check(matrix: Any, shape: tuple[int, int], block: int) -> None:
    assert matrix.shape == shape and matrix.block == block, (matrix.shape, matrix.block, shape, block)
