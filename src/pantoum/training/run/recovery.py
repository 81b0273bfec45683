"""Where a rollback goes: the last good checkpoints of a run, and the one that a rollback takes.

A checkpoint is *good* if it was made at a moment that the rhythm names (with steps: on the grid of
evaluations, whatever saving interval was asked for) and the update before it was not bad. The run's state
lists the last ``MOST_ROLLBACKS`` good steps, as many as rollbacks can ask for (``RunState.add_good``). The
list depends on the trajectory alone: a run that was stopped and resumed anywhere has the same list, and so
goes back to the same step, as the run that was never stopped. Retention keeps the listed checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pantoum.errors import CheckpointError
from pantoum.formats import checkpoint
from pantoum.formats.checkpoint import Checkpoint
from pantoum.training.run.run_state import RunState

__all__ = ["go_back"]


def go_back(
    folder: Path, now: RunState, further: int, note: Callable[[str], None]
) -> tuple[Checkpoint, RunState] | None:
    """The good checkpoint to go back to from the state ``now``, and its state; ``None``: there is none.

    ``further``: newer good ones to pass over; where the list is shorter, the oldest is taken. One that does
    not verify is said, and the next older one is taken, then newer ones, then any other that verifies. If
    the list is empty there is none, whatever was saved for other reasons: the start depends on no stop.
    """
    good = now.good
    if not good and now.run is not None:  # runs of older versions have neither a list nor a name
        return None
    place = max(0, len(good) - 1 - further)
    others = [known for known in checkpoint.steps(folder) if known <= now.step and known not in good]
    for candidate in (*reversed(good[: place + 1]), *good[place + 1 :], *reversed(others)):
        try:
            found = checkpoint.read(folder, candidate)
            state = RunState.of(found)
            state.require_run(now.run, found.path)
        except CheckpointError as problem:
            note(f"recovery passes over the checkpoint of step {candidate:,}: {problem}")
            continue
        if not state.in_trouble:
            return found, state
    return None
