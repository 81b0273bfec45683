"""Fingerprints of a text are the same from the prepared text and from a model's card."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from pantoum.formats import plain_json
from pantoum.inference.files.named_texts import MOST, named_texts
from pantoum.report.learned_text import of_facts, of_model

SPEC: dict[str, Any] = {"kind": "bytes", "documents": "lines"}


def texts(count: int) -> list[dict[str, Any]]:
    return [{"name": f"a/{n}.txt", "size": n, "mtime_ns": n, "sha256": f"{n:064x}"} for n in range(count)]


@pytest.mark.parametrize("count", [1, 2, MOST, MOST + 1])
def test_a_text_has_its_own_hash_and_several_that_of_their_list(count: int) -> None:
    facts: dict[str, Any] = {"texts": texts(count), "valid_text": texts(3)[2], "valid_fraction": 0.0}
    found = of_facts(facts, SPEC)
    hashes = [text["sha256"] for text in texts(count)]
    of_list = hashlib.sha256(plain_json.encode(hashes)).hexdigest()
    assert found["sha256"] == (hashes[0] if count == 1 else of_list)
    assert (found["valid_sha256"], found["valid_fraction"]) == (f"{2:064x}", 0.0)
    card = {**named_texts(facts["texts"]), "valid_text": named_texts([facts["valid_text"]])["texts"][0]}
    assert {**of_model(card, SPEC), "valid_fraction": 0.0} == found


def test_tokenizers_that_differ_in_anything_have_other_fingerprints() -> None:
    specs = [SPEC, {**SPEC, "documents": None}, {**SPEC, "kind": "characters", "pieces": ["a"]}]
    assert len({str(of_model({}, spec)["tokenizer"]) for spec in specs}) == 3


@pytest.mark.parametrize("odd", [
    {}, {"texts": None}, {"texts": []}, {"texts": ["book.txt"]}, {"texts": [{"name": "stdin"}]},
    {"texts": [{"sha256": "aa"}, {"name": "b"}]}, {"valid_text": "book.txt"},
])  # fmt: skip
def test_a_card_that_does_not_say_leaves_the_text_unknown(odd: dict[str, Any]) -> None:
    found = of_model(odd, SPEC)
    assert found["sha256"] is None and found["valid_sha256"] is None
