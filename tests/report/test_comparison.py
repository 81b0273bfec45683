"""Runs side by side: seeds are one group, best first, and what does not compare is said."""

from __future__ import annotations

import io
import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from pantoum.report import comparison_table, svg
from pantoum.report.comparison import Comparison, comparison, configuration
from pantoum.report.comparison_table import show, strip
from pantoum.report.story import Story

Make = Callable[..., list[dict[str, Any]]]
Tell = Callable[..., Story]


@pytest.fixture
def tell(make_records: Make, config: dict[str, Any], evaluation: dict[str, Any]) -> Tell:
    """A run with these settings and so many bits per byte; without them it has no validation figures yet."""

    def made(bits: float | None = 2.0, ended: str | None = "finished", **settings: Any) -> Story:
        records = make_records(10)
        records[-1]["ended"] = ended
        figures = None if bits is None else {**evaluation, "bits_per_byte": bits}
        return Story("book", {**config, "settings": {**config["settings"], **settings}}, records, figures)

    return made


def compared(*stories: Story) -> Comparison:
    return comparison(stories, [f"runs/{i}" for i in range(len(stories))])


def test_seeds_are_one_group_with_mean_and_spread(tell: Tell) -> None:
    found = compared(tell(2.0, seed=0), tell(2.2, seed=1), tell(2.1, seed=2, run="elsewhere"))
    (group,) = found.groups
    assert group.seeds == (0, 1, 2) and group.runs == ("runs/0", "runs/1", "runs/2") and not group.differs
    bits = group.figures["bits_per_byte"]
    assert bits.mean == pytest.approx(2.1) and bits.spread == pytest.approx(statistics.stdev([2.0, 2.1, 2.2]))


def test_the_best_group_stands_first_and_only_differences_are_named(tell: Tell) -> None:
    found = compared(tell(2.5, cell="gru"), tell(2.0, cell="lstm", seed=1), tell(2.1, cell="lstm"))
    assert [(g.differs, len(g.runs)) for g in found.groups] == [({"cell": "lstm"}, 2), ({"cell": "gru"}, 1)]
    assert found.groups[1].figures["bits_per_byte"].spread is None


def test_without_final_figures_the_held_out_loss_decides(tell: Tell) -> None:
    found = compared(tell(None, hidden_size=8), tell(2.0))
    assert found.by == "best_valid"
    assert found.groups[0].figures["best_valid"].mean is not None


@pytest.mark.parametrize(("one", "other", "words"), [
    ({}, {"bits": None, "tokens": "words"}, "count different tokens"),
    ({}, {"text": "another"}, "different texts"),
    ({}, {"bytes": 5}, "validation texts or protocols differ"),
    ({}, {"unknown_tokens": 3}, "unknown to a model"),
    ({}, {"ended": "stopped"}, "1 of 2 runs has not finished"),
    ({"ended": None}, {"ended": None}, "2 of 2 runs have not finished"),
])  # fmt: skip
def test_what_does_not_compare_is_said(
    tell: Tell, one: dict[str, Any], other: dict[str, Any], words: str
) -> None:
    def story(bits: float | None = 2.0, ended: str | None = "finished", tokens: str = "characters",
              text: str = "same", **figures: Any) -> Story:  # fmt: skip
        made = tell(bits, ended, tokens=tokens)
        evaluation = None if made.evaluation is None else {**made.evaluation, **figures}
        config = {**made.config, "texts": [{"name": text, "sha256": text}]}
        return Story("book", config, made.records, evaluation)

    notes = compared(story(**one), story(**other)).notes
    assert any(words in note for note in notes), notes


def of_text(story: Story, budget: str = "1 minute", **text: Any) -> Story:
    known = {"sha256": "aa", "valid_sha256": None, "tokenizer": "cc", "documents": None, **text}
    return replace(story, config={**story.config, "text": known, "budget": budget})


def test_what_really_was_makes_the_groups(tell: Tell) -> None:
    seeds = [of_text(tell(2.0 + seed, seed=seed, data=f"there/{seed}")) for seed in range(3)]
    other = of_text(tell(2.5, data="there/0"), sha256="bb")
    further = of_text(tell(1.9), "1 minute + 2 minutes")
    found = compared(*seeds, other, further)
    assert [(group.runs, group.differs) for group in found.groups] == [
        (("runs/4",), {"budget": "1 minute + 2 minutes"}),
        (("runs/3",), {"budget": "1 minute"}),
        (("runs/0", "runs/1", "runs/2"), {"budget": "1 minute"}),
    ]  # fmt: skip
    assert found.notes == ("the runs learned from different texts",)


