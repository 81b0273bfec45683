"""Fingerprints of the text that a run learned from."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from pantoum.formats import plain_json
from pantoum.training.begin import learned_text

SPEC: dict[str, Any] = {"kind": "bytes", "documents": "lines"}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_text_has_its_own_hash_and_several_that_of_their_list(count: int) -> None:
    hashes = [f"{n:064x}" for n in range(count)]
    facts = {
        "texts": [{"name": f"a/{n}.txt", "sha256": sha256} for n, sha256 in enumerate(hashes)],
        "valid_text": {"name": "v.txt", "sha256": "aa"},
        "valid_fraction": 0.0,
    }
    of_list = hashlib.sha256(plain_json.encode(hashes)).hexdigest()
    found = learned_text(facts, SPEC)
    assert found["sha256"] == (None if not count else hashes[0] if count == 1 else of_list)
    assert (found["valid_sha256"], found["valid_fraction"], found["documents"]) == ("aa", 0.0, "lines")


def test_where_one_hash_is_not_known_that_of_all_is_not() -> None:
    found = learned_text({"texts": [{"sha256": "aa"}, {"name": "b"}], "valid_text": None}, SPEC)
    assert found["sha256"] is None and found["valid_sha256"] is None


def test_tokenizers_that_differ_in_anything_have_other_fingerprints() -> None:
    specs = [SPEC, {**SPEC, "documents": None}, {**SPEC, "kind": "characters", "pieces": ["a"]}]
    assert len({str(learned_text({}, spec)["tokenizer"]) for spec in specs}) == 3
