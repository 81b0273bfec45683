"""Counted n-grams beside a network in PyTorch: the mixture of the kernels, from a model and from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.config import ModelConfig
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.exporting import export
from pantoum.inference.files.counts_file import arrays_of, with_weights
from pantoum.inference.loaded_model import LoadedModel
from pantoum.network import LanguageModel
from pantoum.network.mixers.counts import CountMixture, Counts, counted
from pantoum.network.network_state import NetworkState
from pantoum.network.program import Program
from pantoum.text.byte import ByteTokenizer

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]
TOKENIZER = ByteTokenizer()
V, B, T = TOKENIZER.vocab_size, 3, 13
TEXT = TOKENIZER.encode("The cat sat on the mat. The dog ran and ran, and the cat ran too!\n" * 9)
SHAPES: dict[str, dict[str, Any]] = {
    "counts": {},
    "with n-grams": {"ngrams": (2, 4), "ngram_rows": 64},
    "members": {"members": 2, "cell": "lstm", "ngrams": (3,), "ngram_rows": 64},
}


def program_of(order: int = 4, eos: int | None = None, **shape: Any) -> Program:
    model = LanguageModel(V, config=ModelConfig(hidden_size=7, num_layers=2, embedding_size=5, **shape))
    for array in model.parameters.values():
        array *= 3
    counts = Counts(V, counted(np.asarray(TEXT), V, order, eos))
    weights_C = np.random.default_rng(1).random(counts.buckets).astype(np.float32)
    return Program(model, mixers=[CountMixture(counts, weights_C)])


def texts() -> tuple[Any, Any, Any]:
    """Pieces of the text, with tokens of which nothing is known."""
    draw = np.random.default_rng(2)
    starts = draw.integers(0, len(TEXT) - T - 1, B)
    tokens = np.stack([np.asarray(TEXT)[start : start + T + 1] for start in starts]).astype(np.int64)
    tokens[draw.random(tokens.shape) < 0.1] = 200
    return tokens[:, :-1], tokens[:, 1:], draw.random((B, T)) < 0.15


def begun(program: Program) -> NetworkState:
    """A state after some tokens, of which one row has a gap and one has what no token is."""
    tokens = np.stack([np.asarray(TEXT)[row : row + 6] for row in (0, 4, 9)]).astype(np.int64)
    arrays = program.logits(tokens, program.initial_state(B))[1].arrays
    arrays[-1][1, 1], arrays[-1][2, 0] = 0, V + 7
    return NetworkState(arrays)


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("rows", ["plain", "resets", "lengths"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_mixture_is_that_of_the_kernels(torch: Any, shape: str, rows: str) -> None:
    from pantoum.apps.torch import state_to_torch, to_torch

    program, (inputs, targets, resets) = program_of(**SHAPES[shape]), texts()
    state, lengths = begun(program), np.array([5, T, 0])
    given = {"resets": {"reset_BT": resets}, "lengths": {"lengths": lengths}}.get(rows, {})
    logits, after = program.logits(inputs, state, **given)
    nats, _, _ = program.losses(inputs, targets, state, **given)
    module = to_torch(LoadedModel(program, TOKENIZER))
    found, last = module(
        torch.tensor(inputs), state_to_torch(state), **{name: torch.tensor(a) for name, a in given.items()}
    )
    for row, length in enumerate(lengths if rows == "lengths" else [T] * B):
        close(found[row, :length].detach().numpy(), logits[row, :length])
    for own, other in zip(last, after.arrays, strict=True):
        close(own.detach().numpy(), other)
    if rows != "lengths":
        options = {name: torch.tensor(array) for name, array in given.items()}
        own_nats, _ = module.losses(
            torch.tensor(inputs), torch.tensor(targets), state_to_torch(state), **options
        )
        close(own_nats.detach().numpy(), nats)
        own_nats.mean().backward()
        assert all(parameter.grad is not None for parameter in module.parameters())
    assert set(module.state_dict()) == set(program.model.parameters), "counts are no parameters"


def test_without_counts_the_module_is_the_network(torch: Any) -> None:
    from pantoum.apps.torch import from_torch, to_torch

    program, (inputs, _, _) = program_of(), texts()
    module = to_torch(LoadedModel(program, TOKENIZER))
    module.counts = None
    alone = Program(program.model)
    expected, _ = alone.logits(inputs, alone.initial_state(B))
    close(module(torch.tensor(inputs))[0].detach().numpy(), expected)
    back = from_torch(to_torch(LoadedModel(program, TOKENIZER)))
    assert all(np.array_equal(back.parameters[name], a) for name, a in program.model.parameters.items())


@pytest.mark.parametrize("order", [2, 5])
def test_an_exported_file_has_the_counts(torch: Any, order: int, tmp_path: Path) -> None:
    """A file of ``export`` gives what the model file gives, states of text that goes on included."""
    import pantoum.apps.torch

    program, (inputs, targets, _) = program_of(), texts()
    orders = counted(np.asarray(TEXT), V, order, 32)
    counts = Counts(V, orders)
    weights_C = np.random.default_rng(3).random(counts.buckets).astype(np.float32)
    extras = with_weights(arrays_of(V, orders), CountMixture(counts, weights_C))
    network = program.model
    content = ModelFile(network.config.spec(), dict(network.parameters), TOKENIZER.spec(), {}, extras)
    model_file.write(tmp_path / "model", content)
    told = export(tmp_path / "model", "torch", tmp_path / "exported")
    assert told["names"] == "pantoum.apps.torch" and not told["notes"]
    both = Program(network, mixers=[CountMixture(counts, weights_C)])
    nats, _, state = both.losses(inputs, targets, both.initial_state(B))
    more, _, _ = both.losses(targets, inputs, state)
    for name in ("model", "exported"):
        module = pantoum.apps.torch.load(tmp_path / name)
        own, after = module.losses(torch.tensor(inputs), torch.tensor(targets))
        close(own.detach().numpy(), nats)
        close(module.losses(torch.tensor(targets), torch.tensor(inputs), after)[0].detach().numpy(), more)
