"""The writing desk loses nothing that was typed: two tabs, storage that is full, unreadable or refused, a
server that is gone, keys that are wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
FULL = """() => {
  let size = 1 << 22;
  for (let i = 0; size > 0; i++)
    try { localStorage.setItem("filler" + i, "x".repeat(size)); } catch { size >>= 1; }
}"""
REFUSED = """for (const name of ["localStorage", "indexedDB"])
  Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });"""


def ready(page: Any) -> None:
    page.wait_for_selector("#facts:not(:empty)")


def text(page: Any) -> Any:
    return page.locator("#text")


def test_a_text_has_one_owner_and_other_tabs_follow_it(desk: Any, opened: Any) -> None:
    other = desk.page.context.new_page()
    other.goto(opened.url)
    ready(other)
    desk.expect(other.locator("#elsewhere")).to_be_visible()
    text(desk.page).press_sequentially("The cat")
    desk.expect(text(other)).to_have_value("The cat")
    desk.expect(text(other)).not_to_be_editable()
    other.locator("#here").click()
    desk.expect(text(other)).to_be_editable()
    text(other).press_sequentially(" sat")
    desk.expect(text(desk.page)).to_have_value("The cat sat")
    desk.expect(text(desk.page)).not_to_be_editable()
    other.close()
    desk.expect(text(desk.page)).to_be_editable()


def test_two_tabs_with_two_texts_keep_both(desk: Any, opened: Any) -> None:
    other = desk.page.context.new_page()
    other.goto(opened.url)
    ready(other)
    other.locator("#new").click()
    text(other).press_sequentially("The dog ran")
    text(desk.page).press_sequentially("The cat sat")
    for page in (desk.page, other):
        page.reload()
        ready(page)
        desk.expect(page.locator("#tree")).to_contain_text("The dog ran")
        desk.expect(page.locator("#tree")).to_contain_text("The cat sat")
    desk.expect(text(desk.page)).to_have_value("The cat sat")


def test_a_text_is_there_again_with_full_storage(desk: Any) -> None:
    desk.page.evaluate(FULL)
    text(desk.page).press_sequentially("The cat number 7 sat on the mat. " * 3)
    desk.page.reload()
    ready(desk.page)
    desk.expect(text(desk.page)).to_have_value("The cat number 7 sat on the mat. " * 3)


def test_what_cannot_be_read_is_kept(desk: Any) -> None:
    desk.page.evaluate("localStorage.setItem('pantoum.desk', '{broken: The cat')")
    desk.page.reload()
    ready(desk.page)
    desk.expect(desk.page.locator("#error-text")).to_contain_text("could not be read")
    desk.expect(desk.page.locator("#tree")).to_contain_text("{broken: The cat")


def test_a_desk_of_an_older_page_is_taken_over(desk: Any) -> None:
    old = """localStorage.setItem("pantoum.desk", JSON.stringify({ current: 2, settings: { length: 50 },
      branches: [{ id: 1, parent: null, at: 0, text: "The dog" },
                 { id: 2, parent: 1, at: 4, text: "The cat" }] }))"""
    desk.page.evaluate(old)
    desk.page.evaluate("sessionStorage.clear()")
    desk.page.reload()
    ready(desk.page)
    desk.expect(text(desk.page)).to_have_value("The cat")
    desk.expect(desk.page.locator("#tree ul ul")).to_contain_text("cat")
    desk.expect(desk.page.locator("#length-value")).to_have_text("50")


def test_a_browser_that_keeps_nothing_says_so(opened: Any, tab: Callable[..., Any]) -> None:
    found = tab()
    expect = pytest.importorskip("playwright.sync_api").expect
    found.page.add_init_script(REFUSED)
    found.page.goto(opened.url)
    ready(found.page)
    text(found.page).press_sequentially("The cat")
    expect(found.page.locator("#error-text")).to_contain_text("cannot keep")
    expect(text(found.page)).to_have_value("The cat")


def test_the_desk_goes_on_without_the_server_and_heals(desk: Any) -> None:
    desk.page.route("**/v1/completions", lambda route: route.abort())
    text(desk.page).press_sequentially("The cat")
    desk.expect(desk.page.locator("#error-text")).to_contain_text("does not answer")
    desk.page.unroute("**/v1/completions")
    text(desk.page).press_sequentially(" sat")
    desk.expect(desk.page.locator("#status")).to_contain_text("nats per token")
    desk.expect(desk.page.locator("#error")).to_be_hidden()
    desk.page.reload()
    ready(desk.page)
    desk.expect(text(desk.page)).to_have_value("The cat sat")


def test_what_is_typed_without_a_network_is_read_as_soon_as_there_is_one(
    desk: Any, until: Callable[..., None]
) -> None:
    text(desk.page).press_sequentially("The cat")
    desk.page.context.set_offline(True)
    text(desk.page).press_sequentially(" sat")
    desk.expect(desk.page.locator("#error-text")).to_contain_text("does not answer")
    kept = "Object.values(localStorage).some(words => words.endsWith('The cat sat'))"
    until(lambda: desk.page.evaluate(kept))
    desk.page.context.set_offline(False)
    desk.expect(desk.page.locator("#error")).to_be_hidden()
    desk.expect(desk.page.locator("#status")).to_contain_text("“t” before the cursor")
    desk.expect(text(desk.page)).to_have_value("The cat sat")


@pytest.mark.parametrize("wrong", ["wrong", "schlüssel"])
def test_a_wrong_key_gets_a_sentence(
    serve: Callable[..., Any], tab: Callable[..., Any], tmp_path: Path, wrong: str
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("a-secret-key\n")
    found = tab(390)
    expect = pytest.importorskip("playwright.sync_api").expect
    found.page.goto(serve(api_key_file=str(keys)).url)
    for key in (wrong, "a-secret-key"):
        expect(found.page.locator("#key")).to_be_focused()
        found.page.locator("#key").fill(key)
        found.page.locator("#key").press("Enter")
        if key == wrong:
            expect(found.page.locator("#key-text")).to_contain_text("does not know this key")
    ready(found.page)
    found.page.locator("#change-key").click()
    expect(found.page.locator("#key")).to_be_focused()


@pytest.fixture
def phone(opened: Any, tab: Callable[..., Any]) -> Any:
    """The desk on a phone: narrow, with a finger and without a keyboard."""
    found = tab(390, has_touch=True, is_mobile=True)
    found.expect = pytest.importorskip("playwright.sync_api").expect
    found.page.goto(opened.url)
    ready(found.page)
    return found


def test_keys_are_named_only_where_a_keyboard_is(phone: Any) -> None:
    phone.expect(phone.page.locator("kbd").first).to_be_hidden()
    assert "Ctrl" not in phone.page.locator("#text").get_attribute("placeholder")


def test_a_finger_does_on_a_phone_what_keys_do(phone: Any) -> None:
    text(phone.page).tap()
    phone.page.keyboard.insert_text("The cat number 7 sat. " * 20)
    phone.expect(phone.page.locator("#status")).to_contain_text("nats per token")
    phone.page.locator("#continue").tap()
    phone.expect(phone.page.locator("#status")).to_have_text("Three alternatives are written.")
    assert phone.overflow() <= 0
    small = "all => all.filter(e => e.getClientRects()[0]?.height < 24).map(e => e.outerHTML)"
    assert phone.page.locator("button, select, .button").evaluate_all(small) == []
    words = phone.page.locator("#cards pre").first.text_content()
    phone.page.locator("#cards button").first.tap()
    phone.expect(text(phone.page)).to_have_value("The cat number 7 sat. " * 20 + words)
    phone.page.reload()
    ready(phone.page)
    phone.expect(text(phone.page)).to_have_value("The cat number 7 sat. " * 20 + words)
    assert not phone.wrong