def test_another_held_out_text_is_another_group_whose_figures_do_not_compare(tell: Tell) -> None:
    found = compared(of_text(tell(2.0)), of_text(tell(2.1, seed=1), valid_sha256="dd"))
    assert len(found.groups) == 2 and "validation texts" in found.notes[0]


def test_like_runs_have_no_notes(tell: Tell) -> None:
    assert compared(tell(2.0), tell(2.1, seed=1)).notes == ()


def test_a_run_that_repeats_another_is_no_second_seed(tell: Tell) -> None:
    found = compared(tell(2.0, seed=1), tell(2.2, seed=2), tell(2.0, seed=1))
    (group,) = found.groups
    assert group.seeds == (1, 2) and group.runs == ("runs/0", "runs/1")
    assert group.figures["bits_per_byte"].values == (2.0, 2.2)
    assert any(note.startswith("runs/2 repeats runs/0") for note in found.notes)


def test_the_same_seed_with_another_result_is_another_run(tell: Tell) -> None:
    assert len(compared(tell(2.0, seed=1), tell(2.1, seed=1)).groups[0].runs) == 2


@pytest.mark.parametrize("seed", [{"a": 1}, [1], None, "1"])
def test_a_seed_that_is_no_number_is_shown_as_missing(tell: Tell, seed: Any) -> None:
    """A forged ``config.json``."""
    (group,) = compared(tell(2.0, seed=seed), tell(2.1, seed=2)).groups
    assert group.seeds == (None, 2)


def test_plain_values_for_json(tell: Tell) -> None:
    plain = compared(tell(2.0), tell(2.2, seed=1)).to_dict()
    figures = plain["groups"][0]["figures"]["bits_per_byte"]
    assert plain["by"] == "bits_per_byte"
    assert figures == {
        "mean": 2.1,
        "spread": pytest.approx(0.1414, abs=1e-4),
        "least": 2.0,
        "most": 2.2,
        "runs": 2,
    }


def test_a_run_with_nothing_in_it_is_no_error() -> None:
    found = compared(Story("a"), Story("b", {"settings": None}))
    assert found.groups[0].figures["steps"].mean is None
    show(found, io.StringIO())


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def shown(found: Comparison, width: int | None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    stream = io.StringIO() if width is None else Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width or 80))
    monkeypatch.setenv("NO_COLOR", "1")
    show(found, stream)
    return stream.getvalue().replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "").splitlines()


