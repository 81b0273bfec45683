"""The writing desk in a real browser, every control of it, against a real server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
DONE = "Three alternatives are written."


def text(desk: Any) -> str:
    return str(desk.page.locator("#text").input_value())


def write(desk: Any, words: str) -> None:
    """Type, and wait until the server has read it."""
    desk.page.locator("#text").focus()
    desk.page.keyboard.insert_text(words)
    desk.expect(desk.page.locator("#status")).to_contain_text("nats per token")


def alternatives(desk: Any) -> list[str]:
    """Ask for alternatives by the keyboard, and wait for them."""
    desk.page.keyboard.press("Control+Enter")
    desk.expect(desk.page.locator("#status")).to_have_text(DONE)
    return [str(words) for words in desk.page.locator("#cards pre").all_text_contents()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_its_pictures_are_right_and_it_asks_only_its_own_server(
    opened: Any, tab: Callable[..., Any], width: int, scheme: str
) -> None:
    desk = tab(width, scheme)
    desk.expect = pytest.importorskip("playwright.sync_api").expect
    desk.page.goto(opened.url)
    desk.page.wait_for_selector("#facts:not(:empty)")
    write(desk, "The cat number 7 sat on the zebra, and a-very-long-word" + "x" * 200)
    alternatives(desk)
    desk.page.locator("#keys summary").click()
    assert desk.overflow() <= 0
    ratio, words = desk.worst_contrast()
    assert ratio >= 4.5, words
    assert all(url.startswith((opened.url, "data:")) for url in desk.asked)
    assert not desk.wrong


def test_the_text_continues_where_the_cursor_stands(desk: Any) -> None:
    write(desk, "The cat ran.")
    for _ in range(len(" ran.")):
        desk.page.keyboard.press("ArrowLeft")
    found = alternatives(desk)
    assert len(found) == 3 and all(found) and len(set(found)) > 1
    desk.page.keyboard.press("2")
    assert text(desk) == "The cat" + found[1] + " ran."
    assert not desk.page.locator("#alternatives").is_visible()
    desk.page.keyboard.press("Control+z")
    assert text(desk) == "The cat ran."


def test_alternatives_are_those_of_the_server(desk: Any, opened: Any) -> None:
    write(desk, "The cat")
    answer = opened.post(
        "/v1/completions", prompt="The cat", max_tokens=120, temperature=0.9, top_p=1, seed=1, n=3
    )
    assert alternatives(desk) == [choice["text"] for choice in answer.json()["choices"]]


def test_buttons_do_what_keys_do(desk: Any) -> None:
    write(desk, "The cat")
    desk.page.locator("#continue").click()
    desk.expect(desk.page.locator("#status")).to_have_text(DONE)
    before = desk.page.locator("#cards pre").first.text_content()
    desk.page.locator("#again").click()
    desk.expect(desk.page.locator("#cards pre").first).not_to_have_text(before)
    desk.expect(desk.page.locator("#status")).to_have_text(DONE)
    words = desk.page.locator("#cards pre").nth(2).text_content()
    desk.page.get_by_role("button", name="Take 3").click()
    assert text(desk) == "The cat" + words


def test_sliders_change_the_alternatives_at_once_and_not_their_seed(desk: Any) -> None:
    write(desk, "The cat")
    before = alternatives(desk)
    for slider, key in (("#temperature", "Home"), ("#top-p", "Home"), ("#length", "Home")):
        desk.page.locator(slider).focus()
        desk.page.keyboard.press(key)
    desk.expect(desk.page.locator("#temperature-value")).to_have_text("0.00")
    desk.expect(desk.page.locator("#cards pre").first).not_to_have_text(before[0])
    desk.expect(desk.page.locator("#status")).to_have_text(DONE)
    greedy = desk.page.locator("#cards pre").all_text_contents()
    assert len(set(greedy)) == 1 and len(greedy[0]) <= len(before[0])
    desk.page.locator("#temperature").fill("0.9")
    desk.page.locator("#top-p").fill("1")
    desk.page.locator("#length").fill("120")
    desk.expect(desk.page.locator("#cards pre").first).to_have_text(before[0])


def test_what_is_typed_is_coloured_by_surprisal(desk: Any) -> None:
    write(desk, "The cat number 5 sat on the mat, ZZZ")
    tints = desk.page.locator("#mirror i")
    desk.expect(tints.last).to_have_class(re.compile("s[2-7]"))
    assert desk.page.locator("#mirror").text_content() == text(desk) + "\n"
    desk.page.locator("#paint-none").check()
    desk.expect(tints).to_have_count(0)


def test_pieces_are_cut_by_characters_and_tokens_of_one_place_are_one(desk: Any) -> None:
    found = desk.page.evaluate(
        """async () => {
            const desk = document.querySelector("script[type=module]").src;
            const { placed } = await import(desk.replace("desk.js", "reading.js"));
            const values = [1, 2, 3, 4, 5, 6];
            return placed("a\U0001f600\ufb01x", [0, 1, 2, 2, 3, 4], values, (one, other) => one + other);
        }"""
    )
    assert found == [["a", 1], ["\U0001f600", 2], ["\ufb01", 7], ["x", 11]]


def test_a_server_with_one_slot_writes_one_alternative(
    serve: Callable[..., Any], run: Path, tab: Callable[..., Any]
) -> None:
    desk = tab()
    desk.expect = pytest.importorskip("playwright.sync_api").expect
    desk.page.goto(serve(run, slots=1).url)
    desk.page.wait_for_selector("#facts:not(:empty)")
    write(desk, "The cat")
    desk.page.locator("#continue").click()
    desk.expect(desk.page.locator("#status")).to_contain_text("The alternatives are written.")
    desk.expect(desk.page.locator("#error")).to_be_hidden()


def test_a_model_of_words_has_figures_per_word(
    serve: Callable[..., Any], words: Path, tab: Callable[..., Any]
) -> None:
    desk = tab()
    desk.page.goto(serve(words, slots=4).url)
    desk.page.wait_for_selector("#facts:not(:empty)")
    desk.page.locator("#text").focus()
    desk.page.keyboard.insert_text("The cat number 7 ")
    status = pytest.importorskip("playwright.sync_api").expect(desk.page.locator("#status"))
    status.to_contain_text(re.compile(r"[\d.]+ nats per word, perplexity [\d.,]+"))


def test_forks_are_a_tree_and_nothing_is_lost_on_reload(desk: Any) -> None:
    write(desk, "The cat number 1 sat.")
    for _ in range(len(" number 1 sat.")):
        desk.page.keyboard.press("ArrowLeft")
    desk.page.locator("#fork").click()
    write(desk, " ran away")
    found = alternatives(desk)
    desk.page.keyboard.press("Shift+Digit1")
    assert text(desk) == "The cat ran away" + found[0]
    desk.page.wait_for_selector("#tree ul ul ul")
    desk.page.reload()
    desk.page.wait_for_selector("#tree ul ul ul")
    assert text(desk) == "The cat ran away" + found[0]
    desk.page.locator("#tree .open").first.click()
    assert text(desk) == "The cat number 1 sat."
    desk.page.on("dialog", lambda dialog: dialog.accept())
    desk.page.get_by_role("button", name="Delete The cat number 1 sat.").click()
    assert desk.page.locator("#tree .open").count() == 2 and text(desk) == "The cat ran away"


def test_a_state_is_downloaded_and_loaded(desk: Any, tmp_path: Path) -> None:
    write(desk, "The cat number 3 sat on the")
    with desk.page.expect_download() as saved:
        desk.page.locator("#tree").get_by_role("button", name="Download the state").click()
    path = tmp_path / "state.json"
    saved.value.save_as(path)
    kept = json.loads(path.read_text())
    assert kept["text"] == "The cat number 3 sat on the" and kept["tokens_seen"] == len(kept["text"])
    bare = tmp_path / "bare.json"
    bare.write_text(json.dumps({"state": kept["state"]}))
    continued = alternatives(desk)
    desk.page.keyboard.press("Escape")
    desk.page.locator("#new").click()
    assert text(desk) == ""
    desk.page.locator("#load").set_input_files(path)
    desk.expect(desk.page.locator("#text")).to_have_value(kept["text"])
    desk.page.locator("#load").set_input_files(bare)
    desk.expect(desk.page.locator("#text")).to_have_value("")
    desk.expect(desk.page.locator("#tree")).to_contain_text("after a loaded state")
    desk.page.locator("#text").focus()
    assert alternatives(desk) == continued  # the state alone goes on as the text does


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("not JSON", "holds no state"),
        ('{"state": "QUJD"}', "state"),
        ('{"state": "QUJD", "fingerprint": "x", "model": "other"}', "another model"),
    ],
)
def test_a_file_that_is_no_state_is_refused(desk: Any, tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "odd.json"
    path.write_text(content)
    desk.page.locator("#load").set_input_files(path)
    desk.expect(desk.page.locator("#error-text")).to_contain_text(says)
    desk.page.locator("#dismiss").click()
    assert not desk.page.locator("#error").is_visible()


def test_the_microscope_finds_units_and_shows_one(desk: Any) -> None:
    desk.page.locator("#find").click()
    desk.expect(desk.page.locator("#microscope-status")).to_contain_text("Write a few lines first")
    write(desk, "The cat number 1 sat.\nThe dog ran and ran and ran.\n  The mat.\n")
    for feature in ("indentation", "line-length"):
        desk.page.locator("#feature").select_option(feature)
        desk.page.locator("#find").click()
        desk.expect(desk.page.locator("#units button")).to_have_count(8)
    desk.page.locator("#units button").first.click()
    desk.expect(desk.page.locator("#microscope-status")).to_contain_text("Unit")
    desk.expect(desk.page.locator("#mirror i[class^=u]").first).to_be_attached()
    desk.page.locator("#layer").fill("1")
    desk.page.locator("#unit").fill("999")
    desk.page.locator("#unit").press("Enter")
    desk.expect(desk.page.locator("#microscope-status")).to_have_text("Unit 23 of layer 1.")
    desk.page.locator("#paint-surprisal").check()
    desk.expect(desk.page.locator("#mirror i[class^=u]")).to_have_count(0)


def test_it_continues_whenever_one_stops_typing_and_escape_stops(desk: Any) -> None:
    desk.page.locator("#auto").check()
    desk.page.locator("#text").focus()
    desk.page.keyboard.type("The cat")
    desk.expect(desk.page.locator("#status")).to_have_text(DONE)
    assert desk.page.evaluate("document.activeElement.id") == "text"
    desk.page.keyboard.press("Escape")
    assert text(desk) == "The cat"


def test_words_are_suggested_and_a_tap_or_tab_takes_one(desk: Any) -> None:
    chips = desk.page.locator("#words button")
    desk.page.locator("#suggest").check()
    desk.page.locator("#text").focus()
    desk.page.keyboard.type("The c")
    desk.expect(chips.first).to_have_text(re.compile("^c\\w+$"))
    first = chips.first.text_content()
    desk.page.keyboard.press("Tab")
    assert text(desk) == f"The {first} "
    desk.expect(chips.first).to_be_visible()  # the word after it
    second = chips.last.text_content()
    chips.last.click()
    assert text(desk) == f"The {first} {second} "
    desk.expect(chips.first).to_be_visible()
    desk.page.keyboard.press("Escape")
    desk.expect(chips).to_have_count(0)
    desk.page.keyboard.press("Tab")
    assert desk.page.evaluate("document.activeElement.id") != "text"


def test_a_long_text_is_read_by_paragraphs(desk: Any, opened: Any) -> None:
    paragraph = "The cat number 4 sat on the mat, and dog 8 ran.\n" * 20
    write(desk, paragraph)
    asked = []
    desk.page.on("request", lambda request: asked.append(request.post_data_json))
    desk.page.keyboard.type("The end")
    desk.expect(desk.page.locator("#mirror")).to_have_text(paragraph + "The end\n", use_inner_text=False)
    desk.page.wait_for_timeout(1_500)
    prompts = [body["prompt"] for body in asked if body and "prompt" in body]
    assert prompts and all(len(prompt) < 100 for prompt in prompts)


def test_a_server_that_went_away_is_told_and_tried_again(desk: Any) -> None:
    write(desk, "The cat")
    desk.page.route("**/v1/completions", lambda route: route.abort())
    desk.page.keyboard.press("Control+Enter")
    desk.expect(desk.page.locator("#error-text")).to_contain_text("does not answer")
    desk.page.unroute("**/v1/completions")
    desk.page.locator("#retry").click()
    desk.expect(desk.page.locator("#status")).to_have_text(DONE)
    assert text(desk) == "The cat" and not desk.page.locator("#error").is_visible()


def test_a_server_with_keys_asks_for_one(
    serve: Callable[..., Any], tab: Callable[..., Any], tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("a-secret-key\n")
    desk = tab()
    desk.expect = pytest.importorskip("playwright.sync_api").expect
    desk.page.goto(serve(api_key_file=str(keys)).url)
    desk.page.locator("#key").fill("a-secret-key")
    desk.page.locator("#key").press("Enter")
    desk.page.wait_for_selector("#facts:not(:empty)")
    write(desk, "The cat")
    assert "a-secret-key" not in desk.page.evaluate("JSON.stringify(localStorage)")
