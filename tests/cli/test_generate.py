"""``pantoum generate``: what goes to stdout and what does not, states, seeds, and any prompt."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pantoum

Run = Callable[..., Any]


def stdin_of(data: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")


def test_stdout_is_prompt_and_continuation(run: Run, trained: Path) -> None:
    done = run("generate", trained, "--prompt", "The cat", "--length", 30, "--seed", 1)
    assert (done.code, done.err) == (0, "")
    model = pantoum.load(trained)
    assert done.out == "The cat" + model.generate("The cat", length=30, seed=1)
    assert "".join(model.stream("The cat", length=30, seed=1)) == model.generate("The cat", length=30, seed=1)


def test_without_a_seed_one_is_drawn_and_told(run: Run, trained: Path) -> None:
    done = run("generate", trained, "--length", 20)
    (line,) = done.lines
    again = run("generate", trained, "--length", 20, "--seed", line.rpartition(" ")[2])
    assert again.out == done.out and "--seed" in line
    assert run("generate", trained, "--length", 20, "--quiet").err == ""


def test_texts_are_parted_by_a_line(run: Run, trained: Path) -> None:
    one = run("generate", trained, "--prompt", "T", "--length", 20, "--seed", 3).out
    done = run("generate", trained, "--prompt", "T", "--length", 20, "--seed", 3, "--count", 4)
    texts = done.out.split("\n---\n")
    assert len(texts) == 4 and texts[0] == one and len(set(texts)) > 1
    assert texts == ["T" + t for t in pantoum.load(trained).generate("T", length=20, seed=3, count=4)]


def test_json_holds_all_texts(run: Run, trained: Path) -> None:
    done = run("generate", trained, "--prompt", "T", "--length", 20, "--seed", 3, "--count", 2, "--json")
    found = json.loads(done.out)
    assert found["prompt"] == "T" and found["seed"] == 3
    assert [t["text"] for t in found["texts"]] == pantoum.load(trained).generate(
        "T", length=20, seed=3, count=2
    )
    assert {"text", "tokens", "nats", "stopped"} == set(found["texts"][0])
    assert found["texts"][0]["tokens"] == 20


def test_documents_are_parted_by_a_newline(run: Run, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("Anna\nBerta\nCarla\nDora\nEmma\nFrieda\n" * 30)
    pantoum.train(
        tmp_path / "names.txt",
        run=str(tmp_path / "names"),
        documents="lines",
        steps=3,
        hidden_size=8,
        num_layers=1,
        progress=False,
    )
    done = run("generate", tmp_path / "names", "--count", 5, "--seed", 1, "--length", 50)
    assert len(done.out.split("\n")) == 5
    stopped = json.loads(run("generate", tmp_path / "names", "--seed", 1, "--json", "--length", 5000).out)
    assert stopped["texts"][0]["stopped"] == "eos"


def test_texts_that_end_at_different_times_are_printed_whole_and_in_order(run: Run, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("Anna\nBerta\nCarla\nDora\nEmma\nFrieda\n" * 30)
    pantoum.train(
        tmp_path / "names.txt",
        run=str(tmp_path / "names"),
        documents="lines",
        steps=3,
        hidden_size=8,
        num_layers=1,
        progress=False,
    )
    options = ("--prompt", "A", "--count", 7, "--seed", 2, "--length", 40)
    texts = json.loads(run("generate", tmp_path / "names", *options, "--json").out)["texts"]
    assert len({text["tokens"] for text in texts}) > 2
    printed = run("generate", tmp_path / "names", *options).out
    assert printed == "\n".join("A" + text["text"] for text in texts)


def test_a_state_goes_from_one_command_to_the_next(run: Run, trained: Path, tmp_path: Path) -> None:
    whole = run("generate", trained, "--prompt", "The", "--length", 40, "--seed", 5).out
    first = run(
        "generate", trained, "--prompt", "The", "--length", 15, "--seed", 5, "--state-out", tmp_path / "s"
    ).out
    rest = run("generate", trained, "--length", 25, "--seed", 5, "--state-in", tmp_path / "s").out
    assert first + rest == whole


def test_a_stop_string_is_not_printed(run: Run, trained: Path) -> None:
    whole = run("generate", trained, "--prompt", "The", "--length", 60, "--seed", 5).out
    stop = whole[30:33]
    done = run(
        "generate", trained, "--prompt", "The", "--length", 60, "--seed", 5, "--stop", "@@", "--stop", stop
    )
    assert done.out == whole[: whole.index(stop, 3)]


def test_a_prompt_is_read_from_stdin(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", stdin_of(b"The cat"))
    done = run("generate", trained, "--prompt", "-", "--length", 10, "--seed", 1)
    assert done.out == run("generate", trained, "--prompt", "The cat", "--length", 10, "--seed", 1).out
    monkeypatch.setattr(sys, "stdin", None)
    assert run("generate", trained, "--prompt", "-", "--length", 10, "--seed", 1).code == 0


def test_a_prompt_of_a_megabyte_is_read(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"The cat number 1 sat on the mat.\n" * 31_000
    monkeypatch.setattr(sys, "stdin", stdin_of(text))
    done = run("generate", trained, "--prompt", "-", "--length", 5, "--seed", 1)
    assert done.code == 0 and done.out.startswith(text.decode()) and len(done.out) == len(text) + 5


@pytest.mark.parametrize("prompt", ["", "Жук", "\x1b[2J\x07\x00", "caf\udce9", "\ud83d", "‘quoted’", "-"])
def test_any_prompt_can_be_gone_on_with(
    run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch, prompt: str
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin_of(b"\xff\xfe"))
    done = run("generate", trained, "--prompt", prompt, "--length", 5, "--seed", 1)
    assert done.code == 0
    assert all(line.startswith("pantoum: note: ") for line in done.lines)


def test_unknown_symbols_are_said_once(run: Run, trained: Path) -> None:
    done = run("generate", trained, "--prompt", "ЖЖЖ", "--length", 5, "--seed", 1)
    assert len(done.lines) == 1 and done.err.count("Ж") == 1


class Terminal(io.TextIOWrapper):
    """A stream that says a person looks at it."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="ascii", write_through=True)

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_last_newline_and_nothing_that_it_would_obey(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pantoum.cli.main import main

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert (
        main(
            [
                "generate",
                str(trained),
                "--prompt",
                "\x1b[2Jna\u00efve",
                "--length",
                "5",
                "--seed",
                "1",
                "--quiet",
            ]
        )
        == 0
    )
    shown = terminal.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert shown.endswith("\n") and "\x1b" not in shown and shown.isascii()


def test_unique_and_novel(run: Run, tmp_path: Path) -> None:
    names = ["Anna", "Berta", "Carla", "Dora", "Emma", "Frieda"]
    (tmp_path / "names.txt").write_text("\n".join(names * 30) + "\n")
    pantoum.train(
        tmp_path / "names.txt",
        run=str(tmp_path / "names"),
        documents="lines",
        steps=60,
        hidden_size=16,
        num_layers=1,
        progress=False,
    )
    options = ("--count", 9, "--seed", 2, "--length", 20, "--unique", "--novel")
    done = run("generate", tmp_path / "names", *options)
    texts = done.out.split("\n")
    assert done.code == 0 and len(set(texts)) == 9 and not set(texts) & set(names)
    found = json.loads(run("generate", tmp_path / "names", *options, "--json").out)
    assert [text["text"] for text in found["texts"]] == texts
    assert found["drawn"] == 9 + found["repeated"] + found["known"]
    model = pantoum.load(tmp_path / "names")
    assert model.generate(count=9, seed=2, length=20, unique=True, novel=True) == texts
    assert isinstance(model.generate(seed=2, length=20, novel=True), str)


def test_texts_that_differ_end_early_as_others_do(run: Run, trained: Path) -> None:
    model = pantoum.load(trained)
    alone = model.generate(count=12, seed=3, length=60)
    differing = model.generate(count=12, seed=3, length=60, unique=True)
    assert differing == alone and len({len(text) for text in alone}) > 1
    assert {len(text) for text in model.generate(count=12, seed=3, length=60, unique=True, exact=True)} == {
        60
    }


def test_too_few_or_no_texts_are_told(run: Run, trained: Path) -> None:
    done = run("generate", trained, "--greedy", "--unique", "--count", 3, "--length", 5, "--seed", 1)
    assert done.code == 0 and "only 1 of 3 texts" in done.err and "---" not in done.out
    done = run("generate", trained, "--novel", "--length", 5)
    assert done.code == 1 and done.out == "" and "has no filter" in done.err


def test_a_prompt_without_end_is_refused_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from pantoum.cli import generate
    from pantoum.errors import SettingError

    class Endless:
        def read(self, size: int) -> bytes:
            assert 0 < size <= (32 << 20) + 1
            return b"a" * size

    class Stdin:
        buffer = Endless()

    monkeypatch.setattr("sys.stdin", Stdin())
    with pytest.raises(SettingError, match="prompt is '-': it may have at most 33,554,432 bytes on stdin"):
        generate._prompt("-")


@pytest.mark.parametrize("tokens", ["words", "words:whitespace"])
def test_a_space_at_the_end_of_a_prompt_is_not_written_twice(
    run: Run, text: Path, tmp_path: Path, tokens: str
) -> None:
    options = ("--steps", 2, "--hidden-size", 8, "--num-layers", 1, "--tokens", tokens)
    run("train", text, "--run", tmp_path / "r", *options)
    with_space, without = (
        run("generate", tmp_path / "r", "--prompt", prompt, "--seed", 3, "--length", 20)
        for prompt in ("The cat ", "The cat")
    )
    written = without.out.removeprefix("The cat")
    assert with_space.out == "The cat " + written.removeprefix(" ") and written.strip()
