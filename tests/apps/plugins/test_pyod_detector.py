"""PyOD: labels, scores and probabilities of texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyod")
pytestmark = pytest.mark.filterwarnings("ignore")  # those of its imports


def test_odd_texts_are_outliers_of_pyod(model: Path, lines: list[str]) -> None:
    from pantoum.apps.plugins.pyod_detector import PyodDetector

    detector = PyodDetector(model=str(model), contamination=0.05).fit(lines)
    odd = np.array(["zzzz qqq !!! 7777", lines[0]], object)
    np.testing.assert_array_equal(detector.predict(odd), [1, 0])
    assert detector.labels_.mean() == pytest.approx(0.05, abs=0.03)
    np.testing.assert_array_equal(detector.predict_proba(odd.tolist()), detector.predict_proba(odd))
    assert detector.predict_proba(odd)[0, 1] > 0.9 and detector.threshold_ > 0
    assert detector.get_params()["model"] == str(model)
