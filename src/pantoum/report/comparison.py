"""Compares runs: mean and standard deviation over seeds, and the settings that differ.

Runs whose configuration differs only in the seed are one group. A group's figures are the
mean of its runs and, from two runs on, their sample standard deviation; a run without a figure is left out of
it and counted, and a run that repeats another (a copy, the same command) is counted once. Groups are sorted
by validation loss, best first: by bits per byte where every run has them, because these compare across
tokenizers, else by nats per token. A note says what does not compare.

What a run really was: its settings, and for what they left open or named by a path, what came of it.

Two runs with the same values, but for the seed, are two draws of one configuration. Text and tokenizer count
by their fingerprints, the budget with all that a prolonged run was given. Where a file of an older run lacks
one of these, what was typed stands for it. Chosen learning rates are left out: with ``--minutes`` they depend
on the speed of the machine.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pantoum.config import BUDGETS, OF_ONE_COMMAND
from pantoum.config.plain import Plain
from pantoum.report.run_files import read
from pantoum.report.story import Story
from pantoum.report.wording import finite

__all__ = ["FIGURES", "Comparison", "Figure", "Group", "compare", "comparison", "configuration"]

FIGURES = (
    "bits_per_byte",
    "nats_per_character",
    "nats_per_token",
    "perplexity",
    "best_valid",
    "accuracy",
    "steps",
    "tokens",
    "seconds",
    "tokens_per_second",
)
"""What is compared: the validation figures of the best model (a perplexity of models of words only), then
``best_valid``, the lowest validation loss during training, then size and speed of the run."""
RESULT = FIGURES[:8]
"""Figures that the same command repeats to the bit; the clock decides the others."""
UNNAMED = ("seed", "text", "held-out text", "tokenizer")
"""What no column shows: fingerprints, whose differences the notes tell."""


@dataclass(frozen=True)
class Figure:
    """A figure over the runs of a group."""

    values: tuple[float | None, ...]
    """One per run."""

    @property
    def known(self) -> list[float]:
        """Those that are there."""
        return [value for value in self.values if value is not None]

    @property
    def mean(self) -> float | None:
        """Their mean."""
        return statistics.fmean(self.known) if self.known else None

    @property
    def spread(self) -> float | None:
        """Their sample standard deviation; ``None`` for fewer than two."""
        return statistics.stdev(self.known) if len(self.known) > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        known = self.known
        return {
            "mean": self.mean,
            "spread": self.spread,
            "least": min(known, default=None),
            "most": max(known, default=None),
            "runs": len(known),
        }


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed."""

    runs: tuple[str, ...]
    seeds: tuple[int | None, ...]
    states: tuple[str, ...]
    differs: Mapping[str, Plain]
    """The settings in which the groups differ."""
    figures: Mapping[str, Figure]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "runs": list(self.runs),
            "seeds": list(self.seeds),
            "states": list(self.states),
            "settings": dict(self.differs),
            "figures": {name: f.to_dict() for name, f in self.figures.items()},
        }


@dataclass(frozen=True, repr=False)
class Comparison:
    """Groups of runs, best first."""

    by: str
    """The figure that the order goes by."""
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        found = [(group.runs[0], group.figures[self.by].mean) for group in self.groups]
        shown = ", ".join(name if mean is None else f"{name} {mean:.4g}" for name, mean in found[:5])
        more = ", ..." if len(found) > 5 else ""
        return f"<Comparison by {self.by}: {shown}{more}>"

    def __str__(self) -> str:
        from pantoum.report import comparison_table

        return comparison_table.plain(self)

    def _repr_html_(self) -> str:
        from pantoum.report import comparison_picture, comparison_table

        return comparison_picture.picture(self) + comparison_table.html(self)

    def plot(self, ax: Any = None) -> Any:
        """Draw it with matplotlib, on ``ax`` or on new axes, which are returned."""
        from pantoum.report import plotted

        return plotted.plot_comparison(self, ax)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        return {
            "by": self.by,
            "groups": [group.to_dict() for group in self.groups],
            "notes": list(self.notes),
        }


