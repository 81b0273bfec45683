"""Training in PyTorch: the steps of the core within rounding, and runs that change engines."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pantoum
from pantoum.config import DropoutConfig, ModelConfig
from pantoum.data.batches import Batch
from pantoum.errors import CheckpointError, RankError, SettingError
from pantoum.training.assembly import make_backend
from pantoum.training.recipe.recipe import Recipe
from pantoum.training.update.spelling import parts_of
from pantoum.training.update.symbols import NO_SYMBOLS, Symbols

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]
V, B, T = 11, 3, 9
WORDS = ["\n", "walking", "walked", "talking", "talked", "Talks", "walks", "winking", "was", "?", "7"]
RATE = 0.003
SHAPES: dict[str, dict[str, Any]] = {
    "adamw": {},
    "lstm, muon": {"cell": "lstm", "optimizer": "muon"},
    "tied, muon": {"tied": True, "optimizer": "muon"},
    "n-grams": {"ngrams": (2, 3), "ngram_rows": 16, "optimizer": "muon", "table_rate": 0.4},
    "two members": {"members": 2, "embedding_size": None, "ngrams": (2,)},
    "dropout": {"dropout": DropoutConfig(0.1, 0.2, 0.3), "cell": "mingru", "tied": True},
    "pull": {"pull": 30.0, "optimizer": "muon"},
    "spelling": {"spelling": 0.3, "tied": True, "optimizer": "muon"},
    "spelling, members, pull": {"spelling": 0.0, "members": 2, "pull": 30.0},
}


def recipe_of(
    optimizer: str = "adamw",
    members: int = 1,
    precision: str = "float32",
    pull: float = 0.0,
    spelling: float | None = None,
    table_rate: float = 1.0,
    **shape: Any,
) -> Recipe:
    model = ModelConfig(**{"hidden_size": 12, "num_layers": 2, "embedding_size": 5, **shape})
    rates = {"learning_rate": RATE, "schedule": "constant", "warm_up": 0.0, "weight_decay": 0.1}
    return Recipe(
        model=model,
        batch_size=B,
        seq_len=T,
        optimizer=optimizer,
        **rates,
        clip=0.2,
        average=0.9,
        precision=precision,
        seed=5,
        members=members,
        pull=pull,
        spelling=spelling,
        table_rate=table_rate,
    )


def train(backend: Any, state: Any, steps: range) -> tuple[list[float], Any]:
    """The losses of some steps, and the state after them."""
    draw, losses = np.random.default_rng(1), []
    tokens, resets = draw.integers(0, V, (B, 300)), draw.random((B, 300)) < 0.1
    for step in steps:
        here, after = (slice(step * T + more, (step + 1) * T + more) for more in (0, 1))
        batch = Batch(tokens[:, here], tokens[:, after], resets[:, here], 0)
        found = backend.gradients(batch, state, step, np.array([4, 0, 7]))
        backend.update(RATE, 0.2)
        losses.append(found.loss)
        state = found.state
    return losses, state


@pytest.mark.parametrize("shape", SHAPES)
def test_steps_are_those_of_the_core_and_engines_change_between_them(torch: Any, shape: str) -> None:
    from pantoum.apps.torch.torch_backend import TorchBackend

    recipe = recipe_of(**SHAPES[shape])
    symbols = Symbols(parts_VO=parts_of(WORDS)) if recipe.spelling is not None else NO_SYMBOLS
    core = make_backend(recipe, V, symbols=symbols)
    expected, end = train(core, core.initial_state(B), range(24))
    one, two = make_backend(recipe, V, symbols=symbols), TorchBackend(recipe, V, "cpu", symbols)
    losses, state = train(one, one.initial_state(B), range(4))
    two.restore(one.snapshot())
    more, state = train(two, state, range(4, 19))  # words move with their parts at the 16th update
    one.restore(two.snapshot())
    last, state = train(one, state, range(19, 24))
    np.testing.assert_allclose(losses + more + last, expected, rtol=1e-4)
    for found, other in zip(state.arrays, end.arrays, strict=True):
        np.testing.assert_allclose(found, other, atol=1e-3)
    kept = core.snapshot()
    for name, array in one.snapshot().items():
        scale = max(1e-6, float(np.abs(kept[name]).max()))
        np.testing.assert_allclose(array / scale, kept[name] / scale, atol=5e-3, err_msg=name)


def test_a_snapshot_is_a_copy_and_brings_everything_back(torch: Any) -> None:
    from pantoum.apps.torch.torch_backend import TorchBackend

    recipe = recipe_of(**SHAPES["n-grams"])
    one, two = (TorchBackend(recipe, V, "cpu") for _ in range(2))
    one.restore(make_backend(recipe, V).snapshot())
    _, state = train(one, one.initial_state(B), range(3))
    kept = one.snapshot()
    copied = {name: array.copy() for name, array in kept.items()}
    first = train(one, state, range(3, 7))[0]
    assert all(np.array_equal(copied[name], array) for name, array in kept.items())
    two.restore(kept)
    assert train(two, state, range(3, 7))[0] == first
    with pytest.raises(CheckpointError, match=r"weights\.head\.bias is missing, this run needs float32"):
        two.restore({name: array for name, array in kept.items() if name != "weights.head.bias"})
    for name in ("weights", "gradient_scale"):
        arguments = (True,) if name == "weights" else ()
        found, other = getattr(one, name)(*arguments), getattr(make_backend(recipe, V), name)(*arguments)
        assert {key: array.shape for key, array in found.items()} == {k: a.shape for k, a in other.items()}


@pytest.mark.parametrize("cell", ["gru", "lstm", "gru-before"])
def test_bf16_stays_near_float32(torch: Any, cell: str) -> None:
    from pantoum.apps.torch.torch_backend import TorchBackend

    losses = []
    for precision in ("float32", "bf16"):
        recipe = recipe_of(cell=cell, precision=precision)
        backend = TorchBackend(recipe, V, "cpu")
        backend.restore(make_backend(recipe, V).snapshot())
        losses.append(train(backend, backend.initial_state(B), range(6))[0])
    assert losses[0] != losses[1]
    np.testing.assert_allclose(*losses, rtol=0.02)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    draw = random.Random(1)
    words = ["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree"]
    path = tmp_path / "story.txt"
    path.write_text("".join(" ".join(draw.choices(words, k=9)) + ".\n" for _ in range(200)))
    return path


def test_a_run_goes_on_with_another_engine(torch: Any, text: Path, tmp_path: Path) -> None:
    """Core, PyTorch, core: each session resumes the one before, and the loss is that of a run on the core."""
    asked = {"hidden_size": 12, "num_layers": 1, "batch_size": 4, "seq_len": 16, "progress": False}
    runs = {}
    for name, devices in {"core": (None, None, None), "both": (None, "cpu", "auto")}.items():
        folder = str(tmp_path / name)
        pantoum.train(str(text), run=folder, steps=24, stop_after=8, device=devices[0], **asked)
        pantoum.train(run=folder, resume=True, stop_after=16, device=devices[1], progress=False)
        runs[name] = pantoum.train(run=folder, resume=True, device=devices[2], progress=False)
    losses = [run.evaluation.nats_per_token for run in runs.values() if run.evaluation is not None]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3) and len(losses) == 2
    assert runs["both"].result.steps == 24


def test_a_run_says_that_it_trains_in_pytorch(torch: Any, text: Path, tmp_path: Path) -> None:
    run = pantoum.train(
        str(text), run=str(tmp_path / "r"), steps=2, hidden_size=8, num_layers=1, device="cpu", progress=False
    )
    assert any("trains in PyTorch" in note and "bits do not" in note for note in run.result.notes)


def test_devices_that_are_not_there_are_refused(torch: Any, text: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="device is 'gpu'"):
        pantoum.train(str(text), run=str(tmp_path / "r"), steps=1, device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(SettingError, match="needs a GPU that PyTorch can use"):
            pantoum.train(str(text), run=str(tmp_path / "r"), steps=1, device="cuda")
    assert not (tmp_path / "r").exists()


def test_an_incomplete_environment_of_torchrun_is_told(
    torch: Any, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(RankError, match=r"cannot be joined .*PANTOUM_LAUNCHER=none"):
        pantoum.train(str(text), run=str(tmp_path / "r"), steps=1)
    assert not (tmp_path / "r").exists()


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_steps_on_a_gpu_are_those_of_the_core(torch: Any, shape: str, precision: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("SKIP SKIP SKIP: no GPU here, training on one was not tested")
    from pantoum.apps.torch.torch_backend import TorchBackend

    core = make_backend(recipe_of(**SHAPES[shape]), V)
    backend = TorchBackend(recipe_of(**SHAPES[shape], precision=precision), V, "cuda")
    backend.restore(core.snapshot())
    losses, _ = train(backend, core.initial_state(B), range(8))
    expected, _ = train(core, core.initial_state(B), range(8))
    np.testing.assert_allclose(losses, expected, rtol=1e-3 if precision == "float32" else 0.03)
