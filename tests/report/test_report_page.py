"""``report.html``: whole, self-contained, deterministic, legible, and deaf to what a sample says."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import pytest

from pantoum.report.run_page import protocol_in_words, reads_as_code, render, spread
from pantoum.report.story import Story

Make = Callable[..., list[dict[str, Any]]]
VOID = {"meta", "link", "br"}


class Page(HTMLParser):
    """The tags of a page in order, its attributes, its text; unclosed elements are kept."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data


@pytest.fixture
def story(make_records: Make, config: dict[str, Any], evaluation: dict[str, Any]) -> Story:
    return Story("book", config, make_records(), evaluation, (["Once", " upon", "\n"], [None, 0.2, 4.5]))


def test_all_is_told(story: Story) -> None:
    page = Page(render(story))
    assert not page.open
    for words in (
        "1.348",
        "nats per character",
        "bits per byte",
        "1.945",
        "perplexity per character",
        "59.5 %",
        "segments:64",
        "10,000 characters",
        "bz2",
        "2.58",
        "xz",
        "2.94",
        "How it learned",
        "What it wrote during training",
        "A line written at step 6",
        "Text that it had not read",
        "How to repeat the run",
        "pantoum train book.txt --minutes 5",
        "a <fast> one",
        "finished",
        "30 seconds of training",
    ):
        assert words in page.text, words


def test_it_ends_with_the_line_it_began_with(story: Story) -> None:
    page = render(story)
    assert page.index("<title>book: 1.348 nats per character</title>") < page.index(
        "book: 1.348 nats per character</p>"
    )


def test_the_same_story_gives_the_same_bytes(make_records: Make, config: dict[str, Any]) -> None:
    assert render(Story("book", config, make_records())) == render(Story("book", config, make_records()))


def test_nothing_is_loaded_and_the_policy_says_so(story: Story) -> None:
    page = render(story)
    found = Page(page)
    assert not {"img", "iframe", "object", "embed", "base", "form"} & set(found.tags)
    loads = [
        (tag, value) for tag, name, value in found.attributes if name in ("src", "href", "action", "srcset")
    ]
    assert loads == [("link", "data:,")]
    assert "url(" not in page.replace("url(#", "") and "@import" not in page
    policy = next(
        value for _, name, value in found.attributes if name == "content" and "default-src" in value
    )
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'") and f"script-src 'sha256-{digest}'" in policy


def test_no_text_of_the_run_becomes_markup(
    make_records: Make, hostile: str, evaluation: dict[str, Any]
) -> None:
    records = make_records(sample=hostile, notes=[hostile])
    config = {"command": hostile, hostile: {hostile: hostile}, "settings": {"cell": hostile}}
    quiet = Page(
        render(
            Story(
                "x",
                {"command": "x", "x": {"x": "x"}, "settings": {"cell": "x"}},
                make_records(sample="x", notes=["x"]),
                evaluation,
                (["x"], [1.0]),
            )
        )
    )
    page = render(Story(hostile, config, records, {**evaluation, "protocol": hostile}, ([hostile], [1.0])))
    loud = Page(page)
    assert sorted(loud.tags) == sorted(quiet.tags) and not loud.open
    assert "\x1b" not in page and "\u202e" not in page and "\x00" not in page
    page.encode()


@pytest.mark.parametrize("upto", [0, 1, 2])
def test_short_runs(make_records: Make, upto: int) -> None:
    page = Page(render(Story("book", {}, make_records(60, upto)[:upto])))
    assert not page.open and "running" in page.text
    assert ("How it learned" in page.text) == (upto > 0)
    assert "None" not in page.text and "nan" not in page.text.lower().replace("nats", "")


def test_a_running_run_shows_how_far_it_is(make_records: Make) -> None:
    page = render(Story("book", {}, make_records(60, 30)))
    assert 'aria-valuenow="50"' in page and "about 0:15 left" in page and 'class="follow"' in page
    assert 'role="progressbar"' not in render(Story("book", {}, make_records(60)))


def test_what_is_missing_is_left_out(make_records: Make) -> None:
    page = Page(render(Story("book", {}, make_records(valid=None))))
    for words in (
        "bits per byte",
        "bz2",
        "Text that it had not read",
        "What it wrote",
        "How to repeat the run",
        "table",
    ):
        assert words not in page.text, words
    assert "training loss; no text was held out" in page.text


def test_before_the_final_figures_the_best_so_far_stands_there(
    make_records: Make, config: dict[str, Any]
) -> None:
    story = Story("book", config, make_records(60, 40))
    assert story.history.best is not None
    assert f"{story.history.best['valid']:.3f}</strong> <span>nats per character" in render(story)


def test_unknown_tokens_are_said(story: Story, evaluation: dict[str, Any]) -> None:
    page = Page(
        render(Story("book", {}, story.records, {**evaluation, "unknown_tokens": 12, "protocol": ""}))
    )
    assert "12 of them are unknown" in page.text


def test_every_note_is_told_with_its_time(make_records: Make) -> None:
    records = make_records()
    records[9]["notes"] = ["went back to step 4 & lowered the rate"]
    page = Page(render(Story("book", {}, records)))
    assert "What happened" in page.text and "went back to step 4 & lowered the rate" in page.text
    assert "step 10" in page.text and "0:05" in page.text


def test_settings_are_spelled_for_people() -> None:
    values = {
        "off": None,
        "yes": True,
        "no": False,
        "many": 1234567,
        "few": 12,
        "rate": 0.0020,
        "list": ["a", 1],
        "inner": {"a": 1, "b": None},
        "pair": [{"c": 2}],
    }
    text = Page(render(Story("book", {"chosen": values, "parameters": 4137570}))).text
    for words in (
        "offnone",
        "yesyes",
        "nono",
        "many1,234,567",
        "few12",
        "rate0.002",
        "lista, 1",
        "a1bnone",
        "pairc 2",
        "parameters4,137,570",
    ):
        assert words in text, words


