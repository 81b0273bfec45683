"""What is said of a wrong setting or argument, as a person would say it; all of it in one list:

python tests/config/test_messages.py
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pantoum
from pantoum.config import (
    EvaluationConfig,
    GenerationConfig,
    SamplingConfig,
    ScoreConfig,
    TrainSettings,
    declared,
)
from pantoum.config.setting import SettingGroup
from pantoum.errors import SettingError

ROOT = Path(pantoum.__file__).parent
KINDS: list[type[SettingGroup]] = [
    TrainSettings,
    GenerationConfig,
    SamplingConfig,
    ScoreConfig,
    EvaluationConfig,
]
TOGETHER: list[tuple[type[SettingGroup], dict[str, Any]]] = [
    (TrainSettings, {"minutes": 1, "steps": 2}),
    (TrainSettings, {"tied": True, "embedding_size": None}),
    (TrainSettings, {"ngrams": None, "ngram_rows": 64}),
    (TrainSettings, {"shards": 9, "batch_size": 4}),
    (TrainSettings, {"tokens": "bpe:3"}),
    (ScoreConfig, {"alert_text": "t.txt"}),
    (ScoreConfig, {"adapt": True, "streams": 2}),
]
"""Values that are wrong together, or by a rule beyond their kind."""
VERBS = {"must", "may", "can", "cannot", "needs", "is", "has", "holds", "takes", "keeps", "saves", "would"}
VERBS |= {"measures", "stands", "was", "belongs"}


def messages() -> Iterator[str]:
    """What each setting says of a value of another kind, and all of values that exclude each other."""
    wrong = [(kind, {name: object}) for kind in KINDS for name in declared(kind)]
    for kind, values in [*wrong, *TOGETHER]:
        with pytest.raises(SettingError) as refused:
            kind(**values)
        yield str(refused.value)


def rules() -> Iterator[tuple[str, str]]:
    """The beginning of each rule that the source has as a text, and where it stands."""
    for file in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and name in ("SettingError", "require") and len(node.args) > 3:
                rule = node.args[2 if name == "SettingError" else 3]
                if isinstance(rule, (ast.Constant, ast.JoinedStr)):
                    place = f"{file.relative_to(ROOT)}:{node.lineno}"
                    yield place, ast.unparse(rule).lstrip("f").strip("'\"")


def test_every_message_is_a_sentence_with_an_advice() -> None:
    for line in messages():
        assert re.fullmatch(r"[\w.]+ (is .*: it )?(must|needs|cannot|is) .*; .+", line), line
        assert "\n" not in line and ": must" not in line and "is True" not in line


@pytest.mark.parametrize(("place", "rule"), [pytest.param(*each, id=each[0]) for each in rules()])
def test_a_rule_begins_with_a_verb(place: str, rule: str) -> None:
    """So that it completes ``NAME is VALUE: it`` and, of a flag, ``NAME``."""
    assert rule.split()[0].rstrip(",") in VERBS, rule


if __name__ == "__main__":
    print("\n".join(messages()))
