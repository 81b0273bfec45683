"""Small models with random weights and every kind of tokenizer, ready for use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pantoum.config import ModelConfig
from pantoum.inference.loaded_model import LoadedModel
from pantoum.network import LanguageModel
from pantoum.network.program import Program
from pantoum.text.bpe import BpeTokenizer
from pantoum.text.byte import ByteTokenizer
from pantoum.text.tokenizer import Tokenizer, learner

TEXT = "The cat sat on the mat.\nA naïve dog ran, ran and ran!\n\nThe end of the day: 12 o'clock.\n" * 3


def learned(kind: str, documents: str | None = None, vocab_size: int | None = None) -> Tokenizer:
    """A tokenizer learned from ``TEXT``."""
    if kind == "bytes":
        return ByteTokenizer(documents)
    if kind.startswith("bpe"):
        pairs = [*((number, number + 1) for number in (33, 65, 98)), (11, 33)]
        return BpeTokenizer(pairs, documents, kind)
    scholar = learner(kind, vocab_size, documents)
    scholar.feed(TEXT)
    return scholar.learn()


def model_of(
    tokenizer: Tokenizer,
    cell: str = "gru",
    seed: int = 3,
    sharpness: float = 3.0,
    ngrams: tuple[int, ...] = (),
    members: int = 1,
) -> LoadedModel:
    """A model with random weights, large enough that its answers differ from one another."""
    config = ModelConfig(cell, 16, 2, 8, ngrams=ngrams, ngram_rows=64, members=members)
    network = LanguageModel(tokenizer.vocab_size, config=config, seed=seed)
    for array in network.parameters.values():
        array *= sharpness
    if network.config.ngrams:  # whose table begins at 0
        table_WV = network.parameters["ngrams.weight"]
        table_WV[...] = np.random.default_rng(seed).standard_normal(table_WV.shape)
    return LoadedModel(Program(network), tokenizer, {"made": "by a test"}, sha256="ab" * 32)


@pytest.fixture(scope="session")
def make() -> Callable[..., LoadedModel]:
    """``make(kind, documents=None, cell="gru", ngrams=())``: a model, the same each time."""

    def build(
        kind: str = "characters",
        documents: str | None = None,
        cell: str = "gru",
        vocab_size: int | None = None,
        ngrams: tuple[int, ...] = (),
        members: int = 1,
    ) -> LoadedModel:
        return model_of(learned(kind, documents, vocab_size), cell, ngrams=ngrams, members=members)

    return build


@pytest.fixture(scope="session")
def characters(make: Callable[..., LoadedModel]) -> LoadedModel:
    return make("characters")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)
