"""What a setting is: one declaration, from which everything else that knows the setting is made.

    steps: int | None = setting(None, "budget in optimizer steps", whole, metavar="N")

The name of the field is that of the keyword and of the option. Its type says how the word of an option is
read, and whether ``None`` (off, or not given) and ``"auto"`` (chosen by pantoum) may stand for a value; the
rule checks every other value. The parser (``cli.options``), the signatures of the Python interface
(``calls``), their types (``keywords``), what a run records and the documentation read ``declared``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, ClassVar, TypeVar

from pantoum.config.rules import AUTO

Rule = Callable[[Any, str], object]
"""The check of a value: it gets the value and the setting's name, and returns the value as it is kept."""
Kind = TypeVar("Kind", bound="SettingGroup")


@dataclass(frozen=True)
class Setting:
    """A setting as its field declares it."""

    name: str
    type: str
    default: object
    group: str
    help: str
    rule: Rule
    metavar: str = ""
    """What stands for the value in the help; that of a choice is the list of its choices."""
    off: bool = False
    """Whether the option also takes ``none``."""
    chosen: str = ""
    """In words, what is used where the setting is not given, if its default does not say it."""
    once: bool = False
    """Whether it counts for one command only: a run does not keep it."""
    option: bool = True
    """Whether the command line has it."""

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of a rule that lists them."""
        return tuple(getattr(self.rule, "keywords", {}).get("choices", ()))

    @property
    def described(self) -> str:
        """The help, and the default or what pantoum chooses where nothing is given."""
        if self.chosen:
            return f"{self.help} (default: {self.chosen})"
        if self.default is None or self.default is False or self.default in ((), "", AUTO):
            return self.help
        shown = f"{self.default:,}" if isinstance(self.default, (int, float)) else self.default
        return f"{self.help} (default: {shown})"

    def plain(self, value: object) -> object:
        """The value as plain Python has it; ``SettingError`` where the setting cannot have it."""
        kinds = self.type.split(" | ")
        if value is None and "None" in kinds:
            return None
        if isinstance(value, str) and value == AUTO and (self.default == AUTO or "Auto" in kinds):
            return AUTO
        return self.rule(value, self.name)


def flag(name: str) -> str:
    """The option of a setting: ``--hidden-size`` of ``hidden_size``. Messages name settings so."""
    return "--" + name.rstrip("_").replace("_", "-")


def setting(default: object, help: str, rule: Rule, **more: Any) -> Any:
    """A field of a ``SettingGroup``; ``more``: fields of ``Setting``."""
    return field(default=default, metadata={"help": help, "rule": rule, **more})


@dataclass(frozen=True)
class SettingGroup:
    """Settings that are given together. A class that builds on others has theirs, too."""

    GROUP: ClassVar[str] = ""
    """The heading of a class's own settings in the help."""

    def __post_init__(self) -> None:
        for name, one in declared(type(self)).items():
            object.__setattr__(self, name, one.plain(getattr(self, name)))
        self.agree()

    def agree(self) -> None:
        """Refuse settings that exclude each other."""

    def given(self, name: str) -> bool:
        """Whether a setting has another value than its default."""
        return bool(getattr(self, name) != declared(type(self))[name].default)

    @classmethod
    def of(cls: type[Kind], values: dict[str, Any]) -> Kind:
        """Those of these values that are settings of this class."""
        return cls(**{name: value for name, value in values.items() if name in declared(cls)})


_DECLARED: dict[type, dict[str, Setting]] = {}


def declared(kind: type[Any]) -> dict[str, Setting]:
    """The settings of a class by their names, as they are listed: its own before those it builds on."""
    if kind in _DECLARED:
        return _DECLARED[kind]
    found = _DECLARED[kind] = {}
    for part in kind.__mro__:
        inherited = {name for base in part.__mro__[1:] for name in getattr(base, "__dataclass_fields__", ())}
        for one in fields(part) if is_dataclass(part) else ():
            if one.name not in inherited and "rule" in one.metadata:
                group = getattr(part, "GROUP", "")
                found[one.name] = Setting(one.name, str(one.type), one.default, group, **one.metadata)
    return found
