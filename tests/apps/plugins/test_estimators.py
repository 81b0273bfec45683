"""Estimators of scikit-learn: they are cloned, pickled, searched and put into pipelines like any other."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.errors import SettingError

pytest.importorskip("sklearn")
pytestmark = pytest.mark.filterwarnings("ignore")  # those of scikit-learn
TEXTS = [f"GET /page/{n * 7 % 121} 200" for n in range(120)]
TRAIN = {"steps": 30, "hidden_size": 16, "num_layers": 1, "seed": 1}


@pytest.fixture(scope="module")
def detector() -> Any:
    from pantoum.apps.plugins.estimators import SurprisalDetector

    return SurprisalDetector(train=TRAIN, contamination=0.05).fit(TEXTS)


def test_odd_texts_are_outliers_also_after_a_pickle(detector: Any) -> None:
    odd = ["zzzz qqq !!! 7777", TEXTS[0]]
    found = detector.predict(odd)
    assert found[0] == -1 and (detector.predict(TEXTS) == -1).mean() == pytest.approx(0.05, abs=0.03)
    again = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(again.decision_function(odd), detector.decision_function(odd))


def test_it_is_cloned_and_checked_as_an_estimator(detector: Any) -> None:
    from sklearn.base import clone
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.estimator_checks import check_estimator

    from pantoum.apps.plugins.estimators import StateVectors, SurprisalDetector

    fresh = clone(detector)
    assert fresh.get_params() == detector.get_params()
    with pytest.raises(NotFittedError):
        fresh.predict(TEXTS)
    for kind in (SurprisalDetector, StateVectors):
        check_estimator(kind(train=TRAIN))


def test_vectors_go_into_a_pipeline(detector: Any, tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from pantoum.apps.plugins.estimators import StateVectors

    (tmp_path / "m").write_bytes(detector.file_)
    vectors = StateVectors(model=str(tmp_path / "m")).fit(TEXTS)
    assert vectors.transform(np.array(TEXTS[:3], object)).shape == (3, 16)
    assert vectors.get_feature_names_out().tolist() == [f"unit{n}" for n in range(16)]
    table = vectors.set_output(transform="pandas").transform(TEXTS[:3])
    assert table.shape == (3, 16) and list(table)[:2] == ["unit0", "unit1"]
    labels = [text.endswith("3 200") for text in TEXTS]
    pipeline = make_pipeline(StateVectors(model=str(tmp_path / "m")), LogisticRegression())
    assert pipeline.fit(TEXTS, labels).score(TEXTS, labels) > 0.5


def test_a_document_within_a_text_begins_from_zero(detector: Any, tmp_path: Path) -> None:
    from pantoum.apps.plugins.estimators import StateVectors

    (tmp_path / "m").write_bytes(detector.file_)
    vectors = StateVectors(model=str(tmp_path / "m")).fit(TEXTS).transform(["GET /\nPUT", "PUT", "/\nPUT"])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    twice, once = TEXTS[0] + "\n" + TEXTS[0], TEXTS[0] + "\n"
    nats = [-detector.score_samples([text])[0] * len(text) for text in (twice, once, TEXTS[0])]
    assert nats[0] == pytest.approx(nats[1] + nats[2], abs=1e-3)


@pytest.mark.parametrize("wrong", [[], "a text", [[1.0, 2.0]], None, np.zeros((2, 2))])
def test_what_is_no_list_of_texts_is_refused(wrong: Any) -> None:
    from pantoum.apps.plugins.estimators import StateVectors

    with pytest.raises(SettingError, match="X is"):
        StateVectors(train=TRAIN).fit(wrong)
