"""``pantoum.apps.torch`` beside the kernels: losses, states and gradients, from states that are not zero."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pantoum.config import CELLS, DropoutConfig, ModelConfig
from pantoum.errors import ModelFileError, SettingError
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.exporting import export
from pantoum.network import LanguageModel
from pantoum.network.network_state import NetworkState
from pantoum.network.program import Program, Wanted
from pantoum.text.byte import ByteTokenizer

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]
V, B, T = 11, 3, 13
CLOSE = 2e-5
SHAPES: dict[str, dict[str, Any]] = {
    **{cell: {"cell": cell} for cell in CELLS},
    "one-hot": {"embedding_size": None},
    "tied": {"tied": True},
    "tied, no projection": {"tied": True, "embedding_size": 7},
    "n-grams": {"ngrams": (2, 3, 5), "ngram_rows": 64},
    "members": {"members": 3, "ngrams": (2,), "cell": "lstm"},
    "members, tied": {"members": 3, "tied": True, "embedding_size": 7},
    "members, one-hot": {"members": 2, "embedding_size": None, "cell": "gru-before"},
    "dropout": {"dropout": DropoutConfig(0.2, 0.3, 0.4), "embedding_size": None},
    "variational": {"dropout": DropoutConfig(0.2, 0.3, 0.4, "variational"), "cell": "mingru"},
}


def build(**shape: Any) -> LanguageModel:
    sizes = {"hidden_size": 7, "num_layers": 2, "embedding_size": 5}
    model = LanguageModel(V, config=ModelConfig(**{**sizes, **shape}), seed=4)
    for name, array in model.parameters.items():
        if name.endswith(("bias", "bias_ih", "norm.weight")) or name.startswith("ngrams"):
            array += np.random.default_rng(len(name)).standard_normal(array.shape).astype(np.float32) / 3
    return model


def begun(model: LanguageModel) -> NetworkState:
    """A state after some tokens."""
    tokens = np.random.default_rng(1).integers(0, V, (B, 6))
    return Program(model).logits(tokens, model.initial_state(B))[1]


def batch(resets: float) -> tuple[Any, Any, Any]:
    random = np.random.default_rng(2)
    tokens = random.integers(0, V, (B, T + 1))
    return tokens[:, :-1], tokens[:, 1:], random.random((B, T)) < resets


def close(found: Any, expected: Any, what: str = "") -> None:
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=CLOSE, err_msg=what)


WAYS = {"torch": {}, "loop": {"fused": False}}
"""What computes a recurrence: PyTorch's modules where there are any; a loop."""


def set_way(module: Any, way: str) -> Any:
    for layer in module.modules():
        if hasattr(layer, "fused"):
            for name, value in WAYS[way].items():
                setattr(layer, name, value)
    return module


@pytest.mark.parametrize(
    ("way", "resets"),
    [("torch", 0.0), ("torch", 0.02), ("torch", 0.4), ("loop", 0.1)],
)
@pytest.mark.parametrize("shape", SHAPES)
def test_losses_states_and_gradients_are_those_of_the_kernels(
    torch: Any, shape: str, way: str, resets: float
) -> None:
    from pantoum.apps.torch import state_from_torch, state_to_torch, to_torch

    model, (inputs, targets, reset), key = build(**SHAPES[shape]), batch(resets), (2**40 + 9, 3)
    state, streams = begun(model), np.array([4, 0, 9])
    expected = Program(model, purpose="train").gradients(
        inputs, targets, state, Wanted(dropout_key=key, streams=streams), reset_BT=reset
    )
    module = set_way(to_torch(model), way)
    nats, after = module.losses(
        torch.tensor(inputs),
        torch.tensor(targets),
        state_to_torch(state),
        reset_BT=torch.tensor(reset) if resets else None,
        dropout_key=key,
        streams=torch.tensor(streams),
    )
    nats.mean().backward()
    close(nats.detach().numpy(), expected.nats_BT)
    for own, other in zip(state_from_torch(after).arrays, expected.state.arrays, strict=True):
        close(own, other)
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    assert set(gradients) == set(model.parameters)
    for name, gradient in expected.gradients.items():
        close(gradients[name].numpy(), gradient.whole(model.parameters[name].shape), name)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", [*CELLS, "n-grams", "members"])
