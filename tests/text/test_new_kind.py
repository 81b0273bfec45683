"""A new tokenizer is a module and a row (``conftest.runes``): nothing else knows tokenizers by name."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import pantoum
from pantoum.config.tokens import TOKEN_KINDS, check_tokens
from pantoum.data.prepare import prepare
from pantoum.errors import SettingError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.session import Session
from pantoum.network import LanguageModel
from pantoum.text.tokenizer import declared_size, from_spec

SOURCE = Path(pantoum.__file__).parent
TEXT = "A cat sat. A dog ran.\n" * 40


@pytest.mark.usefixtures("runes")
def test_a_tokenizer_from_outside_prepares_reads_writes_and_scores(tmp_path: Path) -> None:
    (tmp_path / "text").write_text(TEXT)
    prepared = prepare([tmp_path / "text"], tokens="runes", out=tmp_path / "out")
    spec = json.loads(json.dumps(prepared.tokenizer.spec()))
    tokenizer = from_spec(spec)
    assert declared_size(spec) == tokenizer.vocab_size == len(set(TEXT)) + 2
    model = LoadedModel.of(LanguageModel(tokenizer.vocab_size, 4, hidden_size=8, num_layers=1), tokenizer)
    session = Session(model)
    session.feed(TEXT)
    assert 16 <= len(session.generate(20)) <= 20
    scores = pantoum.Model(model).score(TEXT, by="word")
    assert "".join(score.text for score in scores) == TEXT


@pytest.mark.usefixtures("runes")
def test_a_rule_lists_every_tokenizer() -> None:
    with pytest.raises(SettingError, match=r"bpe:N, bpe:whitespace:N or runes; did you mean runes\?"):
        check_tokens("rune")
    for name in ("bpe", "bpe:whitespace"):
        with pytest.raises(SettingError, match=f"for example {name}:4000"):
            check_tokens(name)


def test_no_other_module_asks_for_a_tokenizer_by_name() -> None:
    own = [SOURCE / "config" / "tokens.py", *(SOURCE / "text").glob("*.py")]
    asked = []
    for file in sorted(set(SOURCE.rglob("*.py")) - set(own)):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            call = isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "startswith"
            if isinstance(node, ast.Compare) or call:
                named = {inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant)}
                asked += [f"{file}:{node.lineno}"] if named & set(TOKEN_KINDS) else []
    assert not asked
