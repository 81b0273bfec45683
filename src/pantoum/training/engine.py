"""What can take the place of the core in a run (``--device``)."""

from __future__ import annotations

from typing import Protocol

from pantoum.training.recipe.recipe import Recipe
from pantoum.training.update.backend import LocalBackend, SharedBackend

__all__ = ["Engine"]


class Engine(Protocol):
    """Another implementation of the training backend, which is made from the core's at the same step."""

    @property
    def name(self) -> str:
        """What all ranks of a run must have in common."""
        ...

    @property
    def note(self) -> str:
        """What a person should know of the run."""
        ...

    def take_over(self, local: LocalBackend, recipe: Recipe, vocab_size: int) -> SharedBackend:
        """A backend with all arrays of the core's."""
        ...
