"""A component of spaCy: ``nlp.add_pipe("pantoum_surprisal", config={"model": "runs/book"})``.

Each token of a document then has ``token._.surprisal``, in nats; all of them add up to those of the document.
The model divides the text in its own way. What it gives a piece of text counts for the token in which the
piece begins; white space counts for what follows it. So a token that begins within a piece has 0.
"""

from __future__ import annotations

from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Token

from pantoum.seams import load

__all__ = ["SurprisalComponent", "make_component"]


class SurprisalComponent:
    """Reads each document by itself."""

    def __init__(self, model: str) -> None:
        self._model = load(model)
        if not Token.has_extension("surprisal"):
            Token.set_extension("surprisal", default=None)

    def __call__(self, doc: Doc) -> Doc:
        """Score the tokens of a document."""
        owners = [token.i for token in doc for sign in token.text if not sign.isspace()]
        nats, place = [0.0] * len(doc), 0
        for piece in self._model.score(doc.text, by="token") if owners else ():
            nats[owners[min(place, len(owners) - 1)]] += piece.nats
            place += sum(not sign.isspace() for sign in piece.text)
        for token in doc:
            token._.surprisal = nats[token.i]
        return doc


@Language.factory("pantoum_surprisal", assigns=["token._.surprisal"])
def make_component(nlp: Language, name: str, model: str) -> Any:
    """The component of a pipeline."""
    return SurprisalComponent(model)
