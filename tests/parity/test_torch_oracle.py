"""The live oracle: PyTorch's own modules beside ours, in float32 and float64, at odd sizes.

`make check` runs it. Everyday parity is in ``tests/golden``, which needs no PyTorch.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.exporting import export
from pantoum.kernels import backend
from pantoum.network import GRU, LSTM, RNN, LanguageModel, Stack, unroll_vjp
from pantoum.network.gradient import norm as norm_of
from pantoum.network.program import Program
from pantoum.text.byte import ByteTokenizer
from tests.network.conftest import layers_of

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]
KINDS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="SKIP SKIP SKIP: no PyTorch here, its oracle did not run")


def peer(torch: Any, kind: str, stack: Stack, dtype: str) -> Any:
    """PyTorch's module with the stack's weights."""
    module = getattr(torch.nn, kind.upper())(
        stack.input_size, stack.hidden_size, len(stack.cells), batch_first=True
    ).to(getattr(torch, dtype))
    for name, array in stack.parameters.items():
        layer, own = name.split(".")
        getattr(module, f"{own}_l{layer}").data.copy_(torch.from_numpy(array))
    return module


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("B", "T", "H"), [(1, 1, 1), (3, 2, 7), (3, 30, 33), (64, 10, 96)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_stack_is_pytorchs_module(torch: Any, kind: str, B: int, T: int, H: int, dtype: str) -> None:
    random = np.random.default_rng(B + T + H)
    stack = Stack([KINDS[kind](5, H, dtype=dtype), KINDS[kind](H, H, seed=1, dtype=dtype)])
    module = peer(torch, kind, stack, dtype)
    x, d_outputs = random.standard_normal((B, T, 5)), random.standard_normal((B, T, H))
    parts = 2 if kind == "lstm" else 1
    state = [random.standard_normal((2, B, H)).astype(dtype) for _ in range(parts)]
    x_torch = torch.tensor(x.astype(dtype), requires_grad=True)
    states_torch = tuple(torch.from_numpy(part) for part in state)
    outputs_torch, _ = module(x_torch, states_torch if parts == 2 else states_torch[0])
    outputs_torch.backward(torch.tensor(d_outputs.astype(dtype)))
    ours = tuple(zip(*state, strict=True)) if parts == 2 else tuple(state[0])
    outputs, _, pullback = unroll_vjp(stack, x, ours)
    d_x, _, gradients = pullback(d_outputs)
    close = {"rtol": 1e-4, "atol": 1e-4} if dtype == "float32" else {"rtol": 1e-9, "atol": 1e-10}
    np.testing.assert_allclose(outputs, outputs_torch.detach().numpy(), **close)
    np.testing.assert_allclose(d_x, x_torch.grad.numpy(), **close)
    for name, gradient in gradients.items():
        layer, own = name.split(".")
        expected = getattr(module, f"{own}_l{layer}").grad.numpy()
        scale = max(1.0, float(abs(expected).max()))
        np.testing.assert_allclose(gradient / scale, expected / scale, **close, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ten_training_steps_are_pytorchs(torch: Any, dtype: str) -> None:
    """Embedding, GRU, head, cross-entropy, clipping and AdamW together, the state handed on."""
    model = LanguageModel(11, 6, "gru", 24, 2, seed=4, dtype=dtype)
    embedding, head = torch.nn.Embedding(11, 6), torch.nn.Linear(24, 11)
    gru = peer(torch, "gru", layers_of(model), dtype)
    for name, module in (("embedding", embedding), ("head", head)):
        module.to(getattr(torch, dtype))
        module.weight.data.copy_(torch.from_numpy(model.parameters[name + ".weight"]))
    head.bias.data.zero_()
    theirs = [p for module in (embedding, gru, head) for p in module.parameters()]
    optimizer = torch.optim.AdamW(theirs, lr=0.01, betas=(0.9, 0.95), weight_decay=0.1)
    tokens = np.random.default_rng(0).integers(0, 11, (4, 10 * 8 + 1))
    kernels, state, state_torch = backend(dtype), model.initial_state(4), None
    moments = {name: (np.zeros_like(p), np.zeros_like(p)) for name, p in model.parameters.items()}
    for step in range(10):
        columns = slice(8 * step, 8 * step + 8)
        inputs, targets = tokens[:, columns], tokens[:, 1:][:, columns]
        optimizer.zero_grad()
        outputs, state_torch = gru(embedding(torch.tensor(inputs)), state_torch)
        state_torch = state_torch.detach()
        loss = torch.nn.functional.cross_entropy(head(outputs).flatten(0, 1), torch.tensor(targets).flatten())
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(theirs, 0.3))
        optimizer.step()
        result = Program(model, purpose="train").gradients(inputs, targets, state)
        state = result.state
        ours = norm_of(kernels, result.gradients)
        for name, gradient in result.gradients.items():
            kernels.adamw(
                model.parameters[name],
                gradient.values,
                *moments[name],
                step=step + 1,
                rate=0.01,
                betas=(0.9, 0.95),
                weight_decay=0.1,
                factor=min(1.0, 0.3 / ours),
            )
        close = 1e-3 if dtype == "float32" else 1e-5  # PyTorch clips by clip / (norm + 1e-6)
        assert result.loss == pytest.approx(float(loss.detach()), rel=close)
        assert ours == pytest.approx(norm, rel=close)
    expected = head.weight.detach().numpy()
    np.testing.assert_allclose(model.parameters["head.weight"], expected, rtol=1e-2, atol=close)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("embedding_size", [None, 6])
def test_the_lines_of_the_docs_load_an_exported_model(
    torch: Any, kind: str, embedding_size: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/formats.md shows how PyTorch takes a model: exactly these lines run here."""
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(import torch.*?)```", page, re.DOTALL)
    tokenizer = ByteTokenizer()
    network = LanguageModel(tokenizer.vocab_size, embedding_size, kind, 24, 2, seed=4)
    content = ModelFile(network.config.spec(), dict(network.parameters), tokenizer.spec(), {})
    model_file.write(tmp_path / "m", content)
    export(tmp_path / "m", "torch", tmp_path / "book-torch.safetensors")
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(lines.replace("torch.nn.GRU", f"torch.nn.{kind.upper()}"), found)
    expected, _ = Program(network).logits(np.array([[5, 9, 4]]), network.initial_state(1))
    np.testing.assert_allclose(found["logits"].detach().numpy(), expected, atol=1e-5)
