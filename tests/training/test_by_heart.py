"""A run that ends with a worse model than it had says so, and what to do."""

import random
from collections.abc import Sequence

import pytest

from pantoum.config import DropoutConfig
from pantoum.training.reporting import learned_by_heart
from pantoum.training.run.run_state import Best, Curve

DROPOUT = DropoutConfig.parse("variational:0.4")


def curve(*points: tuple[float | None, float | None]) -> Curve:
    """A point (mean training loss, validation loss) for every 100 steps."""
    found = Curve()
    for place, (loss, valid) in enumerate(points, 1):
        if loss is not None:
            found.sums.add(loss, 0.5, 64)
        found.mark(100 * place, 6400 * place, valid)
    return found


def test_a_text_learned_by_heart_is_said_with_step_losses_and_what_to_do() -> None:
    note = learned_by_heart(curve((5, 5), (4, 4.5), (3, 4.8)), Best(200, True, 4.5), DROPOUT)
    assert note is not None and "step 200 of 300" in note and "from 4.500 to 4.800" in note
    assert "more dropout than variational:0.4 (--dropout)" in note
    bare = learned_by_heart(curve((5, 5), (4, 4.5), (3, 4.8)), Best(200, True, 4.5), DropoutConfig())
    assert bare is not None and "give less time, dropout (--dropout)" in bare


def test_the_last_evaluation_counts_where_nothing_was_trained_before_it() -> None:
    note = learned_by_heart(curve((4, 4.5), (3, None), (None, 4.8)), Best(100, False, 4.5), DROPOUT)
    assert note is not None and "step 100 of 300" in note


@pytest.mark.parametrize(
    "points",
    [
        [(5, 5), (4, 4.5), (3, 4.505)],  # as good as no rise
        [(5, 5), (3, 4.5), (4, 4.8)],  # the training loss rose, too: something else is wrong
        [(5, None), (4, None)],  # nothing is held out
    ],
)
def test_nothing_is_said_where_that_is_not_what_happened(
    points: Sequence[tuple[float | None, float | None]],
) -> None:
    assert learned_by_heart(curve(*points), Best(200, True, 4.5), DROPOUT) is None
    assert learned_by_heart(curve(*points), None, DROPOUT) is None


def test_a_run_tells_it_at_its_end(run, tmp_path) -> None:
    path = tmp_path / "few.txt"
    path.write_text("".join(random.Random(1).choices("abcdefgh", k=700)))  # nothing can be learned of it
    result = run(texts=[str(path)], steps=150, learning_rate=0.03, valid_fraction=0.2)
    assert any("so the model learned the text by heart" in note for note in result.notes)
    assert not any("learned by heart" in note for note in run("other", steps=20).notes)
