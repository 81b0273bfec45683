"""A text that is read once leaves no folder: its tokens are those that a folder would hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pantoum
from pantoum.about.plan import make_plan
from pantoum.config import TrainSettings
from pantoum.data.prepare import prepare
from pantoum.errors import TextError
from pantoum.formats import token_file
from pantoum.inference.loaded_model import LoadedModel
from pantoum.network import LanguageModel
from pantoum.text.byte import ByteTokenizer

TEXT = "The cat sat on the mat. A dog ran, and ran.\n" * 60


@pytest.mark.parametrize("tokens", ["auto", "bytes", "words", "bpe:300"])
@pytest.mark.parametrize("documents", [None, "lines"])
def test_tokens_in_memory_are_those_of_a_folder(
    tokens: str, documents: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").write_text(TEXT)
    asked = {"tokens": tokens, "documents": documents}
    folder = prepare([tmp_path / "text"], out=tmp_path / "out", **asked)
    monkeypatch.setattr("pantoum.formats.durable.new_file", None)
    held = prepare([tmp_path / "text"], out=None, **asked)
    assert held.folder is None and held.tokenizer.spec() == folder.tokenizer.spec()
    assert (held.facts, held.notes) == (folder.facts, folder.notes)
    for own, kept in ((held.train, folder.train), (held.valid, folder.valid)):
        assert own is not None and kept is not None
        assert own.tokens.dtype == kept.tokens.dtype and own.count == kept.count
        assert np.array_equal(own.tokens, kept.tokens) and not own.tokens.flags.writeable
        assert np.array_equal(own.read(3, 20), kept.read(3, 20))


def test_a_text_that_is_large_is_held_in_a_file_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [np.arange(number, number + 90, dtype=np.uint32) for number in range(7)]
    monkeypatch.setattr(token_file, "LARGEST_IN_MEMORY", 100)
    stored = token_file.held(iter(blocks), 300)
    assert stored.tokens.dtype == np.uint16 and np.array_equal(stored.tokens, np.concatenate(blocks))
    assert np.array_equal(np.concatenate(list(stored.blocks())), stored.tokens)


def test_a_text_that_is_too_short_is_refused_in_memory_too(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a")
    with pytest.raises(TextError, match="too short"):
        prepare([tmp_path / "text"], out=None)


def test_evaluating_and_planning_write_no_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text").write_text(TEXT)
    monkeypatch.setattr("pantoum.formats.durable.new_file", None)
    network = LanguageModel(257, 8, hidden_size=8, num_layers=1)
    found = pantoum.Model(LoadedModel.of(network, ByteTokenizer())).evaluate([tmp_path / "text"])
    assert found.tokens == len(TEXT) - 1
    plan = make_plan(TrainSettings(steps=3), [str(tmp_path / "text")])
    assert plan.training_tokens + plan.held_out_tokens == len(TEXT)
