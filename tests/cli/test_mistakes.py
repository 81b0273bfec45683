"""What newcomers type: each mistake is answered by one line that says what to type instead.

Each row: what is typed (``pantoum`` left out), the exit code, and the words that say what to type. In the
folder there are texts, documents, a finished run called ``run`` and a prepared folder ``prep``.
"""

from __future__ import annotations

import bz2
import gzip
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pantoum
from pantoum import State

Run = Callable[..., Any]
ENCODING = "give --encoding windows-1252 ('schön.') or "
RUN = "such as runs/book"

MISTAKES: list[tuple[str, int, str]] = [
    # Commands.
    ("trian book.txt", 2, "did you mean `pantoum train`?"),
    ("book.txt", 2, "did you mean `pantoum train book.txt`?"),
    ("prep", 2, "did you mean `pantoum prepare`?"),
    ("model.safetensors", 2, "did you mean `pantoum generate model.safetensors`?"),
    ("help", 2, "type `pantoum --help`, or `pantoum train --help`"),
    ("sample run", 2, "did you mean `pantoum generate`?"),
    ("quantize run", 2, "did you mean `pantoum export`?"),
    ("--lr train book.txt", 2, "it is an option of `pantoum train`"),
    ("--minutes 3 train book.txt", 2, "`pantoum train`; options come after the command"),
    ("version", 2, "type `pantoum --version`"),
    ("pantoum train book.txt", 2, "leave one out"),
    ("export run --to int8 --out nowhere/x", 1, "cannot write 'nowhere/x': the folder does not exist"),
    ("completion tcsh", 1, "SHELL is 'tcsh': it must be one of bash, zsh, fish, powershell"),
    # Names and values of options.
    ("train book.txt --lr 0.1", 2, "did you mean --learning-rate?"),
    ("train book.txt --epoch 3", 2, "did you mean --epochs?"),
    ("train book.txt --layers 2", 2, "did you mean --num-layers?"),
    ("train book.txt --hidden 64", 2, "did you mean --hidden-size?"),
    ("train book.txt --max-iters 9", 2, "did you mean --steps?"),
    ("train book.txt --prompt x", 2, "it is an option of `pantoum generate`"),
    ("train book.txt --minutes 5m", 1, "did you mean 5?"),
    ("train book.txt --steps 1e3", 1, "did you mean 1000?"),
    ("train book.txt --steps 1e9999", 1, "it must be a whole number; `pantoum train --help`"),
    ("train book.txt --steps 1e13", 1, "did you mean 10000000000000?"),
    (
        "train book.txt --tokens bpe:99999999",
        1,
        "must have an N from 258 to 1000000; give for example bpe:4096",
    ),
    ("train book.txt --steps 10k", 1, "did you mean 10000?"),
    ("train book.txt --steps 10,000", 1, "did you mean 10000?"),
    ("train book.txt --minutes 1,5", 1, "did you mean 1.5?"),
    ("train book.txt --minutes 2h", 1, "did you mean 120?"),
    ("train book.txt --minutes 90s", 1, "did you mean 1.5?"),
    ("train book.txt --valid-fraction 10%", 1, "did you mean 0.1?"),
    ("train book.txt --quiet=yes", 2, "--quiet takes no value, but has 'yes'"),
    ("train book.txt --minutes", 2, "--minutes needs a value"),
    ("train book.txt --minutes 1 --steps 9", 1, "give only one of them"),
    ("train book.txt --documents line", 1, "did you mean lines?"),
    ("train book.txt --tokens char", 1, "did you mean characters?"),
    ("train book.txt --tokens bpe", 1, "for example bpe:4000"),
    ("train book.txt --cell transformer", 1, "choose one of them"),
    ("train book.txt --hidden-size 0", 1, "from 1 to 65536"),
    ("train book.txt --dropout 50%", 1, "for example --dropout 0.2"),
    ("train book.txt --threads many", 1, "a whole number from 1 to 1024"),
    ("generate run --max-tokens 50", 2, "did you mean --length?"),
    ("generate run --temp 0.5", 2, "did you mean --temperature?"),
    ("generate run --top-p 90", 1, "above 0 and at most 1"),
    ("generate run --minutes 3", 2, "it is an option of `pantoum train`"),
    ("score run book.txt --by lines", 1, "did you mean line?"),
    ("score run book.txt --format csv", 1, "did you mean tsv?"),
    ("score run book.txt --alert 5%", 1, "give for example 9.5, or auto:0.1%"),
    ("evaluate run book.txt --protocol windows", 1, "for example segments:64"),
    ("export run --to int4 --out x", 1, "did you mean int8?"),
    ("train book.txt --num-layers many", 1, "it must be a whole number"),
    ("train book.txt --minutes nan", 1, "--minutes is nan"),
    ("train book.txt --ngrams two", 1, "--ngrams 2,3,4"),
    ("train book.txt --ngrams 2,3 --ngram-rows 8388608 --steps 1", 1, "1 GiB"),
    ("train book.txt --from run --ngrams 2 --steps 1", 1, "must be none"),
    ("demo --minutes 0", 1, "--minutes is 0.0: it must be a number above 0"),
    # Something is missing, or one thing too many.
    ("train", 1, "for example `pantoum train book.txt`"),
    ("generate", 2, "type for example `pantoum generate runs/book"),
    ("evaluate run", 2, "type for example `pantoum evaluate runs/book other.txt`"),
    ("prepare book.txt", 2, "--out is missing: type for example `pantoum prepare corpus/"),
    ("export run", 2, "--to, --out are missing: type for example `pantoum export runs/book"),
    ("watch", 2, "type for example `pantoum watch runs/book`"),
    ("generate run 'Once upon'", 2, "--prompt 'Once upon'"),
    ("watch run run", 2, "run is one argument too many"),
    # Names of files.
    ("train Book.txt", 1, "did you mean 'book.txt'?"),
    ("train ''", 1, "TEXT is '': it must not be empty; give a name, or . for this folder"),
    ("train book.txt --run ''", 1, "--run is '': it must not be empty"),
    ("train nowhere.txt", 1, "check the spelling"),
    ("train book.txt --valid bok.txt", 1, "did you mean 'book.txt'?"),
    ("generate page", 1, "did you mean 'runs/page'?"),
    ("train --run nowhere --resume", 1, "give the folder of a run to resume"),
    ("train --resume", 1, "give --run DIR"),
    ("train book.txt --run run", 1, "give another name, or --resume"),
    ("compare run nowhere", 1, RUN),
    ("watch book.txt", 1, RUN),
    ("train book.txt --run book.txt --steps 1", 1, "is a file"),
    ("train book.txt --run book.txt/run --steps 1", 1, "book.txt"),
    ("prepare book.txt --out book.txt/p", 1, "book.txt"),
    ("generate run --state-out book.txt/s", 1, "book.txt"),
    ("score run book.txt --alert auto:1% --alert-text none", 1, "'none'"),
    ("info nowhere", 1, "does not exist"),
    ("info book.txt", 1, "a run folder"),
    ("info nothing", 1, "a run folder"),
    ("doctor now", 2, "now is one argument too many"),
    # The wrong kind of file, or the wrong order.
    ("generate book.txt", 1, "train one on it first: `pantoum train book.txt`"),
    ("evaluate book.txt run", 1, "MODEL comes before TEXT"),
    ("score book.txt run", 1, "MODEL comes before TEXT"),
    ("generate a.state", 1, "--state-in a.state"),
    ("generate run --prompts bok.txt", 1, "did you mean 'book.txt'?"),
    ("generate run --prompts pics", 1, "cannot read 'pics': it is a folder"),
    ("generate photo.png", 1, "is an image, not a model; give a run folder or a model file"),
    ("generate run/report.html", 1, "is an HTML page, not a model; did you mean 'run'?"),
    ("generate run --json-schema book.txt", 1, "--json-schema is 'book.txt': it is not JSON"),
    ("generate nothing", 1, "train one with `pantoum train TEXT`"),
    ("train book.txt --from book.txt", 1, "`pantoum train book.txt`"),
    ("train run", 1, "`pantoum train --run run --resume`"),
    ("train prep", 1, "use it with `pantoum train --data prep`"),
    ("train model.safetensors", 1, "`pantoum info model.safetensors` describes it"),
    ("train a.state", 1, "`pantoum generate MODEL --state-in a.state`"),
    ("train photo.png", 1, "is an image, not a text; give a text file"),
    ("train paper.pdf", 1, "a PDF document"),
    ("train prog.exe", 1, "is an executable program, not a text; give a text file"),
    ("train old.doc", 1, "save it as plain text, .docx or .odt first"),
    ("train a.7z", 1, "unpack it and give the folder"),
    ("train pics", 1, "a.png (an image); name a text file"),
    ("score run pics", 1, "it is a folder; name a file"),
    ("score run --follow", 1, "TEXT is '-': it must be the file that --follow reads; name the file"),
    ("score run photo.png", 1, "is an image, not a text; give a text file"),
    # Encodings, empty and damaged files.
    ("train book.txt --encoding utf-7", 1, "--encoding is 'utf-7': it must be a text encoding"),
    ("train latin1.txt --tokens characters", 1, "; or read its bytes with --tokens bytes"),
    ("train latin1.txt", 1, ENCODING),
    ("evaluate run latin1.txt", 1, ENCODING),
    ("train empty.txt", 1, "give a text to read"),
    ("train one.txt", 1, "give a longer text"),
    ("train link.txt", 1, "it is a link to 'gone.txt', which does not exist; name a file"),
    ("train one.txt --valid-fraction 0", 1, "it has 1 token here, and at least 2 are needed"),
    ("train cut.gz", 1, "damaged or cut short"),
    ("evaluate run cut.bz2", 1, "get it again"),
    ("generate cut.safetensors", 1, "use another copy of it, or train again"),
    ("generate flipped.safetensors", 1, "flipped.safetensors"),
    ("generate run --state-in book.txt", 1, "book.txt"),
    ("generate run --state-in other.state", 1, "belongs to the model"),
    # Settings that exclude each other.
    ("score run book.txt --documents --alert auto:1%", 1, "with --alert-text FILE"),
    ("generate run --novel", 1, "train it with --documents"),
    ("generate run --count 2 --state-out s", 1, "leave one of the two out"),
    ("evaluate run book.txt --model-out x", 1, "give --adapt too, or leave it out"),
    ("score run book.txt --streams 4 --adapt", 1, "leave one of the two out"),
    ("train book.txt --ngrams none --ngram-rows 64", 1, "give --ngrams as well, or leave it out"),
    ("train --data prep --tokens words", 1, "leave it out, or prepare the text with it"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, text: Path) -> Path:
    """A folder with all that is named above."""
    made = tmp_path_factory.mktemp("mistakes")
    shutil.copy(text, made / "book.txt")
    files = {
        "empty.txt": b"",
        "one.txt": b"a",
        "latin1.txt": "Der Mond ist aufgegangen, schön.\n".encode("latin-1") * 50,
        "photo.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "paper.pdf": b"%PDF-1.5\n\xe2\xe3",
        "prog.exe": b"MZ\x90\0\x03\0",
        "old.doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0",
        "a.7z": b"7z\xbc\xaf\x27\x1c\0",
        "cut.gz": gzip.compress(b"hello " * 999)[:30],
        "cut.bz2": bz2.compress(b"hello " * 999)[:30],
    }
    for name, data in files.items():
        (made / name).write_bytes(data)
    (made / "link.txt").symlink_to("gone.txt")
    (made / "pics").mkdir()
    shutil.copy(made / "photo.png", made / "pics" / "a.png")
    (made / "nothing").mkdir()
    small = {"steps": 2, "hidden_size": 8, "num_layers": 1, "progress": False}
    model = pantoum.train(made / "book.txt", run=str(made / "run"), **small).model
    session = model.session()
    session.feed("The cat")
    session.state.write(made / "a.state")
    pantoum.prepare(made / "book.txt", out=made / "prep")
    shutil.copy(made / "run" / "model.safetensors", made / "model.safetensors")
    weights = (made / "model.safetensors").read_bytes()
    (made / "cut.safetensors").write_bytes(weights[:3000])
    (made / "flipped.safetensors").write_bytes(weights[:-100] + bytes([weights[-100] ^ 1]) + weights[-99:])
    State((np.zeros((1, 8), np.float32),), None, 0, b"", "ab" * 32).write(made / "other.state")
    shutil.copytree(made / "run", made / "runs" / "page")
    return made


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("typed", "code", "instead"), MISTAKES, ids=[typed for typed, _, _ in MISTAKES])
def test_a_mistake_gets_one_line_that_says_what_to_type(
    run: Run, place: Path, monkeypatch: pytest.MonkeyPatch, typed: str, code: int, instead: str
) -> None:
    monkeypatch.chdir(place)
    before = snapshot(place)
    done = run(*shlex.split(typed))
    assert (done.code, done.out, len(done.lines)) == (code, "", 1), done
    assert instead in done.err and done.err.startswith("pantoum"), done.err
    assert "bug" not in done.err and "Traceback" not in done.err
    assert code != 2 or "--help` lists its options" in done.err
    after = snapshot(place)
    assert after.items() >= before.items() and not [
        name for name in after.keys() - before if "/runs/" in name
    ]


def test_a_text_shorter_than_the_batch_works_smaller_with_a_note(run: Run, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("abcdefgh" * 8)
    words = "--steps 1 --hidden-size 8 --num-layers 1 --batch-size 64 --seq-len 64 --valid-fraction 0"
    done = run("train", tmp_path / "short.txt", "--run", tmp_path / "run", *words.split())
    assert done.code == 0 and "too few for batches of 64 x 64" in done.err
    assert (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.skipif(os.name != "posix" or not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(place: Path) -> None:
    command = [sys.executable, "-m", "pantoum", "generate", str(place / "run"), "--seed", "1"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "'stdout': No space left" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs a pipe that is closed early")
@pytest.mark.parametrize(
    "command", ["score {0}/run {0}/book.txt --by token", "generate {0}/run --length 9999"]
)
def test_a_closed_pipe_is_no_mistake(place: Path, command: str) -> None:
    typed = f"{sys.executable} -m pantoum {command.format(place)} --quiet"
    whole = f"{typed} | head -c 10 >/dev/null; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", whole], capture_output=True, text=True, timeout=300, check=True)
    assert (done.stdout, done.stderr) == ("141\n", "")
