"""Compares runs: mean and standard deviation over seeds, and the settings that differ.

Runs whose configuration differs only in the seed are one group. A group's figures are the mean of its runs
and, from two runs on, their sample standard deviation; a run without a figure is left out of it and counted,
and a run that repeats another (a copy, the same command) is counted once. Groups are sorted by validation
loss, best first: by bits per byte where every run has them, because these compare across tokenizers, else by
nats per token. A note says what does not compare.

The configuration of a run is what its settings came to: for what they left open, what was chosen; for texts
and tokenizer, their fingerprints; the budget with all that a prolonged run was given. Chosen learning rates
are left out: with ``--minutes`` they depend on the speed of the machine.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pantoum.config import BUDGETS, OF_ONE_COMMAND, TrainSettings, declared
from pantoum.config.plain import Plain
from pantoum.report.story import Story, read
from pantoum.report.wording import finite, part_of

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
TITLES = {"bits_per_byte": "bits per byte", "best_valid": "validation loss, nats per token"}
"""The figures that the order may go by."""
UNNAMED = ("seed", "text", "held-out text", "tokenizer")
"""What no column shows: fingerprints, whose differences the notes tell."""
PLACES = (frozenset(OF_ONE_COMMAND) - {"device"}) | {"data", "texts", "valid"}
"""Settings of files and length: runs that differ only in these are the same."""
OFF = {"members": 1, "ngrams": None, "ngram_rows": None, "kneser_ney": None, "norm": None, "softmax": None}
"""What files do not tell where it is off."""


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
        ends = {"least": min(known, default=None), "most": max(known, default=None)}
        return {"mean": self.mean, "spread": self.spread, **ends, "runs": len(known)}


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed."""

    runs: tuple[str, ...]
    seeds: tuple[int | None, ...]
    states: tuple[str, ...]
    differs: Mapping[str, Plain]
    """The settings in which the groups differ."""
    figures: Mapping[str, Figure]

    @property
    def title(self) -> str:
        """The first of its runs, and how many more there are."""
        return self.runs[0] + (f" +{len(self.runs) - 1}" if len(self.runs) > 1 else "")

    @property
    def name(self) -> str:
        """What is particular to it: the settings in which it differs, or its runs."""
        return ", ".join(f"{name} {value}" for name, value in spelled(self.differs).items()) or self.title

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "runs": list(self.runs),
            "seeds": list(self.seeds),
            "states": list(self.states),
            "settings": dict(self.differs),
            "figures": {name: figure.to_dict() for name, figure in self.figures.items()},
        }


def spelled(settings: Mapping[str, Plain]) -> dict[str, str]:
    """Settings as people type them."""

    def word(value: Plain) -> str:
        return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

    return {name.replace("_", "-"): word(value) for name, value in settings.items()}


@dataclass(frozen=True, repr=False)
class Comparison:
    """Groups of runs, best first."""

    by: str
    """The figure that the order goes by."""
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        means = [(group.runs[0], group.figures[self.by].mean) for group in self.groups]
        shown = ", ".join(name if mean is None else f"{name} {mean:.4g}" for name, mean in means[:5])
        return f"<Comparison by {self.by}: {shown}{', ...' if len(means) > 5 else ''}>"

    def __str__(self) -> str:
        from pantoum.report import comparison_table

        return comparison_table.plain(self)

    def _repr_html_(self) -> str:
        from pantoum.report import comparison_table, svg

        return svg.compared(self) + comparison_table.html(self)

    def plot(self, ax: Any = None) -> Any:
        """Draw it with matplotlib, on ``ax`` or on new axes, which are returned."""
        from pantoum.report import plotted

        return plotted.plot_comparison(self, ax)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        return {"by": self.by, "groups": [each.to_dict() for each in self.groups], "notes": [*self.notes]}


@dataclass(frozen=True)
class _Run:
    """A run as it is compared."""

    name: str
    story: Story
    settings: Mapping[str, Plain]
    figures: Mapping[str, float | None]


def compare(folders: Sequence[Path | str]) -> Comparison:
    """Compare the runs in these folders."""
    return comparison([read(folder) for folder in folders], [str(folder) for folder in folders])


def comparison(stories: Sequence[Story], names: Sequence[str]) -> Comparison:
    """Compare runs that have been read."""
    runs = [
        _Run(name, story, configuration(story), _figures(story))
        for name, story in zip(names, stories, strict=True)
    ]
    alike: dict[str, list[_Run]] = {}
    for run in runs:
        key = repr(sorted((name, repr(value)) for name, value in run.settings.items() if name != "seed"))
        alike.setdefault(key, []).append(run)
    first = [members[0].settings for members in alike.values()]
    named = dict.fromkeys(name for each in first for name in each if name not in UNNAMED)
    different = [name for name in named if len({repr(each.get(name)) for each in first}) > 1]
    once, groups = list[str](), list[Group]()
    for members in alike.values():
        once += _drop_repeated(members)
        groups.append(_group(members, different))
    known = [name for name in TITLES if all(run.figures[name] is not None for run in runs)]
    by = [*known, "best_valid"][0]
    groups.sort(key=lambda group: (group.figures[by].mean is None, group.figures[by].mean or 0.0))
    return Comparison(by, tuple(groups), (*_notes(runs, by), *once))


