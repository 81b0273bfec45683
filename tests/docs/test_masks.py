"""The guide shows the rules of ``--mask`` as they are, each with an example that it finds whole."""

from __future__ import annotations

import re
from pathlib import Path

from pantoum.config.masks import MASKS, ignored

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "odd-lines.md"
ROW = re.compile(r"^\| (dates|addresses|hexadecimal|numbers|) *\| `([^`]+)` *\| (.+?) *\|$", re.MULTILINE)


def test_the_guide_shows_each_rule_with_examples() -> None:
    shown: dict[str, list[str]] = {}
    for kind, rule, examples in ROW.findall(GUIDE.read_text("utf-8")):
        name = kind or list(shown)[-1]
        shown.setdefault(name, []).append(rule.replace("\\|", "|"))
        for example in re.findall("`([^`]+)`", examples):
            assert re.fullmatch(shown[name][-1], example), (rule, example)
    assert shown == {name: list(rules) for name, rules in MASKS.items()}


def test_all_rules_together_find_what_no_model_can_predict() -> None:
    rules = ignored(True, ["user=\\w+"])
    assert rules is not None and ignored(False, []) is None
    line = "Jun 14 15:16:01 combo sshd[19939]: user=bob from 218.188.2.4 id 0x1f took 3.5 ms, maybe March"
    assert rules.sub("*", line) == "* * combo sshd[*]: * from * id * took * ms, maybe March"
    assert rules.sub("*", "Apr is a month, cafe and added are words, Sunday too") == (
        "Apr is a month, cafe and added are words, Sunday too"
    )
