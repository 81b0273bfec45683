"""spaCy: the surprisal of each of its tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

spacy = pytest.importorskip("spacy")
pytestmark = pytest.mark.filterwarnings("ignore")  # those of its imports


@pytest.mark.parametrize("which", ["model", "speaker"])
def test_tokens_have_the_surprisal_of_the_text_in_their_order(
    which: str, request: pytest.FixtureRequest
) -> None:
    import pantoum.apps.plugins.spacy_surprisal  # as the entry point does

    path: Path = request.getfixturevalue(which)
    nlp = spacy.blank("en")
    nlp.add_pipe("pantoum_surprisal", config={"model": str(path)})
    text = " the cat  don't sit\non GET zzz 200 "
    doc, scores = nlp(text), pantoum.load(path).score(text, by="token")
    assert sum(token._.surprisal for token in doc) == pytest.approx(scores.nats)
    assert [token.text for token in doc if token._.surprisal == 0.0 and not token.is_space] in ([], ["n't"])
    assert len(nlp("")) == 0 and nlp("  ")[0]._.surprisal == 0.0