def _drop_repeated(runs: list[_Run]) -> list[str]:
    """Remove runs that say nothing new: the same settings, the same seed, the same losses at the same step.
    They are no two seeds, and their spread of zero would be a false one. A note for each."""
    first: dict[tuple[object, ...], _Run] = {}
    notes = []
    for run in list(runs):
        if run.figures["bits_per_byte"] is None and run.figures["best_valid"] is None:
            continue
        result = (repr(run.settings.get("seed")), *(run.figures[name] for name in RESULT))
        if (other := first.setdefault(result, run)) is not run:
            runs.remove(run)
            notes.append(f"{run.name} repeats {other.name}, seed and figures included: it is counted once")
    return notes


def _figures(story: Story) -> dict[str, float | None]:
    history = story.history
    best, last = history.best, history.last
    tokens, training = finite(last.get("tokens")), history.phases.get("training")
    return {
        **{name: story.score(name) for name in FIGURES[:3]},
        "perplexity": story.perplexity,
        "best_valid": None if best is None else finite(best["valid"]),
        "accuracy": story.score("accuracy"),
        "steps": finite(last.get("step")),
        "tokens": tokens,
        "seconds": finite(last.get("seconds")),
        "tokens_per_second": tokens / training
        if tokens and training
        else history.newest("tokens_per_second"),
    }


def _group(runs: Sequence[_Run], different: Sequence[str]) -> Group:
    seeds = [run.settings.get("seed") for run in runs]
    return Group(
        tuple(run.name for run in runs),
        tuple(seed if isinstance(seed, int) else None for seed in seeds),
        tuple(run.story.history.ended or "unfinished" for run in runs),
        {name: runs[0].settings.get(name) for name in different},
        {name: Figure(tuple(run.figures[name] for run in runs)) for name in FIGURES},
    )


def _notes(runs: Sequence[_Run], by: str) -> list[str]:
    """What limits the comparison."""
    notes = []
    if len({run.story.unit for run in runs}) > 1 and by == "best_valid":
        notes.append(
            "the runs count different tokens, so nats per token cannot be compared; "
            "bits per byte can, once every run has finished"
        )
    if len({repr(run.settings["text"]) for run in runs}) > 1:
        notes.append("the runs learned from different texts")
    judged = {
        (run.story.score("bytes"), str(run.story.evaluation.get("protocol")), run.settings["held-out text"])
        for run in runs
        if run.story.evaluation
    }
    if len(judged) > 1:
        notes.append("the validation texts or protocols differ, so their figures cannot be compared")
    if any(run.story.score("unknown_tokens") for run in runs):
        notes.append("some validation tokens are unknown to a model, so its figures cannot be compared")
    unfinished = sum(run.story.history.ended != "finished" for run in runs)
    if unfinished:
        have = "has" if unfinished == 1 else "have"
        notes.append(f"{unfinished} of {len(runs)} runs {have} not finished")
    return notes


def configuration(story: Story) -> dict[str, Plain]:
    """What identifies the run, ``seed`` among it."""
    config = story.config
    chosen, text = part_of(config, "chosen"), part_of(config, "text")
    # A setting that pantoum no longer has made no difference that it still knows.
    asked = {
        name: one for name, one in part_of(config, "settings").items() if name in declared(TrainSettings)
    }
    came = {name: chosen.get(name, off) for name, off in OFF.items() if asked.get(name) in ("auto", None)}
    tokens = {"tokens": config.get("kind"), "vocab_size": config.get("vocab_size")}
    known = {name: value for name, value in tokens.items() if value is not None}
    made = {**asked, **(came if chosen else {}), **part_of(chosen, "model"), **known}
    if isinstance(budget := config.get("budget"), str):  # the one in force
        made = {**{name: value for name, value in made.items() if name not in BUDGETS}, "budget": budget}
    texts: Any = text.get("sha256") or story.get("texts")
    return {
        **{name: value for name, value in made.items() if name not in PLACES},
        "text": texts,
        "held-out text": repr(text.get("valid_sha256")),
        "tokenizer": text.get("tokenizer"),
        "documents": text.get("documents", asked.get("documents")),
        "valid_fraction": finite(text.get("valid_fraction")),
    }
