"""``generate`` with a form, ``score --choices`` and ``complete``, as they are typed."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pantoum
from pantoum.inference.next_word import Completer, Suggestion

Run = Callable[..., Any]


def stdin_of(text: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")


def test_files_say_what_form_a_text_has(run: Run, trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("llguidance")
    choices, grammar = tmp_path / "choices.txt", tmp_path / "words.lark"
    choices.write_text("cat\n\ndog sat\n")
    grammar.write_text('start: WORD (" " WORD)*\nWORD: /[a-z]+/\n')
    for option, has in (
        (("--choices", choices), "cat|dog sat"),
        (("--grammar", grammar), "[a-z]+( [a-z]+)*"),
        (("--matching", "[a-z]{3} [a-z]+"), "[a-z]{3} [a-z]+"),
    ):
        done = run("generate", trained, "--count", 4, "--length", 20, "--seed", 1, "--json", *option)
        found = json.loads(done.out)["texts"]
        assert all(re.fullmatch(has, one["text"]) for one in found), found
        assert {one["stopped"] for one in found} <= {"form", None}


def test_without_the_package_a_line_says_how_to_get_it(
    run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    done = run("generate", trained, "--matching", "a")
    assert done.code == 1 and "pip install 'pantoum[forms]'" in done.lines[-1]


def test_a_form_that_cannot_be_is_told_in_a_line(run: Run, trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("llguidance")
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "strin"}')
    for option in (("--json-schema", schema), ("--matching", "(a"), ("--grammar", tmp_path / "none")):
        done = run("generate", trained, "--seed", 1, *option)
        assert (done.code, done.out, len(done.lines)) == (1, "", 1), done


def test_choices_are_printed_with_their_shares(
    run: Run, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = tmp_path / "choices.txt"
    choices.write_text(" sat\n ran on\n")
    expected = {one.text: one for one in pantoum.load(trained).choices("The cat", [" sat", " ran on"])}
    monkeypatch.setattr(sys, "stdin", stdin_of("The cat\n"))
    found = json.loads(run("score", trained, "--choices", choices, "--json").out)["choices"]
    assert {one["text"]: one for one in found} == {text: one._asdict() for text, one in expected.items()}
    assert [one["probability"] for one in found] == sorted(
        (one["probability"] for one in found), reverse=True
    )
    monkeypatch.setattr(sys, "stdin", stdin_of("The cat"))
    lines = run("score", trained, "--choices", choices, "--format", "tsv").out.splitlines()
    assert lines[0].split("\t") == ["probability", "per token", "nats", "tokens", "text"] and len(lines) == 3
    monkeypatch.setattr(sys, "stdin", stdin_of("The cat"))
    assert run("score", trained, "--choices", choices, "--alert", 3).code == 1


def test_a_choice_is_one_row_that_commands_nothing(
    run: Run, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a file of choices that is not in UTF-8 end the command."""
    choices = tmp_path / "choices.txt"
    choices.write_bytes(b"a\tb\n\x1b[2Jcat\n\xff dog\n")
    for form in ("text", "tsv"):
        monkeypatch.setattr(sys, "stdin", stdin_of("The cat"))
        done = run("score", trained, "--choices", choices, "--format", form)
        rows = done.out.splitlines()[1:]
        assert {row.rpartition("  " if form == "text" else "\t")[2] for row in rows} == {
            "a\\tb",
            "\\x1b[2Jcat",
            "\ufffd dog",
        }
        assert "is not all in UTF-8" in done.err


def test_what_is_wrong_with_a_file_of_choices_names_the_file(
    run: Run, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llguidance")
    choices = tmp_path / "choices.txt"
    choices.write_text("\u2603\n")
    done = run("generate", trained, "--choices", choices)
    assert done.code == 1 and f"--choices is {str(choices)!r}" in done.err
    done = run("generate", trained, "--choices", choices, "--matching", "a")
    assert done.code == 1 and "--choices cannot be given together with --matching" in done.err


def test_complete_answers_each_line_at_once(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, prompts = pantoum.load(trained), ["The ", "The c", "", "a\nT", "The cat sa"]
    typed = "".join(prompt.replace("\n", "\\n") + "\n" for prompt in prompts)
    monkeypatch.setattr(sys, "stdin", stdin_of(typed))
    lines = run("complete", trained, "--count", 2).out.split("\n")
    assert lines[:-1] == ["\t".join(one.text for one in model.suggest(prompt, 2)) for prompt in prompts]
    monkeypatch.setattr(sys, "stdin", stdin_of(typed))
    first = json.loads(run("complete", trained, "--json").out.splitlines()[0])
    assert [one["text"] for one in first] == [one.text for one in model.suggest("The ")]


def test_an_answer_of_complete_is_one_line_also_where_the_next_word_is_on_another(
    run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [Suggestion(" \n\nThe", 0.5), Suggestion("\r\n\tA", 0.3)]
    monkeypatch.setattr(Completer, "words", lambda self, typed: words)
    monkeypatch.setattr(sys, "stdin", stdin_of("The end.\nand"))
    assert run("complete", trained).out == " \\n\\nThe\t\\r\\n\\tA\n" * 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_of_a_form_may_be_those_of_windows(
    run: Run, trained: Path, tmp_path: Path, encoding: str
) -> None:
    pytest.importorskip("llguidance")
    choices = tmp_path / "choices.txt"
    choices.write_text("The cat\r\n", encoding=encoding, newline="")
    assert run("generate", trained, "--choices", choices).out == "The cat"
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text('"The"\n{}\n')
    assert "wrong.jsonl, line 2': it is not a JSON string" in run("generate", trained, "--choices", wrong).err


def test_complete_learns_from_what_is_typed(
    run: Run, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, typed = tmp_path / "mine.safetensors", "The mat mat mat mat mat. " * 12
    monkeypatch.setattr(sys, "stdin", stdin_of(f"{typed}\nThe m\nThe m\n"))
    done = run("complete", trained, "--adapt", "--model-out", out, "--json")
    plain = {one.text: one.probability for one in pantoum.load(trained).suggest("The m", 100)}
    answers = [json.loads(line) for line in done.out.splitlines()]
    first, mine = ({one["text"]: one["probability"] for one in answer} for answer in answers[1:])
    assert done.code == 0 and pantoum.load(out).num_parameters
    assert first == {word: plain.get(word) for word in first}  # it learns after its answer
    assert mine != {word: plain.get(word) for word in mine}
