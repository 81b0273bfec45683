"""Settings of ``generate``: sampling, length, seed. Decision 086 has the figures behind the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

from pantoum.config.rules import number, path, require, some_texts, text, texts, truth, whole
from pantoum.config.score import cache_size
from pantoum.config.setting import SettingGroup, flag, setting
from pantoum.errors import SettingError


class AskedForm(NamedTuple):
    """The form that a text is to have."""

    kind: str
    """The setting that asks for it."""
    text: str
    """What is asked: an expression, a grammar, or JSON of a schema or of a list of choices."""


def biases(value: Any, argument: str) -> dict[int, float]:
    """Token numbers, and what is added to their logits."""
    fits = isinstance(value, Mapping)
    require(fits, argument, value, "must be a dict of numbers", "give for example {17: -100}")
    return {
        whole(token, argument, least=0): number(bias, argument, least=-100.0, most=100.0)
        for token, bias in value.items()
    }


def schema(value: Any, argument: str) -> str:
    """A JSON schema, or its JSON; kept as JSON."""
    import json

    rule, advice = "must be a JSON schema", 'give for example {"type": "object"}'
    found = value
    if isinstance(value, str):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError) as problem:
            require(False, argument, value, f"is not JSON: {problem}", advice)
    require(isinstance(found, (Mapping, bool)), argument, value, rule, advice)
    try:
        return value if isinstance(value, str) else json.dumps(found, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as problem:
        require(False, argument, value, f"cannot be written as JSON: {problem}", advice)
        raise


PENALTY = partial(number, least=-2.0, most=2.0)

FORMS = ("matching", "json_schema", "grammar", "choices")
"""The settings that ask for a form."""
MOST_WORDS = 100
"""Words that are suggested at most."""
MOST_TEXTS = 100_000
CANDIDATES = 8
"""Texts that are written for each of the N best, where ``count`` does not say how many."""


@dataclass(frozen=True)
class SamplingConfig(SettingGroup):
    """How the next token is sampled."""

    temperature: float = setting(
        0.9, "sampling temperature; 0: greedy", partial(number, least=0.0, most=100.0), metavar="X"
    )
    top_k: int | None = setting(None, "sample among the K most probable tokens", whole, metavar="K", off=True)
    top_p: float | None = setting(
        None,
        "sample among the most probable tokens that make up this probability (nucleus; Holtzman et al. 2020)",
        partial(number, above=0.0, most=1.0),
        metavar="P",
        off=True,
    )
    min_p: float | None = setting(
        0.05,
        "leave out tokens below P times the probability of the most probable one (Nguyen et al. 2024)",
        partial(number, least=0.0, most=1.0),
        metavar="P",
        off=True,
    )
    repetition_penalty: float | None = setting(
        None,
        "penalty on the logits of the last 64 tokens; 1: none (Keskar et al. 2019)",
        partial(number, above=0.0, most=100.0),
        metavar="X",
        off=True,
    )
    frequency_penalty: float | None = setting(
        None,
        "subtract X from the logit of a token for each time it occurs in the text, from -2 to 2",
        PENALTY,
        metavar="X",
        off=True,
    )
    presence_penalty: float | None = setting(
        None,
        "subtract X from the logit of each token that the text contains, from -2 to 2",
        PENALTY,
        metavar="X",
        off=True,
    )
    logit_bias: Mapping[int, float] | None = setting(
        None, "added to the logits of these tokens, from -100 to 100", biases, option=False
    )
    greedy: bool = setting(False, "always take the most probable token", truth)
    stop: tuple[str, ...] = setting(
        (), "stop before this text, which is not printed; may be repeated", texts, metavar="S"
    )
    matching: str | None = setting(
        None,
        "write only what this regular expression matches as a whole (extra: forms)",
        text,
        metavar="REGEX",
    )
    json_schema: str | Mapping[str, Any] | bool | None = setting(
        None, "write only JSON that this JSON schema accepts (extra: forms)", schema, metavar="FILE"
    )
    grammar: str | None = setting(
        None, "write only what this Lark grammar accepts (extra: forms)", text, metavar="FILE"
    )
    choices: tuple[str, ...] | None = setting(
        None, "write one of these texts, one per line of the file (extra: forms)", some_texts, metavar="FILE"
    )

    def agree(self) -> None:
        """A text has one form."""
        *others, last = [name for name in FORMS if self.given(name)] or [""]
        if others:
            rule = f"cannot be given together with {' and '.join(map(flag, others))}"
            raise SettingError(last, getattr(self, last), rule, "leave one of them out", shown=False)

    @cached_property
    def asked(self) -> AskedForm | None:
        """The form that every text has; ``None``: any."""
        import json

        for name in FORMS:
            value = getattr(self, name)
            if self.given(name):
                told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                return AskedForm(name, told)
        return None

    @property
    def freely(self) -> SamplingConfig:
        """The same without a form."""
        return replace(self, matching=None, json_schema=None, grammar=None, choices=None)


@dataclass(frozen=True)
class StreamConfig(SettingGroup):
    """How much is written, and from which random numbers."""

    length: int = setting(
        500,
        "maximum number of tokens; the text may end up to a fifth earlier, at the end of a line or sentence",
        partial(whole, least=0),
        metavar="N",
    )
    seed: int | None = setting(
        None,
        "seed of the random numbers; without it a seed is drawn and printed",
        partial(whole, least=0, most=2**63 - 1),
        metavar="S",
    )
    exact: bool = setting(
        False, "write exactly --length tokens, even if that is in the middle of a word", truth
    )
    adapt: bool = setting(False, "let a copy of the model learn from the prompt before it writes", truth)
    model_out: str | None = setting(
        None,
        "save the adapted model in this file, without counted contexts, and write with it",
        path,
        metavar="F",
    )
    cache: int | None = cache_size()


@dataclass(frozen=True)
class GenerationConfig(StreamConfig):
    """How many texts are written, and which."""

    count: int = setting(
        1,
        "number of texts, generated in parallel; text k uses stream k of the seed",
        partial(whole, most=MOST_TEXTS),
        metavar="K",
    )
    unique: bool = setting(False, "write only texts that differ from each other", truth)
    novel: bool = setting(
        False,
        "write only texts that are not among the documents of the text, held-out ones included (for a model "
        "trained with --documents)",
        truth,
    )
    redraw: bool = setting(
        False,
        "draw texts without the constraint and replace those that do not match, so that the probabilities "
        "of the model are kept (with --matching, --json-schema, --grammar or --choices)",
        truth,
    )
    n_best: int | None = setting(
        None,
        "print the N most probable of --count different texts (8 N if it is not given), best first, each "
        "after its log-probability and a tab",
        partial(whole, most=MOST_TEXTS // CANDIDATES),
        metavar="N",
    )

    def agree(self) -> None:
        """``n_best`` are fewer than the texts that they are chosen from; without a count, that follows."""
        if self.n_best is None:
            return
        if not self.given("count"):
            object.__setattr__(self, "count", CANDIDATES * self.n_best)
        rule = f"is more than the number of texts to choose from (count {self.count})"
        require(self.n_best <= self.count, "n_best", self.n_best, rule, "give a larger count")

    @property
    def chooses(self) -> bool:
        """Whether texts are chosen among those that are written."""
        return self.unique or self.novel or self.redraw or self.n_best is not None


@dataclass(frozen=True)
class CompleteConfig(SettingGroup):
    """How words are suggested."""

    count: int = setting(3, "words that are suggested", partial(whole, most=MOST_WORDS), metavar="K")
    adapt: bool = setting(
        False, "let a copy of the model learn from what is typed, each line when it is finished", truth
    )
    model_out: str | None = setting(None, "save the adapted model in this file at the end", path, metavar="F")
