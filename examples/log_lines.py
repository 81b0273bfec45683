"""Made-up log lines of a small service, with odd lines planted among them; a seed determines all of them.

The service tracks parcels: it answers requests (begin, database and cache, end), runs jobs, and reports its
health from time to time. Fields vary as in real logs: most answers are 200, most take a few milliseconds,
users and paths are few, ids are random. ``planted`` inserts odd lines of four kinds and says which they are.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["KINDS", "Line", "clean", "planted"]

KINDS = ("unknown message", "wrong value", "wrong order", "odd characters")
USERS = ("mira", "jonas", "edda", "pavel", "lin", "oksana", "tomas", "ruth")
PATHS = ("/parcels", "/parcels/{id}", "/parcels/{id}/track", "/labels/{id}.pdf", "/depots", "/login")
JOBS = ("nightly-report", "expire-labels", "sync-depots")


@dataclass(frozen=True)
class Line:
    """A line, and what is odd about it: one of ``KINDS``, or ``None``."""

    text: str
    odd: str | None = None


class Service:
    """A service that writes its log without end."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = datetime(2026, 3, 2) + timedelta(seconds=self.random.randrange(86400))

    def stamp(self, level: str, part: str, message: str, wait: float = 4.0) -> str:
        """A line, a little later than the one before."""
        self.now += timedelta(milliseconds=1 + int(self.random.expovariate(1.0 / wait)))
        time = self.now.strftime("%H:%M:%S.%f")[:-3]
        return f"{time} {level:<5} {part:<5} {message}"

    def events(self) -> Iterator[list[str]]:
        """Groups of lines: those of a request, of a job, of a health report."""
        while True:
            kind = self.random.random()
            if kind < 0.86:
                yield list(self.request())
            elif kind < 0.94:
                yield [self.health()]
            else:
                yield list(self.job())

    def request(self) -> Iterator[str]:
        """A request from its beginning to its answer."""
        draw = self.random
        request = f"{draw.randrange(1 << 24):06x}"
        method = draw.choices(("GET", "POST", "DELETE"), (80, 18, 2))[0]
        path = draw.choices(PATHS, (20, 40, 15, 10, 5, 10))[0].format(id=draw.randrange(10_000, 99_999))
        if path == "/login":
            method = "POST"
        user = draw.choice(USERS)
        yield self.stamp("INFO", "http", f"begin req={request} {method} {path} user={user}", 12_000.0)
        spent = 1 + int(draw.expovariate(1 / 6.0))
        if path == "/login":
            yield self.stamp(
                "INFO",
                "auth",
                f"user={user} signed in from 10.0.{draw.randrange(4)}.{draw.randrange(2, 250)}",
            )
        elif draw.random() < 0.6:
            yield self.stamp(
                "DEBUG",
                "cache",
                f"req={request} {draw.choice(('hit', 'hit', 'miss'))} key={path.split('/')[1]}",
            )
        else:
            rows = 1 if "{" in path else draw.choice((1, 1, 5, 20, 50))
            spent += int(draw.expovariate(1 / 15.0))
            yield self.stamp(
                "INFO", "db", f"req={request} select {path.split('/')[1]} rows={rows} took={spent}ms"
            )
        status = draw.choices((200, 304, 404, 429, 500), (930, 30, 30, 7, 3))[0]
        if status == 500:
            yield self.stamp("ERROR", "http", f"req={request} upstream timed out after 3000ms, retry 1 of 3")
        level = "INFO" if status < 400 else "WARN"
        yield self.stamp(
            level,
            "http",
            f"end req={request} status={status} bytes={draw.randrange(120, 9000)} took={spent}ms",
            spent,
        )

    def health(self) -> str:
        """The line of a health report."""
        draw = self.random
        return self.stamp(
            "INFO",
            "gauge",
            f"heap={draw.randrange(180, 420)}MB threads={draw.randrange(12, 19)} "
            f"queue={draw.choice((0, 0, 0, 1, 2, 3))} open_files={draw.randrange(60, 99)}",
            12_000.0,
        )

    def job(self) -> Iterator[str]:
        """The lines of a job, step by step."""
        draw = self.random
        name, total = draw.choice(JOBS), 10 * draw.randrange(3, 40)
        yield self.stamp("INFO", "jobs", f"{name} started, {total} items", 12_000.0)
        yield self.stamp("INFO", "jobs", f"{name} halfway, {total // 2} of {total} items", 2000.0)
        yield self.stamp(
            "INFO", "jobs", f"{name} finished, {total} items in {draw.randrange(2, 59)}s", 2000.0
        )


