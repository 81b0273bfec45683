"""How a model writes: what is drawn, how much of it, from which random numbers."""

from __future__ import annotations

from dataclasses import dataclass

from pantoum.config.rules import number, option, require, whole

__all__ = ["GenerationConfig", "SamplingConfig"]


@dataclass(frozen=True)
class SamplingConfig:
    """How the next token is drawn from the model's distribution."""

    temperature: float = option(0.8, "divides the logits; 0 is greedy", metavar="X")
    """Divides the logits before the draw; 0 means greedy."""
    top_k: int | None = option(None, "draw from the K most probable tokens", metavar="K", off=True)
    """Draw among the K most probable tokens only."""
    top_p: float | None = option(
        None, "draw from the smallest set that holds this probability", metavar="P", off=True
    )
    """Draw among the smallest set of tokens whose probability reaches P (nucleus sampling)."""
    min_p: float | None = option(
        None, "drop tokens below P times the most probable one's probability", metavar="P", off=True
    )
    """Drop tokens less probable than P times the most probable one."""
    repetition_penalty: float | None = option(
        None, "divides positive logits of recent tokens, multiplies negative ones", metavar="X", off=True
    )
    """Penalty on the logits of the last 64 tokens (Keskar et al. 2019)."""
    greedy: bool = option(False, "always take the most probable token")
    """Always take the most probable token."""
    stop: tuple[str, ...] = option(
        (), "end before this text, which is not printed; may be repeated", metavar="S"
    )
    """Texts before which the writing ends, also across tokens; a single text may be given as it is."""

    def __post_init__(self) -> None:
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


@dataclass(frozen=True)
class GenerationConfig:
    """How much is written, and from which random numbers."""

    length: int = option(500, "tokens to write at most", metavar="N")
    """Tokens to write at most."""
    seed: int | None = option(None, "seed of the draws; without it one is drawn and told", metavar="S")
    """The seed of the random draws; ``None``: one is drawn."""
    count: int = option(1, "texts to write side by side, text k from stream k of the seed", metavar="K")
    """Texts to write side by side."""
    adapt: bool = option(False, "let a copy of the model learn from the prompt before it writes")
    """Whether it is a copy of the model that writes, adapted to the prompt."""
    model_out: str | None = option(None, "keep the adapted model in this file", metavar="F")
    """Where the adapted model is kept before it writes; ``None``: nowhere."""
    unique: bool = option(False, "only texts that differ from one another")
    """Whether a text that was written already is replaced by another."""
    novel: bool = option(False, "only texts that are no training document (needs a model of --documents)")
    """Whether a text that the model was trained on is replaced by another."""

    def __post_init__(self) -> None:
        whole(self.length, "length", least=0)
        whole(self.count, "count", most=100_000)
        if self.seed is not None:
            whole(self.seed, "seed", least=0, most=2**63 - 1)
