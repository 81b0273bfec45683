from __future__ import annotations

import pytest

from pantoum.config.tokens import check_tokens
from pantoum.errors import FormatError, SettingError
from pantoum.text.tokenizer import from_spec, learner


def test_kinds_that_are_not_known_are_refused() -> None:
    with pytest.raises(FormatError, match="kind 'runes' is not known here"):
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
