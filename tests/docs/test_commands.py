"""Every command of the README, the tutorial, the guides and the help's examples runs as it is written.

The blocks of a page run in their order in one temporary folder that holds small texts with the names that the
pages use. Only three things are replaced, by commands of the same names that come first on the PATH:

- ``pantoum train`` and ``demo`` get a small budget in place of the one that is written: ``MINUTES``, or at
  most ``STEPS`` steps; a model of molecules gets ``ENOUGH``, so that some of its texts are molecules;
- ``tail -f`` ends at the end of its file, and ``--follow`` is left out;
- commands that install or build (``INSTALLS``) are left out: tests/packaging and `make check` run those.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import pantoum
from pantoum.cli.commands import commands as all_commands
from pantoum.cli.main import make_parser

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(pantoum.__file__).parents[1]
"""Where the pantoum under test is: the working copy or the environment that it is installed in."""
MINUTES = "0.04"
STEPS, STOP = 4, 2
ENOUGH = ["--steps", "200", "--hidden-size", "64", "--num-layers", "1"]
INSTALLS = ("pip ", "make ", "git clone", "pre-commit ", "python -m venv")
QUICK = ("README.md",)
SLOW = ("docs/index.md", "docs/tutorial.md", "docs/api.md", "docs/explanation/recipe.md")
GUIDES = tuple(
    str(page.relative_to(ROOT))
    for folder in ("how-to", "jobs")
    for page in sorted((ROOT / "docs" / folder).glob("*.md"))
    if "\n```" in page.read_text("utf-8")
)
GIVEN = {
    "docs/how-to/elsewhere.md": ("book",),
    "docs/how-to/forms.md": ("book", "names", "austen", "bronte"),
    "docs/how-to/other-machines.md": ("book",),
    "docs/how-to/pytorch.md": ("book",),
    "docs/how-to/web.md": ("book",),
    "docs/api.md": ("app", "names"),
}
"""Runs that a page takes for granted, by the name of their text."""
OPTIONS = {"names": ["--documents", "lines"]}
"""Options of those runs."""

PANTOUM = f"""#!{sys.executable}
import runpy, sys
sys.path.insert(0, {str(SOURCE)!r})
words = sys.argv[1:]
if words[:1] in (["train"], ["demo"]):
    for flag, most in (("--steps", {STEPS}), ("--stop-after", {STOP})):
        if flag in words:
            words[words.index(flag) + 1] = str(min(most, int(words[words.index(flag) + 1])))
    if "molecules.txt" in words:
        words[words.index("--minutes") :] = {ENOUGH!r}
    elif "--minutes" in words:
        words[words.index("--minutes") + 1] = {MINUTES!r}
    elif not {{"--steps", "--epochs", "--plan", "--resume", "--help"}} & set(words):
        words += ["--minutes", {MINUTES!r}]
if "--follow" in words:
    words.remove("--follow")
    if "--state-file" in words:
        del words[words.index("--state-file") : words.index("--state-file") + 2]
sys.argv[1:] = words
runpy.run_module("pantoum", run_name="__main__", alter_sys=True)
"""
PRELUDE = f"""
import pantoum
_train = pantoum.train
def _short(*texts, **given):
    less = {{"minutes": {MINUTES}, "steps": {STEPS}}}
    return _train(*texts, **(given | {{name: less[name] for name in less if name in given}}))
