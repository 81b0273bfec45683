"""Which text a run learned from and how it was read, as fingerprints: names and folders say neither.

    {"sha256": ..., "valid_sha256": ..., "tokenizer": ..., "documents": ..., "valid_fraction": ...}

``config.json`` holds this as ``text``. Older runs have a model only, whose card gives the same values but for
``valid_fraction``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pantoum.config.plain import Plain
from pantoum.data.prepared_file import spec_fingerprint
from pantoum.formats import plain_json
from pantoum.inference.files.named_texts import named_texts

__all__ = ["of_facts", "of_model"]


def of_facts(facts: Mapping[str, Any], tokenizer: Mapping[str, Plain]) -> dict[str, Plain]:
    """From the facts of a prepared text."""
    valid = facts.get("valid_text")
    named = {**named_texts(facts.get("texts", ())), "valid_text": valid}
    return {**of_model(named, tokenizer), "valid_fraction": facts.get("valid_fraction")}


def of_model(card: Mapping[str, Plain], tokenizer: Mapping[str, Plain]) -> dict[str, Plain]:
    """From a model's card and the spec of its tokenizer."""
    valid = card.get("valid_text")
    return {
        "sha256": _of_all(card),
        "valid_sha256": valid.get("sha256") if isinstance(valid, Mapping) else None,
        "tokenizer": spec_fingerprint(tokenizer).hex(),
        "documents": tokenizer.get("documents"),
    }


def _of_all(named: Mapping[str, Plain]) -> Plain:
    """The SHA-256 of the text; of several, that of the list of theirs; ``None`` where one is not known."""
    every, texts = named.get("all_texts"), named.get("texts")
    if isinstance(every, Mapping):
        return every.get("sha256")
    hashes = [
        text.get("sha256") if isinstance(text, Mapping) else None
        for text in (texts if isinstance(texts, (list, tuple)) else ())
    ]
    if not hashes or None in hashes:
        return None
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(plain_json.encode(hashes)).hexdigest()
