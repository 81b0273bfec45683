"""PyTorch's own samples of its modules RNN, GRU and LSTM, given to the layers of `pantoum.apps.torch`.

    python benchmarks/judges/torch_modules.py

`torch.testing._internal.common_modules` has the arguments with which PyTorch tests each module. They make a
module of PyTorch's and one of ours with its weights, computed in each way that there is on a CPU (the core,
PyTorch's own kernels, a loop). Results, gradients, gradients of gradients (by differences, in float64),
inputs that are not contiguous, packed sequences, and copies by pickle must be alike. Prints passed of run,
and what is refused and why. Exits with 1 if one fails. Needs expecttest, as PyTorch's tests do.
"""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.testing._internal.common_modules import module_db

from pantoum.apps.torch.cell_module import Rows, StackModule
from pantoum.config import CELLS, ModelConfig

KINDS = {nn.RNN: "rnn", nn.GRU: "gru", nn.LSTM: "lstm"}
WAYS: dict[str, dict[str, bool]] = {"core": {}, "PyTorch": {"core": False}, "loop": {"fused": False}}
REFUSED = {
    "bidirectional": "a layer of two directions reads what a language model must not see",
    "nonlinearity": "no cell has this activation",
    "proj_size": "no cell has a projection",
}
USUAL = {"bidirectional": False, "nonlinearity": "tanh", "proj_size": 0}


class RefusedError(Exception):
    """What our layers do not have."""


class Ours(nn.Module):
    """Our layers, called as PyTorch calls its own."""

    def __init__(self, cell: str, way: str, theirs: nn.Module, given: dict[str, Any]) -> None:
        super().__init__()
        for name, usual in USUAL.items():
            if given.get(name, usual) != usual:
                raise RefusedError(f"{name}={given[name]!r}: {REFUSED[name]}")
        self.batch_first, self.parts = given["batch_first"], len(CELLS[cell].state)
        config = ModelConfig(cell, given["hidden_size"], given["num_layers"], None)
        self.stack = StackModule(config, given["input_size"])
        weights = {f"{layer}.{kind}": w for name, w in theirs.state_dict().items()
                   for kind, _, layer in [name.rpartition("_l")]}  # fmt: skip
        empty = {name: torch.zeros(each.shape) for name, each in self.stack.state_dict().items()}
        self.stack.load_state_dict({**empty, **weights})
        self.to(next(theirs.parameters()).dtype)
        for name, parameter in self.stack.named_parameters():
            parameter.requires_grad_(name in weights)
        for layer in self.stack:
            for name, value in WAYS[way].items():
                setattr(layer, name, value)

    def forward(self, x: Any, hx: Any = None) -> Any:
        """(outputs, state) as PyTorch's modules give them: of one text without an axis, of packed texts."""
        lengths, single = None, False
        if isinstance(x, PackedSequence):
            x, lengths = pad_packed_sequence(x)
        else:
            single = x.ndim == 2
            x = x.unsqueeze(0 if self.batch_first else 1) if single else x
            x = x.transpose(0, 1) if self.batch_first else x
        state = self._begun(x, hx, single)
        outputs, last = self.stack(x, state, Rows(x[..., 0], None, lengths), None)
        after = tuple(torch.stack(last[place :: self.parts]) for place in range(self.parts))
        if lengths is not None:
            return pack_padded_sequence(outputs, lengths), after if self.parts > 1 else after[0]
        outputs = outputs.transpose(0, 1) if self.batch_first else outputs
        if single:
            outputs, after = outputs.squeeze(0 if self.batch_first else 1), tuple(a.squeeze(1) for a in after)
        return outputs, after if self.parts > 1 else after[0]

    def _begun(self, x: Tensor, hx: Any, single: bool) -> tuple[Tensor, ...]:
        """The state, layer by layer."""
        units = self.stack.config.hidden_size
        if hx is None:
            return tuple(x.new_zeros(x.shape[1], units) for _ in range(len(self.stack) * self.parts))
        parts = hx if isinstance(hx, tuple) else (hx,)
        parts = tuple(part.unsqueeze(1) for part in parts) if single else parts
        return tuple(part[layer] for layer in range(len(self.stack)) for part in parts)


def flat(found: Any) -> list[Tensor]:
    """The tensors of results or of inputs."""
    if isinstance(found, PackedSequence):
        return [found.data]
    return [found] if isinstance(found, Tensor) else [each for part in found for each in flat(part)]


def pulled(module: nn.Module, inputs: Any) -> list[Tensor]:
    """Results, and the gradients of inputs and weights."""
    weights = [each for each in module.parameters() if each.requires_grad]
    results, given = flat(module(*inputs)), [each for each in flat(inputs) if each.requires_grad]
    loss = sum((each * torch.linspace(0.5, 1.5, each.numel()).view(each.shape)).sum() for each in results)
    assert isinstance(loss, Tensor)
    return [each.detach() for each in results] + list(torch.autograd.grad(loss, [*given, *weights]))


