"""No value of any kind makes what builds networks raise anything but a ``PantoumError``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pantoum.data import StatefulBatches
from pantoum.errors import PantoumError, SettingError
from pantoum.network import (
    GRU,
    LSTM,
    LanguageModel,
    Stack,
    concatenate_state,
    cross_entropy,
    split_state,
    unroll,
    unroll_vjp,
)


class NoArray:
    """What NumPy cannot make an array of."""

    def __array__(self, *asked: Any, **also: Any) -> Any:
        raise RuntimeError("no array")


BAD: list[Any] = [
    *(None, True, -1, 0, 1.5, float("nan"), 2**63, 10**30, 1j, object(), NoArray(), object),
    *("", "x", b"x", [], [None], [[1], [2, 3]], ["a", 3], (), (1,), (1, 1.5), {}, {1}, range(3)),
    *(np.array(3), np.array(["a"]), np.array([None]), np.zeros((2, 0, 3)), np.ones((2, 3, 3), np.int8)),
    *(np.full((2, 3, 3), "a"), np.full((2, 3, 3), 1j), np.full((2, 3, 3), None), np.datetime64("2020")),
]
X, LOGITS = np.ones((2, 3, 3), np.float32), np.zeros((2, 4), np.float32)
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "GRU": (GRU, {"input_size": 3, "hidden_size": 3, "reset": "after", "seed": 0}),
    "LSTM": (LSTM, {"input_size": 3, "hidden_size": 3, "seed": 0}),
    "Stack": (Stack, {"cells": [GRU(3, 3)], "dropout": None}),
    "LanguageModel": (
        LanguageModel,
        {"vocab_size": 3, "embedding_size": 2, "cell": "rnn", "hidden_size": 3, "num_layers": 1, "seed": 0},
    ),
    "initial_state": (GRU(3, 3).initial_state, {"batch_size": 2}),
    "step": (GRU(3, 3).step, {"x_BE": X[:, 0], "state": None}),
    "scan": (LSTM(3, 3).scan, {"x_BTE": X, "state": None, "lengths": None, "reset_BT": None}),
    "unroll": (
        unroll,
        {"cell": GRU(3, 3), "inputs_BTE": X, "initial_state": None, "dropout_key": (0, 1), "streams": None},
    ),
    "pullback": (unroll_vjp(GRU(3, 3), X)[2], {"d_outputs_BTH": X, "d_state": None}),
    "concatenate_state": (concatenate_state, {"state": LSTM(3, 3).initial_state(2)}),
    "split_state": (split_state, {"block": LSTM(3, 3), "array": np.ones((2, 6), np.float32)}),
    "cross_entropy": (cross_entropy, {"logits": LOGITS, "targets": [1, 3]}),
    "StatefulBatches": (
        StatefulBatches,
        {"tokens": np.arange(30), "batch_size": 2, "seq_len": 3, "cursor": None},
    ),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("call", CALLS)
def test_only_pantoum_errors_come_out(call: str) -> None:
    function, good = CALLS[call]
    function(**good)
    wrong = []
    for name in good:
        for bad in BAD:
            if "size" in name and isinstance(bad, int) and bad > 2**60:
                continue  # more memory than there is
            try:
                function(**{**good, name: bad})
            except PantoumError as error:
                assert "\n" not in str(error)
            except Exception as error:
                wrong.append(f"{name}={type(bad).__name__}: {type(error).__name__}: {error}")
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: unroll(GRU(3, 3), [[[1, 2, 3]], [[1, 2]]]),
            "inputs_BTE is 'object': it must be an array of",
        ),
        (
            lambda: unroll(GRU(3, 3), X[:, :0]),
            r"\(2, 0, 3\): it must have .* \[B, T, 3\], with no side empty",
        ),
        (lambda: GRU(3, 3, seed=-1), "seed is -1: it must be a whole number of at least 0"),
        (lambda: Stack([GRU(3, 3)], dropout=0.5), "dropout is 0.5: it must be a DropoutConfig"),
        (lambda: concatenate_state((X[0], X[:1, 0])), "one batch; give the state of a cell or a stack"),
    ],
)
def test_a_wrong_value_is_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make()