def clean(count: int, seed: int) -> list[Line]:
    """At least ``count`` ordinary lines; the last group is complete."""
    lines: list[Line] = []
    for event in Service(seed).events():
        lines += [Line(text) for text in event]
        if len(lines) >= count:
            return lines
    raise AssertionError("a service never ends")


def planted(count: int, odd: int, seed: int) -> list[Line]:
    """At least ``count`` lines with ``odd`` odd events among them, evenly spaced."""
    service, lines = Service(seed), []
    events = service.events()
    every = count // max(odd, 1)
    done = 0
    while len(lines) < count:
        event = next(events)
        if done < odd and len(lines) >= (done + 0.5) * every:
            made = PLANTERS[KINDS[done % len(KINDS)]](service, event)
            if made is not None:
                lines += made
                done += 1
                continue
        lines += [Line(text) for text in event]
    return lines


def unknown_message(service: Service, event: list[str]) -> list[Line]:
    """A message that this service never writes."""
    draw = service.random
    level, part, message = draw.choice(
        (
            ("ERROR", "http", "panic: index out of range [7] with length 7"),
            ("WARN", "db", "deadlock found when trying to get lock, restarting transaction"),
            ("ERROR", "disk", "no space left on device: /var/lib/depot"),
            ("WARN", "auth", "certificate of depot.example expires in 3 days"),
            ("INFO", "http", "configuration reloaded by signal SIGHUP"),
            ("FATAL", "jobs", "out of memory, killing worker 4121"),
            ("WARN", "auth", f"user={draw.choice(USERS)} 5 failed passwords in a row"),
            ("INFO", "db", "checkpoint complete: wrote 482 buffers"),
        )
    )
    return [*map(Line, event), Line(service.stamp(level, part, message), KINDS[0])]


def wrong_value(service: Service, event: list[str]) -> list[Line] | None:
    """A value that its field never has; ``None`` if the event has no such field."""
    draw = service.random
    last = event[-1]
    if " end req=" not in last:
        return None
    start, took = last.split("took=")
    odd = draw.choice(
        (
            start + "took=-" + took,
            start + "took=184467440737ms",
            start + "took=NaNms",
            last.replace("status=", "status=9").replace("status=9200", "status=920"),
            last.replace("bytes=", "bytes=0x"),
            last.replace(" INFO ", " INF0 "),
            last.replace("req=", "req=zz"),
            start + "took=" + took.replace("ms", "s"),
        )
    )
    if odd == last:
        return None
    return [*map(Line, event[:-1]), Line(odd, KINDS[1])]


def wrong_order(service: Service, event: list[str]) -> list[Line] | None:
    """An end without its beginning, steps in the wrong order, or a beginning twice."""
    if len(event) < 3:
        return None
    draw = service.random
    first, second, *rest = event
    kind = draw.randrange(3)
    if kind == 0:  # the end comes right after the beginning, and the middle after the end
        return [Line(first), Line(rest[-1], KINDS[2]), Line(second, KINDS[2])]
    if kind == 1:  # there is no beginning
        return [Line(second, KINDS[2]), *map(Line, rest)]
    return [Line(first), Line(first, KINDS[2]), Line(second), *map(Line, rest)]


def odd_characters(service: Service, event: list[str]) -> list[Line]:
    """A damaged line."""
    draw = service.random
    at = draw.randrange(len(event))
    text = event[at]
    place = draw.randrange(14, len(text) - 2)
    odd = draw.choice(
        (
            text[:place] + "\x00" * draw.randrange(1, 9) + text[place:],
            text[:place] + "\ufffd" + text[place + 1 :],
            text[:place] + draw.choice("\u0430\u00e9\u00a0~^") + text[place + 1 :],
            text[: place - 6] + text[place:],
            text[:place],
            text[:9] + text[:9] + text[9:],
            text.replace("=", ":"),
            text[:place] + text[place:].upper(),
        )
    )
    lines = [Line(other) for other in event]
    lines[at] = Line(odd, KINDS[3])
    return lines if odd != text else [Line(other) for other in event]


PLANTERS = {
    "unknown message": unknown_message,
    "wrong value": wrong_value,
    "wrong order": wrong_order,
    "odd characters": odd_characters,
}
