"""The plugin of `llm`: its command lists the runs and writes with them."""

from __future__ import annotations

from pathlib import Path

import pytest

import pantoum

llm = pytest.importorskip("llm")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the run ``book``; what `llm` keeps lies beside it."""
    (tmp_path / "t.txt").write_text("The cat sat on the mat.\n" * 40)
    pantoum.train(
        tmp_path / "t.txt",
        run=str(tmp_path / "runs" / "book"),
        steps=2,
        hidden_size=8,
        num_layers=1,
        progress=False,
    )
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path / "llm"))
    monkeypatch.setenv("PANTOUM_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def test_the_text_is_that_of_pantoum(runs: Path) -> None:
    from pantoum.apps.plugins.llm_models import register_models

    found = []
    register_models(found.append)
    (model,) = found
    assert model.model_id == "pantoum/book" and model.can_stream
    answer = model.prompt("The", length=12, seed=1)
    expected = pantoum.load(runs / "book").generate("The", length=12, seed=1)
    assert answer.text() == expected
    assert "".join(model.prompt("The", length=12, seed=1)) == expected


def test_a_conversation_is_one_text(runs: Path) -> None:
    from pantoum.apps.plugins.llm_models import PantoumModel

    talk = PantoumModel("book", runs / "book").conversation()
    first = talk.prompt("The", length=5, seed=1).text()
    second = talk.prompt(" cat", length=5, seed=2).text()
    expected = pantoum.load(runs / "book").generate(f"The{first} cat", length=5, seed=2)
    assert second == expected
