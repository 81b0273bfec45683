"""The language model as a module: members, n-grams and the output layer of ``network.language_model``.

``state_dict()`` has exactly the names and shapes of our parameters. The state of B streams is a tuple of
tensors in the order of ``network.state.NetworkState``: member by member the layers', then the last tokens of
the n-grams, then those of the counts. State goes in as an argument and comes out as a result; detach it
between chunks to truncate back-propagation there (``losses`` and ``forward`` do not).

Shapes: B streams, T time steps, V symbols, E embedding, H units of all members.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear, one_hot

from pantoum.config import CELLS, ModelConfig
from pantoum.errors import SettingError
from pantoum.torch.count_mixture import CountMixture
from pantoum.torch.dropout import Draw
from pantoum.torch.equations import State
from pantoum.torch.ngrams import Ngrams
from pantoum.torch.stack import Stack

__all__ = ["LanguageModel"]


class Member(nn.Module):
    """An embedding, or one-hot inputs, and a stack of cells."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        E, self.vocab_size = config.embedding_size, vocab_size
        self.embedding = None if E is None else nn.Embedding(vocab_size, E)
        self.stack = Stack(config, vocab_size if E is None else E)

    def vectors(self, tokens_TB: Tensor, like: Tensor) -> Tensor:
        """The inputs of the first layer [T,B,E or V]."""
        if self.embedding is not None:
            return self.embedding(tokens_TB)
        return one_hot(tokens_TB, self.vocab_size).to(like.dtype)


class Head(nn.Module):
    """The output layer; tied, it has the weights of the embeddings, and a projection where sizes differ."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        E, H = config.embedding_size, config.members * config.hidden_size
        if not config.tied:
            self.weight = nn.Parameter(torch.empty(vocab_size, H))
        elif E is not None and config.hidden_size != E:
            self.projection = nn.Linear(H, E, bias=False)
        self.bias = nn.Parameter(torch.empty(vocab_size))

    def forward(self, hidden_TBH: Tensor, tied_VE: Tensor | None) -> Tensor:
        """The logits [T,B,V]."""
        if tied_VE is None:
            return linear(hidden_TBH, self.weight, self.bias)
        projected = self.projection(hidden_TBH) if hasattr(self, "projection") else hidden_TBH
        return linear(projected, tied_VE, self.bias)


class LanguageModel(nn.Module):
    """A recurrent model of the next token. Its parameters are uninitialised; ``to_torch`` fills them."""

    def __init__(self, vocab_size: int, config: ModelConfig) -> None:
        super().__init__()
        self.vocab_size, self.config = vocab_size, config
        members = [Member(config, vocab_size) for _ in range(config.members)]
        if config.members == 1:  # whose parameters have no prefix
            self.embedding, self.stack = members[0].embedding, members[0].stack
        else:
            self.members = nn.ModuleList(members)
        self._each = members
        self.head = Head(config, vocab_size)
        self.ngrams = Ngrams(vocab_size, config.ngrams, config.ngram_rows) if config.ngrams else None
        self.counts: CountMixture | None = None
        """The n-grams that were counted in a training text. With them ``forward`` gives the log-probabilities
        of the mixture and ``losses`` its nats; ``None``: those of the network."""

    def initial_state(self, batch_size: int) -> State:
        """The zero state of ``batch_size`` streams."""
        widths = [self.config.hidden_size] * (self.config.members * self._parts)
        widths += [part.kept for part in (self.ngrams, self.counts) if part is not None]
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
        tokens_BT = self._checked(tokens_BT)
        B = len(tokens_BT)
        state = self.initial_state(B) if state is None else self._own(state, B)
        tokens_TB = tokens_BT.T
        reset_TB = None if reset_BT is None else self._rows(reset_BT, tokens_BT, "reset_BT").T
        draw = None
        if dropout_key is not None and self.config.dropout.active:
            numbers_B = torch.arange(B, device=tokens_BT.device) if streams is None else streams
            draw = Draw(*dropout_key, numbers_B)
        each, outputs, after = self._parts, list[Tensor](), list[Tensor]()
        for place, member in enumerate(self._each):
            own = state[place * each : (place + 1) * each]
            vectors = member.vectors(tokens_TB, self.head.bias)
            found_TBH, last = member.stack(vectors, own, reset_TB, lengths, draw)
            outputs.append(found_TBH)
            after += last
        logits_TBV = self.head(torch.cat(outputs, dim=2), self._tied_weight())
        if self.ngrams is not None:
            recent_BK = state[each * len(self._each)]
            given_TBV, recent_BK = self.ngrams(tokens_TB, recent_BK, reset_TB, lengths)
            logits_TBV = logits_TBV + given_TBV
            after.append(recent_BK)
        if self.counts is not None:
            logits_TBV, recent_BK = self.counts(logits_TBV, tokens_TB, state[-1], reset_TB, lengths)
            after.append(recent_BK)
        return logits_TBV.transpose(0, 1), tuple(after)

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
        targets_BT = self._rows(targets_BT, self._checked(inputs_BT), "targets_BT").to(torch.int64)
        logits_BTV, after = self(
            inputs_BT, state, reset_BT=reset_BT, dropout_key=dropout_key, streams=streams
        )
        nats_N = cross_entropy(logits_BTV.flatten(0, 1).float(), targets_BT.flatten(), reduction="none")
        return nats_N.reshape(targets_BT.shape), after

    def _tied_weight(self) -> Tensor | None:
        """The weight of a tied head [V, K*E]; ``None``: the head has its own."""
        tables = [member.embedding for member in self._each if member.embedding is not None]
        if not self.config.tied:
            return None
        return torch.cat([table.weight for table in tables], dim=1) / len(tables)

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
