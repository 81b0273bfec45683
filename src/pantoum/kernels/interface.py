"""The interface between the network and the arithmetic: every operation, its arguments and their shapes.

A backend is a module that has these functions: ``reference`` (NumPy) is one, a native core another. Arrays
are C-contiguous and time-major; ``out`` arguments take the result where given; a result may live in the
``workspace`` and is then valid until the next call with it; no operation keeps an array for longer than its
tape lives.

Shapes: T steps, B rows (streams), N = T*B, E inputs, H units, G gate rows (1, 2, 3 or 4 times H), V symbols.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from pantoum.config import CellSpec
from pantoum.kernels.array import Array
from pantoum.kernels.count_tree import CountTree
from pantoum.kernels.draw_rows import DrawRows
from pantoum.kernels.row_codes import RowCodes
from pantoum.kernels.workspace import Workspace

__all__ = [
    "Array",
    "Kernels",
    "PackedMatrix",
    "RecurrentWeight",
    "Sampler",
    "State",
    "StepPart",
    "Stepper",
]

State: TypeAlias = Array | tuple[Array, Array]
"""The state of a cell: h [B,H], or (h, c)."""


class PackedMatrix(Protocol):
    """A weight [G,K] ready for many products. It does not follow a weight that changes: pack it again."""

    @property
    def precision(self) -> str:
        """``float32`` (the array's own), ``int8``, or what a backend has beside."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """(G, K)."""
        ...

    def product(self, x_NK: Array, out: Array | None = None) -> Array:
        """x W^T, [N,G]."""
        ...

    def product_transposed(self, d_NG: Array, out: Array | None = None) -> Array:
        """d W, [N,K]; a ``CoreError`` in int8."""
        ...


RecurrentWeight: TypeAlias = tuple[PackedMatrix, ...]
"""W_hh of a scan: a matrix for each product of a step."""


class Sampler(Protocol):
    """Draws for rows of a batch, from logits in one array."""

    def draw(self, first: int, count: int) -> None:
        """One token for each of the rows first .. first + count - 1, from the first ``count`` logits; the
        rows' counters move on."""
        ...


class StepPart(NamedTuple):
    """A part of a model as the step of a whole model takes it: packed matrices, biases, tables.

    A model is a list of them: for each member ``inputs`` and its ``layer``s, then ``head``, ``ngrams`` and
    ``counts`` if it has these. The arrays of a state belong to the parts that have one, in this order."""

    kind: str
    values: Mapping[str, Any]


class Stepper(Protocol):
    """Steps of rows of a batch through a whole model."""

    def step(self, first: int, count: int) -> None:
        """The model reads the tokens of the rows first .. first + count - 1: their states go on in place, and
        the first ``count`` logits are those of their next tokens."""
        ...


class Kernels(Protocol):
    """What a backend has. The equations are in ``reference``, one file per operation."""

    def pack(
        self,
        weight_GK: Array,
        precision: str = "float32",
        gates: int = 1,
        place: Workspace | None = None,
        reading: bool = False,
        replaces: bool = False,
        changed_U: Array | None = None,
    ) -> PackedMatrix:
        """A weight ready for many products; ``gates``: how many blocks of H rows a scan takes at once.

        What is made from the weight lies in ``place``, where several matrices may take turns: each is packed
        anew when it is asked for after another one. No call may take two matrices of one place. With
        ``reading`` the weight is packed at once, into a place that no other matrix uses, and is not held:
        only ``product`` can be asked. With ``replaces`` the matrix takes the place of one that was used in
        the same way: what was made from that one is made anew at once, so that threads which then multiply at
        the same time find it. With ``changed_U`` the weight is that of the matrix before in this place, but
        for these rows: what ``product`` needs of that one is made anew in these rows alone, at once."""
        ...

    def quantize(self, weight_GK: Array) -> tuple[Array, Array]:
        """(codes [G,K] int8, scales [G] float32): codes times their row's scale are near the weight."""
        ...

    def pack_codes(self, codes_GK: Array, scales_G: Array, gates: int = 1) -> PackedMatrix:
        """What ``pack(weight, "int8", gates)`` makes, from its codes; these are not kept."""
        ...

    def linear(
        self, x_NK: Array, weight: PackedMatrix, bias_G: Array | None = None, out: Array | None = None
    ) -> Array:
        """x W^T + b, [N,G]."""
        ...

    def linear_weight_gradient(
        self, d_NG: Array, x_NK: Array, out: Array | None = None, precision: str = "float32"
    ) -> Array:
        """d^T x, [G,K]; the operands in the precision of the weight."""
        ...

    def bias_gradient(self, d_NG: Array, out: Array | None = None) -> Array:
        """The sum over rows, [G]."""
        ...

    def lookup(self, table_VG: Array, tokens_N: Array, out: Array | None = None) -> Array:
        """Rows of a table, [N,G]; tokens are within range."""
        ...

    def lookup_gradient(
        self, d_NG: Array, tokens_N: Array, vocab_size: int, out: Array | None = None
    ) -> Array:
        """For each symbol the sum of its rows, [V,G]."""
        ...

    def lookup_sum(self, table_RV: Array | RowCodes, rows_NO: Array) -> Array:
        """The sum of O rows of a table for each token, [N,V]; the rows are within range."""
        ...

    def lookup_sum_gradient(self, d_NV: Array, rows_NO: Array) -> tuple[Array, Array]:
        """(the numbers of the rows that are used [U], ascending, and for each the sum of its d [U,V])."""
        ...

    def dropout(
        self,
        x_TBH: Array,
        rate: float,
        seed: int,
        step: int,
        layer: int,
        streams_B: Array,
        variational: bool = False,
        out: Array | None = None,
        workspace: Workspace | None = None,
    ) -> Array:
        """x with units dropped by the counter's hash; gradients go back by the same call."""
        ...

    def dropout_scales(
        self,
        units_TB: Array,
        rate: float,
        seed: int,
        step: int,
        layer: int,
        streams_B: Array,
        variational: bool = False,
    ) -> Array:
        """What ``dropout`` multiplies one unit of each row by, [T,B] float64."""
        ...

    def cross_entropy(
        self,
        hidden_NH: Array,
        weight: PackedMatrix,
        bias_V: Array,
        targets_N: Array,
        workspace: Workspace | None = None,
        given_NV: Array | None = None,
    ) -> tuple[Array, Array]:
        """(nats [N], predictions [N]); ``given_NV`` is added to the logits."""
        ...

    def cross_entropy_of_logits(self, logits_NV: Array, targets_N: Array) -> tuple[Array, Array]:
        """The same of logits, whose contents are undefined afterwards."""
        ...

    def cross_entropy_gradient(
        self,
        hidden_NH: Array,
        weight: PackedMatrix,
        bias_V: Array,
        targets_N: Array,
        workspace: Workspace | None = None,
        given_NV: Array | None = None,
        targets: int | None = None,
    ) -> tuple[Array, Array, Array, Array, Array, Array | None]:
        """(nats [N], predictions [N], d_hidden [N,H], d_weight [V,H], d_bias [V], d_given [N,V] or None) of
        the mean loss. ``given_NV`` is added to the logits and overwritten with its gradient, d_given. Where
        the N rows are a shard of a batch, ``targets`` is the number of targets in the whole batch: the
        gradients are then the shard's part of the gradient of the batch's mean loss."""
        ...

    def mix_counts(self, tree: CountTree, nodes_KN: Array, weights_N: Array, logits_NV: Array) -> None:
        """Logits become logarithms of ``v softmax(logits) + (1 - v) p``, in place: p by the counts after the
        contexts ``nodes_KN`` (-1: none of this length), v the weights."""
        ...

    def global_norm(self, gradients: Iterable[Array]) -> float:
        """The Euclidean norm of all arrays together."""
        ...

    def adamw(
        self,
        parameter: Array,
        gradient: Array,
        first: Array,
        second: Array,
        *,
        step: int,
        rate: float,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        factor: float = 1.0,
        rows_U: Array | None = None,
    ) -> None:
        """One AdamW step in place; the gradient counts times ``factor``, which is how it is clipped. With
        ``rows_U`` the gradient is that of these rows [U, ...], ascending, and only they and their moments
        change."""
        ...

    def muon(
        self,
        parameters: Sequence[Array],
        gradients: Sequence[Array],
        momenta: Sequence[Array],
        gates: Sequence[int],
        *,
        rate: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        factor: float = 1.0,
        coefficients: Sequence[tuple[float, float, float]] = (),
        precision: str = "float32",
    ) -> None:
        """One Muon step in place, over matrices of so many gates each; their blocks are made orthogonal each
        on its own, by products of this precision."""
        ...

    def rms_rows(
        self,
        table_RV: Array,
        rows_U: Array,
        gradient_UV: Array,
        squares_RV: Array,
        *,
        rate: float,
        keep: float,
        epsilon: float,
        factor: float = 1.0,
    ) -> None:
        """One step of RMSProp in place, of these rows alone; the gradient counts times ``factor``."""
        ...

    def average(self, averaged: Array, parameter: Array, decay: float) -> None:
        """One step of an exponential moving average, in place."""
        ...

    def row_squares(self, gradient_RC: Array, squares_R: Array, keep: float, share: float) -> None:
        """Running squares of rows, in place: keep * squares + share * (each row's sum of squares)."""
        ...

    def adapt(
        self,
        parameter_RC: Array,
        gradient_UC: Array,
        trained_RC: Array,
        speed_R: Array,
        back_R: Array,
        rows_U: Array | None = None,
    ) -> None:
        """One step of adapting, in place: parameter + back * (trained - parameter) - speed * gradient;
        ``rows_U``: of these rows alone, each once."""

    def scan(
        self,
        cell: CellSpec,
        projection_TBG: Array,
        state: State,
        weight_hh: RecurrentWeight,
        bias_hh: Array | None = None,
        reset_TB: Array | None = None,
        lengths: Array | None = None,
        tape: bool = True,
        workspace: Workspace | None = None,
    ) -> tuple[Array, State, object]:
        """A cell over T steps: (outputs [T,B,H], last state, tape or None).

        ``projection_TBG`` is all of the gates that is known before the loop (input product and biases). It is
        given away: the scan overwrites it. ``bias_hh`` [H] is the bias inside the scan of a ``biased`` cell.
        The last state is a fresh array. A cell that a backend lacks is run by the reference."""
        ...

    def scan_vjp(
        self,
        cell: CellSpec,
        tape: Any,
        weight_hh: RecurrentWeight,
        d_outputs_TBH: Array,
        d_state: State | None = None,
        out: Array | None = None,
        workspace: Workspace | None = None,
    ) -> tuple[Array, State, Array | None, Array | None]:
        """The backward pass: (d_projection [T,B,G], d_state0, d_weight_hh or None, d_bias_hh or None).

        ``out`` takes d_projection; it may be the gates of the tape (``tape.gates_TBG``), which spends it."""
        ...

    def stepper(
        self,
        parts: Sequence[StepPart],
        tokens_R: Array,
        states: Sequence[Array],
        logits_CV: Array,
    ) -> Stepper | None:
        """Steps through the model of these parts, of tokens [R], states [R,H] and logits [C,V] that live in
        these arrays; None: this backend reads this model by scans only."""
        ...

    def sampler(self, rows: DrawRows, banned_N: Array, logits_CV: Array) -> Sampler:
        """Draws for these rows from logits [C,V] that are written to this array before each; tokens of
        ``banned_N`` [N] are never drawn. To be made again when the rows grow."""
        ...
