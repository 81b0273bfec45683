"""A threshold that is learned lets the promised share of ordinary text pass it, and says when it cannot."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.config import UNITS, Alert, ScoreConfig
from pantoum.errors import SettingError
from pantoum.inference.alert import Peaks, held_out_peaks, peaks_of, threshold
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.scorer import Scorer

Make = Callable[..., LoadedModel]
TEXT = "The cat sat on the mat.\nA dog ran\n" * 40


@given(
    peaks=st.lists(st.floats(0, 20), min_size=1, max_size=300),
    share=st.floats(0.001, 0.5),
)
@settings(max_examples=60)
def test_at_most_the_share_is_beyond(peaks: list[float], share: float) -> None:
    kept = Peaks.of(np.array(peaks))
    nats = kept.threshold(share)
    assert nats is not None
    beyond = sum(peak > nats for peak in peaks)
    assert beyond <= share * len(peaks)
    assert Peaks.from_plain(kept.plain()) == kept


def test_many_units_are_kept_in_few_figures_and_the_share_is_nearly_used() -> None:
    peaks = np.random.default_rng(0).exponential(2.0, 200_000)
    kept = Peaks.of(peaks)
    assert len(kept.ranks) < 70
    for share in (0.3, 0.01, 0.001, 0.0001):
        nats = kept.threshold(share)
        assert nats is not None and 0.75 * share <= (peaks > nats).mean() <= share


def test_a_rarer_share_than_one_unit_is_extrapolated_and_said(characters: LoadedModel) -> None:
    kept = Peaks.of(np.array([1.0, 2.0]))
    assert kept.threshold(0.05) == pytest.approx(2.0 + math.log(10))
    nats, notes = threshold(characters, ScoreConfig(alert="auto:5%"), kept)
    assert nats == kept.threshold(0.05) and "2 lines" in notes[0] and "5%" in notes[0]


@pytest.mark.parametrize("by", ["token", "word", "line"])
def test_a_run_keeps_of_its_held_out_text_what_scoring_it_gives(make: Make, by: str) -> None:
    model = make("characters")
    ids = model.tokenizer.encode("\n" + TEXT)
    scored = list(Scorer(model, ScoreConfig(by=by)).read([TEXT]))
    nats_T = np.array([s.nats for s in Scorer(model, ScoreConfig(by="token")).read([TEXT])])
    kept = held_out_peaks(model.tokenizer, ids[1:], nats_T)
    assert Peaks.from_plain(kept[by]) == peaks_of(scored)
    with_card = LoadedModel(model.program, model.tokenizer, {"peaks": kept})
    nats, notes = threshold(with_card, ScoreConfig(by=by, alert="auto:20%"), None)
    assert nats == peaks_of(scored).threshold(0.2) and notes == []


def test_what_cannot_be_learned_is_refused_with_the_way_out(make: Make) -> None:
    model = make("characters")
    for config, kept, words in (
        (ScoreConfig(alert="auto:1%"), None, "none"),
        (ScoreConfig(alert="auto:1%", documents=True), None, "line by line"),
        (ScoreConfig(alert="auto:1%"), Peaks.of(np.zeros(0)), "empty"),
    ):
        with pytest.raises(SettingError, match=f"{words}.*--alert-text FILE"):
            threshold(model, config, kept)
    damaged = LoadedModel(model.program, model.tokenizer, {"peaks": {"line": {"units": "many"}}})
    with pytest.raises(SettingError):
        threshold(damaged, ScoreConfig(alert="auto:1%"), None)


def test_a_figure_is_the_threshold(characters: LoadedModel) -> None:
    assert threshold(characters, ScoreConfig(alert="9.5"), None) == (9.5, [])
    assert threshold(characters, ScoreConfig(alert=7), None) == (7.0, [])
    assert threshold(characters, ScoreConfig(), None) == (None, [])


NO_THRESHOLDS = "|x|auto|auto:|auto:1|5%|auto:0%|auto:51%|-1|nan|1e3|" + "9" * 400


@pytest.mark.parametrize("text", NO_THRESHOLDS.split("|"))
def test_what_is_no_threshold_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="alert is"):
        Alert.parse(text)


def test_of_means_the_highest_figure_is_the_threshold_of_a_rarer_share(characters: LoadedModel) -> None:
    means = ScoreConfig(alert="auto:0.1%", alert_by="mean", alert_text="ordinary.log")
    nats, notes = threshold(characters, means, Peaks(100, (1, 2), (0.41, 0.3)))
    assert nats == 0.41 and "the threshold is the highest" in notes[0]
    with pytest.raises(SettingError, match="learned from the peaks of the validation text; name a text"):
        threshold(characters, ScoreConfig(alert="auto:1%", alert_by="mean"), None)


def test_a_text_to_learn_from_needs_something_to_learn() -> None:
    with pytest.raises(SettingError, match=r"alert_text is 'a\.log'"):
        ScoreConfig(alert="9", alert_text="a.log")


@pytest.mark.parametrize(
    "figures",
    [
        {"nats": [1e308, float("inf")]},
        {"nats": [2.0, -1.0]},
        {"nats": [1.0, 2.0]},
        {"ranks": [2, 3]},
        {"ranks": [1, 1]},
        {"ranks": [1, 200]},
        {"units": 2**60},
        {"units": 0},
        {"ranks": [1]},
        {"ranks": [], "nats": []},
        {"units": float("inf")},
    ],
)
def test_peaks_that_no_text_has_are_no_threshold(figures: dict[str, Any]) -> None:
    plain = {"units": 100, "ranks": [1, 51], "nats": [5.0, 2.0]}
    assert Peaks.from_plain(plain) is not None
    assert Peaks.from_plain({**plain, **figures}) is None


def test_which_ranks_are_kept_of_how_many_units() -> None:
    def ranks(units: int) -> tuple[int, ...]:
        return Peaks.of(np.arange(units, dtype=np.float64)).ranks

    assert ranks(1) == (1,) and ranks(2) == (1, 2) and ranks(7) == (1, 2, 3, 4)
    assert ranks(31) == tuple(range(1, 17)) and ranks(32) == (*range(1, 17), 17)
    assert ranks(60) == (*range(1, 17), 20, 25, 31)


def test_the_share_itself_may_be_beyond_and_is_not_extrapolated(characters: LoadedModel) -> None:
    kept = Peaks.of(np.array([5.0, 4.0, 3.0, 2.0]))
    assert kept.threshold(0.25) == 4.0  # one of four is beyond it
    assert threshold(characters, ScoreConfig(alert="auto:25%"), kept) == (4.0, [])
    nats, notes = threshold(characters, ScoreConfig(alert="auto:10%"), kept)
    assert nats == 5.0 + math.log(2.5)
    assert notes == [
        "the text to learn from has 4 lines, less than one of which is 10%: "
        "the threshold of 5.92 nats is extrapolated from the highest peak, 5.00"
    ]


def test_a_refusal_says_which_text_is_missing(characters: LoadedModel) -> None:
    way_out = "name a text of ordinary lines with --alert-text FILE, or give a number of nats"
    for config, kept, rule in (
        (
            ScoreConfig(alert="auto:1%"),
            None,
            "needs figures of a validation text, and this model file has none (it is older, or its run was "
            "not finished, or had no validation text)",
        ),
        (
            ScoreConfig(alert="auto:1%", documents=True),
            None,
            "is learned from the validation text read as one stream, not line by line",
        ),
        (
            ScoreConfig(alert="auto:1%"),
            Peaks.of(np.zeros(0)),
            "cannot be learned: the text to learn from is empty",
        ),
    ):
        with pytest.raises(SettingError) as error:
            threshold(characters, config, kept)
        assert str(error.value) == f"alert is 'auto:1%': it {rule}; {way_out}"
    few = {"peaks": {"line": Peaks.of(np.array([3.0])).plain()}}
    model = LoadedModel(characters.network, characters.tokenizer, few)
    assert threshold(model, ScoreConfig(alert="auto:1%"), None)[1][0].startswith(
        "the validation text has 1 lines"
    )


def test_peaks_are_rounded_up_and_counted() -> None:
    kept = Peaks.of(np.array([1.00001, 0.5, 2.0]))
    assert kept == Peaks(3, (1, 2), (2.0, 1.0001))
    assert kept.plain() == {"units": 3, "ranks": [1, 2], "nats": [2.0, 1.0001]}
    assert Peaks.of(np.zeros(0)) == Peaks(0, (), ()) and Peaks.of(np.zeros(0)).threshold(0.1) is None


@pytest.mark.parametrize("plain", [None, 3, [], {}, {"units": 1, "ranks": 3, "nats": [1.0]}, {"units": "x"}])
def test_what_is_no_summary_of_peaks_is_none(plain: Any) -> None:
    assert Peaks.from_plain(plain) is None


def test_what_a_run_keeps_says_by_which_protocol(characters: LoadedModel) -> None:
    ids = characters.tokenizer.encode(TEXT)
    kept = held_out_peaks(characters.tokenizer, ids, np.ones(len(ids), np.float32))
    assert list(kept) == ["protocol", *UNITS] and kept["protocol"] == "segments:64"
    assert kept["token"] == {"units": len(ids), **kept["token"]}
    for card in ({"peaks": kept}, {"peaks": 3}, {}):
        model = LoadedModel(characters.program, characters.tokenizer, card)
        if card.get("peaks") == kept:
            assert threshold(model, ScoreConfig(by="token", alert="auto:1%"), None)[0] == 1.0
        else:
            with pytest.raises(SettingError, match="this model file has none"):
                threshold(model, ScoreConfig(by="token", alert="auto:1%"), None)


def test_documents_are_learned_from_by_a_model_of_documents(make: Make) -> None:
    model = make("characters", "lines")
    kept = {"peaks": {"line": Peaks.of(np.arange(200.0)).plain()}}
    with_card = LoadedModel(model.program, model.tokenizer, kept)
    config = ScoreConfig(alert="auto:1%", documents=True)
    assert threshold(with_card, config, None) == (Peaks.of(np.arange(200.0)).threshold(0.01), [])
