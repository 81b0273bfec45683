"""What a run shows of itself: a passage scored token by token, samples with the default settings."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import pantoum
from pantoum.inference.loaded_model import LoadedModel
from pantoum.network import LanguageModel
from pantoum.text.character import CharacterLearner
from pantoum.training import reporting
from pantoum.training.reporting import SAMPLE_DOCUMENTS, passage, sample_of


def model(text: str, documents: str | None) -> LoadedModel:
    learner = CharacterLearner(None, documents)
    learner.feed(text)
    tokenizer = learner.learn()
    network = LanguageModel(tokenizer.vocab_size, embedding_size=4, hidden_size=8, num_layers=1, seed=3)
    return LoadedModel.of(network, tokenizer)


def test_the_passage_has_a_figure_for_every_token() -> None:
    text = "The cat sat.\nThe dog ran.\n" * 9
    made = model(text, None)
    pieces, nats = passage(made, made.tokenizer.encode(text))
    assert "".join(pieces) == text and len(pieces) == len(text) == len(nats)
    assert len({round(float(n), 3) for n in nats}) > 10 and np.isfinite(nats).all()


def test_short_documents_show_ten_samples_and_a_text_one() -> None:
    names = model("anna\nbert\ncora\n" * 9, "lines")
    lines = sample_of(names, 1).split("\n")
    assert len(lines) == SAMPLE_DOCUMENTS == 10 and len(set(lines)) > 3
    assert sample_of(names, 1) == sample_of(names, 1) != sample_of(names, 2)
    text = model("The cat sat.\n" * 9, None)
    assert 150 <= len(sample_of(text, 1)) <= 200


def test_the_last_record_has_the_last_pace(tmp_path: Path) -> None:
    small = {"steps": 6, "hidden_size": 8, "num_layers": 1, "progress": False}
    run = pantoum.train(text="The cat sat.\nThe dog ran.\n" * 90, run=str(tmp_path / "run"), **small)
    assert run.history[-1].ended == "finished" and run.history[-1].loss is None
    assert all(record.tokens_per_second > 0.0 for record in run.history)


def test_a_sample_of_blanks_is_drawn_again_and_blanks_alone_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    written = iter(["   \n  ", " a  ", "a word", *["\n  "] * reporting.SAMPLE_DRAWS, "unread"])
    found = (SimpleNamespace(texts=[SimpleNamespace(text=text)]) for text in written)
    monkeypatch.setattr(reporting, "completed", lambda generation: next(found))
    cats = model("The cat sat.\n" * 9, None)
    assert [sample_of(cats, 1), sample_of(cats, 1)] == ["a word", ""] and next(written) == "unread"
