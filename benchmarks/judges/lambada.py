"""LAMBADA (Paperno et al. 2016): the last word of a passage, which a reader guesses from all of it.

    python benchmarks/judges/lambada.py lambada_test.jsonl --train wiki.train.tokens --pantoum RUN --lstm F

DATA is ``lambada_test.jsonl`` of cybertronai/bflm: 5,153 passages of novels. Right is the most probable next
word, ``<unk>`` and the end of a line left out. A passage is known where the vocabulary has its last word; the
last row is the perplexity of these words.
"""

from __future__ import annotations

import json
import math
import sys
import time

from word_models import contestants, parser_of, show, wikitext_words


def main() -> None:
    """Print the table."""
    asked = parser_of(__doc__, "lambada_test.jsonl of cybertronai/bflm").parse_args()
    lines = asked.data.read_text(encoding="utf-8").splitlines()[:: asked.every]
    passages = [wikitext_words(json.loads(line)["text"]) for line in lines]
    known, models = contestants(asked)
    knows = [words[-1] in known for words in passages]
    answers, perplexities = {}, []
    for model in models:
        began = time.process_time()
        found = model.guesses(passages)
        answers[model.name] = [word == words[-1] for (word, _), words in zip(found, passages, strict=True)]
        nats = [own for (_, own), is_known in zip(found, knows, strict=True) if is_known]
        perplexities.append(math.exp(sum(nats) / len(nats)))
        print(f"{model.name}: {time.process_time() - began:.0f} s of the processor", file=sys.stderr)
    show(["last word"] * len(passages), knows, answers, asked.json, {"perplexity": perplexities})


if __name__ == "__main__":
    main()
