"""``pantoum score``: forms, alerts, live streams, hostile texts, and ends of every kind."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pantoum

Run = Callable[..., Any]


def test_score_gives_a_line_for_each_line(run: Run, trained: Path, text: Path) -> None:
    done = run("score", trained, text)
    assert done.code == 0 and len(done.out.splitlines()) == len(text.read_text().splitlines())
    assert done.out.splitlines()[0].endswith("The cat number 0 sat on the mat, and dog 0 ran.")


def test_score_in_every_form(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("The cat sat.\nThe dog")
    tsv = run("score", trained, tmp_path / "t.txt", "--format", "tsv", "--by", "word").out.splitlines()
    assert [row.split("\t")[3] for row in tsv] == ["line", "1", "1", "1", "2", "2"]
    assert tsv[0] == "nats\ttokens\tpeak\tline\tcolumn\todd\ttext" and [
        row.split("\t")[6] for row in tsv[1:]
    ] == ["The", " cat", " sat.", "\\nThe", " dog"]
    found = json.loads(run("score", trained, tmp_path / "t.txt", "--json").out)
    assert found["by"] == "line" and [i["text"] for i in found["items"]] == ["The cat sat.\n", "The dog"]
    assert found["nats"] == pytest.approx(sum(i["nats"] for i in found["items"]))
    page = run("score", trained, tmp_path / "t.txt", "--format", "html").out
    assert page.startswith("<!doctype html>") and "pantoum-surprisal" in page


def test_score_without_stdin_is_an_error(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    done = run("score", trained)
    assert done.code == 1 and "stdin is closed" in done.err


def test_alerts_are_marked_in_every_form(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("The cat number 7 sat.\n\x07\n")
    rows = run("score", trained, tmp_path / "t.txt", "--alert", 4.5).out.splitlines()
    peaks = [float(row[2:].split()[1]) for row in rows]
    assert [row[:2] for row in rows] == ["! " if peak > 4.5 else "  " for peak in peaks]
    tsv = run("score", trained, tmp_path / "t.txt", "--alert", 0, "--format", "tsv").out.splitlines()
    assert tsv[0].split("\t")[3] == "alert" and {row.split("\t")[3] for row in tsv[1:]} == {"1"}
    done = run("score", trained, tmp_path / "t.txt", "--alert", 0, "--json", "--exit-code")
    found = json.loads(done.out)
    assert done.code == 3 and (found["threshold"], found["alerts"]) == (0.0, 2)
    assert all(item["alert"] and item["peak"] <= item["nats"] for item in found["items"])
    assert run("score", trained, tmp_path / "t.txt", "--alert", 999, "--exit-code").code == 0
    assert "2 alerts above 0.00 nats" in done.err


def test_a_threshold_is_learned_from_the_held_out_text_or_another(
    run: Run, trained: Path, text: Path
) -> None:
    done = run("score", trained, text, "--alert", "auto:20%")
    marked = sum(row.startswith("!") for row in done.out.splitlines())
    assert done.code == 0 and 0 < marked < 60
    other = run("score", trained, text, "--alert", "auto:10%", "--alert-text", text, "--streams", 64)
    assert 0 < sum(row.startswith("!") for row in other.out.splitlines()) <= 12
    few = run("score", trained, text, "--alert", "auto:0.1%")
    assert few.code == 0 and "extrapolated" in few.err


def test_a_share_of_alerts_far_from_the_one_asked_for_is_noted(
    run: Run, trained: Path, text: Path, tmp_path: Path
) -> None:
    (tmp_path / "even.log").write_text("e\n" * 400)  # ordinary lines that cost less than all of TEXT
    learned = ("--alert", "auto:0.5%", "--alert-text", tmp_path / "even.log")
    done = run("score", trained, text, *learned)
    note = next(line for line in done.lines if "the threshold does not fit" in line)
    assert " of 120 lines are marked, and --alert auto:0.5% asked for 0.5%" in note
    assert "--mask" in note and "--alert-text FILE" in note
    assert "more like this text" in run("score", trained, text, *learned, "--mask").err
    for ordinary in (["auto:20%"], ["0"], ["auto:10%", "--alert-text", str(text)]):
        assert "does not fit" not in run("score", trained, text, "--alert", *ordinary).err


def test_a_line_is_answered_at_once_and_ctrl_c_sums_up(trained: Path, tmp_path: Path) -> None:
    for form, first in ((["--by", "line"], b"The cat\n"), (["--json"], b"")):
        command = [sys.executable, "-m", "pantoum", "score", str(trained), "-", "--alert", "5", *form]
        pipe = subprocess.PIPE
        # A suite that was begun in the background ignores SIGINT, and its children inherit that.
        process = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"The cat\n")
        process.stdin.flush()
        head = process.stdout.readline() if first else os.read(process.stdout.fileno(), 1 << 16)
        while not first and b"The cat" not in head:
            head += os.read(process.stdout.fileno(), 1 << 16)
        assert head.endswith(first)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 130, err
        lines = err.decode().splitlines()
        assert (
            "1 line, 8 tokens" in lines[0] and lines[-1] == "pantoum score: interrupted" and len(lines) == 2
        )
        if not first:
            found = json.loads(head + out)
            assert found["interrupted"] and found["tokens"] == 8


def test_an_answer_that_is_interrupted_is_whole(
    run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parts(name: str, encoding: str | None) -> Iterator[bytes]:
        yield b"The cat\nand"
        raise KeyboardInterrupt

    monkeypatch.setattr("pantoum.texts.parts", parts)
    done = run("score", trained, "x", "--json")
    assert done.code == 130 and json.loads(done.out)["interrupted"] is True
    assert done.lines[0].startswith("pantoum: 1 line, 8 tokens")
    page = run("score", trained, "x", "--format", "html", "--quiet")
    assert page.out.endswith("</html>\n") and page.lines == ["pantoum score: interrupted"]


def test_alerts_are_red_on_a_terminal_that_wants_colours(
    run: Run, trained: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pantoum.cli.score_forms.is_terminal", lambda stream: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    head, row, *_ = run("score", trained, text, "--alert", 0).out.splitlines()
    assert head.startswith("\x1b[2m") and "nats     peak tokens  place" in head
    assert row.startswith("\x1b[31m! ") and f"{text}:1 " in row and "\x1b[1;4m" in row
    monkeypatch.setenv("NO_COLOR", "1")
    head, row, *_ = run("score", trained, text, "--alert", 0).out.splitlines()
    assert "\x1b" not in head + row and row.startswith("! ") and "odd" in head
    plain = run("score", trained, text, "--by", "token").out
    assert len(plain.splitlines()) == len(text.read_text()) + 1


@pytest.mark.parametrize(
    "command", [("score", "--json"), ("score", "--format", "jsonl"), ("generate", "--json")]
)
def test_json_on_a_terminal_has_nothing_that_it_would_obey(
    run: Run, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    hostile = "na\u00efve \x9b2J\x7f\u202e\u2066\U000e0001 cat"
    (tmp_path / "t.txt").write_text(f"{hostile}\n")
    name, *more = command
    given = (trained, tmp_path / "t.txt") if name == "score" else (trained, "--prompt", hostile, "--seed", 1)
    piped = run(name, *given, *more).out
    monkeypatch.setattr("pantoum.cli.output.is_terminal", lambda stream: True)
    shown = run(name, *given, *more).out
    assert hostile in piped and json.loads(shown) == json.loads(piped)
    assert shown.rstrip("\n").isprintable() and "na\u00efve" in shown


def test_the_most_surprising_token_stands_beside_the_text(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("The cat number 7 sat.\nThe cat # sat.\n")
    rows = run("score", trained, tmp_path / "t.txt", "--alert", 0).out.splitlines()
    assert rows[1].endswith("  The cat # sat.")
    items = json.loads(run("score", trained, tmp_path / "t.txt", "--by", "token", "--json").out)["items"]
    place, most = max(enumerate(items[22:], 1), key=lambda item: item[1]["nats"])
    assert f"  {place}:{json.dumps(most['text'])} " in rows[1]
    tsv = run("score", trained, tmp_path / "t.txt", "--format", "tsv").out.splitlines()[2].split("\t")
    assert tsv[4:] == [str(place), most["text"].replace(chr(10), "\\n"), "The cat # sat."]


def test_each_line_is_an_object_of_its_own(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("The cat number 7 sat.\n\nThe cat # sat.\n")
    done = run("score", trained, tmp_path / "t.txt", "--format", "jsonl", "--alert", 0)
    rows = [json.loads(row) for row in done.out.splitlines()]
    assert [(row["line"], row["text"]) for row in rows] == [
        (1, "The cat number 7 sat."),
        (2, ""),
        (3, "The cat # sat."),
    ]
    assert all(row["alert"] and row["file"].endswith("t.txt") for row in rows)
    assert rows[2]["odd"] == "The cat # sat.\n"[rows[2]["column"] - 1]


def test_alerts_alone(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("The cat number 7 sat.\n@\n")
    peaks = [i["peak"] for i in json.loads(run("score", trained, tmp_path / "t.txt", "--json").out)["items"]]
    done = run(
        "score", trained, tmp_path / "t.txt", "--alert", sum(peaks) / 2, "--only-alerts", "--format", "jsonl"
    )
    assert [json.loads(row)["line"] for row in done.out.splitlines()] == [1 + (peaks[1] > peaks[0])]
    assert "2 lines" in done.err and "1 alert " in done.err
    refused = run("score", trained, tmp_path / "t.txt", "--only-alerts")
    assert refused.code == 1 and "--only-alerts" in refused.err and "--alert" in refused.err


def test_what_is_ignored_raises_no_alert(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("The cat sat at 10.0.0.7 on Jun 14.\nThe dog ran.\n")
    plain, masked, ignored = (
        json.loads(run("score", trained, tmp_path / "t.txt", "--json", *more).out)["items"]
        for more in ((), ("--mask",), ("--ignore", "on .*", "--ignore", "cat"))
    )
    assert [i["nats"] for i in plain] == [i["nats"] for i in masked] == [i["nats"] for i in ignored]
    tokens = json.loads(run("score", trained, tmp_path / "t.txt", "--json", "--by", "token", "--mask").out)
    assert [i["text"] for i in tokens["items"] if not i["peak"]] == list("10.0.0.7Jun 14")
    assert masked[0]["peak"] == max(i["peak"] for i in tokens["items"][:35])
    learned = run("score", trained, tmp_path / "t.txt", "--mask", "--alert", "auto:1%")
    assert learned.code == 1 and "--alert-text" in learned.err
    given = ("--alert-text", tmp_path / "t.txt")
    assert run("score", trained, tmp_path / "t.txt", "--mask", "--alert", "auto:50%", *given).code == 0


def test_a_wrong_expression_is_told(run: Run, trained: Path, text: Path) -> None:
    for wrong in ("(", "x*"):
        done = run("score", trained, text, "--ignore", wrong)
        assert done.code == 1 and "--ignore" in done.err and "regular expression" in done.err


def test_a_page_for_a_stdout_in_ascii_has_references(
    run: Run, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.txt").write_text("Caf\u00e9 \u2014 the cat.\n", encoding="utf-8")
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert run("score", trained, tmp_path / "t.txt", "--format", "html").code == 0
    out.flush()
    page = out.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert "&#233;" in page and "&#8212;" in page and "\\x" not in page and "\\u" not in page


def test_each_row_says_file_and_line(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("One two\n\n  three\nfour")
    for by, lines in (("line", [1, 2, 3, 4]), ("word", [1, 1, 3, 4])):
        rows = run("score", trained, tmp_path / "t.txt", "--by", by).out.splitlines()
        assert [row.split()[3] for row in rows] == [f"{tmp_path / 't.txt'}:{line}" for line in lines]
        found = json.loads(run("score", trained, tmp_path / "t.txt", "--by", by, "--json").out)["items"]
        assert [item["line"] for item in found] == lines


def test_the_place_is_that_in_the_file_where_documents_are_parted_by_blank_lines(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "t.txt").write_text("The cat sat.\n\nThe dog ran.\n\n" * 40)
    small = ("--steps", 2, "--hidden-size", 8, "--num-layers", 1)
    made = run("train", tmp_path / "t.txt", "--documents", "blank-lines", "--run", tmp_path / "r", *small)
    assert made.code == 0
    (tmp_path / "gaps.txt").write_text("The cat.\n\n\n\n\nThe dog.\n  \n\nThe end.\n")
    rows = run("score", tmp_path / "r", tmp_path / "gaps.txt", "--format", "tsv").out.splitlines()[1:]
    assert [(row.split("\t")[3], row.split("\t")[6]) for row in rows] == [
        ("1", "The cat."),
        ("6", "The dog.\\n  "),
        ("9", "The end."),
    ]


def test_a_text_unknown_to_the_model_is_said(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("Москва слезам не верит. " * 20)
    done = run("score", trained, tmp_path / "t.txt")
    assert done.err.count("are unknown to the model") == 1 and "right model" in done.err
    for ordinary in ("The cat sat, ж. ", "The cat number 1 sat on the mat and ж\n" * 300):
        (tmp_path / "t.txt").write_text(ordinary)
        assert "are unknown to" not in run("score", trained, tmp_path / "t.txt").err


def test_it_says_that_it_waits_for_stdin(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"The cat\n"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stdin)
    assert "type a text" not in run("score", trained).err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"The cat\n"), encoding="utf-8"))
    monkeypatch.setattr("pantoum.cli.score.is_terminal", lambda stream: True)
    assert "Ctrl-D ends it" in run("score", trained).lines[0]


@pytest.mark.parametrize("adapts", [False, True])
def test_a_reader_that_goes_away_ends_it_without_a_word(
    trained: Path, text: Path, tmp_path: Path, adapts: bool
) -> None:
    kept = tmp_path / "kept.safetensors"
    more = ["--adapt", "--model-out", str(kept)] if adapts else []
    command = [sys.executable, "-m", "pantoum", "score", str(trained), str(text), "--by", "token", "--quiet"]
    with subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
    assert kept.exists() == adapts


@pytest.mark.parametrize("form", ["text", "tsv", "json", "html"])
def test_hostile_texts_are_answered_in_every_form(run: Run, trained: Path, tmp_path: Path, form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 3000, np.uint8).tobytes()
    for name, data in (("empty", b""), ("nuls", b"\0" * 500), ("noise", noise), ("long", b"ab\xff " * 9000)):
        (tmp_path / name).write_bytes(data)
        done = run("score", trained, tmp_path / name, "--format", form, "--streams", 16, "--alert", 3)
        assert done.code == 0, done.err
        if form == "json":
            found = json.loads(done.out)
            assert found["tokens"] == sum(item["tokens"] for item in found["items"])
        if form == "tsv":
            assert all(row.count("\t") == 7 for row in done.out.splitlines())
        if form in ("text", "tsv"):
            assert not any(c < " " or "\x7f" <= c < "\xa0" for c in done.out if c not in "\t\n")


def test_a_marked_line_is_shown_as_it_stands_in_the_log(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"The cat sat.\nPANIC \x1b[2J \xe6\xb0\xb4!\n")
    done = run("score", trained, tmp_path / "log", "--alert", 1)
    row = done.out.splitlines()[1]
    assert row.endswith("  PANIC \\x1b[2J \u6c34!")
    assert json.loads(run("score", trained, tmp_path / "log", "--json").out)["items"][1]["text"] == (
        "PANIC \x1b[2J \u6c34!\n"
    )


def test_a_setting_without_effect_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("anna\nbert\ncora\n" * 30)
    pantoum.train(tmp_path / "t.txt", run=str(tmp_path / "r"), steps=2, hidden_size=8, num_layers=1,
                  documents="lines", progress=False)  # fmt: skip
    done = run("score", tmp_path / "r", tmp_path / "t.txt", "--documents")
    assert done.code == 0 and "no effect" in done.err