def test_rows_of_different_lengths(torch: Any, shape: str, way: str) -> None:
    """Logits within the length of each row, and the state there; a row of length 0 keeps its state."""
    from pantoum.apps.torch import state_to_torch, to_torch

    model, (tokens, _, reset), lengths = build(**SHAPES[shape]), batch(0.2), np.array([5, T, 0])
    state = begun(model)
    expected, last = Program(model).logits(tokens, state, reset_BT=reset, lengths=lengths)
    logits, after = set_way(to_torch(model), way)(
        torch.tensor(tokens),
        state_to_torch(state),
        reset_BT=torch.tensor(reset),
        lengths=torch.tensor(lengths),
    )
    for row, length in ((0, 5), (1, T)):
        close(logits[row, :length].detach().numpy(), expected[row, :length])
    for own, other in zip(after, last.arrays, strict=True):
        close(own.detach().numpy(), other)


def test_a_loss_by_parts_has_the_gradients_of_the_whole(torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pantoum.apps.torch import language_module, to_torch

    inputs, targets, _ = (torch.tensor(each) for each in batch(0.0))
    for shape in ("gru", "tied", "n-grams", "members"):
        found = []
        for at_once in (2**22, 40):
            monkeypatch.setattr(language_module, "LOGITS_AT_ONCE", at_once)
            module = to_torch(build(**SHAPES[shape]))
            nats, _ = module.losses(inputs, targets)
            (nats * torch.linspace(0, 1, nats.numel()).reshape(nats.shape)).sum().backward()
            found.append([nats.detach(), *(each.grad for each in module.parameters())])
        for one, other in zip(*found, strict=True):
            close(one.numpy(), other.numpy(), shape)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["gru-before"])
def test_a_compiled_step_is_the_step(torch: Any, cell: str) -> None:
    from pantoum.apps.torch import state_to_torch, to_torch

    model, (inputs, targets, reset), found = build(cell=cell), batch(0.2), []
    for compiled in (False, True):
        module = set_way(to_torch(model), "loop")
        for layer in module.stack if compiled else ():
            layer.compiled = True
        nats, _ = module.losses(
            torch.tensor(inputs), torch.tensor(targets), state_to_torch(begun(model)),
            reset_BT=torch.tensor(reset),
        )  # fmt: skip
        nats.mean().backward()
        found.append([nats.detach(), *(each.grad for each in module.parameters())])
    for one, other in zip(*found, strict=True):
        close(one.numpy(), other.numpy())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_network_comes_back_with_every_bit(torch: Any, shape: str, dtype: str) -> None:
    from pantoum.apps.torch import from_torch, to_torch

    sizes = {"hidden_size": 7, "num_layers": 2, "embedding_size": 5}
    model = LanguageModel(V, config=ModelConfig(**{**sizes, **SHAPES[shape]}), dtype=dtype)
    back = from_torch(to_torch(model))
    assert back.config == model.config and back.dtype == model.dtype
    for name, array in model.parameters.items():
        np.testing.assert_array_equal(back.parameters[name], array)
        assert not np.shares_memory(back.parameters[name], array)


def test_parameters_that_are_replaced_are_the_ones_in_use(torch: Any) -> None:
    """PyTorch's modules share the parameters after a load by assignment, in a copy and in another dtype."""
    from pantoum.apps.torch import to_torch

    one, two = to_torch(build(cell="lstm")), to_torch(build(cell="lstm"))
    with torch.no_grad():
        for parameter in two.parameters():
            parameter.mul_(2)
    tokens = torch.tensor(batch(0)[0])
    one(tokens)
    copied = copy.deepcopy(one)
    copied.load_state_dict(two.state_dict(), assign=True)
    torch.testing.assert_close(copied(tokens)[0], two(tokens)[0])
    assert not torch.equal(copied(tokens)[0], one(tokens)[0])
    torch.testing.assert_close(one.double()(tokens)[0], to_torch(build(cell="lstm"))(tokens)[0].double())


