"""Look-up, and the sum that flows back: one way for few symbols, another for many."""

from __future__ import annotations

import numpy as np
import pytest

from pantoum.kernels import reference


def test_rows_by_number() -> None:
    table = np.arange(12.0).reshape(4, 3)
    out = np.empty((3, 3))
    assert reference.lookup(table, np.array([2, 0, 2]), out=out) is out
    np.testing.assert_array_equal(out, table[[2, 0, 2]])


@pytest.mark.parametrize("vocab_size", [3, 128, 129, 3000])
@pytest.mark.parametrize("into", [True, False])
def test_the_gradient_is_each_symbols_sum(vocab_size: int, into: bool) -> None:
    random = np.random.default_rng(0)
    tokens, d = random.integers(0, vocab_size, 200), random.standard_normal((200, 5))
    expected = np.zeros((vocab_size, 5))
    np.add.at(expected, tokens, d)
    out = np.full((vocab_size, 5), np.nan) if into else None
    found = reference.lookup_gradient(d, tokens, vocab_size, out=out)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert out is None or found is out
