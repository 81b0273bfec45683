"""The language model as a module: members, n-grams and the output layer of ``network.language_model``.

``state_dict()`` has exactly the names and shapes of our parameters. The state of B streams is a tuple of
tensors in the order of ``network.network_state.NetworkState``: member by member the layers', then the last
tokens of the n-grams, then those of the counts. State goes in as an argument and comes out as a result;
detach it between chunks to truncate back-propagation there (``losses`` and ``forward`` do not).

A loss over many tokens is computed some tokens at a time (``by_parts``), so that the logits of all are never
there at once. The forward pass keeps what the logits are made from. The backward pass makes those of a part
again, takes its gradients, and adds those of the parameters in place. ``torch.utils.checkpoint`` would leave
these sums to autograd, which may hold four arrays of the size of the output layer for one.

Shapes: B streams, T time steps, N tokens, V symbols, E embedding, H units of all members.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from pantoum.apps.torch.cell_module import NO_TENSORS, Rows, StackModule, State
from pantoum.apps.torch.ngram_modules import CountModule, NgramModule
from pantoum.errors import SettingError
from pantoum.seams import CELLS, DropoutDraw, ModelConfig

__all__ = ["LanguageModule"]


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


LOGITS_AT_ONCE = 2**22
"""Logits that a loss makes at a time: 16 MB in float32. The few passes over them cost little each."""
MOST_PARTS = 8
"""Parts of a loss at most: each adds to the gradient of the whole output layer."""


class MemberModule(nn.Module):
    """An embedding, or one-hot inputs, and a stack of cells."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        E = config.embedding_size
        self.embedding = None if E is None else nn.Embedding(vocab_size, E)
        self.stack = StackModule(config, vocab_size if E is None else E)


