"""The installed base that a run begins from where ``--from`` is not given.

A base has read far more text than a person has. It helps where it knows the language of the text, and its own
loss on the beginning of the text says whether it does. A run begins from nothing where a setting that was
given asks for another model or for other tokens than those of the base.
"""

from __future__ import annotations

from pantoum import extensions
from pantoum.config import AUTO, SHAPE, TrainSettings
from pantoum.config.tokens import parse_tokens
from pantoum.inference.evaluation import held_out_loss
from pantoum.inference.loaded_model import BASE, load
from pantoum.text.tokenizer import Tokenizer

MOST_NATS = 2.0
"""Nats per byte of the base itself up to which it helps (decision 118)."""
READ_BYTES = 8192
"""Bytes of the text that a base reads to be judged."""
OTHERWISE = (*SHAPE, "members", "kneser_ney", "vocab_size", "documents", "data")
"""Settings that ask for another model or text than that of a base."""


class BaseChoice:
    """The best of the bases that help with a text, once it has seen the beginning of the text."""

    def __init__(self, settings: TrainSettings) -> None:
        self.name: str | None = None
        """The base, as ``--from`` names it; ``None``: the run begins from nothing."""
        self.reasons: list[str] = []
        asked = settings.from_ != AUTO or any(map(settings.given, OTHERWISE))
        self._names = [] if asked else [BASE + name for name in extensions.names("bases")]
        self._kind = parse_tokens(settings.tokens)[0]

    @property
    def open(self) -> bool:
        """Whether there is a base to try."""
        return bool(self._names)

    def tokenizer(self, beginning: str) -> Tokenizer | None:
        """The tokenizer of that base, which then reads the whole text; ``None`` where no base helps."""
        chosen, least = None, MOST_NATS
        text = beginning[-READ_BYTES:]
        for name in self._names:
            model = load(name)
            tokens = model.tokenizer.encode(text)
            if len(tokens) < 2 or (self._kind is not None and self._kind.name != model.tokenizer.kind):
                continue
            loss = held_out_loss(model.program, tokens, model.tokenizer)
            nats = loss * (len(tokens) - 1) / len(text.encode())
            self.reasons.append(f"{name} needs {nats:.2f} nats per byte for the beginning of the text")
            if nats < least:
                self.name, chosen, least = name, model.tokenizer, nats
        if self.name is not None:
            self.reasons.append(f"training begins from {self.name} (--from none begins from nothing)")
        elif self.reasons:
            self.reasons.append(f"begins from nothing: a base helps where it needs less than {MOST_NATS:g}")
        return chosen
