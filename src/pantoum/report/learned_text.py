"""Which text a run learned from and how it was read, as fingerprints: names and folders say neither.

    {"sha256": ..., "valid_sha256": ..., "tokenizer": ..., "documents": ..., "valid_fraction": ...}

``config.json`` holds this as ``text``; ``compare`` reads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pantoum.config.plain import Plain
from pantoum.data.prepared_file import spec_fingerprint
from pantoum.formats import plain_json


def of_facts(facts: Mapping[str, Any], tokenizer: Mapping[str, Plain]) -> dict[str, Plain]:
    """From the facts of a prepared text and the spec of its tokenizer. The SHA-256 of several texts is that
    of the list of theirs; ``None`` where one is not known."""
    hashes = [text.get("sha256") for text in facts.get("texts", ())]
    known = bool(hashes) and None not in hashes
    several = hashlib.sha256(plain_json.encode(hashes)).hexdigest()
    return {
        "sha256": None if not known else hashes[0] if len(hashes) == 1 else several,
        "valid_sha256": (facts.get("valid_text") or {}).get("sha256"),
        "tokenizer": spec_fingerprint(tokenizer).hex(),
        "documents": tokenizer.get("documents"),
        "valid_fraction": facts.get("valid_fraction"),
    }