class HeadModule(nn.Module):
    """The output layer; tied, it has the weights of the embeddings, and a projection where sizes differ."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        E, H = config.embedding_size, config.members * config.hidden_size
        if not config.tied:
            self.weight = nn.Parameter(torch.empty(vocab_size, H))
        elif E is not None and config.hidden_size != E:
            self.projection = nn.Linear(H, E, bias=False)
        self.bias = nn.Parameter(torch.empty(vocab_size))

    def forward(self, hidden_NH: Tensor, tied_VE: Tensor | None) -> Tensor:
        """The logits [N,V]."""
        if tied_VE is None:
            return linear(hidden_NH, self.weight, self.bias)
        projected = self.projection(hidden_NH) if hasattr(self, "projection") else hidden_NH
        return linear(projected, tied_VE, self.bias)


class LanguageModule(nn.Module):
    """A recurrent model of the next token. Its parameters are uninitialised; ``to_torch`` fills them."""

    def __init__(self, vocab_size: int, config: ModelConfig) -> None:
        super().__init__()
        self.vocab_size, self.config = vocab_size, config
        members = [MemberModule(config, vocab_size) for _ in range(config.members)]
        if config.members == 1:  # whose parameters have no prefix
            self.embedding, self.stack = members[0].embedding, members[0].stack
        else:
            self.members = nn.ModuleList(members)
        self.head = HeadModule(config, vocab_size)
        self.ngrams = NgramModule(vocab_size, config.ngrams, config.ngram_rows) if config.ngrams else None
        self.counts: CountModule | None = None
        """The n-grams that were counted in a training text. With them ``forward`` gives the log-probabilities
        of the mixture and ``losses`` its nats; ``None``: those of the network."""

    def initial_state(self, batch_size: int) -> State:
        """The zero state of ``batch_size`` streams."""
        widths = [self.config.hidden_size] * (self.config.members * self._parts)
        widths += [mixer.kept for mixer in self._mixers]
        bias = self.head.bias
        return tuple(torch.zeros(batch_size, width, dtype=bias.dtype, device=bias.device) for width in widths)

    def use_sparse_gradients(self) -> None:
        """From now on the gradients of tables are sparse tensors of the rows in use."""
        if self.ngrams is not None:
            self.ngrams.sparse = True

    def forward(
        self,
        tokens_BT: Tensor,
        state: State | None = None,
        *,
        reset_BT: Tensor | None = None,
        lengths: Tensor | None = None,
        dropout_key: tuple[int, int] | None = None,
        streams: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """(logits [B,T,V] of the token after each, state after the tokens).

        ``reset_BT`` (bool) zeroes a row's state before a step. Past ``lengths`` [B] the state of a row is
        copied through. Dropout is on with ``dropout_key=(seed, step)`` only, whatever ``module.training``
        is; ``streams`` are the global numbers of the rows (default: 0 to B-1)."""
        hidden_NH, found, after = self._read(tokens_BT, state, reset_BT, lengths, dropout_key, streams)
        logits_NV = self._logits(hidden_NH, self._tied_weight(), *found)
        return logits_NV.unflatten(0, (tokens_BT.shape[1], -1)).transpose(0, 1), after

    def losses(
        self,
        inputs_BT: Tensor,
        targets_BT: Tensor,
        state: State | None = None,
        *,
        reset_BT: Tensor | None = None,
        dropout_key: tuple[int, int] | None = None,
        streams: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """(nats [B,T] of the targets, state); arguments as for ``forward``."""
        nats_BT, _, after = self.scores(
            inputs_BT, targets_BT, state, reset_BT=reset_BT, dropout_key=dropout_key, streams=streams
        )
        return nats_BT, after

    def scores(
        self,
        inputs_BT: Tensor,
        targets_BT: Tensor,
        state: State | None = None,
        *,
        reset_BT: Tensor | None = None,
        dropout_key: tuple[int, int] | None = None,
        streams: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, State]:
        """(nats [B,T] of the targets, whether each has the largest logit [B,T], state).

        The logits of a large vocabulary are made for a part of the tokens at a time, and once more in the
        backward pass: one product more, in place of several arrays as large as all logits."""
        T = inputs_BT.shape[-1]
        targets_BT = self._rows(targets_BT, inputs_BT, "targets_BT").to(torch.int64)
        hidden_NH, found, after = self._read(inputs_BT, state, reset_BT, None, dropout_key, streams)
        given = targets_BT.T.flatten(), hidden_NH, *found
        count = 1 if torch.compiler.is_compiling() else self._parts_of_the_loss(hidden_NH.shape[0])
        tied_VE = self._tied_weight()
        score = partial(self._score, tied_VE)
        if count == 1:
            nats_N, hits_N = score(*given)
        else:
            more = [] if tied_VE is None else [tied_VE]
            mixers = [parameter for mixer in self._mixers for parameter in mixer.parameters()]
            nats_N, hits_N = by_parts(score, count, given, [*more, *self.head.parameters(), *mixers])
        return nats_N.unflatten(0, (T, -1)).T, hits_N.unflatten(0, (T, -1)).T, after

    def _score(
        self, tied_VE: Tensor | None, targets_N: Tensor, hidden_NH: Tensor, *found: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(nats [N], whether the target has the largest logit [N])."""
        logits_NV = self._logits(hidden_NH, tied_VE, *found)
        if logits_NV.dtype != torch.float64:
            logits_NV = logits_NV.float()
        nats_N = cross_entropy(logits_NV, targets_N, reduction="none")
        return nats_N, logits_NV.argmax(dim=1) == targets_N

    def _parts_of_the_loss(self, tokens: int) -> int:
        return min(MOST_PARTS, -(-tokens * self.vocab_size // LOGITS_AT_ONCE), tokens)

    def _read(
        self,
        tokens_BT: Tensor,
        state: State | None,
        reset_BT: Tensor | None,
        lengths: Tensor | None,
        dropout_key: tuple[int, int] | None,
        streams: Tensor | None,
    ) -> tuple[Tensor, tuple[Tensor, ...], State]:
        """(outputs of all members [T*B,H], what each mixer found for each of them, state)."""
        tokens_BT = self._checked(tokens_BT)
        B, tokens_TB = tokens_BT.shape[0], tokens_BT.T
        state = self.initial_state(B) if state is None else self._own(state, B)
        reset_TB = None if reset_BT is None else self._rows(reset_BT, tokens_BT, "reset_BT").T
        rows = Rows(tokens_TB, reset_TB, lengths)
        draw = None
        if dropout_key is not None and self.config.dropout.active:
            numbers_B = torch.arange(B, device=tokens_BT.device) if streams is None else streams
            draw = DropoutDraw(*dropout_key, numbers_B, self.config.dropout.kind == "variational")
        each, outputs, found, after = self._parts, NO_TENSORS, NO_TENSORS, NO_TENSORS
        for place, member in enumerate(self._each):
            if member.embedding is not None:
                vectors_TBE, embedded_TB = member.embedding(tokens_TB), tokens_TB
            else:
                embedded_TB = None
                symbols_V = torch.arange(self.vocab_size, device=tokens_BT.device)
                vectors_TBE = (tokens_TB[:, :, None] == symbols_V).to(self.head.bias.dtype)
            own = state[place * each : (place + 1) * each]
            hidden_TBH, last = member.stack(vectors_TBE, own, rows, draw, embedded_TB)
            outputs += (hidden_TBH,)
            after += last
        for mixer, recent_BK in zip(self._mixers, state[len(after) :], strict=True):
            places, recent_BK = mixer.find(tokens_TB, recent_BK, rows)
            found += (places,)
            after += (recent_BK,)
        hidden_TBH = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)
        return hidden_TBH.flatten(0, 1), found, after

    def _logits(self, hidden_NH: Tensor, tied_VE: Tensor | None, *found: Tensor) -> Tensor:
        """The logits [N,V], or what the mixers make of them."""
        logits_NV = self.head(hidden_NH, tied_VE)
        for mixer, places in zip(self._mixers, found, strict=True):
            logits_NV = mixer.mix(logits_NV, places)
        return logits_NV

    def _tied_weight(self) -> Tensor | None:
        """The weight of a tied head [V, K*E]; ``None``: the head has its own."""
        if not self.config.tied:
            return None
        tables = [member.embedding.weight for member in self._each if member.embedding is not None]
        return torch.cat(tables, dim=1) / len(tables)

    @property
    def _each(self) -> list[MemberModule]:
        """The members; of one alone, this module, which has what a member has."""
        return [self] if self.config.members == 1 else list(self.members)

    @property
    def _mixers(self) -> list[NgramModule | CountModule]:
        """What looks at the last tokens and changes the logits, in order."""
        return [mixer for mixer in (self.ngrams, self.counts) if mixer is not None]

    @property
    def _parts(self) -> int:
        """How many tensors the state of a member has."""
        return self.config.num_layers * len(CELLS[self.config.cell].state)

    def _checked(self, tokens_BT: Tensor) -> Tensor:
        if tokens_BT.ndim != 2 or not tokens_BT.numel():
            raise SettingError(
                "tokens_BT",
                tuple(tokens_BT.shape),
                "must have the shape [B, T], with no side empty",
                "give one row of tokens per stream",
            )
        if tokens_BT.is_floating_point() or tokens_BT.dtype == torch.bool:
            raise SettingError("tokens_BT", tokens_BT.dtype, "must be whole numbers", "give int64")
        tokens_BT = tokens_BT.to(torch.int64)  # tokenizers give uint32, for which PyTorch has few operations
        # On a GPU this would wait for all work before it, and PyTorch's own assertion stops the process. In a
        # compiled module it would divide the graph.
        unseen = tokens_BT.is_cuda or torch.compiler.is_compiling()
        if not unseen and not 0 <= int(tokens_BT.min()) <= int(tokens_BT.max()) < self.vocab_size:
            raise SettingError(
                "tokens_BT",
                [int(tokens_BT.min()), int(tokens_BT.max())],
                f"must be token numbers from 0 to {self.vocab_size - 1}",
                "encode the text with this model's tokenizer",
            )
        return tokens_BT

    def _rows(self, given_BT: Tensor, tokens_BT: Tensor, argument: str) -> Tensor:
        if given_BT.shape != tokens_BT.shape:
            raise SettingError(
                argument,
                tuple(given_BT.shape),
                f"must have the shape of the tokens {tuple(tokens_BT.shape)}",
                "give one value per token",
            )
        return given_BT

    def _own(self, state: State, batch_size: int) -> State:
        found = [tuple(part.shape) for part in state]
        needed = [tuple(part.shape) for part in self.initial_state(batch_size)]
        if found != needed:
            raise SettingError(
                "state",
                found,
                f"must have the shapes {needed}: a state belongs to its model and its batch",
                "carry the state of the same batch, or start from initial_state",
            )
        return tuple(state)
