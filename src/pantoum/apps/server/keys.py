"""The keys that a server accepts: whose they are, what they may do, and what is left of their quotas.

A line of the key file is a key and what is said of it, with spaces between:

    # the laptop
    sk-5f2c...  name=anna  requests-per-minute=60  tokens-per-day=1000000
    sk-81d0...  name=ops  admin

Keys of one name are one client: its sessions, its quotas and its metrics stay when the key is replaced. A
quota fills evenly over its time; a request may overdraw it once, because nobody knows before how much is
written, and the next ones wait until it is positive again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pantoum.errors import SettingError

__all__ = ["Key", "Keyring", "Quota"]

QUOTAS = {"requests-per-minute": 60.0, "tokens-per-day": 86_400.0}
"""Quotas of a key, and the seconds in which each fills."""
NAME = re.compile(r"[\w.@-]{1,64}", re.ASCII)
FORM = "write KEY name=NAME admin requests-per-minute=N tokens-per-day=N, all but the key optional"
Clock = Callable[[], float]


class Quota:
    """An amount that fills evenly, and is spent."""

    def __init__(self, most: int, seconds: float, clock: Clock = time.monotonic) -> None:
        self.most, self._rate, self._clock = most, most / seconds, clock
        self._level, self._at = float(most), clock()

    def wait(self) -> float:
        """Seconds until something may be spent; 0: now."""
        self._fill()
        return max(0.0, (1.0 - self._level) / self._rate)

    def spend(self, amount: int) -> None:
        """Take some of it; it may be overdrawn by all that it holds."""
        self._fill()
        self._level = max(self._level - amount, -float(self.most))

    def _fill(self) -> None:
        now = self._clock()
        self._level = min(float(self.most), self._level + (now - self._at) * self._rate)
        self._at = now


@dataclass(frozen=True)
class Key:
    """A key, and whose it is."""

    secret: bytes = field(repr=False)
    name: str = ""
    admin: bool = False
    most: tuple[tuple[str, int], ...] = ()
    """Its quotas by name."""

    @property
    def owner(self) -> str:
        """Whose the sessions are: the name, or where there is none the key itself, as part of a hash."""
        known = b"name " + self.name.encode() if self.name else self.secret
        return hashlib.sha256(known).hexdigest()[:16]

    @property
    def label(self) -> str:
        """How metrics and the log call it."""
        return self.name or f"key-{self.owner[:8]}"


class Keyring:
    """All keys, from a file and from the environment. ``read`` may be called again at any time."""

    def __init__(self, path: str | None, given: str | None = None, clock: Clock = time.monotonic) -> None:
        """``given``: keys as in a file, with commas or lines between."""
        self._path, self._given, self._clock = path, given, clock
        self._keys: tuple[Key, ...] = ()
        self._quotas: dict[tuple[str, str, int], Quota] = {}
        self.needed = path is not None or given is not None
        """Whether a request needs a key."""
        self.read()

    def read(self) -> None:
        """Take the keys as they are now; quotas that stayed keep what was spent of them."""
        found: list[Key] = []
        if self._path is not None:
            found += keys_of(_lines(self._path), "api_key_file", self._path)
        if self._given is not None:
            found += keys_of(re.split(r"[\n,]", self._given), "api_keys", "PANTOUM_SERVE_API_KEYS")
        old, self._keys, self._quotas = self._quotas, tuple(found), {}
        for key in found:
            for name, most in key.most:
                place = key.owner, name, most
                self._quotas[place] = old.get(place) or Quota(most, QUOTAS[name], self._clock)

    def find(self, authorization: bytes) -> Key | None:
        """The key that a request carries. All are compared, so that the time tells nothing."""
        kind, _, given = authorization.partition(b" ")
        found = [key for key in self._keys if hmac.compare_digest(given.strip(), key.secret)]
        return found[0] if found and kind.lower() == b"bearer" else None

    def exhausted(self, key: Key) -> tuple[str, float] | None:
        """The quota that lets a key wait longest, and the seconds; ``None``: it need not wait."""
        waits = [(self._quotas[key.owner, name, most].wait(), name) for name, most in key.most]
        seconds, name = max(waits, default=(0.0, ""))
        return (name, seconds) if seconds > 0 else None

    def spend(self, key: Key, unit: str, amount: int) -> None:
        """A key has used some ``requests`` or ``tokens``."""
        for name, most in key.most:
            quota = self._quotas.get((key.owner, name, most))
            if quota is not None and name.startswith(unit):
                quota.spend(amount)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        rule = f"cannot be read ({getattr(error, 'strerror', None) or 'it is not UTF-8'})"
        raise SettingError("api_key_file", path, rule, "name a file with a key per line") from None


def keys_of(lines: Sequence[str], argument: str, place: str) -> list[Key]:
    """The keys in some lines. What is wrong is told without the line, which holds a secret."""
    found: list[Key] = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        comment = next((at for at, word in enumerate(words) if word.startswith("#")), len(words))
        if comment:
            found.append(_key(words[0], words[1:comment], number, argument, place))
    if not found:
        raise SettingError(argument, place, "holds no key", "write one key per line into it")
    return found


def _key(secret: str, words: Sequence[str], number: int, argument: str, place: str) -> Key:
    name, admin, most = "", False, {}
    for word in words:
        what, sign, value = word.partition("=")
        if what == "admin" and not sign:
            admin = True
        elif what == "name" and NAME.fullmatch(value):
            name = value
        elif what in QUOTAS and value.isascii() and value.isdigit() and 0 < int(value[:19]) < 10**18:
            most[what] = int(value)
        else:
            rule = f"has a word in line {number} that says nothing of a key ({what!r})"
            raise SettingError(argument, place, rule, FORM)
    return Key(secret.encode(), name, admin, tuple(most.items()))
