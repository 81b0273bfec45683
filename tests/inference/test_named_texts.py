"""A card stays small however many texts there were."""

from __future__ import annotations

from typing import Any

from pantoum.formats import plain_json
from pantoum.formats.model_file import MOST, named_texts


def texts(number: int) -> list[dict[str, Any]]:
    return [{"name": f"a/{n}.txt", "size": n, "sha256": f"{n:064x}"} for n in range(number)]


def test_few_texts_are_all_named() -> None:
    found = named_texts(texts(MOST))
    assert set(found) == {"texts"} and len(found["texts"]) == MOST
    assert found["texts"][3] == {"name": "3.txt", "size": 3, "sha256": f"{3:064x}"}


def test_of_very_many_texts_the_first_and_a_digest_are_kept() -> None:
    many = texts(100_000)
    found = named_texts(many)
    assert len(found["texts"]) == MOST and len(plain_json.encode(found)) < 20_000
    assert found["all_texts"]["number"] == 100_000
    assert found["all_texts"]["size"] == sum(range(100_000))
    changed = [*many[:99_999], {**many[-1], "sha256": "0" * 64}]
    assert named_texts(changed)["all_texts"]["sha256"] != found["all_texts"]["sha256"]


def test_what_is_not_known_of_a_text_is_left_out() -> None:
    assert named_texts([{"name": "a prompt"}]) == {"texts": [{"name": "a prompt"}]}