def compare(folders: Sequence[Path | str]) -> Comparison:
    """Compare the runs in these folders."""
    return comparison([read(folder) for folder in folders], [str(folder) for folder in folders])


def comparison(stories: Sequence[Story], names: Sequence[str]) -> Comparison:
    """Compare runs that have been read."""
    settings = [configuration(story) for story in stories]
    alike: dict[str, list[int]] = {}
    for number, each in enumerate(settings):
        key = repr(sorted((name, repr(value)) for name, value in each.items() if name != "seed"))
        alike.setdefault(key, []).append(number)
    different = _different([settings[numbers[0]] for numbers in alike.values()])
    figures = [_figures(story) for story in stories]
    repeated = _repeated(alike.values(), settings, figures)
    groups = [
        _group([n for n in numbers if n not in repeated], stories, names, settings, figures, different)
        for numbers in alike.values()
    ]
    by = next(
        (name for name in ("bits_per_byte", "best_valid") if all(f[name] is not None for f in figures)),
        "best_valid",
    )
    groups.sort(key=lambda group: (group.figures[by].mean is None, group.figures[by].mean or 0.0))
    once = [
        f"{names[n]} repeats {names[first]}, seed and figures included: it is counted once"
        for n, first in sorted(repeated.items())
    ]
    return Comparison(by, tuple(groups), (*_notes(stories, settings, by), *once))


def _repeated(
    groups: Iterable[Sequence[int]],
    settings: Sequence[Mapping[str, Plain]],
    figures: Sequence[Mapping[str, float | None]],
) -> dict[int, int]:
    """Runs that say nothing new, each with the one that it repeats: the same settings, the same seed, the
    same losses at the same step. They are no two seeds, and their spread of zero would be a false one."""
    found: dict[int, int] = {}
    for numbers in groups:
        first: dict[tuple[object, ...], int] = {}
        for n in numbers:
            known = figures[n]["bits_per_byte"] is not None or figures[n]["best_valid"] is not None
            if known:
                result = tuple(figures[n][name] for name in RESULT)
                place = first.setdefault((repr(settings[n].get("seed")), *result), n)
                if place != n:
                    found[n] = place
    return found


def _different(settings: Sequence[Mapping[str, Plain]]) -> list[str]:
    """The names of the settings that are not the same in all, as far as they say something to people."""
    names = dict.fromkeys(name for each in settings for name in each if name not in UNNAMED)
    return [name for name in names if len({repr(each.get(name)) for each in settings}) > 1]


def _figures(story: Story) -> dict[str, float | None]:
    history = story.history
    best, last = history.best, history.last
    found = {name: story.score(name) for name in FIGURES[:3]}
    training = history.phases.get("training")
    tokens = finite(last.get("tokens"))
    rate = tokens / training if tokens and training else history.newest("tokens_per_second")
    return {
        **found,
        "perplexity": story.perplexity,
        "best_valid": None if best is None else finite(best["valid"]),
        "accuracy": story.score("accuracy"),
        "steps": finite(last.get("step")),
        "tokens": tokens,
        "seconds": finite(last.get("seconds")),
        "tokens_per_second": rate,
    }


def _group(
    numbers: Sequence[int],
    stories: Sequence[Story],
    names: Sequence[str],
    settings: Sequence[Mapping[str, Plain]],
    figures: Sequence[Mapping[str, float | None]],
    different: Sequence[str],
) -> Group:
    seeds = [settings[n].get("seed") for n in numbers]
    return Group(
        tuple(names[n] for n in numbers),
        tuple(seed if isinstance(seed, int) else None for seed in seeds),
        tuple(stories[n].ended or "unfinished" for n in numbers),
        {name: settings[numbers[0]].get(name) for name in different},
        {name: Figure(tuple(figures[n][name] for n in numbers)) for name in FIGURES},
    )


