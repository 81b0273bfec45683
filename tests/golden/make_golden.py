"""Make the golden files of the recurrent cells with PyTorch, in float64.

Each file holds, for one kind of network, small random inputs and parameters and what PyTorch computes from
them: outputs, last state, and the gradients of sum(weights * outputs) + sum(weights * state) in everything.
They are the everyday parity tests; ``tests/parity`` compares with PyTorch itself where it is installed. Run
it only to add a case:

    python tests/golden/make_golden.py        (needs PyTorch; the files are those of torch 2.13)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

B, T, E, H, L = 3, 5, 4, 6, 2
KINDS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def golden(kind: str, lengths: list[int] | None) -> dict[str, np.ndarray]:
    """Inputs, parameters, results and gradients of one network, by name."""
    torch.manual_seed(len(kind) + (0 if lengths is None else 100))
    network = KINDS[kind](E, H, L, batch_first=True).double()
    inputs = torch.randn(B, T, E, dtype=torch.float64, requires_grad=True)
    parts = 2 if kind == "lstm" else 1
    state = [torch.randn(L, B, H, dtype=torch.float64, requires_grad=True) for _ in range(parts)]
    given = tuple(state) if kind == "lstm" else state[0]
    if lengths is None:
        outputs, last = network(inputs, given)
    else:
        packed = nn.utils.rnn.pack_padded_sequence(inputs, torch.tensor(lengths), True, enforce_sorted=False)
        outputs, last = network(packed, given)
        outputs, _ = nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True, total_length=T)
    lasts = list(last) if kind == "lstm" else [last]
    d_outputs = torch.randn_like(outputs)
    d_lasts = [torch.randn_like(part) for part in lasts]
    loss = (outputs * d_outputs).sum() + sum((a * b).sum() for a, b in zip(lasts, d_lasts, strict=True))
    loss.backward()
    found = {"inputs": inputs, "outputs": outputs, "d_outputs": d_outputs, "d_inputs": inputs.grad}
    for k in range(parts):
        found |= {f"state{k}": state[k], f"last{k}": lasts[k]}
        found |= {f"d_state{k}": state[k].grad, f"d_last{k}": d_lasts[k]}
    for name, parameter in network.named_parameters():
        found |= {f"parameter.{name}": parameter, f"gradient.{name}": parameter.grad}
    arrays = {name: value.detach().numpy() for name, value in found.items()}
    return arrays if lengths is None else {**arrays, "lengths": np.array(lengths)}


def adamw() -> dict[str, np.ndarray]:
    """Five steps of AdamW on one parameter with given gradients."""
    torch.manual_seed(7)
    parameter = nn.Parameter(torch.randn(7, 5, dtype=torch.float64))
    optimizer = torch.optim.AdamW([parameter], lr=0.01, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    found = {"start": parameter.detach().numpy().copy()}
    for step in range(5):
        parameter.grad = torch.randn_like(parameter)
        found[f"gradient{step}"] = parameter.grad.numpy().copy()
        optimizer.step()
        found[f"parameter{step}"] = parameter.detach().numpy().copy()
    return found


def main() -> None:
    folder = Path(__file__).parent
    for kind in KINDS:
        np.savez_compressed(folder / f"{kind}.npz", **golden(kind, None))
        np.savez_compressed(folder / f"{kind}-lengths.npz", **golden(kind, [5, 2, 3]))
    np.savez_compressed(folder / "adamw.npz", **adamw())


if __name__ == "__main__":
    main()
