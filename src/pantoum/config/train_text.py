"""The settings of a text: how it is read, tokenised and split; ``train`` and ``prepare`` have them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from pantoum.config.encoding_names import known_encoding
from pantoum.config.rules import AUTO, Auto, number, one_of, path, whole
from pantoum.config.setting import SettingGroup, setting
from pantoum.config.tokens import token_name, written_kinds

__all__ = ["DOCUMENTS", "TextSettings"]

DOCUMENTS = ("lines", "files", "blank-lines")


@dataclass(frozen=True)
class TextSettings(SettingGroup):
    """How a text is read, tokenised and split."""

    GROUP: ClassVar[str] = "text"

    valid: str | None = setting(
        None, "text file for validation", path, metavar="FILE", chosen="the end of TEXT"
    )
    valid_fraction: float = setting(
        0.1,
        "share of the text that is held out for validation, at most 200,000 tokens; 0: no validation",
        partial(number, least=0.0, below=1.0),
        metavar="F",
    )
    tokens: str = setting(
        AUTO,
        f"tokenizer: {written_kinds()} (N tokens)",
        token_name,
        metavar="KIND",
        chosen="characters where the text has at most 512 different ones, else bytes",
    )
    vocab_size: int | Auto = setting(
        AUTO,
        "vocabulary size of the words tokenizer",
        partial(whole, least=2),
        metavar="V",
        chosen="20,000; all words of a pre-tokenised text that contains <unk>",
    )
    documents: str | None = setting(
        None,
        "treat the text as many short documents, one per line, file or paragraph",
        partial(one_of, choices=DOCUMENTS),
        chosen="one continuous text",
    )
    encoding: str | None = setting(
        None,
        "encoding of text files that are not in UTF-8 or UTF-16, for example windows-1252",
        known_encoding,
        metavar="NAME",
        chosen="none: such files are refused",
    )
