"""pandas: texts go in as a Series, scores and reports come out as rows."""

from __future__ import annotations

from pathlib import Path

import pytest

import pantoum

pandas = pytest.importorskip("pandas")


def test_a_series_is_a_list_of_texts_and_scores_are_rows(
    model: Path, lines: list[str], tmp_path: Path
) -> None:
    frame = pandas.DataFrame({"line": lines})
    run = pantoum.train(
        text=frame["line"], documents="lines", run=str(tmp_path / "run"), steps=2, hidden_size=8,
        num_layers=1, progress=False,
    )  # fmt: skip
    assert list(pandas.DataFrame(report.to_dict() for report in run.history)["step"])[-1] == 2
    scores = pandas.DataFrame(pantoum.load(model).score("".join(frame["line"] + "\n")))
    assert len(scores) == len(frame) and list(scores.columns[:3]) == ["text", "nats", "tokens"]
    assert scores["nats"].gt(0).all()


def test_a_series_goes_into_the_detector(model: Path, lines: list[str]) -> None:
    pytest.importorskip("sklearn")
    from pantoum.apps.plugins.estimators import SurprisalDetector

    texts = pandas.Series(lines)
    found = SurprisalDetector(model=str(model), contamination=0.05).fit(texts).predict(texts)
    assert (found == -1).sum() <= 10