def test_the_table_in_a_pipe_is_plain_and_whole(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(
        compared(tell(2.0, cell="lstm"), tell(2.2, cell="lstm", seed=1), tell(2.5)), None, monkeypatch
    )
    heads = "run seeds cell bits/byte nats/char validation accuracy updates tokens time tokens/s"
    assert lines[0].split() == heads.split()
    assert lines[1].startswith("runs/0 +1  0,1    lstm  2.100 ± 0.141")
    assert lines[2].split()[:4] == ["runs/2", "0", "gru", "2.500"]


@pytest.mark.parametrize("width", [50, 80, 100, 140])
def test_the_table_on_a_terminal_fits(tell: Tell, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    lines = shown(compared(tell(2.0, cell="lstm"), tell(2.5, ended=None)), width, monkeypatch)
    assert all(len(line) <= width for line in lines)
    assert "bits/byte" in lines[0] and any(line.startswith("note: 1 of 2") for line in lines)
    assert ("o·" in lines[1]) == (width >= 80)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_terminal_keeps_the_figures(tell: Tell, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    names = [f"runs/a-rather-long-folder-name-{n}" for n in range(3)]
    many = {"minutes": 0.7, "hidden_size": 128, "tokens": "characters", "documents": "lines"}
    stories = [tell(2.0, cell="lstm", **many), tell(2.5, seed=1), tell(2.6)]
    lines = shown(comparison(stories, names), width, monkeypatch)
    table = lines[:3]
    assert all(len(line) <= width for line in table)
    assert "bits/byte" in table[0] and "2.000" in table[1] and "2.550" in table[2]
    below = " ".join(" ".join(lines[3:]).split())
    assert f"{names[0]}: " in below and "cell lstm" in below and below.count("documents lines") == 1
    assert f"{names[1]} +1: " in below and "minutes 0.7" in below and "auto" not in below
    assert ("…" in table[1]) == (width < 60)


def test_hostile_names_are_shown_not_obeyed(
    tell: Tell, hostile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = comparison([tell(2.0, cell=hostile), tell(2.1)], [hostile, "b"])
    assert "\x1b]" not in "\n".join(shown(found, 200, monkeypatch))


def test_the_strip_puts_runs_on_one_axis() -> None:
    assert strip([1.0, 2.0], 1.0, 2.0, width=11) == "o····│····o"
    assert strip([1.0], 1.0, 2.0, width=5) == "o····"
    assert strip([1.0], 1.0, 1.0, width=5) == "··o··"


def test_every_column_is_a_figure() -> None:
    assert set(comparison_table.DROPPED) - {comparison_table.PICTURE} <= set(comparison_table.COLUMNS)


def test_runs_on_words_are_compared_by_perplexity_too(tell: Tell) -> None:
    words = comparison_table.plain(compared(tell(2.0, tokens="words"), tell(2.1, tokens="words", seed=1)))
    assert "perplexity/word" in words and "3.85 ± 0" in words
    assert "perplexity" not in comparison_table.plain(compared(tell(2.0)))


def test_a_comparison_draws_a_dot_per_run_and_a_bar_per_mean(tell: Tell) -> None:
    found = compared(tell(2.0, cell="lstm"), tell(2.1, cell="lstm", seed=1), tell(2.5, cell="<gru>"))
    picture = svg.compared(found)
    assert picture.count("<circle") == 3 and picture.count('class="mean"') == 1
    assert "cell lstm" in picture and "cell &lt;gru&gt;" in picture and "bits per byte" in picture
    assert found._repr_html_().startswith(picture) and "<table>" in found._repr_html_()
    ElementTree.fromstring(picture)
    without = replace(tell(None), records=())
    assert svg.compared(compared(without)) == ""


def test_a_long_list_of_groups_is_drawn_from_its_best(tell: Tell) -> None:
    found = compared(*(tell(2.0 + n / 100, hidden_size=n) for n in range(1, 60)))
    assert svg.compared(found).count("<circle") == svg.MOST_ROWS


TEXT = {"sha256": "aa", "valid_sha256": None, "tokenizer": "cc", "documents": "lines", "valid_fraction": 0.1}
CONFIG = {
    "texts": ["book.txt"],
    "settings": {"cell": "gru", "tokens": "auto", "vocab_size": "auto", "valid_fraction": 0.1, "seed": 0},
    "kind": "characters",
    "vocab_size": 77,
    "text": TEXT,
    "budget": "1 minute",
}


def told(settings: Any = (), text: Any = (), **changes: Any) -> dict[str, Any]:
    config: Any = {**CONFIG, **changes}
    whole = {**config["settings"], **dict(settings)}
    return configuration(Story("x", {**config, "settings": whole, "text": {**config["text"], **dict(text)}}))


@pytest.mark.parametrize("same", [
    {"settings": {"data": "prepared/book"}, "texts": []},
    {"texts": ["elsewhere/copy.txt"]},
    {"settings": {"tokens": "characters", "documents": "lines", "keep_data": True}},
    {"settings": {"run": "runs/7", "stop_after": 3, "resume": True}},
    {"settings": {"minutes": 1.0}},
])  # fmt: skip
def test_names_of_files_and_how_a_choice_was_made_do_not_count(same: dict[str, Any]) -> None:
    assert told(**same) == told()


@pytest.mark.parametrize("other", [
    {"text": {"sha256": "bb"}}, {"text": {"valid_sha256": "bb"}}, {"text": {"tokenizer": "dd"}},
    {"text": {"documents": None}}, {"text": {"valid_fraction": 0.2}}, {"kind": "bytes"},
    {"vocab_size": 78}, {"budget": "1 minute + 2 minutes"}, {"settings": {"cell": "lstm"}},
])  # fmt: skip
def test_what_came_of_the_settings_counts(other: dict[str, Any]) -> None:
    assert told(**other) != told()


@pytest.mark.parametrize("odd", [None, [], "x", 3])
def test_a_config_of_any_form_has_a_configuration(odd: Any) -> None:
    names = ("settings", "chosen", "text", "texts", "budget", "kind", "vocab_size")
    assert "text" in configuration(Story("x", dict.fromkeys(names, odd)))


def test_what_was_left_open_is_what_was_chosen_also_where_it_is_off() -> None:
    settings = {"ngrams": "auto", "members": "auto", "kneser_ney": "auto", "softmax": "auto"}
    plain = told(settings, chosen={"model": {"cell": "gru"}, "members": 1})
    assert (plain["ngrams"], plain["members"], plain["kneser_ney"], plain["softmax"]) == (None, 1, None, None)
    with_more = told(settings, chosen={"model": {"ngrams": [3, 4]}, "members": 4, "kneser_ney": 5})
    assert (with_more["ngrams"], with_more["members"], with_more["kneser_ney"]) == ([3, 4], 4, 5)
    typed = told({"members": 1, "ngrams": None}, chosen={"model": {"cell": "gru"}, "members": 1})
    assert {name: typed[name] for name in ("members", "ngrams")} == {"members": 1, "ngrams": None}
