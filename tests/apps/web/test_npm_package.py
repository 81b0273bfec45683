"""The archive that ``npm pack`` makes: all that the library needs, and nothing of Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pantoum
from pantoum.apps.web import html_page

pytestmark = pytest.mark.slow
SCRIPT = """
import { readFileSync } from "node:fs";
import * as library from "pantoum";
import { load, PantoumError } from "pantoum";
import { RemoteModel } from "pantoum/remote.js";
const model = await load(readFileSync(process.argv[2]));
const writing = model.generate({ prompt: "The ", length: 40, seed: 1 });
for (const _ of writing);
const types = readFileSync("node_modules/pantoum/pantoum.d.ts", "utf8");
const told = [...types.matchAll(/^export (?:class|function) ([A-Za-z]+)/gm)];
const [real, typed] = [Object.keys(library).sort(), told.map(([, name]) => name).sort()];
if (String(real) !== String(typed)) throw new Error(`${real} are exported, ${typed} have types`);
if (typeof RemoteModel.load !== "function" || !(new PantoumError("") instanceof Error)) throw new Error();
process.stdout.write(writing.text);
"""


@pytest.fixture
def npm(tmp_path: Path) -> Callable[..., str]:
    """``npm("pack", cwd=folder)``, with nothing of the person's."""
    program = shutil.which("npm")
    if program is None:
        pytest.skip("SKIP SKIP SKIP: npm is missing, the package was not packed")
    own = {"HOME": str(tmp_path), "npm_config_cache": str(tmp_path / "npm"), "npm_config_offline": "true"}

    def run(*words: str, cwd: Path) -> str:
        command = [str(program), *words]
        return subprocess.run(
            command, cwd=cwd, env={**os.environ, **own}, check=True, capture_output=True, text=True
        ).stdout

    return run


def test_what_is_packed_writes_what_python_writes(
    npm: Any, cores: Path, node: list[str], write: Callable[..., Path], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(Path(html_page.__file__).parent, source, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(cores, source, dirs_exist_ok=True)
    name = npm("pack", "--silent", cwd=source).split()[-1]
    (tmp_path / "node_modules").mkdir()
    with tarfile.open(source / name) as archive:
        archive.extractall(tmp_path / "node_modules", filter="data")
    package = (tmp_path / "node_modules" / "package").rename(tmp_path / "node_modules" / "pantoum")
    files = {file.relative_to(package).as_posix() for file in package.rglob("*") if file.is_file()}
    assert {
        "index.js",
        "worker.js",
        "text/decoder.js",
        "pantoum.d.ts",
        "worker_model.d.ts",
        "README.md",
        "pantoum.wasm",
        "pantoum-fused.wasm",
        "package.json",
    } <= files
    assert not {file for file in files if file.endswith((".py", ".html", ".css")) or file.startswith("page/")}
    model = write("words")
    (tmp_path / "run.mjs").write_text(SCRIPT)
    ran = subprocess.run(
        [*node, "run.mjs", model], cwd=tmp_path, capture_output=True, text=True, encoding="utf-8"
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == pantoum.load(model).generate("The ", length=40, seed=1)
