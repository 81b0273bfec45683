"""Settings of ``generate``: sampling, length, seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pantoum.config.rules import MOST_CACHE, number, option, require, settle, whole

__all__ = ["GenerationConfig", "SamplingConfig"]


@dataclass(frozen=True)
class SamplingConfig:
    """How the next token is sampled. Decision 086 has the figures behind the defaults."""

    temperature: float = option(0.9, "sampling temperature; 0: greedy", metavar="X")
    """Divides the logits before sampling; 0 means greedy."""
    top_k: int | None = option(None, "sample among the K most probable tokens", metavar="K", off=True)
    """Sample among the K most probable tokens only."""
    top_p: float | None = option(
        None,
        "sample among the most probable tokens that make up this probability (nucleus)",
        metavar="P",
        off=True,
    )
    """Sample among the smallest set of tokens whose probability reaches P (nucleus sampling, Holtzman et al.
    2020)."""
    min_p: float | None = option(
        0.05, "leave out tokens below P times the probability of the most probable one", metavar="P", off=True
    )
    """Leave out tokens less probable than P times the most probable one (Nguyen et al. 2024)."""
    repetition_penalty: float | None = option(
        None, "penalty on the logits of the last 64 tokens; 1: none", metavar="X", off=True
    )
    """Penalty on the logits of the last 64 tokens (Keskar et al. 2019)."""
    frequency_penalty: float | None = option(
        None, "subtract X from the logit of a token for each time that the text has it", metavar="X", off=True
    )
    """Subtracted from a token's logit once per time that this text has written it, from -2 to 2."""
    presence_penalty: float | None = option(
        None, "subtract X from the logit of each token that the text has", metavar="X", off=True
    )
    """Subtracted from the logit of a token that this text has written at least once, from -2 to 2."""
    logit_bias: Mapping[int, float] | None = None
    """Added to the logits of these tokens, from -100 to 100; no flag, a keyword only."""
    greedy: bool = option(False, "always take the most probable token")
    """Always take the most probable token."""
    stop: tuple[str, ...] = option(
        (), "stop before this text, which is not printed; may be repeated", metavar="S"
    )
    """Texts before which generation stops, also across tokens; a single text may be given as it is."""

    def __post_init__(self) -> None:
        settle(self)
        if isinstance(self.stop, str):
            object.__setattr__(self, "stop", (self.stop,))
        for text in self.stop:
            require(
                isinstance(text, str) and text != "",
                "stop",
                text,
                "must be a text that is not empty",
                "leave it out, or give it characters",
            )
        number(self.temperature, "temperature", least=0.0, most=100.0)
        if self.top_k is not None:
            whole(self.top_k, "top_k")
        if self.top_p is not None:
            number(self.top_p, "top_p", above=0.0, most=1.0)
        if self.min_p is not None:
            number(self.min_p, "min_p", least=0.0, most=1.0)
        if self.repetition_penalty is not None:
            number(self.repetition_penalty, "repetition_penalty", above=0.0, most=100.0)
        for name in ("frequency_penalty", "presence_penalty"):
            if getattr(self, name) is not None:
                number(getattr(self, name), name, least=-2.0, most=2.0)
        for token, bias in (self.logit_bias or {}).items():
            whole(token, "logit_bias", least=0)
            number(bias, "logit_bias", least=-100.0, most=100.0)


@dataclass(frozen=True)
class GenerationConfig:
    """How much is generated, and from which random numbers."""

    length: int = option(
        500,
        "tokens to write at most; the text ends up to a fifth earlier, at a line or sentence end",
        metavar="N",
    )
    """Tokens to write at most."""
    seed: int | None = option(
        None, "seed of the random numbers; without it a seed is drawn and printed", metavar="S"
    )
    """The seed of the random numbers; ``None``: a seed is drawn."""
    count: int = option(
        1, "number of texts, generated in parallel; text k uses stream k of the seed", metavar="K"
    )
    """Texts to generate in parallel."""
    exact: bool = option(False, "write exactly --length tokens, even if that is in the middle of a word")
    """Whether a text has its whole length; else it may end before, at the end of a line or a sentence."""
    adapt: bool = option(False, "let a copy of the model learn from the prompt before it writes")
    """Whether a copy of the model that was adapted to the prompt writes."""
    model_out: str | None = option(None, "save the adapted model in this file", metavar="F")
    """Where the adapted model is saved before it writes; ``None``: nowhere."""
    cache: int | None = option(
        None,
        "mix the model with a cache of the last N tokens (Grave and others 2016)",
        metavar="N",
        off=True,
    )
    """Tokens in a continuous cache that is mixed with the model; ``None``: no cache."""
    unique: bool = option(False, "only texts that differ from each other")
    """Whether a text that was generated before is replaced by another."""
    novel: bool = option(
        False,
        "only texts that are not among the documents of the text, held-out ones included (for a model "
        "trained with --documents)",
    )
    """Whether a text that is a document of the text is replaced by another."""

    def __post_init__(self) -> None:
        settle(self)
        whole(self.length, "length", least=0)
        whole(self.count, "count", most=100_000)
        if self.cache is not None:
            whole(self.cache, "cache", most=MOST_CACHE)
        if self.seed is not None:
            whole(self.seed, "seed", least=0, most=2**63 - 1)
