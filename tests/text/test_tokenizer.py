from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest

import pantoum
from pantoum.config.tokens import TOKEN_KINDS, check_tokens
from pantoum.data.prepare import prepare
from pantoum.errors import FormatError, SettingError
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.session import Session
from pantoum.network import LanguageModel
from pantoum.text.numbers import joined, smallest_dtype, whole_numbers
from pantoum.text.tokenizer import declared_size, from_spec, learner


def test_kinds_that_are_not_known_are_refused() -> None:
    with pytest.raises(FormatError, match="kind 'runes' is unknown to this version"):
        from_spec({"kind": "runes"})
    with pytest.raises(SettingError, match="tokens is 'runes'"):
        check_tokens("runes")


@pytest.mark.parametrize("tokens", ["bpe:257", "bpe:0", "bpe:9999999"])
def test_the_size_of_a_bpe_vocabulary_has_bounds(tokens: str) -> None:
    with pytest.raises(SettingError, match="an N from 258"):
        check_tokens(tokens)


def test_words_split_at_white_space_have_lines_only() -> None:
    with pytest.raises(SettingError, match="documents is 'files'"):
        check_tokens("words:whitespace", "files")


def test_bytes_have_nothing_to_learn() -> None:
    with pytest.raises(SettingError, match="nothing to learn"):
        learner("bytes", None, None)


def test_words_are_20000_where_nothing_is_said() -> None:
    pupil = learner("words", None, None)
    pupil.feed(" ".join(f"word{i}" for i in range(21_000)))
    assert pupil.learn().vocab_size == 20_000


@pytest.mark.parametrize(("count", "width"), [(2, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 4)])
def test_numbers_are_kept_in_the_narrowest_type(count: int, width: int) -> None:
    assert smallest_dtype(count).itemsize == width


def test_no_blocks_are_no_numbers() -> None:
    assert joined([]).dtype == np.uint32 and len(joined([])) == 0


def test_ids_of_any_kind_are_checked() -> None:
    assert whole_numbers(np.array([1, 2], np.uint8), 3) == whole_numbers(iter([1, 2]), 3) == [1, 2]
    with pytest.raises(SettingError, match="ids is 3: it must be token numbers from 0 to 2"):
        whole_numbers([0, 3], 3)


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
