from __future__ import annotations

import io
import json
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pantoum.data.prepare import differences, open_prepared, prepare
from pantoum.data.prepared_file import Prepared
from pantoum.errors import SettingError, ShardError, StorageError, TextError
from pantoum.formats import durable
from pantoum.text import pieces
from pantoum.text.byte import ByteTokenizer

STORY = "".join(f"The {i}th day: «naïve» café — 中 {i * i}.\n" for i in range(60))


def text_file(folder: Path, text: str | bytes, name: str = "book.txt") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def parts(prepared: Prepared) -> tuple[str, str]:
    """The two parts as text."""
    valid = prepared.valid
    return (
        prepared.tokenizer.decode(np.asarray(prepared.train.tokens)),
        "" if valid is None else prepared.tokenizer.decode(np.asarray(valid.tokens)),
    )


@pytest.mark.parametrize("tokens", ["auto", "bytes", "characters", "words", "bpe:300"])
def test_the_first_part_is_learned_from_and_the_rest_held_out(tmp_path: Path, tokens: str) -> None:
    prepared = prepare([text_file(tmp_path, STORY)], tokens=tokens, out=tmp_path / "out", valid_fraction=0.3)
    train, valid = parts(prepared)
    units = len(STORY.encode()) if tokens == "bytes" else len(STORY)
    cut = units * 7 // 10
    raw = STORY.encode().decode("latin-1") if tokens == "bytes" else STORY
    kept = raw[:cut].encode("latin-1").decode("utf-8", "replace") if tokens == "bytes" else raw[:cut]
    assert train == kept
    if tokens != "words":
        assert len(valid) >= len(STORY) - len(train)
    facts = prepared.facts
    assert facts["train"]["bytes"] + facts["valid"]["bytes"] == len(STORY.encode())
    assert facts["train"]["characters"] + facts["valid"]["characters"] == len(STORY)
    assert facts["train"]["tokens"] == prepared.train.count


@pytest.mark.parametrize("tokens", ["characters", "words", "bpe:280"])
def test_nothing_is_learned_from_the_held_out_part(tmp_path: Path, tokens: str) -> None:
    path = text_file(tmp_path, "ab ab ab " * 10 + "zz ☃☃")
    prepared = prepare([path], tokens=tokens, out=tmp_path / "out", valid_fraction=0.05)
    spec = json.dumps(prepared.tokenizer.spec(), ensure_ascii=False)
    assert "z" not in spec.replace("characters", "") and "☃" not in spec
    assert parts(prepared)[0] == "ab ab ab " * 10
    assert (prepared.facts["valid"]["unknown"] > 0) == (tokens != "bpe:280")


def test_a_text_of_few_characters_is_read_as_characters_another_as_bytes(tmp_path: Path) -> None:
    many = "".join(map(chr, range(0x4E00, 0x4E00 + 513))) * 2
    few = prepare([text_file(tmp_path, STORY)], out=tmp_path / "few")
    assert few.tokenizer.kind == "characters"
    prepared = prepare([text_file(tmp_path, many)], out=tmp_path / "many")
    assert prepared.tokenizer.kind == "bytes" and "the text is read as bytes" in prepared.notes[0]


def test_no_more_than_200_000_tokens_are_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pantoum.data.held_out.MOST_TOKENS", 20)
    monkeypatch.setattr("pantoum.data.held_out.MOST_CHARACTERS", 150)
    path = text_file(tmp_path, STORY)
    for tokens in ("characters", "bytes", "words", "bpe:300"):
        prepared = prepare([path], tokens=tokens, out=tmp_path / "out", valid_fraction=0.5)
        assert prepared.valid is not None
        assert 15 <= prepared.valid.count <= 20
        assert STORY.startswith(parts(prepared)[0]) or tokens in ("bytes", "words")
        whole = prepared.facts["train"]["bytes"] + prepared.facts["valid"]["bytes"]
        assert whole == len(STORY.encode())


def test_no_fraction_holds_nothing_out(tmp_path: Path) -> None:
    prepared = prepare([text_file(tmp_path, STORY)], out=tmp_path / "out", valid_fraction=0)
    assert prepared.valid is None and prepared.facts["valid"] is None and prepared.notes == []
    assert parts(prepared) == (STORY, "")


