"""How fast a machine trains is what its updates show, without the first one, which makes buffers."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest

from pantoum import kernels
from pantoum.config import TrainSettings
from pantoum.training import pace
from pantoum.training.fastest import Fastest
from pantoum.training.recipe.choose import choose
from pantoum.training.recipe.recipe import Outlook

PREPARED = SimpleNamespace(tokenizer=SimpleNamespace(vocab_size=64), train=SimpleNamespace(count=10**6))
RECIPE = choose(TrainSettings(), Outlook(10**6, 64))


class Machine:
    """A machine that takes the seconds that a table says, for making a model and for each update."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, making: float, updates: list[float]) -> None:
        self.now, self.made, seconds = 1000.0, 0, iter(updates)

        def make_backend(*_, **__):
            self.now += making
            return SimpleNamespace(initial_state=lambda _: None, gradients=gradients, update=lambda *_: None)

        def gradients(*_):
            self.now += next(seconds)
            self.made += 1
            return SimpleNamespace(state=None)

        class Batches:
            batch_size, seq_len = RECIPE.batch_size, RECIPE.seq_len

            def __next__(self) -> None:
                return None

        monkeypatch.setattr(pace, "time", SimpleNamespace(perf_counter=lambda: self.now))
        monkeypatch.setattr(pace, "make_backend", make_backend)
        monkeypatch.setattr(pace, "make_batches", lambda *_: Batches())
        monkeypatch.setattr(pace, "require_memory", lambda *_: None)

    def update_seconds(self, limit: float) -> float:
        """The seconds of an update that are believed."""
        tokens = RECIPE.batch_size * RECIPE.seq_len
        return 6.0 * RECIPE.work(64) * tokens / pace.operations_a_second(RECIPE, PREPARED, limit)


@pytest.mark.parametrize(
    ("making", "updates", "believed", "made"),
    [
        pytest.param(0.1, [0.6, 0.2, 0.3, 0.2, 0.3], 0.25, 5, id="some updates do more than others"),
        pytest.param(9.0, [0.6, 0.2, 0.2, 0.2, 0.2], 0.2, 5, id="the model is made after the limit"),
        pytest.param(0.1, [2.1, 0.3, 0.3, 0.3, 0.3], 0.3, 5, id="the first update takes most of the limit"),
        pytest.param(0.1, [2.1, 1.0, 1.0, 1.0], 1.0, 2, id="there is time for two"),
        pytest.param(0.1, [4.0, 1.0], 4.0, 1, id="there is time for one"),
    ],
)
def test_updates_after_the_first_one_are_believed(monkeypatch, making, updates, believed, made) -> None:
    machine = Machine(monkeypatch, making, updates)
    assert machine.update_seconds(3.7) == pytest.approx(believed)
    assert machine.made == made


@pytest.mark.parametrize("gflops", [50.0, 500.0])
def test_on_a_machine_of_any_speed_the_model_that_is_chosen_is_measured(monkeypatch, gflops: float) -> None:
    measured: list[int] = []

    def operations_a_second(recipe, *_) -> float:
        measured.append(recipe.work(33_278))
        return 0.9 * pace.REACHED * 1e9 * gflops * 2

    monkeypatch.setattr(pace, "operations_a_second", operations_a_second)
    monkeypatch.setattr(kernels.native, "core", lambda: SimpleNamespace(threads=2))
    monkeypatch.setattr(pace, "fastest_precision", lambda *_: Fastest("bf16", {"bf16": gflops}))
    recipe, _ = pace.chosen_by_pace(
        partial(choose, TrainSettings()), Outlook(2 * 10**6, 33_278), PREPARED, 3600.0, 3600.0
    )
    assert len(measured) == 1 and measured[0] == pytest.approx(recipe.work(33_278), rel=0.5)
