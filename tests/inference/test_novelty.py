"""Training documents are always known, others hardly ever; rejected texts are replaced by the seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pantoum
from pantoum.config import GenerationConfig, SamplingConfig
from pantoum.errors import ModelFileError, SettingError
from pantoum.formats import model_file
from pantoum.formats.model_file import ModelFile
from pantoum.inference.after_prompts import Distinct, most_draws
from pantoum.inference.files import novelty
from pantoum.inference.files.novelty import NoveltyFilter, documents_of
from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.state import State
from pantoum.inference.writing.generation import Generation, Piece, Text, completed
from pantoum.text.byte import ByteTokenizer
from pantoum.text.tokenizer import learner

NAMES = [f"name {number * 7919 % 100_003}" for number in range(3000)]


@given(st.lists(st.text(min_size=1), min_size=1, max_size=30))
@settings(max_examples=40)
def test_what_it_was_made_of_is_known(texts: list[str]) -> None:
    found = NoveltyFilter.of(text.encode("utf-8", "replace") for text in texts)
    assert all(found is None or found.knows(text) for text in texts if text.strip(" \t\n\r\x0b\f"))


def test_few_others_are_known_and_the_file_keeps_it() -> None:
    made = NoveltyFilter.of(name.encode() for name in NAMES)
    assert made is not None and made.bits.size == 2 * len(NAMES)
    found = NoveltyFilter.from_extras(made.extras())
    assert found is not None and found.documents == len(NAMES)
    assert all(found.knows(name) for name in NAMES)
    assert sum(found.knows(f"other {number}") for number in range(5000)) < 15


def test_white_space_does_not_count_and_case_does() -> None:
    found = NoveltyFilter.of([b"  Anna \t Maria\n"])
    assert found is not None and found.knows("Anna Maria") and not found.knows("anna maria")


def test_none_of_nothing_or_of_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    assert NoveltyFilter.of([b" ", b""]) is None
    monkeypatch.setattr(novelty, "MOST_DOCUMENTS", 2)
    assert NoveltyFilter.of([b"a", b"b", b"c"]) is None
    assert NoveltyFilter.from_extras({}) is None


def test_a_filter_of_another_version_is_told() -> None:
    made = NoveltyFilter.of([b"a"])
    assert made is not None
    for numbers in ([2, 8, 1], [1, 8], [1, 0, 1]):
        with pytest.raises(ModelFileError, match="leave out --novel"):
            NoveltyFilter.from_extras({**made.extras(), "novelty.shape": np.array(numbers, np.uint32)})


@pytest.mark.parametrize("documents", ["lines", "blank-lines", "files"])
@pytest.mark.parametrize("block", [1, 3, 7, 1 << 20])
def test_documents_come_back_from_tokens(documents: str, block: int) -> None:
    tokenizer = ByteTokenizer(documents)
    parts = ["Anna", "Berta", "C", "", "Dora"]
    ids = [token for part in parts for token in [*tokenizer.encode(part).tolist(), tokenizer.eos]]
    for tokens in (ids, ids[:-1]):
        blocks = [np.array(tokens[at : at + block], np.uint16) for at in range(0, len(tokens), block)]
        found = documents_of(blocks, tokenizer)
        assert [text.decode() for text in found if text] == ["Anna", "Berta", "C", "Dora"]


@pytest.fixture
def names(make: Callable[..., LoadedModel]) -> LoadedModel:
    return make("characters", "lines")


def found(model: LoadedModel, count: int, length: int = 2, prompt: str = "", **wanted: bool) -> Distinct:
    how_much = GenerationConfig(length=length, seed=3, count=count, exact=True, **wanted)
    return completed(Distinct(model, State.start(model), SamplingConfig(temperature=0.7), how_much, prompt))


def test_unique_texts_differ_and_follow_from_the_seed(names: LoadedModel) -> None:
    how_much = GenerationConfig(length=2, seed=3, count=40, exact=True)
    plain = Generation(names, State.start(names), SamplingConfig(temperature=0.7), how_much)
    for _ in plain:
        pass
    assert len({text.text for text in plain.texts}) < 40
    once, again = found(names, 40, unique=True), found(names, 40, unique=True)
    texts = [text.text for text in once.texts]
    assert texts == [text.text for text in again.texts] and once.note is None
    assert len({" ".join(text.split()) for text in texts}) == 40
    assert once.drawn == 40 + once.repeated and once.repeated > 0 and once.known == 0
    assert texts[:5] == list(dict.fromkeys(text.text for text in plain.texts))[:5]
    assert once.state(1).tokens_seen == once.texts[1].tokens


def test_novel_texts_are_not_those_of_the_filter(names: LoadedModel) -> None:
    first = [text.text for text in found(names, 10, unique=True).texts]
    known = NoveltyFilter.of(("A" + text).encode() for text in first[:5])
    assert known is not None
    model = replace(names, extras=known.extras())
    chosen = found(model, 10, prompt="A", unique=True, novel=True)
    assert chosen.known == 5 and not {text.text for text in chosen.texts} & set(first[:5])


@pytest.mark.parametrize(
    ("documents", "border"), [("lines", "\n"), ("lines", "\r\n"), ("blank-lines", "\n \n")]
)
def test_a_training_document_after_a_border_of_the_prompt_is_refused(
    make: Callable[..., LoadedModel], documents: str, border: str
) -> None:
    names = make("characters", documents)
    first = [text.text for text in found(names, 10, unique=True).texts]
    known = NoveltyFilter.of(("A" + text).encode() for text in first[:5])
    assert known is not None
    model = replace(names, extras=known.extras())
    chosen = found(model, 10, prompt=f"The end{border}A", unique=True, novel=True)
    assert chosen.known == 5 and not {text.text for text in chosen.texts} & set(first[:5])


def test_a_training_document_after_a_border_that_was_written_is_refused(
    make: Callable[..., LoadedModel],
) -> None:
    names = make("characters", "blank-lines")
    first = [text.text for text in found(names, 10, unique=True).texts]
    known = NoveltyFilter.of(text.encode() for text in first[:5])
    assert known is not None
    model = replace(names, extras=known.extras())
    how_much = GenerationConfig(length=2, novel=True)
    writing = Distinct(model, State.start(model), SamplingConfig(), how_much, "The end")
    text = Text(0, None)  # type: ignore[arg-type]
    text.pieces = ["\n", first[0]]
    assert writing._accepts(text)
    text.pieces = ["\n", "\n", first[0]]
    assert not writing._accepts(text)


def test_novel_needs_the_whole_document(names: LoadedModel, tmp_path: Path) -> None:
    made = NoveltyFilter.of([b"Anna"])
    assert made is not None
    network, tokenizer = names.network, names.tokenizer
    content = ModelFile(network.config.spec(), dict(network.parameters), tokenizer.spec(), {}, made.extras())
    model_file.write(tmp_path / "m", content)
    model = pantoum.load(tmp_path / "m")
    session = model.session()
    session.feed("The")
    with pytest.raises(SettingError, match="continues the document of a state, which stores no text"):
        model.generate(novel=True, seed=1, state=session.state)
    assert isinstance(model.generate("\nThe", length=3, seed=1, novel=True, state=session.state), str)
    session.feed("\n")
    assert isinstance(model.generate("The", length=3, seed=1, novel=True, state=session.state), str)


def test_pieces_are_the_accepted_texts_whole_and_in_order(names: LoadedModel) -> None:
    sampling = SamplingConfig(temperature=0.7)
    how_much = GenerationConfig(length=2, seed=3, count=40, exact=True, unique=True)
    writing = Distinct(names, State.start(names), sampling, how_much, "")
    given = [(piece, sum(map(writing.finished, range(41)))) for piece in writing]
    assert given == [(Piece(i, text.text), i + 1) for i, text in enumerate(writing.texts)]
    assert writing.drawn > 40  # some were rejected: there was a second wave


def test_too_few_are_told(names: LoadedModel) -> None:
    with pytest.warns(UserWarning, match="only .* of 60 texts were found"):
        chosen = found(names, 60, length=1, unique=True)
    assert chosen.drawn == most_draws(60) and len(chosen.texts) < 60
    assert chosen.note is not None and "raise --temperature" in chosen.note
    assert f"only {len(chosen.texts)} of 60" in chosen.note


def test_a_model_without_a_filter_says_so(names: LoadedModel) -> None:
    with pytest.raises(SettingError, match=r"has no filter of them; train it with --documents"):
        found(names, 3, novel=True)


def test_words_and_bpe_documents_too() -> None:
    scholar = learner("words", None, "lines")
    scholar.feed("\n".join(NAMES))
    tokenizer = scholar.learn()
    made = NoveltyFilter.of(documents_of([tokenizer.encode("\n".join(NAMES))], tokenizer))
    assert made is not None and all(made.knows(name) for name in NAMES[:50])
