"""Checks that every tokenizer's ``from_spec`` makes: a spec comes out of a file that anyone may have made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pantoum.errors import FormatError
from pantoum.text.documents import EOS_TEXT

__all__ = ["refuse", "require_documents", "require_keys", "require_texts"]


def refuse(what: str) -> FormatError:
    """The one wording of "this spec is none of ours"."""
    return FormatError(f"the tokenizer's spec {what}; the file was made by something else, use another")


def require_keys(spec: Mapping[str, Any], *keys: str) -> None:
    """The spec has these keys and no others: an unknown one would be ignored without a word."""
    if set(spec) != set(keys):
        raise refuse(f"has the keys {sorted(map(str, spec))}, not {sorted(keys)}")


def require_documents(spec: Mapping[str, Any]) -> str | None:
    """What a document is."""
    documents = spec["documents"]
    if documents is not None and (not isinstance(documents, str) or documents not in EOS_TEXT):
        raise refuse(f"has documents {documents!r}, not one of lines, files, blank-lines")
    return documents


def require_texts(pieces: Any) -> list[str]:
    """A list of different, not empty texts without surrogates."""
    fine = isinstance(pieces, list) and all(isinstance(p, str) and p for p in pieces)
    if not fine or len(set(pieces)) != len(pieces):
        raise refuse("has pieces that are no list of different texts")
    try:
        "".join(pieces).encode("utf-8")
    except UnicodeEncodeError:
        raise refuse("has a piece with a lone surrogate") from None
    return list(pieces)
