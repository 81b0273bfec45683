"""A model in a notebook: the picture of its scores, and what it says when nothing new can be written."""

from __future__ import annotations

from pathlib import Path

import pytest

import pantoum
from pantoum.errors import PantoumError


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> pantoum.Model:
    folder = tmp_path_factory.mktemp("names")
    (folder / "names.txt").write_text("Anna\nBerta <b>\nCarla & Co\n" * 40)
    pantoum.train(
        folder / "names.txt",
        run=str(folder / "run"),
        steps=3,
        hidden_size=8,
        num_layers=1,
        documents="lines",
        progress=False,
    )
    return pantoum.load(folder / "run")


def test_scores_are_a_picture_in_which_markup_is_only_shown(model: pantoum.Model) -> None:
    scores = model.score("Anna\nBerta <b>\n", alert=0.5)
    picture, page = scores._repr_html_(), scores.html("my <title>")
    assert ">&lt;</i>" in picture and "><</i>" not in picture
    assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
    assert "my &lt;title&gt;" in page
    assert sum(score.alert for score in scores) == 2


def test_a_prompt_that_can_only_end_as_a_training_document_is_an_error(model: pantoum.Model) -> None:
    with pytest.raises(PantoumError, match="only 0 of 2 texts were found"):
        model.generate("Anna", count=2, length=0, novel=True)
    assert model.generate("Anna", count=1, length=0) == [""]


def test_a_model_says_what_it_is(model: pantoum.Model) -> None:
    assert repr(model).startswith("<Model 1 x 8 gru, ") and repr(model).endswith(" parameters, characters>")
    assert model.card["texts"][0]["name"] == Path("names.txt").name


def test_scores_are_taken_by_place_and_by_part(model: pantoum.Model) -> None:
    scores = model.score("Anna\nBerta <b>\nCarla\n", alert=0.5)
    assert scores[0] == next(iter(scores)) and scores[-1].text == "Carla\n"
    part = scores[1:]
    assert isinstance(part, pantoum.Scores) and len(part) == 2 and part.threshold == scores.threshold
    assert part.nats == sum(score.nats for score in scores) - scores[0].nats
    assert part.pieces == scores.pieces[-len(part.pieces) :] and "Anna" not in part.html()
    with pytest.raises(IndexError):
        scores[3]