def test_a_held_out_file(tmp_path: Path) -> None:
    book, other = text_file(tmp_path, "aaabbb" * 9), text_file(tmp_path, "\ufeffabc" * 2, "other.txt")
    prepared = prepare([book], valid=other, out=tmp_path / "out")
    assert parts(prepared) == ("aaabbb" * 9, "abc\ufffdabc".replace("c", "\ufffd"))
    assert prepared.facts["valid_text"]["name"] == "other.txt"
    assert any("byte-order mark" in note for note in prepared.notes)
    assert differences(open_prepared(tmp_path / "out"), [book], valid=other) == []


def test_documents_are_held_out_whole_by_the_hash_of_their_index(tmp_path: Path) -> None:
    lines = [f"name{i}" for i in range(200)]
    path = text_file(tmp_path, "\n".join(lines) + "\n")
    prepared = prepare([path], documents="lines", out=tmp_path / "out")
    held = [line for i, line in enumerate(lines) if zlib.crc32(str(i).encode()) % 10 == 0]
    train, valid = parts(prepared)
    assert valid.splitlines() == held and train.splitlines() == [line for line in lines if line not in held]
    assert prepared.tokenizer.documents == "lines"
    assert np.count_nonzero(np.asarray(prepared.train.tokens) == 0) == len(lines) - len(held)


@pytest.mark.parametrize("tokens", ["bytes", "characters", "words", "bpe:300", "bpe:whitespace:300"])
def test_few_documents_hold_out_the_one_of_the_lowest_hash(tmp_path: Path, tokens: str) -> None:
    (tmp_path / "in").mkdir()
    for name in "abc":
        text_file(tmp_path / "in", f"the text of {name} ", name)
    prepared = prepare([tmp_path / "in"], documents="files", tokens=tokens, out=tmp_path / "out")
    train = parts(prepared)[0]
    assert prepared.facts["valid"]["bytes"] == 14 and prepared.facts["train"]["bytes"] == 28
    assert train.count("the") == 2
    assert np.asarray(prepared.train.tokens)[-1] == 0


def test_blank_lines_part_documents(tmp_path: Path) -> None:
    text = "".join(f"story {i}\nsecond line\n\n\n" for i in range(40))
    path = text_file(tmp_path, text)
    prepared = prepare([path], documents="blank-lines", tokens="bytes", out=tmp_path / "out")
    train, valid = parts(prepared)
    assert train.count("story") + valid.count("story") == 40 and "\n\n\n" not in train
    assert prepared.facts["train"]["bytes"] == len(train)


def test_texts_are_joined_with_nothing_between(tmp_path: Path) -> None:
    one, two = text_file(tmp_path, "some wo", "1"), text_file(tmp_path, "rds", "2")
    prepared = prepare([one, two], tokens="words", valid_fraction=0, out=tmp_path / "out")
    assert prepared.tokenizer.spec()["pieces"] == [" words", "some"]
    assert [text["name"] for text in prepared.facts["texts"]] == ["1", "2"]


def test_stdin_is_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(STORY.encode())))
    prepared = prepare(["-"], out=tmp_path / "out", valid_fraction=0)
    assert parts(prepared)[0] == STORY and prepared.facts["texts"][0]["name"] == "-"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["prepared.safetensors"]


def test_line_ends_and_control_characters_stay(tmp_path: Path) -> None:
    text = "a\r\nb\0c\x1b\r\n" * 5
    assert parts(prepare([text_file(tmp_path, text)], out=tmp_path / "out", valid_fraction=0))[0] == text


def test_a_byte_order_mark_is_dropped_and_said(tmp_path: Path) -> None:
    path = text_file(tmp_path, b"\xef\xbb\xbfabab")
    for tokens in ("auto", "bytes"):
        prepared = prepare([path], out=tmp_path / tokens, tokens=tokens, valid_fraction=0)
        assert parts(prepared)[0] == "abab" and "begins with a byte-order mark" in prepared.notes[0]


def test_the_same_text_and_settings_give_the_same_bytes(tmp_path: Path) -> None:
    path = text_file(tmp_path, STORY)
    for tokens in ("words", "bpe:400"):
        for name in ("1", "2"):
            prepare([path], tokens=tokens, out=tmp_path / tokens / name)
        one, two = (tmp_path / tokens / name / "prepared.safetensors" for name in "12")
        assert one.read_bytes() == two.read_bytes()