def _notes(stories: Sequence[Story], settings: Sequence[Mapping[str, Plain]], by: str) -> list[str]:
    """What limits the comparison."""
    found = []
    if len({story.unit for story in stories}) > 1 and by == "best_valid":
        found.append(
            "the runs count different tokens, so nats per token do not compare; "
            "bits per byte will, once every run has finished"
        )
    if len({repr(each["text"]) for each in settings}) > 1:
        found.append("the runs learned from different texts")
    sizes = {
        (story.score("bytes"), str((story.evaluation or {}).get("protocol")), repr(each["held-out text"]))
        for story, each in zip(stories, settings, strict=True)
        if story.evaluation
    }
    if len(sizes) > 1:
        found.append("the validation texts or protocols differ, so their figures do not compare")
    if any(story.score("unknown_tokens") for story in stories):
        found.append("some validation tokens are unknown to a model, so its figures do not compare")
    unfinished = sum(story.ended != "finished" for story in stories)
    if unfinished:
        found.append(
            f"{unfinished} of {len(stories)} runs {'has' if unfinished == 1 else 'have'} not finished"
        )
    return found


PLACES = frozenset(OF_ONE_COMMAND) - {"device"}
"""Settings of files and length: runs that differ only in these are the same."""
OFF = {"members": 1, "ngrams": None, "ngram_rows": None, "kneser_ney": None, "norm": None, "softmax": None}
"""What files do not tell where it is off."""
OF_TEXTS = frozenset({"data", "texts", "valid"})
"""Paths, for which the texts themselves stand."""


def configuration(story: Story) -> dict[str, Plain]:
    """What identifies the run, ``seed`` among it."""
    asked, chosen = _part(story.config, "settings"), _part(story.config, "chosen")
    model = _part(chosen, "model")
    found = {**asked, **_left_open(asked, chosen), **model, **_tokens(story.config), **_budget(story.config)}
    if "budget" in found:
        found = {name: value for name, value in found.items() if name not in BUDGETS}
    kept = {name: value for name, value in found.items() if name not in PLACES | OF_TEXTS}
    return {**kept, **_text(story, asked)}


def _left_open(asked: Mapping[str, Plain], chosen: Mapping[str, Plain]) -> dict[str, Plain]:
    """What came of the settings that were left open and are no part of every model."""
    if not chosen:
        return {}
    came = {name: chosen.get(name, without) for name, without in OFF.items()}
    return {name: value for name, value in came.items() if asked.get(name) in ("auto", None)}


def _tokens(config: Mapping[str, Plain]) -> dict[str, Plain]:
    """The tokenizer that was chosen."""
    known = {"tokens": config.get("kind"), "vocab_size": config.get("vocab_size")}
    return {name: value for name, value in known.items() if value is not None}


def _budget(config: Mapping[str, Plain]) -> dict[str, Plain]:
    """The budget in force."""
    budget = config.get("budget")
    return {"budget": budget} if isinstance(budget, str) else {}


def _text(story: Story, asked: Mapping[str, Plain]) -> dict[str, Plain]:
    """The text, and how it was split and read."""
    known = _part(story.config, "text")
    typed = [_typed(story), asked.get("data")]
    own = 0.0 if asked.get("valid") is not None else asked.get("valid_fraction")  # it holds no part out
    return {
        "text": known.get("sha256") or typed,
        "held-out text": known.get("valid_sha256") if known else asked.get("valid"),
        "tokenizer": known.get("tokenizer"),
        "documents": known.get("documents", asked.get("documents")),
        "valid_fraction": finite(known.get("valid_fraction", own)),
    }


def _typed(story: Story) -> Plain:
    """The texts as they were given."""
    texts = story.get("texts")
    if isinstance(texts, (list, tuple)):
        return [text.get("sha256", text.get("name")) if isinstance(text, Mapping) else text for text in texts]
    return None if texts is None else str(texts)


def _part(whole: Mapping[str, Plain], name: str) -> Mapping[str, Plain]:
    """A part that is a mapping; empty for anything else."""
    part = whole.get(name)
    return part if isinstance(part, Mapping) else {}
