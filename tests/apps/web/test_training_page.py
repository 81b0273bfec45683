"""The page that trains, in a browser: the file of `pantoum train`, for everybody; nothing leaves it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pantoum
from pantoum.apps.web.html_page import training_page
from pantoum.cli.main import main

pytestmark = pytest.mark.slow
TEXT = "The cat sat on the mat. A naïve dog ran, and ran.\n" * 30


@pytest.fixture
def page(cores: Path, tmp_path: Path) -> Path:
    out = tmp_path / "train.html"
    out.write_bytes(training_page())
    return out


@pytest.fixture
def opened(tab: Callable[..., Any], page: Path) -> Callable[..., Any]:
    """``opened(width, scheme)``: the page in a new tab, a text and 12 steps asked for."""

    def ready(width: int = 1280, scheme: str = "light") -> Any:
        shown = tab(width, scheme)
        shown.page.goto(page.as_uri())
        shown.page.wait_for_selector("body[data-ready=true]")
        shown.page.locator("#text").fill(TEXT)
        shown.page.locator("#size").select_option("64 1")
        shown.page.locator("#steps").fill("12")
        return shown

    return ready


def test_a_model_from_a_base_in_the_page_is_the_file_of_the_command(
    tab: Callable[..., Any],
    cores: Path,
    write: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "train.html"
    out.write_bytes(
        training_page("base.safetensors", write("characters").rename(tmp_path / "base.safetensors"))
    )
    shown = tab()
    shown.page.goto(out.as_uri())
    shown.page.locator("#text").fill(TEXT)
    shown.page.locator("#from").select_option("base")
    assert shown.page.locator("#size").is_disabled() and shown.page.locator("#kind").is_disabled()
    shown.page.locator("#steps").fill("12")
    downloaded_is_of_the_command(shown, tmp_path, monkeypatch)
    shown.page.locator("#from").select_option("")
    shown.page.locator("#train").click()
    shown.page.locator("#begun", has_text="training begins from nothing; it helps where").wait_for()
    assert "--hidden-size 128" in shown.page.locator("#command").text_content()
    assert not shown.wrong


def trained(shown: Any) -> None:
    shown.page.locator("#train").click()
    shown.page.locator("#status", has_text="Trained: 12 steps").wait_for()
    shown.page.locator("#sample-note", has_text="After step 12").wait_for()


def test_what_is_downloaded_is_the_file_of_the_command(
    opened: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = opened()
    assert shown.page.locator("#from").is_hidden()
    downloaded_is_of_the_command(shown, tmp_path, monkeypatch)
    written = shown.page.locator("#written").text_content()
    assert pantoum.load("r").generate(length=240, seed=1, temperature=0.9).startswith(written)
    assert not shown.wrong


def downloaded_is_of_the_command(shown: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(shown)
    with shown.page.expect_download() as download:
        shown.page.locator("#save").click()
    assert download.value.suggested_filename == "model.safetensors"
    download.value.save_as(tmp_path / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT, "utf-8", newline="\n")
    command = shlex.split(shown.page.locator("#command").text_content())
    assert main([*command[1:], "--quiet", "--run", "r"]) == 0
    assert Path("model.safetensors").read_bytes() == Path("r/model.safetensors").read_bytes()


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_everybody_can_read_it(opened: Callable[..., Any], page: Path, width: int, scheme: str) -> None:
    shown = opened(width, scheme)
    trained(shown)
    shown.page.locator("#about summary").click()
    assert shown.overflow() <= 0
    ratio, words = shown.worst_contrast()
    assert ratio >= 4.5, words
    assert all(url.startswith((page.as_uri(), "data:", "blob:")) for url in shown.asked)
    axe = pytest.importorskip(
        "axe_playwright_python", reason="SKIP SKIP SKIP: axe-playwright-python is missing"
    )
    (source,) = Path(axe.__file__).parent.rglob("axe.min.js")
    shown.page.evaluate(source.read_text("utf-8"))
    found = shown.page.evaluate("axe.run()")["violations"]
    assert not [f"{one['id']}: {one['nodes'][0]['html']}" for one in found]
    assert not shown.wrong


def test_it_stops_goes_on_and_asks_before_a_model_is_lost(opened: Callable[..., Any]) -> None:
    shown = opened().page
    shown.locator("#steps").fill("5000")
    shown.locator("#train").click()
    shown.locator("#figures", has_text="Step").wait_for()
    shown.locator("#stop").click()
    shown.locator("#status", has_text="Stopped after step").wait_for()
    figures, stopped = shown.locator("#figures"), shown.locator("#figures").text_content()
    shown.locator("#further").click()
    pytest.importorskip("playwright.sync_api").expect(figures).not_to_have_text(stopped)
    shown.locator("#stop").click()
    shown.locator("#status", has_text="Stopped after step").wait_for()
    with shown.expect_event("dialog") as asked:
        shown.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.accept()


@pytest.mark.parametrize(("text", "words"), [("", "empty"), ("a", "too short")])
def test_a_text_that_cannot_be_used_is_refused(opened: Callable[..., Any], text: str, words: str) -> None:
    shown = opened().page
    shown.locator("#text").fill(text)
    shown.locator("#train").click()
    shown.locator("#error:not([hidden])", has_text=words).wait_for()
    assert shown.locator("#train").is_enabled() and shown.locator("#run").is_hidden()


def test_a_text_is_dropped_as_a_file_is(opened: Callable[..., Any]) -> None:
    shown = opened().page
    shown.locator("#text").fill("")
    shown.evaluate(
        """(text) => {
          const given = new DataTransfer();
          given.setData("text/plain", text);
          const how = {dataTransfer: given, bubbles: true, cancelable: true};
          document.body.dispatchEvent(new DragEvent("drop", how));
        }""",
        TEXT,
    )
    assert shown.locator("#text").input_value() == TEXT


def test_a_file_that_is_gone_is_named(opened: Callable[..., Any], tmp_path: Path) -> None:
    shown, file = opened().page, tmp_path / "gone.txt"
    file.write_text(TEXT, "utf-8")
    shown.locator("#file").set_input_files(file)
    file.unlink()
    shown.locator("#train").click()
    shown.locator("#error:not([hidden])", has_text="the file cannot be read").wait_for()
    assert shown.locator("#train").is_enabled()


def test_a_browser_without_simd_is_told_which_ones_have_it(opened: Callable[..., Any], page: Path) -> None:
    text = page.read_text("utf-8")
    assert text.count("WebAssembly.validate(PROBE)") == 2  # in the scripts of both workers
    page.write_text(text.replace("WebAssembly.validate(PROBE)", "false"), "utf-8")
    shown = opened().page
    shown.locator("#train").click()
    shown.locator("#error:not([hidden])", has_text="lacks WebAssembly with 128-bit SIMD").wait_for()
