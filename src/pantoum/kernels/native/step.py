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
from pantoum.errors import CoreError
from pantoum.kernels.native.counts import counts_struct
from pantoum.kernels.native.library import core
from pantoum.kernels.native.product import number_of
from pantoum.kernels.native.tables import row_table
from pantoum.kernels.types import Array, StepPart

__all__ = ["CoreStepper", "stepper"]

KINDS = ("inputs", "layer", "head", "ngrams", "counts")
NAMES = {"ngrams": "n-grams", "counts": "counts"}


class CoreStepper:
    """Steps of rows of a batch: tokens in, states on in place, logits out."""

    def __init__(
        self, parts: Sequence[StepPart], tokens_R: Array, states: Sequence[Array], logits_CV: Array
    ) -> None:
        (C, V), R = logits_CV.shape, len(tokens_R)
        values = {kind: [part.values for part in parts if part.kind == kind] for kind in KINDS}
        layers, inputs, head = values["layer"], values["inputs"], values["head"][0]
        cell, members = layers[0]["cell"], len(inputs)
        each, H = len(cell.state), len(layers[0]["input_bias_G"]) // len(cell.gates)
        ends = [place for place, part in enumerate(parts) if part.kind == "inputs"]
        L = (ends[1] if members > 1 else 1 + len(layers)) - 1
        after = [kind for kind in ("ngrams", "counts") if values[kind]]
        if len(states) != each * len(layers) + len(after):
            raise CoreError(
                f"{len(states)} arrays of states for {len(layers)} layers of {cell.name}: "
                f"give {each} per layer" + "".join(f" and the {NAMES[kind]}'" for kind in after)
            )
        if len(layers) != L * members:
            raise CoreError(f"{members} members have {len(layers)} layers, the first {L}: give one shape")
        self._kept = list(parts), tokens_R, list(states), logits_CV
        self._most = C, R
        G = len(cell.gates) * H
        filled, self._structures = [], list[object]()
        for place, member in enumerate(inputs):
            embedding_VE = member["embedding_VE"]
            own = core().structs(
                "layer",
                [
                    _layer(layers[n], H, _width(embedding_VE), states[each * n : each * (n + 1)], R)
                    for n in range(place * L, (place + 1) * L)
                ],
            )
            self._structures.append(own)
            filled.append(
                core().struct(
                    "member", layers=own, table=member["table_VG"], embedding=embedding_VE, V=V, G=G
                )
            )
        table = core().structs("member", filled)
        self._structures.append(table)
        beside = states[each * len(layers) :]
        more: dict[str, Any] = {"ngram_rows": 0}
        for kind, recent in zip(after, beside, strict=True):
            more |= BESIDE[kind](values[kind][0], recent, V, self._structures)
        weight, projection = head["weight"], head["projection"]
        _check(weight, (V, weight.shape[1]), V)
        if projection is not None:
            _check(projection, (weight.shape[1], members * H), weight.shape[1])
        elif weight.shape[1] != members * H:
            raise CoreError(f"the head is {weight.shape}: {members} members of {H} units need another one")
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
            head_inputs=weight.shape[1],
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
    cell = next(part.values["cell"] for part in parts if part.kind == "layer")
    return CoreStepper(parts, tokens_R, states, logits_CV) if cell.kernel in core().cells else None


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


def _width(embedding_VE: Array | None) -> int:
    """E of a member; 0: its inputs are one-hot."""
    return 0 if embedding_VE is None else embedding_VE.shape[1]


def _ngrams(own: Mapping[str, Any], recent: Array, V: int, structures: list[object]) -> dict[str, Any]:
    """The fields of n-grams. What the state holds is not looked at: any row found is in the table."""
    table_RV, rows, orders = own["table_RV"], own["rows"], np.array(own["orders"], np.int64)
    if not (orders.size and orders[0] >= 2 and (np.diff(orders) > 0).all()):
        raise CoreError(
            f"the orders are {own['orders']}: the step takes different ones from 2 on, the lowest first"
        )
    if rows < 2 or rows & (rows - 1):
        raise CoreError(f"an order has {rows} rows: the step takes a power of two, 2 at least")
    if table_RV.shape != (len(orders) * rows, V):
        raise CoreError(
            f"table_RV is {table_RV.shape}: {len(orders)} orders of {rows} rows and {V} "
            f"symbols need {(len(orders) * rows, V)}"
        )
    table = row_table(table_RV)
    structures += [orders, table]
    return {
        "ngrams": table,
        "orders": orders,
        "recent": recent,
        "ngram_rows": rows,
        "recent_kept": int(orders[-1]) - 1,
    }


def _counts(own: Mapping[str, Any], recent: Array, V: int, structures: list[object]) -> dict[str, Any]:
    """The fields of counts. What the state holds is not looked at: what can be no token is none."""
    tree = own["tree"]
    if len(tree.unigrams_V) != V:
        raise CoreError(f"the counts have {len(tree.unigrams_V)} symbols: this model has {V}")
    counts, kept = counts_struct(tree, own["weights_C"])
    structures += [counts, kept]
    return {"counts": counts, "counts_recent": recent, "K": len(tree.lengths)}


BESIDE = {"ngrams": _ngrams, "counts": _counts}
"""The fields of the mixers. Each has one array of state, in this order."""


def _check(matrix: Any, shape: tuple[int, int], block: int) -> None:
    if matrix.shape != shape or matrix.block != block:
        raise CoreError(
            f"a matrix is {matrix.shape} in blocks of {matrix.block}: the step takes {shape} in "
            f"blocks of {block}; pack it with gates={shape[0] // block}"
        )