def test_what_was_chosen_stands_for_what_was_left_open() -> None:
    config = {
        "command": ["pantoum", "train", "my book.txt"],
        "settings": {"cell": "auto", "seed": 0, "valid": None},
        "chosen": {"model": {"cell": "gru"}, "batch_size": 64},
        "reasons": ["64 streams: at least 8 updates per epoch"],
        "batch_size": 64,
        "began": "2026-01-01",
    }
    text = Page(render(Story("book", config))).text
    for words in ("'my book.txt'", "cellgru", "batch size64", "64 streams: at least", "began2026-01-01"):
        assert words in text, words
    assert "auto" not in text and "none" not in text and text.count("batch size") == 1


def test_a_prolonged_run_shows_all_its_commands_and_the_budget_in_force() -> None:
    config = {
        "command": ["pantoum", "train", "book.txt", "--minutes", "1"],
        "resumed_by": [["pantoum", "train", "--resume", "--minutes", "2"]],
        "settings": {"minutes": 1.0, "seed": 0},
        "budget": "1 minute + 2 minutes",
        "text": {"sha256": "0123abcd", "tokenizer": "4567ef01"},  # for `compare`, not for people
    }
    page = render(Story("book", config))
    assert ">pantoum train book.txt --minutes 1\npantoum train --resume --minutes 2<" in page
    assert "budget1 minute + 2 minutes" in Page(page).text and "minutes1" not in Page(page).text
    assert "0123abcd" not in page and "4567ef01" not in page
    begun = {name: value for name, value in config.items() if name != "budget"}
    assert "minutes1" in Page(render(Story("book", begun))).text


def test_long_samples_and_long_passages_are_cut(make_records: Make) -> None:
    story = Story("book", {}, make_records(sample="é" * 5000), passage=(["a"] * 9000, [1.0] * 9000))
    page = render(story)
    assert max(map(len, re.findall("é+", page))) == 1200
    assert page.count('data-n="1.00"') == 6000


def test_a_long_run_keeps_the_page_short(make_records: Make) -> None:
    records = [{**r, "valid": 2.0, "sample": "x"} for r in make_records(3000)]
    page = render(Story("book", {}, records))
    assert len(page) < 150_000 and page.count("<tr") < 30 and page.count("<blockquote") <= 6


def test_samples_are_chosen_closer_at_the_beginning() -> None:
    assert spread(range(5), 6) == [0, 1, 2, 3, 4]
    chosen = spread(range(100), 6)
    assert chosen[0] == 0 and chosen[-1] == 99 and len(chosen) <= 6
    gaps = [b - a for a, b in itertools.pairwise(chosen)]
    assert gaps == sorted(gaps)


def test_code_is_told_from_prose() -> None:
    assert reads_as_code("def f(x):\n    return x\n\n    y = [1]\n")
    assert not reads_as_code("FIRST CITIZEN:\nBefore we proceed, hear me speak.\n\nALL:\nSpeak, speak.")


def test_every_protocol_has_words() -> None:
    assert "state carried" in protocol_in_words("carried")
    assert "64 segments" in protocol_in_words("segments:64") and "32 tokens" in protocol_in_words(
        "windows:32"
    )
    assert protocol_in_words("foreign") == ""


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_colours_are_legible(mode: str, contrast: Callable[[str, str], float]) -> None:
    sheet = (resources.files("pantoum.report") / "page.css").read_text()
    light, dark = re.findall(r":root \{([^}]*)\}", sheet)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    if mode == "dark":
        changed = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark))
        assert set(changed) == set(colours)
        colours = changed
    for text in ("ink", "soft", "training", "validation"):
        for ground in ("paper", "sheet"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    assert contrast(colours["edge"], colours["paper"]) >= 3.0
    assert contrast(colours["validation"], colours["training"]) >= 1.0


def test_n_grams_and_ensembles_are_said_in_the_headline(config: dict[str, Any]) -> None:
    chosen = {"members": 3, "model": {"ngrams": [3, 4, 5]}}
    page = render(Story("book", {**config, "chosen": chosen}))
    assert (
        "An ensemble of 3 members, each a GRU of 3 layers of 512 units and n-grams of 3, 4 and 5 char" in page
    )
    assert "ensemble" not in render(Story("book", config))


def test_the_page_says_why_curve_and_figure_differ(story: Story) -> None:
    assert "To save time" not in render(story)
    part = replace(story, config={**story.config, "monitored_tokens": 2049})
    words = "measured on 2,048 of"
    assert words in render(part) and "the figure at the top of the page is measured on all of them" in render(
        part
    )
    whole = replace(story, config={**story.config, "monitored_tokens": int(story.score("tokens") or 0) + 1})
    assert "To save time" not in render(whole)


def test_of_many_texts_the_first_names_are_shown(config: dict[str, Any]) -> None:
    texts = [f"/long/path/to/{name}.py" for name in "abcde"]
    page = render(Story("book", {**config, "texts": texts}))
    assert "a.py, b.py, c.py and 2 more" in page and "/long/path" not in page


def test_a_run_on_words_has_its_perplexity_beside_nats(
    make_records: Make, config: dict[str, Any], evaluation: dict[str, Any]
) -> None:
    words = {**config, "kind": "words:whitespace"}
    page = Page(render(Story("book", words, make_records(), evaluation)))
    assert "nats per word" in page.text and "perplexity per word" in page.text and "3.85" in page.text
    running = Page(render(Story("book", words, make_records(60, 40))))
    assert "perplexity per word" in running.text and "5.55" in running.text
