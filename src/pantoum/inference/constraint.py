"""What a text may be: the interface to the packages that know forms of texts (``pantoum.constraints``).

An entry point of that group names a function ``constraint(model, asked, length, spaced)``, which gives a
``Constraint``, or ``None`` where the kind that is asked for is not its own. A function of the same module,
``reader(asked)``, gives what says whether a whole text has the form: its ``matches(text)``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from pantoum import extensions
from pantoum.errors import MissingExtensionError

if TYPE_CHECKING:
    from pantoum.config import AskedForm
    from pantoum.inference.loaded_model import LoadedModel

DROPPED = -1
"""In the place of a token: the text has ended before it."""


class Constraint(Protocol):
    """Where one text stands in what it is to be."""

    mask: bytes
    """The bits of the tokens that may come next, in whole words of 32."""
    changed: bool
    """Whether the bits are others than before."""
    ended: bool
    """Whether the text is whole and cannot go on."""
    free: bool
    """Whether the next token is drawn among all, and may be dropped."""

    def matches(self, text: str) -> bool:
        """Whether a whole text has the form."""

    def take(self, token: int) -> int:
        """The token that stands where this one was drawn; where ``free``, perhaps ``DROPPED``."""

    @property
    def to_go(self) -> int:
        """Tokens that an end needs at least, as far as is known."""

    def release(self) -> None:
        """The text is over."""


def constraint_of(model: LoadedModel, asked: AskedForm, length: int, spaced: bool) -> Constraint:
    """The beginning of a text of at most ``length`` tokens. ``spaced``: a space is pending."""
    found: Constraint = next(_known(asked, lambda make: make(model, asked, length, spaced)))
    return found


def reader_of(asked: AskedForm) -> Any:
    """What says which texts have the form that is asked for: its ``matches(text)``."""
    return next(_known(asked, lambda make: sys.modules[make.__module__].reader(asked)))


def _known(asked: AskedForm, ask: Any) -> Iterator[Any]:
    """What the installed packages give for a kind of form."""
    yield from (found for make in extensions.each("constraints") if (found := ask(make)) is not None)
    raise MissingExtensionError("constraints", asked.kind, "no installed package knows this kind of form")
