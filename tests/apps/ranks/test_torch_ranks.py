"""PyTorch on several ranks: losses, gradients and runs are those of one process of the core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.apps.ranks.group import RankGroup
from pantoum.apps.ranks.sums import RankSums
from pantoum.config import DropoutConfig, ModelConfig
from pantoum.data.batches import Batch
from pantoum.errors import RankError
from pantoum.network.parameters import seed_of
from pantoum.network.program import Program, Wanted
from pantoum.training import run_session
from pantoum.training.assembly import make_backend
from pantoum.training.begin import TrainingCommand
from pantoum.training.recipe.recipe import Recipe
from pantoum.training.run_session import train

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]
V, B, T = 11, 5, 9
RATE = 0.003
STREAMS = np.array([4, 0, 7, 2, 9])
SHAPES: dict[str, dict[str, Any]] = {
    "adamw": {},
    "lstm, muon": {"cell": "lstm", "optimizer": "muon"},
    "n-grams": {"ngrams": (2, 3), "ngram_rows": 16, "optimizer": "muon"},
    "two members": {"members": 2, "embedding_size": None, "ngrams": (2,)},
    "dropout": {"dropout": DropoutConfig(0.1, 0.2, 0.3), "cell": "mingru", "tied": True},
}


class Tensors:
    """What ranks that are threads need to exchange tensors; goes before their class."""

    def collected(self, tensor: Any) -> list[Any]:
        import torch

        own = np.ascontiguousarray(tensor.contiguous().view(torch.uint8).numpy())  # NumPy has no bfloat16
        found = [own if rank == self.rank else np.empty_like(own) for rank in range(self.count)]
        others = [rank for rank in range(self.count) if rank != self.rank and own.size]
        self.exchange([(rank, own) for rank in others], [(rank, found[rank]) for rank in others])()
        return [torch.from_numpy(array).view(tensor.dtype) for array in found]

    def add_up(self, tensor: Any) -> Any:
        tensor.copy_(sum(self.collected(tensor)))
        return self.exchange([], [])


def with_tensors(ranks: Any) -> Any:
    ranks.__class__ = type("TensorThreads", (Tensors, type(ranks)), {})
    return ranks


@pytest.fixture(autouse=True)
def torch() -> Any:
    return pytest.importorskip("torch", reason="SKIP SKIP SKIP: no PyTorch here to test")


def recipe_of(optimizer: str = "adamw", members: int = 1, shards: int = 1, **shape: Any) -> Recipe:
    model = ModelConfig(**{"hidden_size": 12, "num_layers": 2, "embedding_size": 5, **shape})
    return Recipe(
        model=model, batch_size=B, seq_len=T, optimizer=optimizer, learning_rate=RATE,
        schedule="constant", warm_up=0.0, weight_decay=0.1,
        clip=0.2, average=0.9, precision="float32", seed=5, members=members, shards=shards,
    )  # fmt: skip


def batch(step: int) -> tuple[Any, Any, Any]:
    draw = np.random.default_rng(step)
    tokens, resets = draw.integers(0, V, (B, T + 1)), draw.random((B, T)) < 0.1
    return tokens[:, :-1], tokens[:, 1:], resets


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_steps_of_ranks_are_those_of_the_core(together: Any, shape: str, count: int) -> None:
    """Losses, the state of every stream, and the arrays of a checkpoint, which are the same on every rank."""
    from pantoum.apps.torch.torch_backend import TorchBackend

    recipe = recipe_of(**SHAPES[shape], shards=4)
    core = make_backend(recipe, V)
    begun, state, losses = core.snapshot(), core.initial_state(B), list[float]()
    for step in range(8):
        found = core.gradients(Batch(*batch(step), 0), state, step, STREAMS)
        core.update(RATE, 0.2)
        state = found.state
        losses.append(found.loss)

    def work(ranks: Any) -> tuple[list[float], Any, dict[str, Any]]:
        sums, backend = RankSums(with_tensors(ranks), B, 4), TorchBackend(recipe, V, "cpu")
        backend.restore(begun)
        backend.join(sums)
        rows = sums.shards.streams(sums.own)
        own, told = backend.initial_state(rows.stop - rows.start), list[float]()
        for step in range(8):
            result = backend.gradients(Batch(*batch(step), 0).rows(rows), own, step, STREAMS[rows])
            backend.update(RATE, 0.2)
            own = result.state
            told.append(result.loss)
            assert result.finite
        return told, own.arrays, backend.snapshot()

    results = together(count, work)
    for told, _, snapshot in results:
        np.testing.assert_allclose(told, losses, rtol=1e-4)
        for name, array in results[0][2].items():
            np.testing.assert_array_equal(snapshot[name], array, err_msg=name)
    for place, array in enumerate(state.arrays):
        joined = np.concatenate([arrays[place] for _, arrays, _ in results])
        np.testing.assert_allclose(joined, array, atol=1e-3)


@pytest.mark.parametrize("overlaps", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_of_two_ranks_are_those_of_the_core(
    together: Any, monkeypatch: pytest.MonkeyPatch, shape: str, overlaps: bool
) -> None:
    from pantoum.apps.torch.tensor_sums import GradientSums
    from pantoum.apps.torch.torch_backend import TorchLearner

    honest, early = GradientSums.finish, list[int]()

    def finish(self: Any) -> None:
        early.append(len(self._sent))
        honest(self)

    monkeypatch.setattr(GradientSums, "finish", finish)

    recipe = recipe_of(**SHAPES[shape], shards=2)
    core = make_backend(recipe, V)
    inputs, targets, resets = batch(3)
    expected = Program(core.learners[0].model, purpose="train").gradients(
        inputs, targets, core.learners[0].model.initial_state(B), reset_BT=resets,
        wanted=Wanted(dropout_key=(seed_of(recipe.seed, 0), 3), streams=STREAMS),
    ).gradients  # fmt: skip
    begun = {name.removeprefix("member0."): array for name, array in core.snapshot().items()}

    def work(ranks: Any) -> dict[str, Any]:
        import torch

        ranks.overlaps = overlaps
        sums = RankSums(with_tensors(ranks), B, 2)
        rows = sums.shards.streams(sums.own)
        learner = TorchLearner(recipe, V, seed_of(recipe.seed, 0), "cpu")
        learner.restore(begun)
        learner.join(ranks, sums)
        tensors = (torch.tensor(each[rows]) for each in (inputs, targets, resets))
        state = learner.module.initial_state(rows.stop - rows.start)
        learner.gradients(*tensors, state, 3, torch.tensor(STREAMS[rows]))
        return {name: each.grad.to_dense().numpy() for name, each in learner.module.named_parameters()}

    results = together(2, work)
    assert len(early) == 2 and all(count >= 2 if overlaps else count == 0 for count in early), "layers"
    for found in results:
        for name, gradient in expected.items():
            whole = gradient.whole(core.learners[0].model.parameters[name].shape)
            scale = max(1.0, float(np.abs(whole).max()))
            np.testing.assert_allclose(found[name] / scale, whole / scale, rtol=0, atol=2e-5, err_msg=name)


def test_a_run_changes_engines_and_ranks(together: Any, tmp_path: Path) -> None:
    """Two ranks of PyTorch, three of the core, one of PyTorch: the losses of the core alone."""
    (tmp_path / "t.txt").write_text("north wind and south rain, then sun again and again\n" * 80)
    texts, shape = [str(tmp_path / "t.txt")], {"hidden_size": 12, "num_layers": 1, "dropout": 0.2}
    new = {**shape, "batch_size": 6, "seq_len": 8, "shards": 3, "steps": 18}

    def session(count: int, name: str, device: str | None, **asked: Any) -> Any:
        settings = {"run": str(tmp_path / name), "device": device, **asked}

        def own(chosen: Any, engine: Any) -> Any:
            return train(TrainingCommand(chosen, texts, engine=engine))

        if count == 1:
            return run_session.train_together(None, texts, settings, own)
        return together(
            count,
            lambda ranks: run_session.train_together(RankGroup(with_tensors(ranks)), texts, settings, own),
        )[0]

    session(2, "run", "cpu", **new, stop_after=6)
    session(3, "run", None, resume=True, stop_after=12)
    found = session(1, "run", "cpu", resume=True)
    expected = session(1, "core", None, **new)
    assert found.finished and found.steps == 18 and any("trains in PyTorch" in note for note in found.notes)
    losses = [each.validation["nats_per_token"] for each in (found, expected)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)


def test_ranks_without_tensors_are_refused(together: Any) -> None:
    from pantoum.apps.torch.torch_backend import TorchBackend

    def work(ranks: Any) -> None:
        TorchBackend(recipe_of(), V, "cpu").join(RankSums(ranks, B, 2))

    with pytest.raises(RankError, match="start them with torchrun"):
        together(2, work)
