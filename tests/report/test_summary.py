"""The summary of a run: loss with unit, what it means beside the compressors, files, and how it ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pantoum.report.wording import judgement, summary

FIGURES = {
    "protocol": "segments:64",
    "nats_per_token": 1.5,
    "nats_per_character": 1.25,
    "bits_per_byte": 1.8,
    "xz_bits_per_byte": 2.9,
    "bz2_bits_per_byte": 2.6,
    "accuracy": 0.6123,
}


def result(folder: Path, **changes: Any) -> dict[str, Any]:
    (folder / "model.safetensors").write_bytes(bytes(2_500_000))
    plain = {
        "run": str(folder),
        "model": str(folder / "model.safetensors"),
        "steps": 1234,
        "tokens": 5_140_000,
        "seconds": 301.0,
        "parameters": 620_000,
        "validation": FIGURES,
        "stopped": None,
    }
    return {**plain, **changes}


def test_a_finished_run_is_summed_up(tmp_path: Path) -> None:
    assert summary(result(tmp_path)) == [
        "finished after step 1,234, 5.14 M tokens and 5 minutes 1 second",
        "validation loss: 1.250 nats per character (segments:64), accuracy 61.2 %",
        "bits per byte:   1.80, compared with 2.90 (xz) and 2.60 (bz2)",
        "the model predicts the validation text better than xz and bz2 compress it",
        f"model:  {tmp_path}/model.safetensors (2.5 MB, 620 k parameters)",
        f"report: {tmp_path}/report.html",
    ]


@pytest.mark.parametrize(
    ("stopped", "words"),
    [("SIGINT", "by Ctrl-C"), ("SIGTERM", "by SIGTERM"), ("stop_after", "as asked by --stop-after")],
)
def test_a_stopped_run_says_where_and_that_it_is_saved(tmp_path: Path, stopped: str, words: str) -> None:
    lines = summary(result(tmp_path, stopped=stopped, validation=None))
    assert lines[0] == f"stopped {words} at step 1,234; the run is saved and can continue there"
    assert not any("validation" in line for line in lines)


def test_what_is_not_known_is_not_invented(tmp_path: Path) -> None:
    assert "validation: none, because no text was held out" in summary(result(tmp_path, validation=None))
    words = {**FIGURES, "nats_per_character": None, "bits_per_byte": None}
    lines = summary(result(tmp_path, validation=words, model=str(tmp_path / "none")))
    assert "validation loss: 1.500 nats per token (segments:64), accuracy 61.2 %" in lines and len(lines) == 3


@pytest.mark.parametrize(
    ("size", "bits", "said"),
    [(312, 1.8, "too few to compare"), (0, None, None), (100_000, 1.8, "compared with 2.90 (xz)")],
)
def test_a_short_text_has_no_verdict_and_none_a_negative_figure(
    tmp_path: Path, size: int, bits: float | None, said: str | None
) -> None:
    lines = summary(result(tmp_path, validation={**FIGURES, "bits_per_byte": bits, "bytes": size}))
    told = [line for line in lines if line.startswith("bits per byte")]
    assert len(told) == (said is not None) and all(str(said) in line for line in told)
    assert any("compress it" in line for line in lines) == (size == 100_000)


def test_words_are_summed_up_by_their_perplexity(tmp_path: Path) -> None:
    found = {**FIGURES, "nats_per_token": 5.0, "unit": "word", "unknown_tokens": 1234}
    figures = "5.000 nats per word, perplexity 148.4 per word (segments:64, 1,234 unknown words)"
    assert f"validation loss: {figures}, accuracy 61.2 %" in summary(result(tmp_path, validation=found))


def test_a_loss_of_a_part_is_said_to_be_one(tmp_path: Path) -> None:
    found = {**FIGURES, "tokens": 111_000, "unit": "character"}
    monitor = {"protocol": "segments:64", "tokens": 20_000, "nats_per_token": 1.546}
    lines = summary(result(tmp_path, validation=found, monitor=monitor))
    assert lines[2] == (
        "while training:  1.546 nats per character at best (segments:64), on 20,000 of these 111,000 "
        "characters"
    )
    whole = summary(result(tmp_path, validation=found, monitor={**monitor, "tokens": 111_000}))
    assert not any("while training" in line for line in whole)


def test_a_model_of_bytes_has_nats_per_byte(tmp_path: Path) -> None:
    found = {**FIGURES, "unit": "byte"}
    assert "validation loss: 1.500 nats per byte" in summary(result(tmp_path, validation=found))[1]


def test_it_follows_the_figures() -> None:
    assert "better than xz and bz2 compress it" in judgement(1.0, 2.0, 3.0)
    assert "better than bz2 compresses it, not yet better than xz" in judgement(2.5, 2.0, 3.0)
    assert "better than xz compresses it, not yet better than bz2" in judgement(2.5, 3.0, 2.0)
    assert judgement(3.5, 3.0, 2.0).startswith("xz and bz2 compress the validation text better")


@pytest.mark.parametrize(("bits", "size"), [(8.01, 10_000), (8.0, 10**6), (8.05, 10_000)])
def test_random_bytes_are_predicted_no_better_than_they_are_compressed(bits: float, size: int) -> None:
    assert "about as well as xz and bz2" in judgement(bits, 8.02, 8.04, size)


def test_the_longer_the_text_the_smaller_the_difference_that_counts() -> None:
    assert "about as well" in judgement(2.0, 2.05, 2.05, 10_000)
    assert "better than xz and bz2" in judgement(2.0, 2.05, 2.05, 10**6)
    assert judgement(2.0, 2.01, 1.5, 10_000).endswith("as well as xz compresses it; bz2 compresses it better")
