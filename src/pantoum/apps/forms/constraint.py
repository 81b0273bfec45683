"""The entry point ``pantoum.constraints`` of this app: expressions, JSON schemas, grammars and choices."""

from __future__ import annotations

from pantoum.apps.forms.form import token_form
from pantoum.apps.forms.form_reader import FormReader
from pantoum.apps.forms.place import FormPlace
from pantoum.seams import AskedForm, LoadedModel

__all__ = ["constraint", "reader"]


def constraint(model: LoadedModel, asked: AskedForm, length: int, spaced: bool) -> FormPlace:
    """A text of a model that has the form."""
    return FormPlace(token_form(model, asked), length, spaced)


def reader(asked: AskedForm) -> FormReader:
    """What says which texts have the form."""
    return FormReader(asked)
