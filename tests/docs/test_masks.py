"""The guide shows the rules of ``--mask`` as they are, each with an example that it finds whole."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.config.score import MASKS, ignored

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "odd-lines.md"
BLOCK = re.compile(r"^```text\ndates\n.*?^```$", re.MULTILINE | re.DOTALL)


def test_the_guide_shows_each_rule_with_examples() -> None:
    shown: dict[str, list[str]] = {}
    found = BLOCK.search(GUIDE.read_text("utf-8"))
    assert found is not None
    for line in found[0].splitlines()[1:-1]:
        if not line.startswith(" "):
            shown[line] = []
            continue
        rule, examples = re.split(" {4,}", line.strip())
        list(shown.values())[-1].append(rule)
        for example in examples.split(", "):
            assert re.fullmatch(rule, example), (rule, example)
    assert shown == {name: list(rules) for name, rules in MASKS.items()}


def test_all_rules_together_find_what_no_model_can_predict() -> None:
    rules = ignored(True, ["user=\\w+"])
    assert rules is not None and ignored(False, []) is None
    line = "Jun 14 15:16:01 combo sshd[19939]: user=bob from 218.188.2.4 id 0x1f took 3.5 ms, maybe March"
    assert rules.sub("*", line) == "* * combo sshd[*]: * from * id * took * ms, maybe March"
    assert rules.sub("*", "Apr is a month, cafe and added are words, Sunday too") == (
        "Apr is a month, cafe and added are words, Sunday too"
    )


@given(
    st.lists(
        st.sampled_from([*"aTJz0:-./, \t\u0663é", "Mon", "Sep ", "0x", "::", "12:30", "fe80", "deadbeef1"])
    )
)
@settings(max_examples=200)
def test_the_search_skips_no_match_of_a_rule(parts: list[str]) -> None:
    line, found = "".join(parts), ignored(True, [])
    each = re.compile("|".join(f"(?:{rule})" for rules in MASKS.values() for rule in rules))
    assert found is not None
    assert [match.span() for match in found.finditer(line)] == [match.span() for match in each.finditer(line)]
