"""What the core trusts is checked by its Python side: shapes, strides, dtypes, alignment, tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.config import CELLS
from pantoum.errors import CoreError
from pantoum.kernels import DropoutDraw, native


def zeros(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


def misaligned(*shape: int) -> Any:
    size = 4 * int(np.prod(shape))
    return np.zeros(size + 1, np.uint8)[1:].view(np.float32).reshape(shape)


def spoiled(*shape: int) -> list[Any]:
    """Arrays that are nearly what was asked for, each wrong in its own way."""
    longer = (shape[0] + 1, *shape[1:])
    strided = zeros(*shape[:-1], 2 * shape[-1])[..., ::2]
    return [
        zeros(*longer),
        zeros(*shape).astype(np.float64),
        zeros(*shape).astype(np.float32).view(">f4"),
        strided,
        misaligned(*shape),
    ]


@pytest.mark.parametrize("wrong", range(5))
def test_a_scan_takes_only_what_it_was_promised(library: native.Library, wrong: int) -> None:
    T, B, H = 3, 2, 5
    weight = (native.pack(zeros(3 * H, H), gates=3),)

    def scan(**changed: Any) -> Any:
        given = {"projection_TBG": zeros(T, B, 3 * H), "state": zeros(B, H), "bias_hh": zeros(H), **changed}
        return native.scan(CELLS["gru"], weight_hh=weight, **given)

    tape = scan()[2]
    with pytest.raises(CoreError, match="bias is"):
        scan(bias_hh=spoiled(H)[wrong])
    if wrong > 0:  # another T is another scan
        with pytest.raises(CoreError, match="projection is"):
            scan(projection_TBG=spoiled(T, B, 3 * H)[wrong])
    with pytest.raises(CoreError, match="d_outputs is"):
        native.scan_vjp(tape, spoiled(T, B, H)[wrong])
    with pytest.raises(CoreError, match="d_projection is"):
        native.scan_vjp(tape, zeros(T, B, H), out=spoiled(T, B, 3 * H)[wrong])


def test_masks_and_lengths_are_those_of_the_steps_and_streams(library: native.Library) -> None:
    weight = (native.pack(zeros(5, 5)),)

    def scan(**rows: Any) -> Any:
        return native.scan(CELLS["rnn"], zeros(3, 2, 5), zeros(2, 5), weight, **rows)

    for reset_TB in (np.zeros((2, 3), bool), np.zeros((3, 2), np.int8), np.zeros((2, 3), bool).T):
        with pytest.raises(CoreError, match="reset is"):
            scan(reset_TB=reset_TB)
    for lengths in (np.zeros(3, np.int64), np.zeros(2, np.int32), np.zeros((2, 1), np.int64)):
        with pytest.raises(CoreError, match="lengths is"):
            scan(lengths=lengths)
    assert scan(lengths=np.array([99, -3]))[0].shape == (3, 2, 5)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@pytest.mark.parametrize("shape", [(5,), (1, 5), (3, 5), (2, 4), (2, 5, 1)])
def test_one_state_is_not_stretched_over_all_streams(library: native.Library, cell: str, shape: Any) -> None:
    spec, gates = CELLS[cell], len(CELLS[cell].gates)
    weight = (native.pack(zeros(gates * 5, 5), gates=gates),)
    right, wrong = ((zeros(2, 5), zeros(*s)) if cell == "lstm" else zeros(*s) for s in ((2, 5), shape))
    with pytest.raises(CoreError, match=r"state has shape .*initial_state\(2\)"):
        native.scan(spec, zeros(3, 2, 5 * gates), wrong, weight)
    tape: Any = native.scan(spec, zeros(3, 2, 5 * gates), right, weight)[2]
    with pytest.raises(CoreError, match="d_state has shape"):
        native.scan_vjp(tape, zeros(3, 2, 5), wrong)


@pytest.mark.parametrize(("shape", "gates"), [((0, 4), 1), ((4, 0), 1), ((10, 4), 3), ((4, 4), 0), ((4,), 1)])
def test_a_matrix_has_rows_and_columns_and_as_many_rows_a_gate(
    library: native.Library, shape: Any, gates: int
) -> None:
    with pytest.raises(CoreError, match="as many rows for each gate"):
        native.pack(zeros(*shape), gates=gates)


@pytest.mark.parametrize("tokens", [[2**32], [-1], [2**63 - 1], [5]])
def test_a_token_is_looked_at_before_it_is_made_small(library: native.Library, tokens: list[int]) -> None:
    with pytest.raises(CoreError, match="tokens are from 0 to 4"):
        native.lookup(zeros(5, 3), np.array(tokens))


@pytest.mark.parametrize("tokens", [np.zeros((1, 2), np.int32), np.zeros(2, np.float32), np.zeros(2, bool)])
def test_tokens_are_whole_numbers_in_one_row(library: native.Library, tokens: Any) -> None:
    with pytest.raises(CoreError, match="whole numbers in one row"):
        native.lookup_gradient(zeros(2, 3), tokens, 5)


def test_everything_else_is_looked_at_too(library: native.Library) -> None:
    bad = spoiled(2, 3)[3]
    head, targets = native.pack(zeros(4, 3)), np.array([1, 0])
    for call in (
        lambda: native.dropout(bad[None], 0.5, 0, DropoutDraw(0, 0, np.arange(2))),
        lambda: native.lookup(bad, targets),
        lambda: native.lookup_gradient(bad, targets, 5),
        lambda: native.cross_entropy(bad, head, zeros(4), targets),
        lambda: native.cross_entropy(zeros(2, 3), head, zeros(5), targets),
        lambda: native.cross_entropy(zeros(2, 3), head, zeros(4), targets, None, zeros(2, 3)),
        lambda: native.linear_weight_gradient(zeros(3, 2), bad),
        lambda: native.bias_gradient(bad),
        lambda: native.global_norm([zeros(1), bad]),
        lambda: native.adamw(zeros(2, 3), bad, zeros(2, 3), zeros(2, 3), step=1, rate=0.1),
        lambda: native.adamw(zeros(2, 3), zeros(2, 3), zeros(3, 2), zeros(2, 3), step=1, rate=0.1),
        lambda: native.average(bad, zeros(2, 3), 0.5),
    ):
        with pytest.raises(CoreError, match=r"the core takes|not writable"):
            call()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("T", "B"), [(0, 2), (2, 0)])
def test_no_steps_and_no_streams_are_scans_too(library: native.Library, cell: str, T: int, B: int) -> None:
    H, spec = 5, CELLS[cell]
    weight = tuple(native.pack(zeros(gates * H, H), gates=gates) for gates in spec.products)
    G = len(spec.gates) * H
    state: Any = tuple(zeros(B, H) + 1 for _ in spec.state)
    state = state if len(state) > 1 else state[0]
    bias = zeros(H) if spec.biased else None
    outputs, last, tape = native.scan(spec, zeros(T, B, G), state, weight, bias)
    assert tape is not None
    assert outputs.shape == (T, B, H) and (T or np.array_equal(last, state))
    d_projection, d_state, d_weight, _ = native.scan_vjp(tape, zeros(T, B, H), state)
    assert d_projection.shape == (T, B, G) and (T or np.array_equal(d_state, state))
    assert d_weight is None or not d_weight.any()