def test_progress_is_told(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = text_file(tmp_path, "ab" * 1_500_000)
    prepare([path, path], out=tmp_path / "out", report=lambda done, size: seen.append((done, size)))
    assert seen[-1] == (6_000_000, 6_000_000) and len(seen) >= 6 and seen == sorted(seen)


def test_a_given_tokenizer_learns_nothing(tmp_path: Path) -> None:
    first = prepare([text_file(tmp_path, "abcabc")], out=tmp_path / "1", valid_fraction=0)
    second = prepare([text_file(tmp_path, "aXc" * 4)], out=tmp_path / "2", tokenizer=first.tokenizer)
    assert parts(second)[0].startswith("a\ufffdca") and second.facts["train"]["unknown"] > 0
    assert second.tokenizer.spec() == first.tokenizer.spec()
    with pytest.raises(SettingError, match="documents is 'lines'"):
        prepare([tmp_path / "book.txt"], out=tmp_path / "3", tokenizer=first.tokenizer, documents="lines")


@pytest.mark.parametrize("tokens", ["words", "bpe:300"])
def test_a_text_of_too_many_words_is_read_twice(
    tmp_path: Path, tokens: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "MOST_PIECES", 50)
    path = text_file(tmp_path, STORY * 3)
    prepared = prepare([path], tokens=tokens, out=tmp_path / "out")
    again = prepared.tokenizer.encode((STORY * 3)[: len(STORY * 3) * 9 // 10])
    assert np.array_equal(np.asarray(prepared.train.tokens), again)

    def changing(done: int, size: int) -> None:
        path.write_text(STORY.upper() * 3, encoding="utf-8")

    with pytest.raises(TextError, match="a text changed while it was read"):
        prepare([path], tokens=tokens, out=tmp_path / "again", report=changing)


def test_settings_without_effect_are_said(tmp_path: Path) -> None:
    path = text_file(tmp_path, STORY)
    assert "no effect" in prepare([path], tokens="bytes", vocab_size=99, out=tmp_path / "1").notes[0]
    assert "found only" in prepare([path], tokens="bpe:9000", out=tmp_path / "2").notes[0]


# An existing folder. ------------------------------------------------------------------------------------


def test_a_folder_that_holds_just_that_is_used_as_it_is(tmp_path: Path) -> None:
    path = text_file(tmp_path, STORY)
    prepare([path], out=tmp_path / "out")
    made = (tmp_path / "out" / "prepared.safetensors").stat().st_mtime_ns
    prepare([path], out=tmp_path / "out")
    assert (tmp_path / "out" / "prepared.safetensors").stat().st_mtime_ns == made
    assert prepare([path], out=tmp_path / "out", tokens="bytes").tokenizer.kind == "bytes"


def test_a_touched_text_is_the_same_a_changed_one_is_not(tmp_path: Path) -> None:
    path = text_file(tmp_path, STORY)
    prepared = prepare([path], out=tmp_path / "out")
    text_file(tmp_path, STORY)
    assert differences(prepared, [path]) == []
    text_file(tmp_path, STORY.replace("day", "dax"))
    assert differences(prepared, [path]) == [f"{str(path)!r} is not the text 'book.txt' that was used before"]
    again = open_prepared(tmp_path / "out", [path])
    assert "dax" in parts(again)[0] and "prepared again" in again.notes[-1]


def test_more_texts_or_another_held_out_file_are_a_difference(tmp_path: Path) -> None:
    path, other = text_file(tmp_path, STORY), text_file(tmp_path, "other text", "other")
    prepared = prepare([path], out=tmp_path / "out")
    assert differences(prepared, [path, other]) == ["there were 1 text files and now there are 2"]
    assert differences(prepared, [path], valid=other) == ["it had no held-out file"]
    apart = prepare([path], valid=other, out=tmp_path / "out")
    assert differences(apart, [path]) == ["it had a held-out file"]


def test_a_given_tokenizer_is_kept_when_the_text_is_prepared_again(tmp_path: Path) -> None:
    path = text_file(tmp_path, STORY)
    prepare([path], out=tmp_path / "out", tokenizer=ByteTokenizer())
    text_file(tmp_path, STORY * 2)
    assert open_prepared(tmp_path / "out", [path]).tokenizer.kind == "bytes"


def test_a_damaged_file_is_refused_and_made_again(tmp_path: Path) -> None:
    path, out = text_file(tmp_path, STORY), tmp_path / "out"
    prepare([path], out=out)
    whole = (out / "prepared.safetensors").read_bytes()
    for bad in (b"", whole[:-1], whole[:900], whole[:2000] + b"x" + whole[2001:], whole + b"x"):
        (out / "prepared.safetensors").write_bytes(bad)
        with pytest.raises(ShardError, match="prepare the text again"):
            open_prepared(out)
        prepare([path], out=out)
        assert (out / "prepared.safetensors").read_bytes() == whole
    with pytest.raises(ShardError, match="holds no prepared text; make it with: pantoum prepare"):
        open_prepared(tmp_path / "elsewhere")


# What cannot be. ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tokens": "runes"}, "tokens is 'runes'"),
        ({"tokens": "bpe:12"}, "an N from 258"),
        ({"vocab_size": 2}, "vocab_size is 2"),
        ({"vocab_size": "many"}, "vocab_size is 'many'"),
        ({"documents": "pages"}, "documents is 'pages'"),
        ({"documents": "files", "tokens": "words:whitespace"}, "documents is 'files'"),
        ({"valid_fraction": 1.0}, "valid_fraction is 1.0"),
        ({"valid_fraction": -0.1}, "valid_fraction is -0.1"),
        ({"valid_fraction": "a"}, "valid_fraction is 'a'"),
        ({"valid_fraction": float("nan")}, "valid_fraction is nan"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        prepare([text_file(tmp_path, STORY)], out=tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", [b"", b"\xef\xbb\xbf", b"a"])
@pytest.mark.parametrize("settings", [{}, {"tokens": "bytes"}, {"tokens": "words"}, {"documents": "files"}])
def test_a_text_with_nothing_to_learn(tmp_path: Path, text: bytes, settings: dict[str, Any]) -> None:
    if text == b"a" and settings.get("documents") == "files":
        return  # one character and its <eos>: two tokens
    with pytest.raises(TextError, match=r"the text is (empty|too short)") as caught:
        prepare([text_file(tmp_path, text)], out=tmp_path / "out", **settings)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = text_file(tmp_path, STORY)
    before = prepare([path], out=tmp_path / "out").facts
    for bad in (b"", b"a", b"abc\xff"):
        with pytest.raises(TextError):
            prepare([text_file(tmp_path, bad, "bad")], tokens="characters", out=tmp_path / "out")
    assert open_prepared(tmp_path / "out").facts == before


def test_a_text_of_a_few_characters_holds_nothing_out_and_says_so(tmp_path: Path) -> None:
    prepared = prepare([text_file(tmp_path, "abc")], out=tmp_path / "out")
    assert prepared.valid is None and "nothing is held out" in prepared.notes[-1]


def test_a_held_out_file_must_be_long_enough(tmp_path: Path) -> None:
    book = text_file(tmp_path, STORY)
    for text, message in ((b"a", "too short"), (b"", "empty")):
        with pytest.raises(TextError, match=message):
            prepare([book], valid=text_file(tmp_path, text, "v"), out=tmp_path / "out")
    for tokens in ("words", "auto"):
        with pytest.raises(TextError, match="not UTF-8"):
            prepare([book], tokens=tokens, valid=text_file(tmp_path, b"\xff\xff", "v"), out=tmp_path / "out")


def test_space_is_asked_for_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = text_file(tmp_path, STORY)
    monkeypatch.setattr(durable.system, "free_bytes", lambda folder: 100)
    with pytest.raises(StorageError, match="only 100 are free"):
        prepare([path], out=tmp_path / "out")


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    path = text_file(tmp_path, STORY)
    with pytest.raises(StorageError):
        prepare([path], out=path)
    assert path.read_text() == STORY


@pytest.mark.parametrize("name", ["train.tokens", "config.json", "letter.txt"])
def test_a_folder_with_files_of_somebody_else_is_left_alone(tmp_path: Path, name: str) -> None:
    path, out = text_file(tmp_path, STORY), tmp_path / "mine"
    out.mkdir()
    (out / name).write_text("precious")
    with pytest.raises(ShardError, match=f"is not a prepared text: it contains '{name}'; give another name"):
        prepare([path], out=out)
    assert [each.name for each in out.iterdir()] == [name] and (out / name).read_text() == "precious"
    (out / name).unlink()
    (out / ".hidden").write_text("x")
    assert prepare([path], out=out).train.count


def test_another_text_of_the_same_size_on_stdin_is_another_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("abc abc abc", "cba cba cba"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        prepared = prepare(["-"], out=tmp_path / "out", valid_fraction=0)
        assert parts(prepared)[0] == text
