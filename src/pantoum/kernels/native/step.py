"""One token for each row of a batch through a whole model, in one call of the core.

The description of the model becomes the core's structs once, with every address in them; a call changes
two numbers. NumPy has no stepper: without the core, ``network.stepper`` reads by scans of one step,
which give the same bits as this.

Shapes: R rows that there is room for, C rows of logits, V symbols, E inputs, H units, G gate rows,
K tokens that the n-grams or the counts look back.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from pantoum.errors import CoreError
from pantoum.kernels.native.counts import counts_struct
from pantoum.kernels.native.library import core
from pantoum.kernels.native.product import number_of
from pantoum.kernels.native.tables import row_table
from pantoum.kernels.step_model import StepCounts, StepLayer, StepMember, StepModel, StepTable
from pantoum.kernels.types import Array

__all__ = ["Stepper", "stepper"]


class Stepper:
    """Steps of rows of a batch: tokens in, states on in place, logits out."""

    def __init__(self, model: StepModel, tokens_R: Array, states: Sequence[Array], logits_CV: Array) -> None:
        (C, V), R, H = logits_CV.shape, len(tokens_R), model.units
        each, members, L = len(model.cell.state), model.members, len(model.members[0].layers)
        own_states = each * L * len(members)
        if len(states) != own_states + (model.table is not None) + (model.counts is not None):
            raise CoreError(
                f"{len(states)} arrays of states for {L * len(members)} layers of "
                f"{model.cell.name}: give {each} a layer"
                + " and the n-grams'" * bool(model.table)
                + " and the counts'" * bool(model.counts)
            )
        self._kept = model, tokens_R, list(states), logits_CV
        self._most = C, R
        self._vocabulary, self._tokens_R = V, tokens_R
        filled, structures = [], []
        for place, member in enumerate(members):
            if len(member.layers) != L:
                raise CoreError(f"a member has {len(member.layers)} layers, the first {L}: give one shape")
            own = [
                _layer(model, member, layer, states[each * number : each * (number + 1)], R)
                for number, layer in enumerate(member.layers, place * L)
            ]
            layers = core().structs("layer", own)
            structures.append(layers)
            filled.append(
                core().struct(
                    "member",
                    layers=layers,
                    table=member.table_VG,
                    embedding=member.embedding_VE,
                    V=V,
                    G=len(model.cell.gates) * H,
                )
            )
        table = core().structs("member", filled)
        self._structures = structures, table
        self._orders = np.array(model.table.orders if model.table else (), np.int64)
        self._table = row_table(model.table.table_WV) if model.table else None
        ngrams = (
            _ngrams(model.table, self._orders, states[own_states], V) if model.table else {"ngram_rows": 0}
        )
        counts = model.counts
        self._counts = None if counts is None else counts_struct(counts.tree, counts.weights_C)
        head, projection = model.head, model.projection
        _check(head, (V, head.shape[1]), V)
        if projection is not None:
            _check(projection, (head.shape[1], len(members) * H), head.shape[1])
        elif head.shape[1] != len(members) * H:
            raise CoreError(f"the head is {head.shape}: {len(members)} members of {H} units need another one")
        self._operation, fill = core().operation("step")
        self._arguments = fill(
            members=table,
            tokens=tokens_R,
            head=head.panels(False),
            head_bias=model.head_bias_V,
            projection=None if projection is None else projection.panels(False),
            logits=logits_CV,
            vocabulary=V,
            units=H,
            first=0,
            member_count=len(members),
            layer_count=L,
            head_inputs=head.shape[1],
            kind=core().cells[model.cell.kernel],
            head_precision=number_of(head.precision),
            projection_precision=0 if projection is None else number_of(projection.precision),
            ngrams=self._table,
            counts=None if self._counts is None else self._counts[0],
            counts_recent=None if counts is None else _counts_state(counts, states[-1], V),
            K=None if counts is None else len(counts.tree.lengths),
            rows=R,
            **ngrams,
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


def stepper(model: StepModel, tokens_R: Array, states: Sequence[Array], logits_CV: Array) -> Stepper | None:
    """Steps through this model of tokens and states in these arrays; None where the core lacks the cell."""
    if model.cell.kernel not in core().cells:
        return None
    return Stepper(model, tokens_R, states, logits_CV)


def _layer(
    model: StepModel, member: StepMember, layer: StepLayer, states: Sequence[Array], rows: int
) -> ctypes.Structure:
    H = model.units
    G = len(model.cell.gates) * H
    weight, recurrent = layer.weight_ih, layer.weight_hh
    if weight is not None:
        _check(weight, (G, weight.shape[1]), H)
    for matrix, gates in zip(recurrent, model.cell.products, strict=True):
        _check(matrix, (gates * H, H), H)
    addresses = [matrix.panels(False) for matrix in recurrent] + [None, None]
    norm_weight, norm_bias = (None, None) if layer.norm is None else layer.norm
    return core().struct(
        "layer",
        input=None if weight is None else weight.panels(False),
        recurrent=addresses[0],
        more_recurrent=addresses[1],
        input_bias=layer.input_bias_G,
        bias=layer.scan_bias_H,
        norm_weight=norm_weight,
        norm_bias=norm_bias,
        hidden=states[0],
        cell=states[1] if len(states) > 1 else None,
        inputs=_inputs(member, weight),
        input_precision=0 if weight is None else number_of(weight.precision),
        recurrent_precision=number_of(recurrent[0].precision) if recurrent else 0,
        residual=layer.residual,
        rows=rows,
        H=H,
        G=G,
    )


def _inputs(member: StepMember, weight: Any) -> int:
    """E of a layer; 0: its inputs are one-hot."""
    if weight is not None:
        return int(weight.shape[1])
    return 0 if member.embedding_VE is None else member.embedding_VE.shape[1]


def _ngrams(ngrams: StepTable, orders: Array, recent: Array, V: int) -> dict[str, Any]:
    """The fields of n-grams. What the state holds is not looked at: any row found is in the table."""
    if not (orders.size and orders[0] >= 2 and (np.diff(orders) > 0).all()):
        raise CoreError(
            f"the orders are {ngrams.orders}: the step takes different ones from 2 on, the lowest first"
        )
    if ngrams.rows < 2 or ngrams.rows & (ngrams.rows - 1):
        raise CoreError(f"an order has {ngrams.rows} rows: the step takes a power of two, 2 at least")
    if ngrams.table_WV.shape != (len(orders) * ngrams.rows, V):
        raise CoreError(
            f"table_WV is {ngrams.table_WV.shape}: {len(orders)} orders of {ngrams.rows} rows and {V} "
            f"symbols need {(len(orders) * ngrams.rows, V)}"
        )
    return {"orders": orders, "recent": recent, "recent_kept": int(orders[-1]) - 1, "ngram_rows": ngrams.rows}


def _counts_state(counts: StepCounts, recent: Array, V: int) -> Array:
    """The state of counts. What it holds is not looked at: what can be no token is none."""
    if len(counts.tree.unigrams_V) != V:
        raise CoreError(f"the counts have {len(counts.tree.unigrams_V)} symbols: this model has {V}")
    return recent


def _check(matrix: Any, shape: tuple[int, int], block: int) -> None:
    if matrix.shape != shape or matrix.block != block:
        raise CoreError(
            f"a matrix is {matrix.shape} in blocks of {matrix.block}: the step takes {shape} in "
            f"blocks of {block}; pack it with gates={shape[0] // block}"
        )
