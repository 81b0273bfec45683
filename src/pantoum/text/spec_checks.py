"""Checks that every tokenizer's ``from_spec`` makes: a spec comes out of a file that anyone may have made."""

from __future__ import annotations

from collections.abc import Mapping, Sized

from pantoum.config.plain import Plain
from pantoum.errors import FormatError
from pantoum.text.documents import EOS_TEXT

__all__ = ["MOST", "listed", "refuse", "require_documents", "require_keys", "require_texts", "shown"]

MOST = 1_000_000
"""Entries that a vocabulary may have: pieces, or merges."""


def refuse(what: str) -> FormatError:
    """The one wording of "this spec is none of ours"."""
    return FormatError(f"the tokenizer's spec {what}; the file was made by something else, use another")


def shown(value: object) -> str:
    """A value of a file, short enough for a line."""
    return value[:40] if isinstance(value, str) else repr(value)[:40]


def require_keys(spec: Mapping[str, Plain], *keys: str) -> None:
    """The spec has these keys and no others: an unknown one would be ignored without a word."""
    if set(spec) != set(keys):
        raise refuse(f"has the keys {', '.join(shown(key) for key in sorted(spec)[:8])}, not {sorted(keys)}")


def listed(spec: Mapping[str, Plain], key: str) -> Sized:
    """What a spec lists under this key, not checked yet."""
    found = spec.get(key)
    if not isinstance(found, (str, list)):
        raise refuse("has no vocabulary")
    return found


def require_documents(spec: Mapping[str, Plain]) -> str | None:
    """What a document is."""
    documents = spec["documents"]
    if documents is not None and (not isinstance(documents, str) or documents not in EOS_TEXT):
        raise refuse(f"has documents {shown(documents)!r}, not one of lines, files, blank-lines")
    return documents


def require_texts(pieces: object) -> list[str]:
    """A list of different, not empty texts without surrogates; at most ``MOST``."""
    if not isinstance(pieces, list) or len(pieces) > MOST:
        raise refuse(f"has pieces that are no list of at most {MOST:,} texts")
    if not all(isinstance(p, str) and p for p in pieces) or len(set(pieces)) != len(pieces):
        raise refuse("has pieces that are no list of different texts")
    try:
        "".join(pieces).encode("utf-8")
    except UnicodeEncodeError:
        raise refuse("has a piece with a lone surrogate") from None
    return pieces
