"""MinGRU: its recurrence, written down once more."""

from __future__ import annotations

import numpy as np

from pantoum.network import MinGRU


def test_the_recurrence_is_that_of_its_paper(random: np.random.Generator) -> None:
    cell = MinGRU(3, 4, dtype=np.float64)
    x, h = random.standard_normal((2, 6, 3)), random.standard_normal((2, 4))
    outputs, _ = cell.scan(x, h)
    for t in range(6):
        z, n = np.split(x[:, t] @ cell.parameters["weight_ih"].T + cell.parameters["bias_ih"], 2, axis=1)
        z = 1 / (1 + np.exp(-z))
        h = z * h + (1 - z) * n
        np.testing.assert_allclose(outputs[:, t], h, rtol=1e-12)