def test_tokens_as_tokenizers_give_them(torch: Any) -> None:
    from pantoum.apps.torch import to_torch

    module, (inputs, targets, _) = to_torch(build()), batch(0)
    nats = [
        module.losses(*(torch.tensor(each.astype(dtype)) for each in (inputs, targets)))[0]
        for dtype in ("int64", "uint32", "uint8")
    ]
    assert torch.equal(nats[0], nats[1]) and torch.equal(nats[0], nats[2])


def test_mistakes_are_named(torch: Any) -> None:
    from pantoum.apps.torch import to_torch

    module, tokens = to_torch(build()), torch.tensor(batch(0)[0])
    for words, arguments, options in (
        (r"must have the shape \[B, T\]", (tokens[0],), {}),
        ("must be whole numbers", (tokens.float(),), {}),
        ("must be token numbers from 0 to 10", (tokens + 1,), {}),
        ("must be token numbers from 0 to 10", (tokens - 11,), {}),
        ("state is", (tokens, module.initial_state(B + 1)), {}),
        ("reset_BT is", (tokens,), {"reset_BT": torch.zeros(B, T + 1, dtype=torch.bool)}),
    ):
        with pytest.raises(SettingError, match=words):
            module(*arguments, **options)


@pytest.mark.parametrize("shape", ["gru", "members, one-hot", "n-grams"])
def test_an_exported_file_and_its_model_file_are_one_module(torch: Any, shape: str, tmp_path: Path) -> None:
    import pantoum.apps.torch

    tokenizer = ByteTokenizer()
    sizes = {"hidden_size": 7, "num_layers": 2, "embedding_size": 5}
    network = LanguageModel(tokenizer.vocab_size, config=ModelConfig(**{**sizes, **SHAPES[shape]}))
    content = ModelFile(network.config.spec(), dict(network.parameters), tokenizer.spec(), {})
    model_file.write(tmp_path / "model", content)
    export(tmp_path / "model", "torch", tmp_path / "exported")
    tokens = torch.tensor([[72, 0, 255, 9], [1, 2, 3, 4]])
    logits = [pantoum.apps.torch.load(tmp_path / name)(tokens)[0] for name in ("model", "exported")]
    torch.testing.assert_close(*logits)
    (tmp_path / "text").write_text("no model")
    with pytest.raises(ModelFileError):
        pantoum.apps.torch.load(tmp_path / "text")


