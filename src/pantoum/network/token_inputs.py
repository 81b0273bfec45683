"""From tokens to the input projection of the first layer, and back.

Between tokens and the gates of the first layer there is only a linear map, so the input projection of a token
is the same wherever it occurs. It is computed once for each symbol, or each that occurs, and looked up: an
exact saving. Variational dropout has one mask for all places of a symbol, so it loses nothing of that;
independent dropout needs a vector for each token. A one-hot vector has one entry: dropout scales or drops the
whole row.

A batch uses few rows of a large table. Its gradient is then that of these rows (``network.gradient``), so
that the cost of a step does not grow with the vocabulary. Of one-hot inputs the table is the transpose of the
first layer's weight_ih, which lies in memory column by column.

Shapes: B streams, T steps, N = T*B, E embedding, H units, V symbols, U of them in use, G gate rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from pantoum.kernels import Array, Kernels, Workspace
from pantoum.network.gradient import Gradient
from pantoum.network.stack import Layer, Vectors

LARGE = 1024
"""A table of more rows has a gradient of its rows in use, if the batch has fewer tokens than that."""


@dataclass(frozen=True)
class TableTokens:
    """Embedded tokens, whose input projections are rows of a table."""

    places_TB: Array
    """The row of each token."""
    symbols_U: Array | None
    """The symbol of each row; ``None``: all symbols."""
    embedding_VE: Array
    table_UG: Array | None
    """The table, where the member holds it."""
    drop: Callable[[Array], Array] | None
    """The dropout of vectors [1,U,E], and of their gradient."""

    def project(self, layer: Layer, workspace: Workspace) -> Array:
        """The input projection of the first layer [T,B,G]."""
        table_UG = self.table_UG
        if table_UG is None:
            x_UE = self._dropped(layer, workspace)
            shape = len(x_UE), len(layer.bias_G)
            table_UG = layer.project(x_UE, out=workspace.array("table", shape, layer.bias_G.dtype))
        return _look_up(layer, table_UG, self.places_TB, workspace, "projection")

    def project_vjp(
        self, layer: Layer, d_projection_TBG: Array, workspace: Workspace
    ) -> tuple[Array, Array, Array]:
        """(d_x [U,E], d_weight_ih, d_bias [G])."""
        x_UE = self._dropped(layer, workspace)
        d_table_UG = workspace.array("table", (len(x_UE), d_projection_TBG.shape[2]), d_projection_TBG.dtype)
        _look_up_vjp(layer.kernels, d_projection_TBG, self.places_TB, d_table_UG)
        d_x_UE, d_weight, d_bias_G = layer.project_vjp(d_table_UG, x_UE, workspace)
        return self._kept(d_x_UE), d_weight, d_bias_G

    def embedding_gradient(self, kernels: Kernels, d_inputs: Array, workspace: Workspace) -> Gradient:
        """It is what the backward pass returns."""
        gradient = Gradient(d_inputs, self.symbols_U)
        if self.symbols_U is None or uses_few(self.places_TB, len(self.embedding_VE)):
            return gradient
        return Gradient(gradient.whole(self.embedding_VE.shape))

    def _dropped(self, layer: Layer, workspace: Workspace) -> Array:
        x_UE = self.embedding_VE
        if self.symbols_U is not None:
            x_UE = _look_up(layer, x_UE, self.symbols_U, workspace, "vectors")
        return self._kept(x_UE)

    def _kept(self, x_UE: Array) -> Array:
        return x_UE if self.drop is None else self.drop(x_UE[None])[0]


@dataclass(frozen=True)
class VectorTokens:
    """Embedded tokens as vectors, each of which is dropped by itself."""

    tokens_TB: Array
    embedding_VE: Array
    drop: Callable[[Array], Array]
    """The dropout of vectors, and of their gradient."""

    def project(self, layer: Layer, workspace: Workspace) -> Array:
        """The input projection of the first layer [T,B,G]."""
        return self._vectors(layer, workspace).project(layer, workspace)

    def project_vjp(
        self, layer: Layer, d_projection_TBG: Array, workspace: Workspace
    ) -> tuple[Array, Array, Array]:
        """(d_x [T,B,E], d_weight_ih, d_bias [G])."""
        vectors = self._vectors(layer, workspace)
        d_x_TBE, d_weight, d_bias_G = vectors.project_vjp(layer, d_projection_TBG, workspace)
        return self.drop(d_x_TBE), d_weight, d_bias_G

    def embedding_gradient(self, kernels: Kernels, d_inputs: Array, workspace: Workspace) -> Gradient:
        """From the gradient of the vectors."""
        return _table_gradient(kernels, d_inputs, self.tokens_TB, len(self.embedding_VE), workspace)

    def _vectors(self, layer: Layer, workspace: Workspace) -> Vectors:
        return Vectors(self.drop(_look_up(layer, self.embedding_VE, self.tokens_TB, workspace, "vectors")))


@dataclass(frozen=True)
class OneHotTokens:
    """One-hot tokens: the input projection of a token is a column of weight_ih plus the bias."""

    tokens_TB: Array
    weight_GV: Array | None
    """The first layer's weight_ih, which lies in memory column by column; ``None`` if the table of all input
    projections is there."""
    scale_TB: Array | None
    """The dropout of each token's one entry; None: off."""
    table_VG: Array | None
    """The table of all input projections, where the member holds it."""
    vocab_size: int

    def project(self, layer: Layer, workspace: Workspace) -> Array:
        """The input projection of the first layer [T,B,G]."""
        if self.table_VG is not None and self.scale_TB is None:
            return _look_up(layer, self.table_VG, self.tokens_TB, workspace, "projection")
        weight_GV = self.weight_GV
        assert weight_GV is not None
        columns_VG = np.ascontiguousarray(weight_GV.T)
        projection_TBG = _look_up(layer, columns_VG, self.tokens_TB, workspace, "projection")
        if self.scale_TB is not None:
            projection_TBG *= self.scale_TB[:, :, None]
        projection_TBG += layer.bias_G
        return projection_TBG

    def project_vjp(
        self, layer: Layer, d_projection_TBG: Array, workspace: Workspace
    ) -> tuple[Array, None, Array]:
        """(d_projection [T,B,G], None: d_weight_ih is made from it, d_bias [G])."""
        G = d_projection_TBG.shape[2]
        d_bias_G = layer.kernels.bias_gradient(d_projection_TBG.reshape(-1, G))
        if self.scale_TB is not None:
            d_projection_TBG *= self.scale_TB[:, :, None]
        return d_projection_TBG, None, d_bias_G

    def embedding_gradient(self, kernels: Kernels, d_inputs: Array, workspace: Workspace) -> Gradient:
        """That of weight_ih, transposed."""
        found = _table_gradient(kernels, d_inputs, self.tokens_TB, self.vocab_size, workspace)
        return replace(found, transposed=True)


