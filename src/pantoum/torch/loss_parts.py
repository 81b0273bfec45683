"""A loss over many tokens, some tokens at a time, so that the logits of all are never there at once.

The forward pass keeps what the logits are made from. The backward pass makes those of a part again, takes its
gradients, and adds those of the parameters in place. ``torch.utils.checkpoint`` would leave these sums to
autograd, which may hold four arrays of the size of the output layer for one.

Shapes: N tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["by_parts"]


def by_parts(
    score: Callable[..., tuple[Tensor, Tensor]],
    count: int,
    given: Sequence[Tensor],
    parameters: Sequence[Tensor],
) -> tuple[Tensor, Tensor]:
    """``score(*given)``, whose first result is differentiable, from ``count`` parts of each of ``given``
    [N, ...]; ``parameters``: all other tensors that the result depends on."""
    nats_N, hits_N = _ByParts.apply(score, count, len(given), *given, *parameters)
    return nats_N, hits_N


class _ByParts(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, score: Callable[..., tuple[Tensor, Tensor]], count: int, split: int, *tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.score, ctx.count, ctx.split = score, count, split
        ctx.save_for_backward(*tensors)
        device = tensors[0].device.type
        ctx.autocast = {
            "device_type": device,
            "dtype": torch.get_autocast_dtype(device),
            "enabled": torch.is_autocast_enabled(device),
        }
        parts = zip(*(tensor.chunk(count) for tensor in tensors[:split]), strict=True)
        nats, hits = zip(*(score(*part) for part in parts), strict=True)
        hits_N = torch.cat(hits)
        ctx.mark_non_differentiable(hits_N)
        return torch.cat(nats), hits_N

    @staticmethod
    def backward(ctx: Any, d_nats_N: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        given, parameters = ctx.saved_tensors[: ctx.split], ctx.saved_tensors[ctx.split :]
        sums: list[Tensor | None] = [None] * len(parameters)
        d_given: list[list[Tensor]] = [[] for _ in given]
        parts = zip(d_nats_N.chunk(ctx.count), *(tensor.chunk(ctx.count) for tensor in given), strict=True)
        for d_nats, *part in parts:
            part = [
                each.detach().requires_grad_(whole.requires_grad)
                for each, whole in zip(part, given, strict=True)
            ]
            with torch.enable_grad(), torch.autocast(**ctx.autocast):
                nats, _ = ctx.score(*part)
            wanted = [each for each in (*part, *parameters) if each.requires_grad]
            # Popped, so that no gradient of this part is held while the next ones are made.
            found = list(torch.autograd.grad(nats, wanted, d_nats))[::-1]
            for place, each in enumerate(part):
                if each.requires_grad:
                    d_given[place].append(found.pop())
            for place, each in enumerate(parameters):
                if each.requires_grad:
                    sums[place] = _added(sums[place], found.pop())
            del nats
        return None, None, None, *(torch.cat(each) if each else None for each in d_given), *sums


def _added(total: Tensor | None, more: Tensor) -> Tensor:
    if total is None or total.is_sparse:
        return more if total is None else total + more
    return total.add_(more)
