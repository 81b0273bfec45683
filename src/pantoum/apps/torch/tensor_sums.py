"""Sums of tensors over ranks: of gradients, and of what ranks have computed by parts.

On GPUs and between machines the gradients of a layer are one message. It leaves while the backward pass goes
on, as soon as this pass has them all and those of the layers above have left. So messages have one order on
every rank, although the order in which gradients become ready depends on where documents begin in a rank's
streams. Rows of sparse gradients follow at the end. Elsewhere all leave at the end.

Shapes: U rows in use of a parameter, V symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

__all__ = ["GradientSums", "TensorRanks", "add_up"]


@runtime_checkable
class TensorRanks(Protocol):
    """Ranks that exchange tensors where these are."""

    rank: int
    overlaps: bool
    """Whether they are on several machines, so that sums are worth beginning early."""

    def add_up(self, tensor: Tensor) -> Callable[[], None]:
        """Begin the sum of this tensor over all ranks, in place; the same bits on every rank. Until what it
        gives was called and has returned, the tensor may be neither read nor changed."""
        ...

    def collected(self, tensor: Tensor) -> list[Tensor]:
        """This tensor of every rank, all of one size, in the order of ranks."""
        ...


class GradientSums:
    """Makes the gradient of each parameter the sum of those of all ranks. On GPUs and between machines it
    begins within the backward pass; on the processors of one machine that would cost what it hides."""

    def __init__(self, ranks: TensorRanks, parameters: Mapping[str, Tensor]) -> None:
        self._ranks, self._parameters = ranks, list(parameters.values())
        self._layers: dict[str, list[Tensor]] = {}
        for name, parameter in reversed(list(parameters.items())):  # backward, the last come first
            self._layers.setdefault(_layer(name), []).append(parameter)
            if ranks.overlaps or parameter.is_cuda:
                parameter.register_post_accumulate_grad_hook(self._ready)
        self._left, self._known = list(self._layers.values()), set[int]()
        """Layers that have not been sent in this pass; parameters that have their gradients, by their ids."""
        self._sent: list[tuple[list[Tensor], Tensor, Callable[[], None]]] = []

    def _ready(self, parameter: Tensor) -> None:
        """Called by the backward pass, once for each parameter."""
        self._known.add(id(parameter))
        while self._left and self._known.issuperset(map(id, self._left[0])):
            self._send(self._left.pop(0))

    def _send(self, parameters: Sequence[Tensor]) -> None:
        whole = [each.grad for each in parameters if not each.grad.is_sparse]
        if whole:
            flat = torch.cat([gradient.reshape(-1) for gradient in whole])
            self._sent.append((whole, flat, self._ranks.add_up(flat)))

    def finish(self) -> None:
        """Wait for the sums, and add the rows of sparse gradients; after each backward pass."""
        self._send([parameter for layer in self._left for parameter in layer])
        for gradients, flat, adding in self._sent:
            adding()
            _split(flat, gradients)
        for parameter in self._parameters:
            if parameter.grad.is_sparse:
                parameter.grad = _rows_of_all(self._ranks, parameter.grad.coalesce())
        self._left, self._known, self._sent = list(self._layers.values()), set(), []


def add_up(ranks: TensorRanks, tensors: Sequence[Tensor]) -> None:
    """Each tensor becomes its sum over all ranks."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    ranks.add_up(flat)()
    _split(flat, tensors)


def _split(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    """Copy the parts of a vector into the tensors that it was made from."""
    for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(total.view_as(tensor))


def _layer(name: str) -> str:
    """What the parameter of this name belongs to: ``head``, ``stack.1``."""
    parts = name.split(".")
    return ".".join(parts[: 2 if parts[0] == "stack" else 1])


def _rows_of_all(ranks: TensorRanks, own: Tensor) -> Tensor:
    """The sum of a gradient of some rows, whose numbers differ from rank to rank."""
    rows_U, values_UV = own.indices()[0], own.values()
    counts = [int(count) for count in ranks.collected(rows_U.new_tensor([len(rows_U)]))]
    most = max(counts)
    rows = ranks.collected(_filled(rows_U, most))
    values = ranks.collected(_filled(values_UV, most))
    all_rows = torch.cat([part[:count] for part, count in zip(rows, counts, strict=True)])
    all_values = torch.cat([part[:count] for part, count in zip(values, counts, strict=True)])
    return torch.sparse_coo_tensor(all_rows[None], all_values, own.shape, check_invariants=False).coalesce()


def _filled(tensor: Tensor, size: int) -> Tensor:
    """The tensor with rows of zeros at its end."""
    return torch.cat([tensor, tensor.new_zeros(size - len(tensor), *tensor.shape[1:])])
