"""The operations around the scans against NumPy: tables, dropout, losses, updates."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

from pantoum.errors import CoreError
from pantoum.kernels import DropoutDraw, Workspace, native, reference


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def near(ours: Any, theirs: Any, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("N", "V", "G"), [(1, 1, 1), (50, 7, 33), (3000, 98, 70)])
def test_lookup_and_its_gradient(path: str, N: int, V: int, G: int) -> None:
    table_VG, d_NG = normal(V, G), normal(N, G, seed=1)
    tokens_N = np.random.default_rng(2).integers(0, V, N).astype(np.int32)
    assert np.array_equal(native.lookup(table_VG, tokens_N), table_VG[tokens_N])
    near(native.lookup_gradient(d_NG, tokens_N, V), reference.lookup_gradient(d_NG, tokens_N, V), 1e-4)


@pytest.mark.parametrize("tokens", [[0, 5], [-1, 0]])
def test_a_token_outside_the_table_is_refused(library: native.Library, tokens: list[int]) -> None:
    with pytest.raises(CoreError, match="tokens are from 0 to 4"):
        native.lookup(normal(5, 3), np.array(tokens))
    with pytest.raises(CoreError, match="tokens are from 0 to 4"):
        native.lookup_gradient(normal(2, 3), np.array(tokens), 5)


def test_one_token_a_row(library: native.Library) -> None:
    with pytest.raises(CoreError, match="tokens is int32 of shape"):
        native.lookup_gradient(normal(3, 3), np.array([0, 1]), 5)


@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize(("T", "B", "H"), [(1, 1, 1), (3, 2, 7), (4, 5, 64)])
def test_dropout_draws_the_same_masks(path: str, T: int, B: int, H: int, variational: bool) -> None:
    x_TBH, streams_B = normal(T, B, H), np.arange(B) + 7
    arguments = (x_TBH, 0.3, 2, DropoutDraw(2**40 + 5, 11, streams_B, variational))
    assert np.array_equal(native.dropout(*arguments), reference.dropout(*arguments))


def test_dropout_needs_a_number_for_each_stream(library: native.Library) -> None:
    with pytest.raises(CoreError, match="streams is uint32 of shape"):
        native.dropout(normal(1, 2, 3), 0.5, 0, DropoutDraw(0, 0, np.arange(1)))


@pytest.mark.parametrize(("N", "H", "V"), [(1, 1, 1), (9, 7, 33), (700, 16, 2100)])
def test_losses_predictions_and_gradients_of_the_head(path: str, N: int, H: int, V: int) -> None:
    hidden_NH, weight_VH, bias_V = normal(N, H), normal(V, H, seed=1), normal(V, seed=2)
    targets_N = np.random.default_rng(3).integers(0, V, N).astype(np.int32)
    ours = native.cross_entropy_gradient(hidden_NH, native.pack(weight_VH), bias_V, targets_N)
    theirs = reference.cross_entropy_gradient(hidden_NH, reference.pack(weight_VH), bias_V, targets_N)
    assert np.array_equal(ours[1], theirs[1])
    for a, b in zip(ours[:5], theirs[:5], strict=True):
        near(a, b)
    assert ours[5] is theirs[5] is None
    given_NV = normal(N, V, seed=4)
    ours, theirs = (
        kernels.cross_entropy_gradient(
            hidden_NH, kernels.pack(weight_VH), bias_V, targets_N, None, given_NV.copy()
        )
        for kernels in (native, reference)
    )
    for a, b in zip(ours, theirs, strict=True):
        near(a, b)
    near(ours[5].sum(axis=0), ours[4], 1e-4)
    ours = native.cross_entropy_gradient(hidden_NH, native.pack(weight_VH), bias_V, targets_N)
    nats_N, predictions_N = native.cross_entropy(hidden_NH, native.pack(weight_VH), bias_V, targets_N)
    assert np.array_equal(nats_N, ours[0]) and np.array_equal(predictions_N, ours[1])


def test_a_shard_without_rows_has_gradients_of_zero(path: str) -> None:
    bias_V, none = normal(7), np.empty(0, np.int32)
    for kernels in (native, reference):
        for workspace in (None, Workspace()):
            if workspace is not None:
                workspace.array("d_weight", (7, 3), np.float32)[...] = np.nan
            found = kernels.cross_entropy_gradient(
                normal(0, 3), kernels.pack(normal(7, 3)), bias_V, none, workspace, targets=4
            )
            assert (found[3] == 0).all() and (found[4] == 0).all() and found[2].shape == (0, 3)


def test_given_logits_are_the_place_of_their_gradient_and_need_no_second_one(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden_NH, weight, bias_V = normal(300, 5), native.pack(normal(3000, 5, seed=1)), normal(3000, seed=2)
    given_NV = normal(300, 3000, seed=3)
    copy_NV = given_NV.copy()
    logits_NV = native.linear(hidden_NH, weight, bias_V) + given_NV
    targets_N = np.arange(300)
    found = native.cross_entropy_gradient(hidden_NH, weight, bias_V, targets_N, None, given_NV)
    assert found[5] is given_NV
    shares_NV = np.exp(logits_NV - logits_NV.max(axis=1, keepdims=True))
    shares_NV /= shares_NV.sum(axis=1, keepdims=True)
    shares_NV[targets_N, targets_N] -= 1
    near(given_NV, shares_NV / 300)
    monkeypatch.setattr(import_module("pantoum.kernels.native.cross_entropy"), "CHUNK_LOGITS", 1)
    small = Workspace()
    again = native.cross_entropy_gradient(hidden_NH, weight, bias_V, targets_N, small, copy_NV)
    assert small.nbytes < copy_NV.nbytes / 3
    assert all(np.array_equal(*both) for both in zip(found, again, strict=True))
    with pytest.raises(CoreError, match="logits is float32 of shape"):
        native.cross_entropy_gradient(hidden_NH, weight, bias_V, targets_N, None, given_NV[:, ::-1])


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize(("N", "H", "V"), [(1, 3, 511), (7, 5, 512), (250, 40, 1025)])
def test_losses_a_tile_at_a_time_are_those_of_whole_rows_of_logits(
    path: str, library: native.Library, N: int, H: int, V: int, precision: str
) -> None:
    hidden_NH, weight_VH, bias_V = normal(N, H), normal(V, H, seed=1), 3 * normal(V, seed=2)
    targets_N = np.random.default_rng(3).integers(0, V, N).astype(np.int32)
    targets_N[0], given_NV = V - 1, 5 * normal(N, V, seed=4)
    given_NV[:, V - 2] += 40  # the largest logit is in the last tile
    weight = native.pack(weight_VH, precision)
    for given in (None, given_NV):
        logits_NV = native.linear(hidden_NH, weight, bias_V).astype(np.float64)
        logits_NV += 0 if given is None else given
        top_N = logits_NV.max(axis=1)
        exact = top_N + np.log(np.exp(logits_NV - top_N[:, None]).sum(axis=1))
        exact -= logits_NV[np.arange(N), targets_N]
        found = []
        for threads in (1, 2):
            library.set_threads(threads)
            found.append(native.cross_entropy(hidden_NH, weight, bias_V, targets_N, None, given))
        near(found[0][0], exact)
        assert np.array_equal(found[0][1], logits_NV.argmax(axis=1))
        assert all(np.array_equal(*both) for both in zip(*found, strict=True))


def test_losses_that_are_not_finite_are_told(path: str) -> None:
    bias_V = normal(600)
    bias_V[[3, 590]] = np.inf, np.nan
    for place in (3, 590):
        bias = normal(600)
        bias[place] = bias_V[place]
        nats_N, _ = native.cross_entropy(normal(2, 2), native.pack(normal(600, 2)), bias, np.array([0, 599]))
        assert not np.isfinite(nats_N).any()


def test_of_equal_logits_the_first_is_the_prediction(path: str) -> None:
    weight = native.pack(np.zeros((40, 2), np.float32))
    bias_V = np.zeros(40, np.float32)
    bias_V[[5, 17, 33]] = 2
    nats_N, predictions_N = native.cross_entropy(normal(3, 2), weight, bias_V, np.array([5, 0, 39]))
    assert predictions_N.tolist() == [5, 5, 5]
    exact = np.log(37 + 3 * np.exp(2.0)) - np.array([2, 0, 0])
    near(nats_N, exact, 1e-6)


def test_a_target_is_within_the_vocabulary(library: native.Library) -> None:
    weight, bias_V = native.pack(normal(4, 2)), np.zeros(4, np.float32)
    with pytest.raises(CoreError, match="targets_N holds 4 to 4"):
        native.cross_entropy(normal(1, 2), weight, bias_V, np.array([4]))


@pytest.mark.parametrize("size", [1, 33, 40000])
def test_the_update_of_weights(path: str, size: int) -> None:
    def run(kernels: Any) -> list[Any]:
        parameter, first, second, averaged = (normal(size, seed=k) for k in range(4))
        second *= second
        for step in (1, 2):
            kernels.adamw(
                parameter,
                normal(size, seed=9),
                first,
                second,
                step=step,
                rate=0.01,
                weight_decay=0.1,
                factor=0.5,
            )
        kernels.average(averaged, parameter, 0.9)
        return [parameter, first, second, averaged]

    for ours, theirs in zip(run(native), run(reference), strict=True):
        near(ours, theirs)


@pytest.mark.parametrize("columns", [(), (1,), (33,)])
def test_the_update_of_some_rows_is_theirs_in_an_update_of_all(path: str, columns: tuple[int, ...]) -> None:
    shape, rows_U = (300, *columns), np.arange(0, 300, 3)

    def run(kernels: Any, rows: Any) -> list[Any]:
        arrays = [normal(*shape, seed=seed) for seed in (1, 2)] + [np.square(normal(*shape, seed=3))]
        of_rows = normal(len(rows_U), *columns, seed=4)
        gradient = np.zeros(shape, np.float32)
        gradient[rows_U] = of_rows
        kernels.adamw(
            arrays[0],
            gradient if rows is None else of_rows,
            *arrays[1:],
            step=3,
            rate=0.01,
            weight_decay=0.1,
            factor=0.5,
            rows_U=rows,
        )
        return arrays

    before = [normal(*shape, seed=seed) for seed in (1, 2)] + [np.square(normal(*shape, seed=3))]
    for some, every, theirs, was in zip(
        run(native, rows_U), run(native, None), run(reference, rows_U), before, strict=True
    ):
        assert np.array_equal(some[rows_U], every[rows_U])
        assert np.array_equal(np.delete(some, rows_U, axis=0), np.delete(was, rows_U, axis=0))
        near(some, theirs)


@pytest.mark.parametrize("rows", [[0, 0], [2, 1], [0, 5], [-1, 0], [0.0, 1.0]])
def test_rows_of_an_update_are_ascending_and_within_the_parameter(
    library: native.Library, rows: list[int]
) -> None:
    with pytest.raises(CoreError, match=r"rows_U is not ascending|rows are"):
        native.adamw(
            normal(5, 2), normal(2, 2), normal(5, 2), normal(5, 2), step=1, rate=0.1, rows_U=np.array(rows)
        )


def test_the_norm_of_all_gradients(path: str) -> None:
    arrays = [normal(3, 5), normal(40000), normal(1)]
    near(native.global_norm(arrays), reference.global_norm(arrays))
    assert native.global_norm([]) == 0
    assert np.isnan(native.global_norm([*arrays, np.array([np.nan], np.float32)]))
