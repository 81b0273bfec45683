"""From tokens to the first layer: learned input vectors, or one-hot inputs by row look-up.

Between tokens and the gates of the first layer there is only a linear map, so the input projection of a token
is the same wherever it occurs. With fewer symbols than tokens, V < N, it is computed once for all symbols and
looked up: an exact saving of one large product forward and two backward. Dropout of embedded
inputs needs the vectors themselves; a one-hot vector has one entry, so its dropout keeps and scales, or
drops, the token's whole row.

A batch uses few rows of a large table. Its gradient is then that of these rows (``network.gradient``), so
that the cost of a step does not grow with the vocabulary. Of one-hot inputs the table is the transpose of the
first layer's weight_ih, which lies in memory column by column.

Shapes: V symbols, T steps, B rows, N = T*B, E embedding, G gate rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from pantoum.kernels import Array, Kernels, Workspace
from pantoum.network.gradient import Gradient
from pantoum.network.stack import Layer, Vectors

__all__ = ["OneHotTokens", "TableTokens", "TokenInputs", "VectorTokens", "one_hot_projections"]

LARGE = 1024
"""A table of more rows has a gradient of its rows in use, if the batch has fewer tokens than that."""


def one_hot_projections(layer: Layer, weight_GV: Array) -> Array:
    """The input projection of every symbol [V,G] for one-hot inputs."""
    projections_VG: Array = np.add(weight_GV.T, layer.bias_G, order="C")
    return projections_VG


@dataclass(frozen=True)
class TableTokens:
    """Embedded tokens, whose input projections are rows of the table of all symbols."""

    tokens_TB: Array
    embedding_VE: Array
    table_VG: Array | None
    """The table, where it is kept between calls."""

    def project(self, layer: Layer, workspace: Workspace) -> Array:
        """The input projection of the first layer [T,B,G]."""
        table_VG = self.table_VG
        if table_VG is None:
            shape = len(self.embedding_VE), len(layer.bias_G)
            table_VG = layer.project(
                self.embedding_VE, out=workspace.array("table", shape, layer.bias_G.dtype)
            )
        return _look_up(layer, table_VG, self.tokens_TB, workspace, "projection")

    def project_vjp(
        self, layer: Layer, d_projection_TBG: Array, workspace: Workspace
    ) -> tuple[Array, Array, Array]:
        """(d_embedding [V,E], d_weight_ih, d_bias [G])."""
        shape = len(self.embedding_VE), d_projection_TBG.shape[2]
        d_table_VG = workspace.array("table", shape, d_projection_TBG.dtype)
        _look_up_vjp(layer.kernels, d_projection_TBG, self.tokens_TB, d_table_VG)
        return layer.project_vjp(d_table_VG, self.embedding_VE, workspace)

    def embedding_gradient(self, kernels: Kernels, d_inputs: Array, workspace: Workspace) -> Gradient:
        """It is what the backward pass returns."""
        return Gradient(d_inputs)


@dataclass(frozen=True)
class VectorTokens:
    """Embedded tokens as vectors: where these are dropped, or too few to make a table for."""

    tokens_TB: Array
    embedding_VE: Array
    drop: Callable[[Array], Array] | None
    """The dropout of vectors, and of their gradient."""

    def project(self, layer: Layer, workspace: Workspace) -> Array:
        """The input projection of the first layer [T,B,G]."""
        return Vectors(self._dropped(layer, workspace)).project(layer, workspace)

    def project_vjp(
        self, layer: Layer, d_projection_TBG: Array, workspace: Workspace
    ) -> tuple[Array, Array, Array]:
        """(d_x [T,B,E], d_weight_ih, d_bias [G])."""
        dropped = Vectors(self._dropped(layer, workspace))
        d_x_TBE, d_weight, d_bias_G = dropped.project_vjp(layer, d_projection_TBG, workspace)
        return d_x_TBE if self.drop is None else self.drop(d_x_TBE), d_weight, d_bias_G

    def embedding_gradient(self, kernels: Kernels, d_inputs: Array, workspace: Workspace) -> Gradient:
        """From the gradient of the vectors."""
        if _uses_few(self.tokens_TB, len(self.embedding_VE)):
            d_NE = d_inputs.reshape(self.tokens_TB.size, -1)
            rows_U, values_UE = kernels.lookup_sum_gradient(d_NE, self.tokens_TB.reshape(-1, 1))
            return Gradient(values_UE, rows_U)
        d_embedding_VE = workspace.array("d_embedding", self.embedding_VE.shape, d_inputs.dtype)
        return Gradient(_look_up_vjp(kernels, d_inputs, self.tokens_TB, d_embedding_VE))

    def _dropped(self, layer: Layer, workspace: Workspace) -> Array:
        x_TBE = _look_up(layer, self.embedding_VE, self.tokens_TB, workspace, "vectors")
        return x_TBE if self.drop is None else self.drop(x_TBE)


@dataclass(frozen=True)
class OneHotTokens:
    """One-hot tokens: the input projection of a token is a column of weight_ih plus the bias."""

    tokens_TB: Array
    weight_GV: Array | None
    """The first layer's weight_ih, which lies in memory column by column; ``None`` if the table of all input
    projections is kept."""
    scale_TB: Array | None
    """The dropout of each token's one entry; None: off."""
    table_VG: Array | None
    """The table of all input projections, if it is kept between calls."""
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
        if _uses_few(self.tokens_TB, self.vocab_size):
            d_NG = d_inputs.reshape(self.tokens_TB.size, -1)
            symbols_U, columns_UG = kernels.lookup_sum_gradient(d_NG, self.tokens_TB.reshape(-1, 1))
            return Gradient(columns_UG, symbols_U, transposed=True)
        d_columns_VG = workspace.array("d_columns", (self.vocab_size, d_inputs.shape[2]), d_inputs.dtype)
        return Gradient(_look_up_vjp(kernels, d_inputs, self.tokens_TB, d_columns_VG), transposed=True)


TokenInputs: TypeAlias = TableTokens | VectorTokens | OneHotTokens
"""``stack.Inputs`` that are made from tokens. ``embedding_gradient`` is the gradient of what tokens choose
from, the embedding or the first layer's weight_ih, from what the backward pass of the layers returns."""


def _uses_few(tokens_TB: Array, vocab_size: int) -> bool:
    """Whether a batch uses so few rows of a large table that they are worth finding."""
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
