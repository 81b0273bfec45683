"""A page of ``export --to html`` in a real browser: it writes what Python writes, for everybody."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pantoum

pytestmark = pytest.mark.slow
HOSTILE = "</script><b>x</b> \u202egnp.exe & \"'"


@pytest.fixture
def model(write: Callable[..., Path]) -> Path:
    return write("characters", form="coded", ngrams=(2, 3))


@pytest.fixture
def page(model: Path, cores: Path, tmp_path: Path) -> Path:
    out = tmp_path / "page.html"
    pantoum.export(model, "html", out)
    return out


@pytest.fixture
def ready(tab: Callable[..., Any], page: Path) -> Callable[..., Any]:
    """``ready(width, scheme, link="")``: the page in a new tab, its model loaded."""

    def opened(width: int = 1280, scheme: str = "light", link: str = "") -> Any:
        shown = tab(width, scheme)
        shown.page.goto(page.as_uri() + link)
        shown.page.wait_for_selector("body[data-ready=true]")
        return shown

    return opened


def written(shown: Any) -> None:
    shown.page.locator("#status", has_text="tokens in").wait_for()


def test_it_writes_what_python_writes(ready: Callable[..., Any], model: Path) -> None:
    shown, loaded = ready(), pantoum.load(model)
    for asked in (
        {"prompt": "The cat", "length": 80, "seed": 7},
        {"length": 60, "seed": 1, "temperature": 0.5, "exact": True},
    ):
        settings = {name: value for name, value in asked.items() if name != "prompt"}
        expected = loaded.generate(asked.get("prompt", ""), **settings)
        assert shown.page.evaluate("(asked) => pantoum.generate(asked)", asked) == expected
    assert not shown.wrong


def test_a_session_goes_from_python_to_the_page_and_back(ready: Callable[..., Any], model: Path) -> None:
    shown, session = ready(), pantoum.load(model).session()
    session.feed("The cat sat")
    given = base64.b64encode(bytes(session.state)).decode()
    text, state = shown.page.evaluate(
        """async (given) => {
          const session = pantoum.session(Uint8Array.from(atob(given), (c) => c.charCodeAt(0)));
          await session.feed(" on the");
          const text = await session.generate({length: 30, seed: 5});
          return [text, btoa(String.fromCharCode(...await session.state))];
        }""",
        given,
    )
    session.feed(" on the")
    assert session.generate(30, seed=5) == text
    assert bytes(session.state) == base64.b64decode(state)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_everybody_can_read_it(ready: Callable[..., Any], page: Path, width: int, scheme: str) -> None:
    shown = ready(width, scheme, "#prompt=The+cat&seed=3&length=200&three=1")
    written(shown)
    assert shown.overflow() <= 0
    ratio, words = shown.worst_contrast()
    assert ratio >= 4.5, words
    own = page.as_uri()
    assert all(url.startswith((own, "data:", "blob:")) for url in shown.asked)
    assert not shown.wrong
    assert shown.page.locator("article").count() == 3
    axe = pytest.importorskip(
        "axe_playwright_python", reason="SKIP SKIP SKIP: axe-playwright-python is missing"
    )
    (source,) = Path(axe.__file__).parent.rglob("axe.min.js")
    shown.page.evaluate(source.read_text("utf-8"))
    shown.page.locator("#card summary").click()
    assert not violations(shown)
    shown.page.locator(".text [role=button]").nth(2).click()
    shown.page.locator("#others[open]").wait_for()
    assert not violations(shown)


def violations(shown: Any) -> list[str]:
    """What axe finds wrong."""
    found = shown.page.evaluate("axe.run()")["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found]


def test_by_keyboard_alone(ready: Callable[..., Any], model: Path) -> None:
    opened = ready(link="#seed=3&length=100")
    written(opened)
    shown = opened.page
    shown.locator(".text [tabindex='0']").focus()
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        shown.keyboard.press(key)
    shown.locator("#others[open]").wait_for()
    before = shown.locator(".text").text_content()
    shown.keyboard.press("Enter")  # the first choice has the focus
    shown.locator("#others:not([open])").wait_for(state="attached")
    shown.locator("#status", has_text="tokens in").wait_for()
    assert shown.locator(".text").text_content() != before


def test_a_link_writes_the_text_that_is_shown_also_after_a_fork(ready: Callable[..., Any]) -> None:
    opened = ready(link="#prompt=The+cat&seed=3&length=100&three=1")
    written(opened)
    shown = opened.page
    shown.locator(".text [role=button]").nth(3).click()
    shown.locator("#choices button").nth(2).click()
    shown.locator(".text:focus-within").first.wait_for()  # it ends with the focus there
    text = shown.locator(".text").first.text_content()
    shown.locator("#prompt").fill("Another one")
    shown.locator("#share").click()
    shown.locator("#status", has_text="link").wait_for()
    other = ready(link=shown.evaluate("location.hash"))
    written(other)
    assert other.page.locator(".text").all_text_contents() == [text]


def test_shades_leave_white_space_and_arrow_keys_follow_the_text(ready: Callable[..., Any]) -> None:
    opened = ready(link="#prompt=%D7%A9%D7%9C%D7%95%D7%9D&seed=3&length=100")
    written(opened)
    words = opened.page.locator(".text [role=button]")
    shown = [text for text in words.all_text_contents() if text.strip()]
    assert len(shown) > 3 and all(text == text.lstrip() for text in shown)
    words.first.focus()
    opened.page.keyboard.press("ArrowLeft")  # the next word, where a text runs to the left
    assert words.nth(1).evaluate("(word) => word === document.activeElement")


def test_a_browser_that_cannot_unpack_is_told_which_ones_can(tab: Callable[..., Any], page: Path) -> None:
    text = page.read_text("utf-8")
    asked = 'typeof DecompressionStream === "function"'
    assert text.count(asked) == 1
    page.write_text(text.replace(asked, "false"), "utf-8")
    shown = tab().page
    shown.goto(page.as_uri())
    shown.locator("#error:not([hidden])", has_text="cannot unpack the model: update it").wait_for()


def test_text_of_others_is_never_markup(
    tab: Callable[..., Any], write: Callable[..., Path], cores: Path, tmp_path: Path
) -> None:
    model = write("characters", extras=None)
    folder = tmp_path / "a <b>run & 'more'"
    folder.mkdir()
    model.rename(folder / "model.safetensors")
    out = tmp_path / "page.html"
    pantoum.export(folder, "html", out)
    shown = tab().page
    shown.goto(out.as_uri())
    shown.wait_for_selector("body[data-ready=true]")
    assert shown.locator("h1").text_content() == folder.name
    shown.locator("#prompt").fill(HOSTILE)
    shown.locator("#write").click()
    shown.locator("#status", has_text="tokens in").wait_for()
    assert shown.locator(".given").text_content() == HOSTILE
    assert shown.locator("main b").count() == 0


def test_a_damaged_page_says_so(tab: Callable[..., Any], page: Path) -> None:
    text = page.read_text("utf-8")
    at = text.index('id="model">') + 3000
    page.write_text(text[:at] + "AAAA" + text[at + 4 :], "utf-8")
    shown = tab().page
    shown.goto(page.as_uri())
    shown.locator("#error:not([hidden])").wait_for()
    assert "model" in shown.locator("#error").text_content()