TokenInputs: TypeAlias = TableTokens | VectorTokens | OneHotTokens
"""``stack.Inputs`` that are made from tokens. ``embedding_gradient`` is the gradient of what tokens choose
from, the embedding or the first layer's weight_ih, from what the backward pass of the layers returns."""


def uses_few(tokens_TB: Array, vocab_size: int) -> bool:
    """Whether a batch uses so few rows of a large table that its gradient is that of these rows."""
    return tokens_TB.size < vocab_size > LARGE


def _look_up(layer: Layer, table_VG: Array, tokens_TB: Array, workspace: Workspace, name: str) -> Array:
    """The table's row of each token [T,B,G]."""
    rows_NG = workspace.array(name, (tokens_TB.size, table_VG.shape[1]), table_VG.dtype)
    layer.kernels.lookup(table_VG, tokens_TB.reshape(-1), out=rows_NG)
    return rows_NG.reshape(*tokens_TB.shape, -1)


def _look_up_vjp(kernels: Kernels, d_TBG: Array, tokens_TB: Array, out: Array) -> Array:
    """The table's gradient [V,G]."""
    d_NG = d_TBG.reshape(tokens_TB.size, -1)
    kernels.lookup_gradient(d_NG, tokens_TB.reshape(-1), len(out), out=out)
    return out


def _table_gradient(
    kernels: Kernels, d_TBG: Array, tokens_TB: Array, vocab_size: int, workspace: Workspace
) -> Gradient:
    """The table's gradient, of the rows in use where these are few."""
    if uses_few(tokens_TB, vocab_size):
        d_NG = d_TBG.reshape(tokens_TB.size, -1)
        rows_U, values_UG = kernels.lookup_sum_gradient(d_NG, tokens_TB.reshape(-1, 1))
        return Gradient(values_UG, rows_U)
    out = workspace.array("d_rows", (vocab_size, d_TBG.shape[2]), d_TBG.dtype)
    return Gradient(_look_up_vjp(kernels, d_TBG, tokens_TB, out))
