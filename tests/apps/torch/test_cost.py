"""What a training step in PyTorch costs: operations, each of which a GPU starts by itself, and memory."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest

from pantoum.config import CELLS, ModelConfig
from pantoum.data.batches import Batch
from pantoum.training.assembly import make_backend
from pantoum.training.recipe.recipe import Recipe

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]
B, T = 8, 64


def step_of(
    cell: str, layers: int, vocab_size: int, units: int, resets: float = 0.0, core: bool = True
) -> Any:
    """A whole training step: forward and backward pass, clipping, AdamW and the average."""
    from pantoum.apps.torch.cell_module import CellModule
    from pantoum.apps.torch.torch_backend import TorchBackend

    recipe = Recipe(
        model=ModelConfig(cell, units, layers, units), batch_size=B, seq_len=T, optimizer="adamw",
        learning_rate=1e-3, schedule="constant", warm_up=0.0, weight_decay=0.1, clip=1e-3,
        average=0.9, precision="float32", seed=5,
    )  # fmt: skip
    backend = TorchBackend(recipe, vocab_size, "cpu")
    backend.restore(make_backend(recipe, vocab_size).snapshot())
    for part in backend.learners[0].module.modules():
        if isinstance(part, CellModule):
            part.core = core
    draw = np.random.default_rng(0)
    tokens, reset = draw.integers(0, vocab_size, (B, T + 1)), draw.random((B, T)) < resets
    state, batch = backend.initial_state(B), Batch(tokens[:, :-1], tokens[:, 1:], reset, 0)

    def step() -> None:
        backend.gradients(batch, state, 0, np.arange(B))
        backend.update(1e-3, 1e-3)

    return step


def operations(torch: Any, step: Any) -> int:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Count(TorchDispatchMode):
        found = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            Count.found += 1
            return function(*args, **(kwargs or {}))

    with Count():
        step()
    return Count.found


@pytest.mark.parametrize("resets", [0.0, 0.02, 0.4])
@pytest.mark.parametrize("cell", CELLS)
def test_a_step_on_a_cpu_has_few_operations(torch: Any, cell: str, resets: float) -> None:
    assert operations(torch, step_of(cell, 3, 50, 16, resets)) <= 400


@pytest.mark.parametrize(("resets", "most"), [(0.0, 400), (0.02, 500), (0.4, 500)])
@pytest.mark.parametrize("cell", [name for name, spec in CELLS.items() if spec.torch])
def test_a_step_with_fused_modules_has_few_operations(
    torch: Any, cell: str, resets: float, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, where cuDNN computes all time steps of a layer in one call, with resets, too. The call has
    a stand-in here, since PyTorch's modules for a CPU are many operations."""
    from torch.nn.utils.rnn import PackedSequence

    from pantoum.apps.torch.cell_module import CellModule

    calls = []

    class OneCall(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, width: int, *others: Any) -> Any:
            ctx.given = x, *others
            return x.new_zeros(*x.shape[:-1], width)

        @staticmethod
        def backward(ctx: Any, d_outputs: Any) -> Any:
            x, *others = (torch.zeros_like(each) for each in ctx.given)
            return x, None, *others

    def call(self: Any, x: Any, state: Any) -> Any:
        packed = isinstance(x, PackedSequence)
        calls.append(packed)
        outputs = OneCall.apply(x.data if packed else x, self.hidden_size, *state, *self.parameters())
        return (PackedSequence(outputs, x.batch_sizes) if packed else outputs), state

    step = step_of(cell, 3, 50, 16, resets, core=False)
    monkeypatch.setattr(CellModule, "_call", call)
    assert operations(torch, step) <= most
    assert calls == [bool(resets)] * 3, "one call per layer"


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
