"""Settings of ``generate``: sampling, length, seed. Decision 086 has the figures behind the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pantoum.config.reading_config import cache_size
from pantoum.config.rules import number, path, require, texts, truth, whole
from pantoum.config.setting import SettingGroup, setting

__all__ = ["GenerationConfig", "SamplingConfig", "StreamConfig"]


def biases(value: Any, argument: str) -> dict[int, float]:
    """Token numbers, and what is added to their logits."""
    fits = isinstance(value, Mapping)
    require(fits, argument, value, "must be a dict of numbers", "give for example {17: -100}")
    return {
        whole(token, argument, least=0): number(bias, argument, least=-100.0, most=100.0)
        for token, bias in value.items()
    }


PENALTY = partial(number, least=-2.0, most=2.0)


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
        "subtract X from the logit of a token for each time that the text has it, from -2 to 2",
        PENALTY,
        metavar="X",
        off=True,
    )
    presence_penalty: float | None = setting(
        None,
        "subtract X from the logit of each token that the text has, from -2 to 2",
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


@dataclass(frozen=True)
class StreamConfig(SettingGroup):
    """How much is written, and from which random numbers."""

    length: int = setting(
        500,
        "tokens to write at most; the text ends up to a fifth earlier, at a line or sentence end",
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
    model_out: str | None = setting(None, "save the adapted model in this file", path, metavar="F")
    cache: int | None = cache_size()


@dataclass(frozen=True)
class GenerationConfig(StreamConfig):
    """How many texts are written, and which."""

    count: int = setting(
        1,
        "number of texts, generated in parallel; text k uses stream k of the seed",
        partial(whole, most=100_000),
        metavar="K",
    )
    unique: bool = setting(False, "only texts that differ from each other", truth)
    novel: bool = setting(
        False,
        "only texts that are not among the documents of the text, held-out ones included (for a model "
        "trained with --documents)",
        truth,
    )