@pytest.mark.parametrize("shape", [*CELLS, "members", "n-grams"])
def test_a_module_is_saved_whole_and_copied(torch: Any, shape: str, tmp_path: Path) -> None:
    from pantoum.apps.torch import to_torch

    module, tokens = to_torch(build(**SHAPES[shape])), torch.tensor(batch(0)[0])
    torch.save(module, tmp_path / "m")
    for again in (torch.load(tmp_path / "m", weights_only=False), copy.deepcopy(module)):
        assert torch.equal(again(tokens)[0], module(tokens)[0])
        assert set(again.state_dict()) == set(module.state_dict())


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_exported_goes_through_a_state_dict(torch: Any, shape: str, tmp_path: Path) -> None:
    """Every network: as its file, as the state_dict of its module, saved and loaded by others' programs."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    import pantoum.apps.torch

    tokenizer = ByteTokenizer()
    sizes = {"hidden_size": 7, "num_layers": 2, "embedding_size": 5}
    network = LanguageModel(tokenizer.vocab_size, config=ModelConfig(**{**sizes, **SHAPES[shape]}))
    content = ModelFile(network.config.spec(), dict(network.parameters), tokenizer.spec(), {})
    model_file.write(tmp_path / "model", content)
    told = export(tmp_path / "model", "torch", tmp_path / "exported")
    module, tokens = (
        pantoum.apps.torch.load(tmp_path / "exported"),
        torch.tensor([[72, 0, 255, 9], [1, 2, 3, 4]]),
    )
    save_file(module.state_dict(), tmp_path / "saved")
    again = pantoum.apps.torch.LanguageModule(tokenizer.vocab_size, module.config)
    again.load_state_dict(load_file(tmp_path / "saved"))
    assert torch.equal(again(tokens)[0], module(tokens)[0])
    close(
        module(tokens)[0].detach().numpy(),
        Program(network).logits(tokens.numpy(), network.initial_state(2))[0],
    )
    with safe_open(tmp_path / "exported", "pt") as file:
        assert file.metadata()["format"] == "pt"
    if told["names"] == "pantoum.apps.torch":
        again.load_state_dict(load_file(tmp_path / "exported"))
        assert torch.equal(again(tokens)[0], module(tokens)[0])


@st.composite
def shapes(draw: st.DrawFn) -> ModelConfig:
    members, size = draw(st.integers(1, 3)), draw(st.integers(1, 24))
    embedding = draw(st.none() | st.integers(1, 12))
    tied = embedding is not None and draw(st.booleans())
    ngrams = draw(st.sampled_from([(), (2,), (2, 3, 5)]))
    return ModelConfig(
        draw(st.sampled_from(sorted(CELLS))), size, draw(st.integers(1, 3)),
        size if tied and members > 1 else embedding,
        tied=tied, members=members, ngrams=ngrams, ngram_rows=64,
    )  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shapes())
def test_drawn_models_that_are_exported_have_the_same_logits(
    torch: Any, tmp_path: Path, shape: ModelConfig
) -> None:
    import pantoum.apps.torch

    tokenizer, random = ByteTokenizer(), np.random.default_rng(0)
    network = LanguageModel(tokenizer.vocab_size, config=shape, seed=None)
    for array in network.parameters.values():
        array[...] = random.standard_normal(array.shape) / max(2, array.shape[-1] ** 0.5)
    content = ModelFile(shape.spec(), dict(network.parameters), tokenizer.spec(), {})
    model_file.write(tmp_path / "model", content)
    export(tmp_path / "model", "torch", tmp_path / "exported")
    tokens = random.integers(0, tokenizer.vocab_size, (2, 9))
    expected, _ = Program(network).logits(tokens, network.initial_state(2))
    found = pantoum.apps.torch.load(tmp_path / "exported")(torch.tensor(tokens))[0].detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_module_that_was_trained_becomes_a_model_again(torch: Any, tmp_path: Path) -> None:
    import pantoum
    from pantoum.apps.torch import save, to_torch
    from pantoum.errors import SettingError

    pantoum.train(
        text="The cat sat on the mat. " * 200,
        run=str(tmp_path / "run"),
        steps=3,
        hidden_size=8,
        num_layers=1,
        progress=False,
    )
    model = pantoum.load(tmp_path / "run")
    module = to_torch(model)
    tokens = torch.tensor(model.tokenizer.encode("The cat sat on the mat. " * 20).astype(np.int64))[None]
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    for _ in range(10):
        nats, _ = module.losses(tokens[:, :-1], tokens[:, 1:], module.initial_state(1))
        nats.mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    new = save(module, tmp_path / "new.safetensors", like=model)
    before, after = (m.evaluate(text="The cat sat on the mat. " * 20) for m in (model, new))
    assert after.nats_per_token < before.nats_per_token - 0.1
    assert new.card["validation"] is None and new.card["trained_in"] == "PyTorch"
    assert "PyTorch" in str(pantoum.info(tmp_path / "new.safetensors"))
    assert new.generate("The", length=5, seed=1) == pantoum.load(tmp_path / "new.safetensors").generate(
        "The", length=5, seed=1
    )
    with pytest.raises(SettingError, match="not the network of like"):
        save(to_torch(build(cell="lstm")), tmp_path / "no.safetensors", like=model)
    with torch.no_grad():
        module.head.bias[0] = float("nan")
    with pytest.raises(SettingError, match="not finite"):
        save(module, tmp_path / "no.safetensors", like=model)
