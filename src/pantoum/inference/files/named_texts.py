"""The texts that a card names: what a model learned from, adapted to (each time), or was measured on.

A folder may hold 100,000 files, and the header of a model file is bounded. So the first are named, and of all
of them the number, the size and a digest are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import PurePath
from typing import Any

from pantoum.config.plain import Plain
from pantoum.formats import plain_json

MOST = 100
"""Texts that are named one by one."""
FIRST_KEPT, LAST_KEPT = 2, 8
"""How often a card tells of adapting, from the first time and up to the last: each may name 100 texts, and
the header of a file is bounded."""


def named_texts(texts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``texts``: name without its folder, size and SHA-256 of the first, as far as they are known. Where
    there are more, ``all_texts``: the number of all, their size, the SHA-256 of the list of their hashes."""
    named: dict[str, Plain] = {"texts": [_named(text) for text in texts[:MOST]]}
    if len(texts) > MOST:
        hashes = plain_json.encode([text.get("sha256") for text in texts])
        named["all_texts"] = {
            "number": len(texts),
            "size": sum(text.get("size", 0) for text in texts),
            "sha256": sha256(hashes).hexdigest(),
        }
    return named


def _named(text: Mapping[str, Plain]) -> dict[str, Plain]:
    known = {key: text[key] for key in ("size", "sha256") if key in text}
    return {"name": PurePath(str(text["name"])).name, **known}


def told_times(card: Mapping[str, Plain], now: Plain) -> dict[str, Plain]:
    """What the card of a model that has adapted once more says of all times; ``adapted_times`` is how many
    there were, where not all of them are told."""
    before, times = card.get("adapted"), card.get("adapted_times")
    told = [*(before if isinstance(before, list) else []), now]
    number = max(len(told), times + 1 if isinstance(times, int) else 0)
    if len(told) > FIRST_KEPT + LAST_KEPT:
        told = [*told[:FIRST_KEPT], *told[-LAST_KEPT:]]
    return {"adapted": told, **({"adapted_times": number} if number > len(told) else {})}
