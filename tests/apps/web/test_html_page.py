"""The page as a file: a script each for page and worker, a policy that names them, text that is no markup."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import re
from pathlib import Path

import pytest

from pantoum.apps.web import html_page
from pantoum.apps.web.html_page import HERE, PAGE, bundled, page, training_page

MODULES = {"pantoum.wasm": b"\0asm of a test", "pantoum-fused.wasm": b"\0asm of another"}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(html_page, "modules", lambda progress=None: MODULES)
    card = {"note": "<script>alert(1)</script>", "loss": {"nats": 1.5}}
    return page(
        "a </title><b> & 'name'", card, {"cell": "gru", "num_layers": 2, "hidden_size": 8}, b"model"
    ).decode()


@pytest.mark.parametrize("entry", [HERE / "worker.js", PAGE / "page.js"])
def test_a_script_has_all_that_it_imports_and_nothing_else_to_load(entry: object) -> None:
    script = bundled(entry)  # type: ignore[arg-type]
    assert not re.search(r"^\s*(import|export)\b", script, re.MULTILINE)
    assert "import.meta" not in script and "import(" not in script
    made = re.findall(r"const (\$[\w$]+) = \(", script)
    assert set(re.findall(r"= (\$[\w$]+);", script)) == set(made[:-1])


def test_the_page_that_trains_holds_the_base_that_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(html_page, "modules", lambda progress=None: MODULES)
    file = tmp_path / "base.safetensors"
    file.write_bytes(b"a base")
    monkeypatch.setattr(html_page, "model_path", Path)
    for asked in ((str(file),), ("<b>", file), ()):
        text = training_page(*asked).decode()
        (held,) = re.findall(r'id="base">([^<]*)<', text)
        assert f'id="from-base">{html.escape(str(asked[0])) if asked else ""}</option>' in text
        assert (gzip.decompress(base64.b64decode(held)) if asked else held.encode()) == b"a base" * bool(
            asked
        )


@pytest.mark.parametrize("entry", [HERE / "worker.js", HERE / "training" / "worker.js"])
def test_no_worker_reads_a_blob_which_webkit_refuses_from_a_disk(entry: Path) -> None:
    assert "new Blob" not in bundled(entry)


def test_its_policy_names_its_own_script_and_style_and_no_address(made: str) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', made)
    script, style = (
        re.findall(r"<script>(.*?)</script>", made, re.DOTALL)[0],
        re.findall(r"<style>(.*?)</style>", made, re.DOTALL)[0],
    )
    for name, text in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"https?:|unsafe-inline|unsafe-eval'(?<!wasm-unsafe-eval')", policy)


def test_what_comes_from_a_model_is_text(made: str) -> None:
    shown = html.escape("a </title><b> & 'name'")
    assert f"<bdi>{shown}</bdi>" in made and "<b>" not in made
    assert "<dd>&lt;script&gt;alert(1)&lt;/script&gt;</dd>" in made


def test_it_holds_both_modules_and_the_model(made: str) -> None:
    for name, data in zip(("module", "fused", "model"), (*MODULES.values(), b"model"), strict=True):
        (text,) = re.findall(rf'id="{name}">([^<]*)<', made)
        assert gzip.decompress(base64.b64decode(text)) == data
