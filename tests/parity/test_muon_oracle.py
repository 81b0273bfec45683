"""The live oracle of Muon: ``torch.optim.Muon`` over each gate's block. `make check` runs it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pantoum.kernels import native, reference, without_core
from pantoum.kernels.reference.update import NEWTON_SCHULZ

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]


@pytest.fixture
def torch() -> Any:
    found = pytest.importorskip("torch", reason="SKIP SKIP SKIP: no PyTorch here, its oracle did not run")
    if not hasattr(found.optim, "Muon"):
        pytest.skip("this PyTorch has no Muon")
    return found


@pytest.mark.parametrize("shape", [(3, 16, 16), (3, 24, 8), (4, 8, 20), (2, 96, 96)])
@pytest.mark.parametrize("kind", ["reference", "native"])
def test_five_steps_are_pytorchs(torch: Any, kind: str, shape: tuple[int, int, int]) -> None:
    """PyTorch rounds y to bf16 in each round, so ours agrees to about that: after five steps they are within
    a twentieth of what was moved."""
    if kind == "native" and without_core() is not None:
        pytest.skip(str(without_core()))
    random = np.random.default_rng(sum(shape))
    blocks, H, K = shape
    parameter = random.standard_normal((blocks * H, K)).astype(np.float32)
    start = parameter.copy()
    theirs = [torch.nn.Parameter(torch.tensor(part)) for part in np.split(parameter, blocks)]
    optimizer = torch.optim.Muon(
        theirs,
        lr=0.02,
        weight_decay=0.1,
        momentum=0.9,
        nesterov=True,
        ns_coefficients=NEWTON_SCHULZ[0],
        ns_steps=len(NEWTON_SCHULZ),
        adjust_lr_fn="original",
    )
    m = np.zeros_like(parameter)
    kernels: Any = native if kind == "native" else reference
    for _ in range(5):
        gradient = random.standard_normal(parameter.shape).astype(np.float32)
        for each, part in zip(theirs, np.split(gradient, blocks), strict=True):
            each.grad = torch.tensor(part)
        optimizer.step()
        kernels.muon([parameter], [gradient], [m], [blocks], rate=0.02, momentum=0.9, weight_decay=0.1)
    expected = torch.cat([each.detach() for each in theirs]).numpy()
    difference, moved = np.linalg.norm(parameter - expected), np.linalg.norm(expected - start)
    assert difference < 0.05 * moved
    momenta = torch.cat([optimizer.state[each]["momentum_buffer"] for each in theirs]).numpy()
    np.testing.assert_allclose(m, momenta, rtol=1e-5, atol=1e-6)