def apart(x: Any) -> Any:
    """The same numbers, every second one in memory."""
    if isinstance(x, tuple) and not isinstance(x, PackedSequence):
        return tuple(map(apart, x))
    wide = torch.repeat_interleave(x.detach(), 2, dim=-1)[..., ::2]
    return wide.requires_grad_(x.requires_grad)


def close(one: list[Tensor], other: list[Tensor]) -> None:
    torch.testing.assert_close(one, other, rtol=2e-5, atol=1e-5)


def check_forward_and_grad(ours: Ours, theirs: nn.Module, inputs: Any, sample: Any) -> None:
    close(pulled(ours, inputs), pulled(theirs, inputs))


def check_reference(ours: Ours, theirs: nn.Module, inputs: Any, sample: Any) -> None:
    close(flat(ours(*inputs)), flat(sample.reference_fn(ours, *inputs)))


def check_non_contiguous(ours: Ours, theirs: nn.Module, inputs: Any, sample: Any) -> None:
    close(pulled(ours, tuple(map(apart, inputs))), pulled(ours, inputs))


def check_pickle(ours: Ours, theirs: nn.Module, inputs: Any, sample: Any) -> None:
    file = io.BytesIO()
    torch.save(ours, file)
    file.seek(0)
    close(flat(torch.load(file, weights_only=False)(*inputs)), flat(ours(*inputs)))
    assert repr(ours)


def by_differences(check: Callable[..., bool], ours: Ours, _: Any, inputs: Any, sample: Any) -> None:
    """Gradients, or gradients of gradients, of inputs and weights."""
    given = [each for each in flat(inputs) if each.requires_grad]
    names = [name for name, each in ours.named_parameters() if each.requires_grad]
    weights = [dict(ours.named_parameters())[name] for name in names]

    def of(*tensors: Tensor) -> tuple[Tensor, ...]:
        x, *state = tensors[: len(given)]
        hx = None if not state else tuple(state) if len(state) > 1 else state[0]
        own = dict(zip(names, tensors[len(given) :], strict=True))
        return tuple(flat(torch.func.functional_call(ours, own, (x, hx))))

    assert check(of, (*given, *weights), fast_mode=True)


CHECKS: dict[str, Callable[..., None]] = {
    "forward and grad": check_forward_and_grad,
    "reference": check_reference,
    "non-contiguous": check_non_contiguous,
    "pickle": check_pickle,
    "gradcheck": partial(by_differences, gradcheck),
    "gradgradcheck": partial(by_differences, gradgradcheck),
}


def cases() -> Iterator[tuple[str, Any, Any, torch.dtype]]:
    """(a name, PyTorch's class, a sample, its dtype)."""
    for info in module_db:
        if info.module_cls not in KINDS:
            continue
        packed = {} if info.module_cls is nn.LSTM else {"with_packed_sequence": True}
        for dtype in (torch.float32, torch.float64):
            samples = info.module_inputs_func(
                info, device="cpu", dtype=dtype, requires_grad=True, training=True, **packed
            )
            for number, sample in enumerate(samples):
                yield f"{info.name} {dtype} {number}".replace("torch.", ""), info.module_cls, sample, dtype


def judged(kind: type[nn.Module], sample: Any, dtype: torch.dtype, way: str) -> Iterator[tuple[str, str]]:
    """(a check, what is wrong) of all that can be asked of this sample."""
    torch.manual_seed(1)
    given, inputs = sample.constructor_input.kwargs, sample.forward_input.args
    theirs = kind(**given).to(dtype)
    ours = Ours(KINDS[kind], way, theirs, given)
    for name, check in CHECKS.items():
        if "check" in name and dtype != torch.float64:  # differences of float32 say little
            continue
        if isinstance(inputs[0], PackedSequence) and name != "forward and grad":
            continue
        try:
            check(ours, theirs, inputs, sample)
            yield name, ""
        except Exception as problem:  # of whatever kind: it is what the report says
            yield name, f"{type(problem).__name__}: {problem}".splitlines()[0]


def main() -> int:
    """Judge all of them."""
    run = passed = 0
    refused: Counter[str] = Counter()
    for name, kind, sample, dtype in cases():
        for way in WAYS:
            if way == "core" and dtype == torch.float64:  # which the core does not have
                continue
            try:
                for check, wrong in judged(kind, sample, dtype, way):
                    run, passed = run + 1, passed + (not wrong)
                    if wrong:
                        print(f"{name}, {way}, {check}: FAILED, {wrong}")
            except RefusedError as problem:
                refused[str(problem)] += 1
    for why, times in refused.items():
        print(f"refused {times} times: {why}")
    print(f"{passed} passed of {run} run")
    return int(passed < run or not run)


if __name__ == "__main__":
    sys.exit(main())