pantoum.train = _short
"""


def blocks(page: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page that are marked ``sh`` or ``python``, in order."""
    text = (ROOT / page).read_text("utf-8")
    return [(m[1], m[2]) for m in re.finditer(r"^```(sh|python)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the texts that the pages name."""
    folder = tmp_path_factory.mktemp("texts")
    prose = "\n\n".join(
        page.read_text("utf-8") for page in sorted((ROOT / "docs" / "decisions").glob("0[0-4]*.md"))
    )
    for name, part in {
        "book.txt": prose, "input.txt": prose, "poems.txt": prose[5_000:20_000], "other.txt": prose[-6_000:],
        "chapter.txt": prose[-3_000:], "letters.txt": prose[-2_000:], "notes/a.txt": prose,
        "corpus/a.txt": prose, "openings.txt": "Once upon\nTwice\n", "austen.txt": prose[:20_000],
        "bronte.txt": prose[-20_000:], "letter.txt": prose[-2_000:],
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(part, "utf-8")
    syllables = ("Ma", "ri", "an", "na", "lo", "ren", "zo", "pet", "ra", "jo")
    names = sorted({a + b + c for a in syllables for b in syllables for c in syllables[3:]})
    (folder / "names.txt").write_text("\n".join(name.capitalize() for name in names[:300]) + "\n")
    parts = ("CC(C)", "O=C(c1ccccc1)N", "Cc1ccc2c(c1)CCN(C(=O)O)C2", "NC(=O)c1cn[nH]c1", "FC(F)F")
    chains = ["".join(atoms) for length in (4, 5, 6) for atoms in product("CNO", repeat=length)]
    molecules = ["SMILES,SPLIT", *(f"{one},train" for one in chains)]
    molecules += [f"C{one}{other},train" for one in parts for other in parts]
    with zipfile.ZipFile(folder / "molsets-0.3.1-py3-none-any.whl", "w") as wheel:
        packed = gzip.compress("\n".join(molecules).encode("ascii"))
        wheel.writestr("moses/dataset/data/train.csv.gz", packed)
    (folder / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "smiles.lark", folder / "examples")
    calls = [" ".join(str(i * j * j % 11) for j in range(1, 40)) for i in range(60)]
    for name, part in {"calls": calls, "ordinary-calls": calls[::2], "new-calls": calls[::3]}.items():
        (folder / f"{name}.txt").write_text("\n".join(part) + "\n")
    (folder / "blimp" / "data").mkdir(parents=True)
    pair = '{"sentence_good": "The text is read.", "sentence_bad": "The text are read.", "UID": "agreement"}'
    (folder / "blimp" / "data" / "agreement.jsonl").write_text(f"{pair}\n")
    (folder / "makemore").mkdir()
    (folder / "makemore" / "names.txt").write_text((folder / "names.txt").read_text().lower())
    lines = [f"10:{i // 60 % 60:02}:{i % 60:02} GET /page/{i * 7 % 13} 200\n" for i in range(1_200)]
    (folder / "loghub" / "OpenSSH").mkdir(parents=True)
    for name in ("app.log", "ordinary.log", "loghub/OpenSSH/OpenSSH_2k.log"):
        (folder / name).write_text("".join(lines))
    (folder / "today.log").write_text(
        "".join([*lines[:200], "10:03:21 ÄÖÜ %%% \x7f panic\n", *lines[200:300]])
    )
    return folder


@pytest.fixture(scope="module")
def place(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PATH with the replaced commands."""
    folder = tmp_path_factory.mktemp("bin")
    tail = shutil.which("tail")
    scripts = {"pantoum": PANTOUM, "tail": f'#!/bin/sh\n[ "$1" = -f ] && shift\nexec {tail} -n +1 "$@"\n'}
    for name, script in scripts.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    (folder / "python").symlink_to(sys.executable)
    return folder


def surroundings(place: Path, home: Path) -> dict[str, str]:
    path = f"{place}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(SOURCE), "NO_COLOR": "1", "HOME": str(home)}


def run(command: list[str], folder: Path, place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=surroundings(place, folder), capture_output=True, text=True, timeout=600
    )


def prepared(texts: Path, place: Path, tmp_path: Path, runs: tuple[str, ...]) -> Path:
    folder = tmp_path / "folder"
    shutil.copytree(texts, folder)
    for name in runs:
        text = name + (".log" if name == "app" else ".txt")
        done = run(["pantoum", "train", text, "--quiet", *OPTIONS.get(name, [])], folder, place)
        assert done.returncode == 0, done.stderr
    return folder


def expected(command: str) -> tuple[int, ...]:
    """The exit codes of a command that worked; ``grep`` ends with 1 if a model of seconds marked no line."""
    return (0, 1) if "| grep" in command else (0,)


def check_page(page: str, texts: Path, place: Path, tmp_path: Path) -> None:
    found = blocks(page)
    assert found, f"{page} has no command to run"
    if any("import torch" in block for _, block in found) and find_spec("torch") is None:
        pytest.skip("SKIP SKIP SKIP: no PyTorch here, its page was not run")
    folder = prepared(texts, place, tmp_path, GIVEN.get(page, ()))
    for language, block in found:
        if language == "sh":
            kept = [line for line in block.splitlines() if not line.startswith(INSTALLS)]
            done = run(["bash", "-euc", "\n".join(kept)], folder, place)
        else:
            done = run([sys.executable, "-c", PRELUDE + block], folder, place)
        assert done.returncode in expected(block), (
            f"{page}:\n{block}\nexit code {done.returncode}\n{done.stdout[-500:]}\n{done.stderr[-2000:]}"
        )
        assert "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("page", QUICK)
def test_the_commands_of_the_readme_run(page: str, texts: Path, place: Path, tmp_path: Path) -> None:
    check_page(page, texts, place, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", [*SLOW, *GUIDES])
def test_the_commands_of_a_page_run(page: str, texts: Path, place: Path, tmp_path: Path) -> None:
    check_page(page, texts, place, tmp_path)


def table_commands() -> list[str]:
    """The commands in the tables of docs/commands.md."""
    cells = re.findall(
        r"^\| [^|]+ \| `(pantoum [^`]+)` \|$",
        (ROOT / "docs" / "commands.md").read_text("utf-8"),
        re.MULTILINE,
    )
    assert len(cells) > 25
    return [cell.replace("\\|", "|") for cell in cells]


@pytest.mark.slow
def test_the_commands_of_the_tables_run(texts: Path, place: Path, tmp_path: Path) -> None:
    folder = prepared(texts, place, tmp_path, ("app",))
    for command in table_commands():
        if command.startswith("pantoum serve"):  # it ends by a signal: see below
            continue
        done = run(["bash", "-euc", command], folder, place)
        assert done.returncode == 0, f"{command}\n{done.stderr[-2000:]}"


def help_examples() -> list[str]:
    """The examples under each command's help, without the words that explain them."""
    (commands,) = (a for a in make_parser()._actions if hasattr(a, "choices") and isinstance(a.choices, dict))
    assert isinstance(commands.choices, dict)
    found = []
    for name in all_commands():
        epilog = str(commands.choices[name].filled().epilog)
        for line in epilog.splitlines():
            if re.match(r"  (?!pantoum serve)\S.*\bpantoum |  pantoum (?!serve)", line):
                found.append(re.split(r"\s{2,}", line.strip())[0])
    return found


def foreign_lstm(folder: Path) -> None:
    """A model of words as PyTorch has it, and its vocabulary."""
    words, random = ["<eos>", "<unk>", "Once", "upon", "the"], np.random.default_rng(0)
    shapes = {"encoder.weight": (5, 3), "decoder.weight": (5, 4), "decoder.bias": (5,)}
    shapes |= {"rnn.weight_ih_l0": (16, 3), "rnn.weight_hh_l0": (16, 4)}
    shapes |= {"rnn.bias_ih_l0": (16,), "rnn.bias_hh_l0": (16,)}
    arrays = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    safetensors.numpy.save_file(arrays, folder / "lstm.safetensors")
    (folder / "words.txt").write_text("\n".join(words) + "\n")


@pytest.mark.slow
def test_the_examples_of_the_help_run(texts: Path, place: Path, tmp_path: Path) -> None:
    folder = prepared(texts, place, tmp_path, ("book", "names", "app"))
    words = ["pantoum", "train", "book.txt", "--tokens", "words", "--run", "runs/words", "--quiet"]
    assert run(words, folder, place).returncode == 0  # the only one with counted n-grams
    for copy in ("book-2", "book-3", "austen", "bronte"):
        shutil.copytree(folder / "runs" / "book", folder / "runs" / copy)
    shutil.copytree(folder / "runs" / "app", folder / "runs" / "log")
    shutil.copy(folder / "runs" / "book" / "model.safetensors", folder / "from-a-stranger.safetensors")
    foreign_lstm(folder)
    for command in help_examples():
        done = run(["bash", "-euc", f"PROFILE=profile.ps1; {command}"], folder, place)  # as PowerShell has it
        assert done.returncode in expected(command), f"{command}\n{done.stderr[-2000:]}"


def test_blocks_are_found_in_order(tmp_path: Path) -> None:
    assert [language for language, _ in blocks("docs/api.md")].count("python") >= 4
    assert shlex.split(table_commands()[0])[:2] == ["pantoum", "train"]


@pytest.mark.slow
def test_the_commands_of_the_server_run(texts: Path, place: Path, tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8000)) == 0:
            pytest.skip("another program uses port 8000, which the page names")
    folder = prepared(texts, place, tmp_path, ("book", "letters"))
    (serve, *requests) = [block for language, block in blocks("docs/serving.md") if language == "sh"]
    (command,) = [line for line in serve.splitlines() if not line.startswith(INSTALLS)]
    with subprocess.Popen(
        shlex.split(command), cwd=folder, env=surroundings(place, tmp_path), stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            done = run(
                ["curl", "--retry", "30", "--retry-connrefused", "-sf", "127.0.0.1:8000/health"],
                folder,
                place,
            )
            assert json.loads(done.stdout)["status"] == "ok", done.stderr
            for block in requests:
                done = run(["bash", "-euc", block], folder, place)
                assert json.loads(done.stdout)["choices"][0]["text"], done.stdout
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
