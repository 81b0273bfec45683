"""``pantoum.apps.plugins.rescoring``: word by word, sentence by sentence and many at once give the same."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

import pantoum
from pantoum.apps.plugins.rescoring import BeamModel, Model, State
from pantoum.errors import SettingError
from pantoum.inference import probabilities

TEXT = "".join(f"the cat number {n} sat on the mat and dog {n * 7 % 10} ran\n" for n in range(40))


@pytest.fixture(scope="module", params=["characters", "words", "words:whitespace"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "t.txt").write_text(TEXT)
    run = pantoum.train(
        folder / "t.txt",
        run=str(folder / "r"),
        steps=3,
        hidden_size=8,
        num_layers=1,
        tokens=request.param,
        progress=False,
    )
    return run.folder


def test_a_sentence_is_its_words_and_its_end(path: Path) -> None:
    model, sentence = Model(path), "the cat sat on the mat"
    full = list(model.full_scores(sentence))
    assert [length for _, length, _ in full] == [1, 2, 3, 4, 5, 6, 7]
    assert model.score(sentence) == pytest.approx(sum(score for score, _, _ in full))
    assert model.scores([sentence, "ran", ""]) == pytest.approx(
        [model.score(text) for text in (sentence, "ran", "")], abs=1e-5
    )
    assert model.perplexity(sentence) == pytest.approx(10 ** (-model.score(sentence) / 7))


def test_what_hypotheses_have_in_common_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, draw = Model(path), random.Random(1)
    words = ["the", "cat", "sat", "ran", "dog", "zebra"]
    lists = [" ".join(draw.choices(words, k=draw.randrange(9))) for _ in range(60)]
    lists += [f"{text} {word}" for text in lists[:5] for word in words] + lists[:7] + ["", "the"]
    alone = [model.scores([text])[0] for text in lists]
    assert model.scores(lists) == pytest.approx(alone, abs=1e-5)
    monkeypatch.setattr(probabilities, "TOKENS_AT_ONCE", 40)
    assert model.scores(lists) == pytest.approx(alone, abs=1e-5)
    assert model.scores([]) == []


def test_it_is_the_score_of_the_text(path: Path) -> None:
    session = pantoum.load(path).session()
    session.feed("\n")
    total = 0.0
    loaded = session.model
    for token in loaded.tokenizer.encode("the cat sat\n"):
        known = {found.token: found.probability for found in session.predict(loaded.vocab_size)}
        total += math.log10(known[int(token)])
        session.feed([int(token)])
    assert Model(path).score("the cat sat") == pytest.approx(total, abs=1e-4)


def test_a_state_is_for_one_hypothesis(path: Path) -> None:
    model = Model(path)
    begun, one, other, end = State(), State(), State(), State()
    model.BeginSentenceWrite(begun)
    first = model.BaseScore(begun, "the", one)
    cat, dog = model.BaseScore(one, "cat", other), model.BaseScore(one, "dog", end)
    assert cat != dog and model.BaseScore(one, "cat", State()) == cat
    total = first + cat + model.BaseScore(other, "</s>", end)
    assert total == pytest.approx(model.score("the cat"), abs=1e-5)
    with pytest.raises(SettingError, match="call BeginSentenceWrite"):
        model.BaseScore(State(), "the", end)


def test_a_document_begins_from_zero_after_the_end_of_another(tmp_path: Path) -> None:
    run = pantoum.train(
        text=TEXT.splitlines(),
        run=str(tmp_path / "r"),
        documents="lines",
        steps=5,
        hidden_size=8,
        num_layers=1,
        progress=False,
    )
    model, state, end, first, again = Model(run.folder), State(), State(), State(), State()
    model.BeginSentenceWrite(state)
    begun = model.BaseScore(state, "the", first)
    model.BaseScore(first, "</s>", end)
    assert model.BaseScore(end, "the", again) == pytest.approx(begun, abs=1e-6)
    cat = model.BaseScore(first, "cat", State())
    assert model.BaseScore(again, "cat", State()) == pytest.approx(cat, abs=1e-6)


def test_a_beam_gains_by_words(path: Path) -> None:
    beams = BeamModel(path, alpha=0.7, beta=1.0)
    start = beams.get_start_state()
    score, after = beams.score(start, "the")
    last, _ = beams.score(after, "cat", is_last_word=True)
    expected = 0.7 * Model(path).score("the cat") * math.log(10) + 2.0
    assert score + last == pytest.approx(expected, abs=1e-4)
    assert beams.score_partial_token("c") == 0.0 and "the" in beams.model
