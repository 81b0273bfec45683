"""Which module runs where: the one with relaxed SIMD only where its multiply-add rounds once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pantoum.apps.web import html_page

WEB = Path(html_page.__file__).parent
OTHERS = {
    "twice": "(a, b, c, sum) => Number(Math.fround(Math.fround(a * b) + c) === sum)",
    "to double first": "(a, b, c, sum) => Number(Math.fround(a * b + c) === sum)",
    "denormal to 0": "(a, b, c, sum) => Number(sum > 2 ** -126)",
}
"""Multiply-adds that a browser might have, as the probe would see them."""
FUSES = """
import { fuses } from "URL";
WebAssembly.validate = () => true;
WebAssembly.Module = class {};
WebAssembly.Instance = class { exports = { f: SUM }; };
process.stdout.write(String(fuses()));
"""
LOADED = """
import { readFileSync } from "node:fs";
import { Core } from "URL";
BEFORE
const loaded = Core.load(readFileSync(process.argv[2]));
process.stdout.write(await loaded.then(() => "loaded", ({ name, message }) => `${name}: ${message}`));
"""


def ran(node: list[str], script: str, folder: Path, *arguments: Path) -> str:
    """What a script writes."""
    file = folder / "script.mjs"
    file.write_text(script)
    return subprocess.run([*node, file, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("rounds", OTHERS)
def test_what_rounds_otherwise_is_not_taken_for_fused(node: list[str], tmp_path: Path, rounds: str) -> None:
    script = FUSES.replace("URL", (WEB / "fused.js").as_uri()).replace("SUM", OTHERS[rounds])
    assert ran(node, script, tmp_path) == "false"


@pytest.mark.parametrize("before", ["WebAssembly.validate = (bytes) => bytes.length < 40;", ""])
def test_the_fused_module_is_refused_where_it_cannot_run(
    node: list[str], cores: Path, tmp_path: Path, before: str
) -> None:
    script = LOADED.replace("URL", (WEB / "core.js").as_uri()).replace("BEFORE", before)
    command = node if before else node[:1]
    said = ran(command, script, tmp_path, cores / "pantoum-fused.wasm")
    if not before and said == "loaded":
        pytest.skip("this Node has relaxed SIMD by itself")
    assert said == (
        "PantoumError: this is not a core of pantoum that can run here: give the file pantoum.wasm"
    )
    assert ran(node, script, tmp_path, cores / "pantoum.wasm") == "loaded"
