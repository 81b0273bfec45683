"""The prompts that a model reads at the moment, side by side. Only the engine's thread is here.

Those of one kind are read together and the kinds in turns: for about ``READ_TURN`` seconds, so that a long
prompt delays the others by one turn and never by its own length.
"""

from __future__ import annotations

import time
from collections import defaultdict

from pantoum.apps.server.activations import UnitReading
from pantoum.apps.server.job import Job
from pantoum.seams import advance

__all__ = ["Readings"]

READ_TURN = 0.008
"""Seconds that prompts are read before the others write on, and before cancelled jobs are noticed."""
ALONE = 32
"""Tokens of each prompt that are read at once where nobody writes: what many prompts need to be read fast,
and little enough of a single one that a client who vanishes is noticed soon."""
SIDE_BY_SIDE = 64
"""Prompts that are read together."""


class Readings:
    """The jobs whose prompts are being read; each has a slot."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self._rates: defaultdict[str, float] = defaultdict(lambda: 4000.0)
        """Tokens per second, as measured, for each kind of reading."""

    def add(self, job: Job) -> None:
        """A job has got a slot."""
        job.since = time.monotonic()
        self.jobs.append(job)

    def remove(self, job: Job) -> None:
        """A job is not read any more, or not for now."""
        self.jobs.remove(job)

    def turn(self, alone: bool) -> tuple[int, list[Job]]:
        """One turn: how many tokens were read, and the jobs whose prompts were read to their ends. ``alone``:
        whether nobody writes meanwhile."""
        kind = self.jobs[0].reading.kind
        jobs = [job for job in self.jobs if job.reading.kind == kind][:SIDE_BY_SIDE]
        readings, count = [job.reading for job in jobs if job.reading.left], 0
        if readings:
            tokens = max(len(readings) * (ALONE if alone else 1), int(self._rates[kind] * READ_TURN))
            begun = time.perf_counter()
            units = [reading for reading in readings if isinstance(reading, UnitReading)]
            if units:
                count = sum(reading.advance(tokens // len(units)) for reading in units)
            else:
                count = advance(readings, tokens)
            seconds = time.perf_counter() - begun
            self._rates[kind] += 0.2 * (count / max(seconds, 1e-6) - self._rates[kind])
        taken = set(jobs)
        self.jobs = [job for job in self.jobs if job not in taken] + jobs
        read = [job for job in jobs if not job.reading.left]
        for job in read:
            self.remove(job)
        return count, read
