"""The writing desk with long texts: only what changed is read, only what is shown is drawn."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.slow
PARAGRAPH = "The cat number 4 sat on the mat, and dog 8 ran. " * 8 + "\n"
LONG = PARAGRAPH * 520  # 200 KB
RANDOM_CHANGES = """async () => {
  const desk = document.querySelector("script[type=module]").src;
  const { blocksOf, difference, edit, text } = await import(desk.replace("desk.js", "blocks.js"));
  let seed = 7;
  const random = (count) => (seed = (seed * 48271) % 2147483647) % count;
  const words = ["cat ", "\\n", "\\n\\n", "x".repeat(1500), " ", "\\u{1f600}", "The mat. ".repeat(30)];
  const blocks = blocksOf(words[6]);
  let old = text(blocks);
  for (let i = 0; i < 600; i++) {
    const at = random(old.length + 1);
    const now = old.slice(0, at) + words[random(7)] + old.slice(at + [0, 0, 1, 90, 2500][random(5)]);
    edit(blocks, difference(old, now));
    const pieces = blocks.flatMap((each) => each.pieces ?? [[each.text]]);
    const coloured = pieces.map(([piece]) => piece).join("");
    if (text(blocks) !== now || coloured !== now || blocks.some((each) => !each.text)) return i;
    old = now;
  }
  return -1;
}"""


@pytest.fixture
def desk(desk: Any) -> Any:
    desk.bodies = []
    desk.page.on("request", lambda request: desk.bodies.append(request.post_data_json or {}))
    return desk


def put(desk: Any, words: str) -> None:
    desk.page.locator("#text").focus()
    desk.page.keyboard.insert_text(words)
    desk.expect(desk.page.locator("#status")).to_contain_text("nats per token")


def test_a_key_at_the_end_of_a_long_text_sends_one_paragraph(desk: Any) -> None:
    put(desk, LONG)
    desk.page.locator("#paper").evaluate("paper => paper.scrollTo(0, paper.scrollHeight)")
    desk.page.keyboard.type("The end")
    desk.expect(desk.page.locator("#status")).to_contain_text("“d” before the cursor")
    desk.page.keyboard.type("s")
    desk.expect(desk.page.locator("#status")).to_contain_text("“s” before the cursor")
    desk.bodies.clear()
    desk.page.keyboard.type(".")
    desk.expect(desk.page.locator("#status")).to_contain_text("“.” before the cursor")
    prompts = [body["prompt"] for body in desk.bodies if "prompt" in body]
    assert prompts and all(len(prompt) < 1_000 for prompt in prompts)
    assert not desk.wrong


def test_what_is_not_shown_is_neither_scored_nor_drawn(desk: Any) -> None:
    put(desk, LONG)
    scored = sum(len(body["prompt"]) for body in desk.bodies if body.get("echo"))
    assert 0 < scored < 20_000
    assert len(desk.page.locator("#mirror").text_content()) < 20_000
    heights = desk.page.evaluate("['mirror', 'text'].map(id => document.getElementById(id).scrollHeight)")
    assert heights[0] == heights[1]


def test_the_colours_stand_behind_their_words_after_keys_in_the_middle(desk: Any) -> None:
    put(desk, PARAGRAPH * 4)
    desk.page.keyboard.press("Control+Home")
    for key in ("End", "Enter", "ArrowDown", "x", "Backspace", "Home", "Backspace", "Delete"):
        desk.page.keyboard.press(key)
    words = desk.page.locator("#text").input_value()
    desk.expect(desk.page.locator("#mirror")).to_have_js_property("textContent", words + "\n")
    heights = desk.page.evaluate("['mirror', 'text'].map(id => document.getElementById(id).scrollHeight)")
    assert heights[0] == heights[1]


def test_blocks_after_random_changes_hold_the_text(desk: Any) -> None:
    """Every change leaves the blocks with the text, and their colours with its characters."""
    wrong = desk.page.evaluate(RANDOM_CHANGES)
    assert wrong == -1


def test_a_continuation_in_the_middle_of_a_long_text_is_that_of_its_beginning(desk: Any, opened: Any) -> None:
    put(desk, PARAGRAPH * 30)
    at = len(PARAGRAPH) * 20 + 7
    desk.page.locator("#text").evaluate("(text, at) => text.setSelectionRange(at, at)", at)
    desk.page.keyboard.press("Control+Enter")
    desk.expect(desk.page.locator("#status")).to_have_text("Three alternatives are written.")
    answer = opened.post(
        "/v1/completions", prompt=(PARAGRAPH * 30)[:at], max_tokens=120, temperature=0.9, top_p=1, seed=1, n=3
    )
    found = desk.page.locator("#cards pre").all_text_contents()
    assert found == [choice["text"] for choice in answer.json()["choices"]]


def test_an_alternative_goes_in_where_it_was_asked_for(desk: Any) -> None:
    put(desk, "The cat ran.")
    desk.page.locator("#text").evaluate("text => text.setSelectionRange(7, 7)")
    desk.page.keyboard.press("Control+Enter")
    desk.expect(desk.page.locator("#status")).to_have_text("Three alternatives are written.")
    found = desk.page.locator("#cards pre").first.text_content()
    desk.page.locator("#text").focus()
    desk.page.keyboard.press("Home")
    desk.page.keyboard.type("Oh! ")
    desk.page.keyboard.press("End")
    desk.page.get_by_role("button", name="Take 1").click()
    assert desk.page.locator("#text").input_value() == "Oh! The cat" + found + " ran."


def test_large_answers_and_the_files_of_the_page_come_compressed(opened: Any) -> None:
    answer = opened.post("/v1/completions", prompt=PARAGRAPH, max_tokens=0, echo=True, logprobs=0)
    style = opened.client.get("/page/style.css")
    assert answer.headers["content-encoding"] == style.headers["content-encoding"] == "gzip"
    plain = opened.client.get("/page/style.css", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.text == style.text
