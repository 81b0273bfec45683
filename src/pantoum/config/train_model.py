"""The settings of the model that a run trains, as a person gives them; it becomes a ``ModelConfig``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from pantoum.config.model_config import (
    CELL,
    EMBEDDING_SIZE,
    HIDDEN_SIZE,
    MEMBERS,
    NGRAM_ROWS,
    NUM_LAYERS,
    dropout_words,
    parse_orders,
)
from pantoum.config.rules import AUTO, Auto, require, truth, whole
from pantoum.config.setting import SettingGroup, setting

__all__ = ["ModelSettings"]


@dataclass(frozen=True)
class ModelSettings(SettingGroup):
    """What model is trained."""

    GROUP: ClassVar[str] = "model"

    cell: str = setting(AUTO, "recurrent cell", CELL, chosen="gru")
    hidden_size: int | Auto = setting(
        AUTO,
        "units per layer",
        HIDDEN_SIZE,
        metavar="H",
        chosen="32 to 1536, from the size of the text and the time",
    )
    num_layers: int | Auto = setting(
        AUTO, "recurrent layers", NUM_LAYERS, metavar="L", chosen="1 to 3, with the hidden size"
    )
    embedding_size: int | Auto | None = setting(
        AUTO,
        "size of the token embedding; none: one-hot inputs",
        EMBEDDING_SIZE,
        metavar="E",
        off=True,
        chosen="a third of the hidden size; for more than 512 symbols up to all of it",
    )
    tied: bool | Auto = setting(
        AUTO,
        "use the weights of the embedding in the output layer",
        truth,
        chosen="for more than 512 symbols",
    )
    dropout: str | float = setting(
        AUTO,
        "dropout RATE, variational:RATE, or inputs=R,between=R,outputs=R",
        dropout_words,
        metavar="SPEC",
        chosen="0, or variational:0.12 to 0.35 where the text is read many times; up to 0.5 for more than "
        "512 symbols",
    )
    ngrams: str | tuple[int, ...] | None = setting(
        AUTO,
        "orders of n-grams whose logits are added to those of the network",
        lambda value, argument: parse_orders(value) or None,
        metavar="N,N",
        off=True,
        chosen="3,4,5 with --minutes where the text is read at most 6.5 times, else none",
    )
    ngram_rows: int | Auto = setting(
        AUTO,
        "rows of the table of each n-gram order, a power of two",
        NGRAM_ROWS,
        metavar="R",
        chosen="from the size of the text",
    )
    kneser_ney: int | Auto | None = setting(
        AUTO,
        "count the n-grams of up to N tokens of the training text (modified Kneser-Ney) and mix what they "
        "predict with the network",
        partial(whole, least=2, most=8),
        metavar="N",
        off=True,
        chosen="5 where the vocabulary has more than 512 tokens, else none",
    )
    members: int | Auto = setting(
        AUTO,
        "train an ensemble of K members, saved as one model",
        MEMBERS,
        metavar="K",
        chosen="1 to 4 with --minutes, else 1",
    )

    def agree(self) -> None:
        """What needs another part of the model."""
        super().agree()
        require(
            self.ngram_rows == AUTO or self.ngrams is not None,
            "ngram_rows",
            self.ngram_rows,
            "needs n-grams",
            "give --ngrams as well, or leave it out",
        )
        require(
            not (self.tied is True and self.embedding_size is None),
            "tied",
            True,
            "needs an embedding",
            "give --embedding-size a number",
        )
