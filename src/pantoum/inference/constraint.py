"""What a text may be: the interface to the packages that know forms of texts (``pantoum.constraints``).

An entry point of that group names a function ``constraint(model, asked, length, spaced, ahead=False)``, which
gives a ``Constraint``, or ``None`` where the kind that is asked for is not its own. A function of the same
module, ``reader(asked)``, gives what says whether a whole text has the form.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

from pantoum import extensions
from pantoum.errors import MissingExtensionError

if TYPE_CHECKING:
    from pantoum.config import AskedForm
    from pantoum.inference.loaded_model import LoadedModel

__all__ = ["Constraint", "WholeTexts", "constraint_of", "reader_of"]


class Constraint(Protocol):
    """Where one text stands in what it is to be."""

    mask: bytes
    """The bits of the tokens that may come next."""
    changed: bool
    """Whether the bits are others than before."""
    ended: bool
    """Whether the text is whole and cannot go on."""
    free: bool
    """Whether the next token is drawn among all."""
    form: Any
    ahead: list[int]
    """Tokens that were taken and may still be taken back."""
    late: list[int]
    """Tokens that were ahead and can be shown now."""
    kept: list[Any] | None
    """What the batch holds of the place to which the text may go back."""

    def take(self, token: int) -> int:
        """The token that stands where this one was drawn, or a number below 0."""

    @property
    def to_go(self) -> int:
        """Tokens that an end needs at least, as far as is known."""

    @property
    def undoable(self) -> bool:
        """Whether the next draw may be taken back."""

    @property
    def forced(self) -> bool:
        """Whether only one token may come next."""

    def release(self) -> None:
        """The text is over."""


class WholeTexts(Protocol):
    """Says which whole texts have a form."""

    def matches(self, text: str) -> bool:
        """Whether the text has it."""


def constraint_of(
    model: LoadedModel, asked: AskedForm, length: int, spaced: bool, ahead: bool = False
) -> Constraint:
    """The beginning of a text of at most ``length`` tokens. ``spaced``: a space is pending. ``ahead``: the
    batch can take tokens back."""
    for make in extensions.each("constraints"):
        found: Constraint | None = make(model, asked, length, spaced, ahead)
        if found is not None:
            return found
    raise MissingExtensionError("constraints", asked.kind, "no installed package knows this kind of form")


def reader_of(asked: AskedForm) -> WholeTexts:
    """What says which texts have the form that is asked for."""
    for make in extensions.each("constraints"):
        found: WholeTexts | None = sys.modules[make.__module__].reader(asked)
        if found is not None:
            return found
    raise MissingExtensionError("constraints", asked.kind, "no installed package knows this kind of form")
