"""The settings of a training run: the budget, the text, the model, the updates, the run folder.

``training.recipe.choose`` chooses what is left at ``auto``; its choices are said in the help (``chosen``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from pantoum.config.encoding_names import known_encoding
from pantoum.config.rules import AUTO, Auto, number, one_of, path, require, truth, whole
from pantoum.config.setting import SettingGroup, declared, flag, setting
from pantoum.config.tokens import token_name, written_kinds
from pantoum.config.train_model import ModelSettings
from pantoum.config.train_update import UpdateSettings
from pantoum.errors import SettingError

__all__ = ["BUDGETS", "DOCUMENTS", "OF_ONE_COMMAND", "TextSettings", "TrainSettings"]

BUDGETS = ("minutes", "steps", "epochs")
"""The units of a budget, of which one is given."""
DOCUMENTS = ("lines", "files", "blank-lines")


@dataclass(frozen=True)
class BudgetSettings(SettingGroup):
    """How long a run trains."""

    GROUP: ClassVar[str] = "budget (give one; the default is 5 minutes)"

    minutes: float | None = setting(
        None,
        "budget in minutes of wall-clock time, everything included",
        partial(number, above=0.0, most=100_000.0),
        metavar="M",
    )
    steps: int | None = setting(
        None,
        "budget in optimizer steps; the result does not depend on the clock and is repeatable to the bit",
        whole,
        metavar="N",
    )
    epochs: float | None = setting(
        None, "budget in epochs over the training text", partial(number, above=0.0, most=1e6), metavar="E"
    )
    stop_after: int | None = setting(
        None,
        "save a checkpoint after step N and stop; the schedule stays that of the whole budget",
        whole,
        metavar="N",
        once=True,
    )

    def agree(self) -> None:
        """One budget at most."""
        super().agree()
        first, *others = [name for name in BUDGETS if self.given(name)] or [""]
        if others:
            rule = f"cannot be given together with {' and '.join(map(flag, others))}"
            raise SettingError(first, getattr(self, first), rule, "give only one of them", shown=False)


@dataclass(frozen=True)
class TextSettings(SettingGroup):
    """How a text is read, tokenised and split; ``prepare`` has these settings, too."""

    GROUP: ClassVar[str] = "text"

    valid: str | None = setting(
        None, "text file for validation", path, metavar="FILE", chosen="the end of TEXT"
    )
    valid_fraction: float = setting(
        0.1,
        "share of the text that is held out for validation, at most 200,000 tokens; 0: no validation",
        partial(number, least=0.0, below=1.0),
        metavar="F",
    )
    tokens: str = setting(
        AUTO,
        f"tokenizer: {written_kinds()} (N tokens; bpe cuts at signs, bpe:whitespace at white space alone)",
        token_name,
        metavar="KIND",
        chosen="characters where the text has at most 512 different ones, else bytes",
    )
    vocab_size: int | Auto = setting(
        AUTO,
        "vocabulary size of the words tokenizer",
        partial(whole, least=2),
        metavar="V",
        chosen="20,000; all words of a pre-tokenised text that contains <unk>",
    )
    documents: str | None = setting(
        None,
        "treat the text as many short documents, one per line, file or paragraph",
        partial(one_of, choices=DOCUMENTS),
        chosen="one continuous text",
    )
    encoding: str | None = setting(
        None,
        "encoding of text files that are not in UTF-8 or UTF-16, for example windows-1252",
        known_encoding,
        metavar="NAME",
        chosen="none: such files are refused",
    )


@dataclass(frozen=True)
class FolderSettings(SettingGroup):
    """Where a run is kept, and what it begins from."""

    GROUP: ClassVar[str] = "run"

    run: str | None = setting(
        None, "run folder", path, metavar="DIR", chosen="runs/NAME, after the name of the text", once=True
    )
    data: str | None = setting(
        None, "use the tokens in this folder, made by `pantoum prepare`", path, metavar="DIR", once=True
    )
    checkpoint_every: int | Auto = setting(
        AUTO,
        "steps between checkpoints",
        whole,
        metavar="STEPS",
        chosen="by time with --minutes, else 20 in a run",
        once=True,
    )
    keep_data: bool = setting(
        False, "keep the tokens of the text in the run folder after the end of the run", truth, once=True
    )
    resume: bool = setting(
        False, "continue an interrupted run, or train a finished one further", truth, once=True
    )
    from_: str | None = setting(
        None, "start from the weights and the tokenizer of this model (fine-tuning)", path, metavar="MODEL"
    )


@dataclass(frozen=True)
class TrainSettings(BudgetSettings, TextSettings, ModelSettings, UpdateSettings, FolderSettings):
    """The settings of a training run as a person gives them."""

    def agree(self) -> None:
        """No more parts than streams."""
        super().agree()
        require(
            AUTO in (self.shards, self.batch_size) or int(self.shards) <= int(self.batch_size),
            "shards",
            self.shards,
            f"must be at most the batch size, {self.batch_size}",
            "give fewer shards, or a larger --batch-size",
        )


OF_ONE_COMMAND = tuple(name for name, one in declared(TrainSettings).items() if one.once)
"""What a run does not keep."""
