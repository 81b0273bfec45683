"""What a training step in PyTorch costs: operations, each of which a GPU starts by itself, and memory."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest

from pantoum.config import ModelConfig
from pantoum.data.batches import Batch
from pantoum.training.assembly import make_backend
from pantoum.training.recipe.recipe import Recipe

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]
B, T = 8, 64


def step_of(cell: str, layers: int, vocab_size: int, units: int, resets: float = 0.0) -> Any:
    """A whole training step: forward and backward pass, clipping, AdamW and the average."""
    from pantoum.apps.torch.torch_backend import TorchBackend

    recipe = Recipe(
        model=ModelConfig(cell, units, layers, units), batch_size=B, seq_len=T, optimizer="adamw",
        learning_rate=1e-3, schedule="constant", warm_up=0.0, weight_decay=0.1, clip=1e-3,
        average=0.9, precision="float32", seed=5,
    )  # fmt: skip
    backend = TorchBackend(recipe, vocab_size, "cpu")
    backend.restore(make_backend(recipe, vocab_size).snapshot())
    draw = np.random.default_rng(0)
    tokens, reset = draw.integers(0, vocab_size, (B, T + 1)), draw.random((B, T)) < resets
    state, batch = backend.initial_state(B), Batch(tokens[:, :-1], tokens[:, 1:], reset, 0)

    def step() -> None:
        backend.gradients(batch, state, 0, np.arange(B))
        backend.update(1e-3, 1e-3)

    return step


@pytest.mark.parametrize("resets", [0.0, 0.02])
def test_pytorchs_module_is_called_once_between_two_resets(
    torch: Any, resets: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, where cuDNN computes all time steps of a call at once."""
    calls, honest = [], torch.nn.GRU.forward

    def forward(self: Any, x: Any, *rest: Any) -> Any:
        calls.append(len(x))
        return honest(self, x, *rest)

    monkeypatch.setattr(torch.nn.GRU, "forward", forward)
    draw = np.random.default_rng(0)  # as ``step_of`` draws
    begins = (draw.integers(0, 50, (B, T + 1)), draw.random((B, T)) < resets)[1].any(axis=0)
    step_of("gru", 3, 50, 16, resets)()
    assert sum(calls) == 3 * T and len(calls) == 3 * (1 + int(begins[1:].sum()))


def test_a_large_vocabulary_needs_less_than_its_logits(torch: Any) -> None:
    """Live bytes of all tensors that a step makes, at their most."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    V = 33_000
    live, most = dict[int, int](), [0]

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            found = function(*args, **(kwargs or {}))
            for tensor in tree_leaves(found):
                if isinstance(tensor, torch.Tensor):
                    storage = tensor.untyped_storage()
                    key = storage._cdata
                    if key not in live:
                        live[key] = storage.nbytes()
                        weakref.finalize(storage, live.pop, key, None)
            most[0] = max(most[0], sum(live.values()))
            return found

    step = step_of("gru", 1, V, 16)
    with Watch():
        step()
    assert most[0] < B * T * V * 4
