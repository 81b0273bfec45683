"""Whole graphs of the modules: ``torch.export``, strict and not, and ``torch.compile``, of every cell.

Batch and time stay open in all of them.
"""

from __future__ import annotations

from typing import Any

import pytest

from pantoum.config import CELLS, ModelConfig
from pantoum.network import LanguageModel

pytestmark = [pytest.mark.oracle, pytest.mark.slow, pytest.mark.filterwarnings("default")]
V, B, T = 11, 3, 5
SHAPES: dict[str, dict[str, Any]] = {
    **{cell: {"cell": cell} for cell in CELLS},
    "members, n-grams": {"members": 2, "ngrams": (2,), "ngram_rows": 16, "tied": True, "embedding_size": 7},
}


@pytest.fixture(params=SHAPES)
def module(request: Any, torch: Any) -> Any:
    from pantoum.apps.torch import to_torch

    shape = {"hidden_size": 7, "num_layers": 1, "embedding_size": 5, **SHAPES[request.param]}
    return to_torch(LanguageModel(V, config=ModelConfig(**shape), seed=4))


def given(torch: Any, module: Any, batch_size: int, steps: int) -> tuple[Any, Any, Any]:
    """Tokens, a state after some tokens, and resets."""
    draw = torch.Generator().manual_seed(steps)
    tokens = torch.randint(V, (batch_size, steps), generator=draw)
    state = module(torch.randint(V, (batch_size, 3), generator=draw))[1]
    resets = torch.rand(batch_size, steps, generator=draw) < 0.3
    return tokens, tuple(part.detach() for part in state), resets


@pytest.mark.parametrize("strict", [True, False])
def test_an_export_takes_any_batch_and_any_time(torch: Any, module: Any, strict: bool) -> None:
    tokens, state, resets = given(torch, module, B, T)
    batch, time = torch.export.Dim("batch", max=64), torch.export.Dim("time", max=64)
    program = torch.export.export(
        module, (tokens, state), {"reset_BT": resets}, strict=strict,
        dynamic_shapes={
            "tokens_BT": {0: batch, 1: time}, "state": tuple({0: batch} for _ in state),
            "reset_BT": {0: batch, 1: time},
        },
    ).module()  # fmt: skip
    for sizes in ((B, T), (2, 9)):
        tokens, state, resets = given(torch, module, *sizes)
        logits, after = program(tokens, state, reset_BT=resets)
        expected, last = module(tokens, state, reset_BT=resets)
        torch.testing.assert_close((logits, *after), (expected, *last))


def test_a_compiled_module_is_one_graph_with_the_gradients(torch: Any, module: Any) -> None:
    torch.compiler.reset()
    compiled = torch.compile(module.losses, fullgraph=True, backend="aot_eager", dynamic=True)
    for sizes in ((B, T), (B, 9)):
        tokens, state, resets = given(torch, module, *sizes)
        found = []
        for losses in (module.losses, compiled):
            module.zero_grad()
            nats, after = losses(tokens, tokens.flip(1), state, reset_BT=resets)
            nats.square().mean().backward()
            found.append((nats, *after, *(each.grad for each in module.parameters())))
        torch.testing.assert_close(*found)
