"""``pantoum compress`` and ``decompress``: files, pipes, parts, damage, and what is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pantoum.formats import durable
from pantoum.kernels import without_core

pytest.importorskip("constriction")
pytestmark = pytest.mark.skipif(without_core() is not None, reason="archives need the native core")
Run = Callable[..., Any]


def test_there_and_back(run: Run, trained: Path, text: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "a.pantoum", tmp_path / "a"
    done = run("compress", text, "--model", trained, "--out", out)
    assert done.code == 0 and "bits per byte; xz -6" in done.out and "plus the model" in done.out
    assert out.stat().st_size < text.stat().st_size * 0.7
    assert run("decompress", out, "--model", trained).code == 0
    assert again.read_bytes() == text.read_bytes()
    told = run("info", out, "--verify").out
    assert "archive" in told and "SHA-256" in told and "the checksums of all 1 frames" in told
    assert json.loads(run("info", out, "--json").out)["plain_bytes"] == text.stat().st_size


def test_several_files_each_have_an_archive(run: Run, trained: Path, text: Path, tmp_path: Path) -> None:
    files = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for number, file in enumerate(files):
        file.write_bytes(text.read_bytes()[number:])
    done = run("compress", *files, "--model", trained, "--json")
    assert [Path(each["out"]).name for each in json.loads(done.out)["files"]] == [
        f"{f.name}.pantoum" for f in files
    ]
    tested = run("decompress", *(f"{file}.pantoum" for file in files), "--model", trained, "--test")
    assert tested.code == 0 and tested.out.count("it is intact") == 2
    refused = run("compress", *files, "--model", trained, "--out", tmp_path / "x")
    assert refused.code == 1 and "--out" in refused.err


def test_a_file_is_replaced_only_where_that_is_asked_for(run: Run, text: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    for file in (one, two):
        file.write_bytes(text.read_bytes())
    archives = [Path(f"{file}.pantoum") for file in (one, two)]
    archives[1].write_bytes(b"of somebody")
    refused = run("compress", one, two)
    assert refused.code == 1 and "two.txt.pantoum" in refused.err and "exists already" in refused.err
    assert archives[1].read_bytes() == b"of somebody" and not archives[0].exists()  # nothing was begun
    assert run("compress", two, "--out", archives[1]).code == 1
    assert archives[1].read_bytes() == b"of somebody"
    assert run("compress", two, "--out", archives[1], "--overwrite").code == 0
    two.write_bytes(b"newer")
    for more in ([], ["--out", two]):
        done = run("decompress", archives[1], *more)
        assert done.code == 1 and "--overwrite" in done.err and two.read_bytes() == b"newer"
    assert run("decompress", archives[1], "--test").code == 0
    assert run("decompress", archives[1], "--overwrite").code == 0
    assert two.read_bytes() == text.read_bytes()
    archives[0].symlink_to(tmp_path / "nothing")  # the name is taken, too
    assert run("compress", one).code == 1 and not (tmp_path / "nothing").exists()
    assert run("compress", one, "--out", "").code == 1


def test_what_a_killed_command_left_behind_goes(run: Run, text: Path, tmp_path: Path) -> None:
    for command, name in ((["compress", text], "a.pantoum"), (["decompress", tmp_path / "a.pantoum"], "b")):
        left = durable.temporary_beside(tmp_path / name)
        left.write_bytes(b"half")
        assert run(*command, "--out", tmp_path / name).code == 0 and not left.exists()


def test_pipes(trained: Path, text: Path) -> None:
    command = [sys.executable, "-m", "pantoum"]
    there = [*command, "compress", "-", "--model", str(trained), "--quiet"]
    archive = subprocess.run(there, input=text.read_bytes(), capture_output=True, check=True).stdout
    back = [*command, "decompress", "-", "--model", str(trained), "--quiet"]
    assert subprocess.run(back, input=archive, capture_output=True, check=True).stdout == text.read_bytes()
    cut = subprocess.run(back, input=archive[:-3], capture_output=True, check=False)
    assert cut.returncode == 1 and b"it is truncated" in cut.stderr and cut.stderr.count(b"\n") == 1


def test_records_and_parts(run: Run, trained: Path, text: Path, tmp_path: Path) -> None:
    out, lines = tmp_path / "lines.pantoum", text.read_bytes().splitlines()
    assert run("compress", text, "--model", trained, "--documents", "lines", "--out", out).code == 0
    to = tmp_path / "to"
    assert run("decompress", out, "--model", trained, "--record", 7, "--out", to).code == 0
    assert to.read_bytes() == lines[7]
    more = ["--overwrite", "--offset", 100, "--length", 20]
    assert run("decompress", out, "--model", trained, *more, "--out", to).code == 0
    assert to.read_bytes() == text.read_bytes()[100:120]
    assert run("decompress", out, "--model", trained, "--record", 7, *more, "--out", to).code == 1
    size = text.stat().st_size
    done = run("decompress", out, "--model", trained, "--offset", size + 1, "--out", to, "--overwrite")
    assert done.code == 1 and f"--offset is {size + 1}: it must be at most {size:,}" in done.err
    assert to.read_bytes() == text.read_bytes()[100:120]
    at_end = run("decompress", out, "--model", trained, "--offset", size, "--out", to, "--overwrite")
    assert (at_end.code, to.read_bytes()) == (0, b"")


def test_mistakes_are_told_in_a_line(run: Run, trained: Path, text: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.pantoum"
    run("compress", text, "--model", trained, "--out", out)
    kept = out.read_bytes()
    other = tmp_path / "b"
    other.write_bytes(kept)
    for words, told in (
        (["decompress", out], "it needs the model with SHA-256"),
        (["decompress", text, "--out", tmp_path / "x"], "not an archive of pantoum"),
        (["decompress", text], "not an archive of pantoum"),
        (["decompress", text, "--keep-going"], "not an archive of pantoum"),
        (["decompress", other, "--model", trained], "--out"),
        (["decompress", tmp_path / "none.pantoum"], "no such file"),
        (["compress", tmp_path / "none"], "no such file"),
        (["compress", text, "--documents", "lines"], "needs a model"),
        (["compress", text, "--out", text, "--model", trained], "would be lost"),
        (["compress", text, "--out", tmp_path / "none" / "a"], "--out is"),
        (["decompress", out, "--model", trained, "--out", tmp_path], "a folder that exists"),
        (["decompress", out, "--model", trained, "--max-output", 5], "more than --max-output (5 bytes)"),
        (["decompress", out, "--model", trained, "--max-output", 5], "give a larger --max-output"),
        (["decompress", out, "--model", trained, "--record", 0], "--documents"),
        (["decompress", out, "--record", 0, "--length", 1], "together with --offset or --length"),
        (
            ["decompress", out, "--model", trained, "--keep-going", "--offset", 5],
            "--keep-going cannot be given",
        ),
    ):
        done = run(*words)
        assert done.code == 1 and told in done.err and len(done.lines) == 1, done
    assert out.read_bytes() == kept and not (tmp_path / "x").exists()


def test_damage_is_told_and_the_rest_is_saved(run: Run, trained: Path, text: Path, tmp_path: Path) -> None:
    out, saved = tmp_path / "a.pantoum", tmp_path / "saved"
    run("compress", text, "--model", trained, "--out", out)
    data = bytearray(out.read_bytes())
    data[-4] ^= 1
    out.write_bytes(data)
    assert run("decompress", out, "--model", trained, "--out", saved).code == 1 and not saved.exists()
    done = run("decompress", out, "--model", trained, "--out", saved, "--keep-going")
    assert done.code == 1 and "damaged or missing" in done.err and saved.read_bytes() == text.read_bytes()
    data[40] ^= 1
    out.write_bytes(data)
    done = run("decompress", out, "--model", trained, "--out", saved, "--keep-going", "--overwrite")
    assert done.code == 1 and "keep-going" not in done.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_may_have_a_name(run: Run, text: Path, tmp_path: Path) -> None:
    """As `/dev/stdin`, or `<(command)` of a shell."""
    pipe, out, back = tmp_path / "pipe", tmp_path / "a.pantoum", tmp_path / "back"

    def written(data: bytes) -> threading.Thread:
        writer = threading.Thread(target=pipe.write_bytes, args=(data,))
        writer.start()
        return writer

    os.mkfifo(pipe)
    writer = written(text.read_bytes())
    assert run("compress", pipe, "--out", out).code == 0
    writer.join()
    writer = written(out.read_bytes())
    assert run("decompress", pipe, "--out", back).code == 0
    writer.join()
    assert back.read_bytes() == text.read_bytes()
