"""What a model is made of, declared once: each parameter, and each array of its state.

Whoever asks what a parameter is asks its role:

    map     multiplied by vectors, from vectors to vectors: ``weight_ih`` and ``weight_hh`` of the layers, the
            projection before a tied head; ``blocks`` says of how many maps it consists, one above the other
    input   what tokens choose from, a vector per symbol: the embedding, or ``weight_ih`` of one-hot inputs
    output  the weight of the head, a row per symbol
    table   rows of logits, of which a token adds some to those of all symbols
    vector  added: biases

Parameters of an ensemble stand under ``members.0.``, ``members.1.``, ...; those of a model that is one member
have no prefix. What all members share (``member`` is ``None``) has no prefix either.

Shapes: V symbols, E embedding, H units, K members, R rows of a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from types import MappingProxyType
from typing import Literal, TypeAlias

from pantoum.config import CELLS, CellSpec, ModelConfig

Role: TypeAlias = Literal["map", "input", "output", "table", "vector"]
TABLE = "ngrams.weight"
"""The rows of logits of hashed n-grams."""


@dataclass(frozen=True)
class Parameter:
    """One array that is learned."""

    name: str
    shape: tuple[int, ...]
    role: Role
    member: int | None = None
    blocks: int = 1
    by_columns: bool = False
    """Whether it lies in memory column by column, and a symbol is a column of it (``network.gradient``)."""
    place: tuple[int, ...] = ()
    """Which random numbers it begins with (``network.parameters``); (): it begins at 0."""
    spread: float = 0.0
    """They are uniform from -spread to spread; of an embedding normal with this deviation."""
    values: tuple[tuple[slice, float], ...] = ()
    """Rows that begin at a value."""

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)


@dataclass(frozen=True)
class StateArray:
    """One array of the state of a stream, [B, width]."""

    name: str
    width: int
    kind: Literal["layer", "tokens", "outputs"] = "layer"
    """Part of the state of a layer; the last tokens, each as its number + 1, 0: none; or outputs of the last
    layers."""
    member: int | None = None


@lru_cache(maxsize=8)  # a training step asks anew
def declared(config: ModelConfig, vocab_size: int) -> Mapping[str, Parameter]:
    """The parameters of a model by name, in their order."""
    own = (each for place in range(config.members) for each in _of_member(config, vocab_size, place))
    return MappingProxyType({each.name: each for each in (*own, *_shared(config, vocab_size))})


def named(config: ModelConfig, role: Role) -> tuple[str, ...]:
    """The names of the parameters of a role."""
    members = config.members if any(each.role == role for each in _of_member(config, 1, 0)) else 0
    own = (each for place in range(members) for each in _of_member(config, 1, place))
    return tuple(each.name for each in (*own, *_shared(config, 1)) if each.role == role)


def number(config: ModelConfig, vocab_size: int) -> int:
    """How many numbers are learned. Nothing is made for it: a configuration in a file is a few bytes that can
    ask for gigabytes."""
    own = sum(each.size for each in _of_member(config, vocab_size, 0))
    return config.members * own + sum(each.size for each in _shared(config, vocab_size))


@lru_cache(maxsize=8)
def state_of(config: ModelConfig) -> tuple[StateArray, ...]:
    """The arrays of the state: those of the layers, member by member, then the last tokens for n-grams. What
    is mixed with the network (``network.mixers``) has its own after them."""
    layers = [
        StateArray(f"{prefix(config, place)}stack.{layer}.{part}", config.hidden_size, "layer", place)
        for place in range(config.members)
        for layer in range(config.num_layers)
        for part in CELLS[config.cell].state
    ]
    recent = [StateArray("ngrams.recent", max(config.ngrams) - 1, "tokens")] if config.ngrams else []
    return (*layers, *recent)


def own_arrays(config: ModelConfig) -> int:
    """How many arrays of a state one member has; those of the members come first."""
    return sum(array.member == 0 for array in state_of(config))


def prefix(config: ModelConfig, place: int) -> str:
    """The prefix of the names of a member's parameters."""
    return "" if config.members == 1 else f"members.{place}."


def of_cell(
    cell: CellSpec,
    input_size: int,
    units: int,
    layer: int = 0,
    *,
    one_hot: bool = False,
    member: int | None = None,
) -> Iterator[Parameter]:
    """The parameters of a cell, under PyTorch's names."""
    gates, place, spread = len(cell.gates), (1, layer), units**-0.5
    ih = "weight_ih", (gates * units, input_size)
    if one_hot:
        yield Parameter(*ih, "input", member, by_columns=True, place=place, spread=spread)
    else:
        yield Parameter(*ih, "map", member, gates, place=place, spread=spread)
    if cell.products:
        shape = gates * units, units
        yield Parameter("weight_hh", shape, "map", member, gates, place=place, spread=spread)
    starts = {cell.gates.index(gate) * units: value for gate, value in cell.biases.items()}
    for name, counts in (("bias_ih", 1), ("bias_hh", 0))[: 1 + cell.hidden_bias]:
        values = tuple((slice(start, start + units), counts * value) for start, value in starts.items())
        size = (gates * units,)
        yield Parameter(name, size, "vector", member, place=place, spread=spread, values=values)


def _of_member(config: ModelConfig, vocab_size: int, place: int) -> Iterator[Parameter]:
    E, H, own = config.embedding_size, config.hidden_size, prefix(config, place)
    if E is not None:
        # Of deviation 1 as PyTorch's; of length 1 where the head shares them.
        spread = E**-0.5 if config.tied else 1.0
        shape = (vocab_size, E)
        yield Parameter(f"{own}embedding.weight", shape, "input", place, place=(0,), spread=spread)
    for layer in range(config.num_layers):
        below = H if layer else (E or vocab_size)
        one_hot = E is None and layer == 0
        for each in of_cell(CELLS[config.cell], below, H, layer, one_hot=one_hot, member=place):
            yield replace(each, name=f"{own}stack.{layer}.{each.name}")


def _shared(config: ModelConfig, vocab_size: int) -> Iterator[Parameter]:
    V, H, E = vocab_size, config.members * config.hidden_size, config.embedding_size
    spread = H**-0.5
    if not config.tied:
        yield Parameter("head.weight", (V, H), "output", place=(2,), spread=spread)
    elif E is not None and config.members * E != H:
        yield Parameter("head.projection.weight", (config.members * E, H), "map", place=(2,), spread=spread)
    yield Parameter("head.bias", (V,), "vector")
    if config.ngrams:
        yield Parameter(TABLE, (len(config.ngrams) * config.ngram_rows, V), "table")
