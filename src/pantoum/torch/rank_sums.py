"""Sums of tensors over ranks: of gradients, and of what ranks have computed by parts.

All tensors go in one message, after the backward pass. Sums that start while the backward pass still runs
need the same order on every rank, and the order in which gradients become ready depends on where documents
begin in a rank's streams.

Shapes: U rows in use of a parameter, V symbols.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from pantoum.ranks.interface import Ranks

__all__ = ["TensorRanks", "add_gradients", "add_up"]


@runtime_checkable
class TensorRanks(Ranks, Protocol):
    """Ranks that exchange tensors, too, where these are."""

    def add_up(self, tensor: Tensor) -> None:
        """The sum of this tensor over all ranks, in place; the same bits on every rank."""

    def collected(self, tensor: Tensor) -> list[Tensor]:
        """This tensor of every rank, all of one size, in the order of ranks."""
        ...


def add_gradients(ranks: TensorRanks, parameters: Iterable[Tensor], dtype: torch.dtype) -> None:
    """The gradient of each parameter becomes the sum of those of all ranks, which are sent in ``dtype``."""
    whole = list[Tensor]()
    for parameter in parameters:
        if parameter.grad.is_sparse:
            parameter.grad = _rows_of_all(ranks, parameter.grad.coalesce(), dtype)
        else:
            whole.append(parameter.grad)
    add_up(ranks, whole, dtype)


def add_up(ranks: TensorRanks, tensors: Sequence[Tensor], dtype: torch.dtype = torch.float32) -> None:
    """Each tensor becomes its sum over all ranks. In bf16 every sum of some ranks is rounded, too."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors]).to(dtype)
    ranks.add_up(flat)
    for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(total.view_as(tensor))


def _rows_of_all(ranks: TensorRanks, own: Tensor, dtype: torch.dtype) -> Tensor:
    """The sum of a gradient of some rows, whose numbers differ from rank to rank."""
    rows_U, values_UV = own.indices()[0], own.values().to(dtype)
    counts = [int(count) for count in ranks.collected(rows_U.new_tensor([len(rows_U)]))]
    most = max(counts)
    rows = ranks.collected(_filled(rows_U, most))
    values = ranks.collected(_filled(values_UV, most))
    all_rows = torch.cat([part[:count] for part, count in zip(rows, counts, strict=True)])
    all_values = torch.cat([part[:count] for part, count in zip(values, counts, strict=True)]).to(own.dtype)
    return torch.sparse_coo_tensor(all_rows[None], all_values, own.shape, check_invariants=False).coalesce()


def _filled(tensor: Tensor, size: int) -> Tensor:
    """The tensor with rows of zeros at its end."""
    return torch.cat([tensor, tensor.new_zeros(size - len(tensor), *tensor.shape[1:])])
