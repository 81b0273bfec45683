"""Whatever is asked of the engine, in whatever order, it ends with every slot and every place free.

The engine's thread does not run here: the machine takes its steps one at a time, and those of the event loop,
so that a command may come before, between and after everything that the engine tells.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import pantoum
from pantoum.apps.server.engine import Engine
from pantoum.apps.server.job import Inbox, Job, Writing
from pantoum.apps.server.refusals import RequestError
from pantoum.config import SamplingConfig
from pantoum.inference.reading import Reading

WHICH = st.integers(0, 5)
"""A job, counted from the newest."""
ORDERS = ("pause", "cancel", "pause", "resume", "cancel", "work")
CHECKS: Any = {"suppress_health_check": list(HealthCheck), "deadline": None}


class Clock:
    """A second passes in every turn."""

    now = 100.0
    perf_counter = time.perf_counter

    @classmethod
    def monotonic(cls) -> float:
        return cls.now


class Loop:
    """An event loop that calls what it was given when it is told to."""

    def __init__(self) -> None:
        self.calls: deque[Callable[[], object]] = deque()
        self.call_soon = self.call_soon_threadsafe = self.calls.append

    def turn(self) -> None:
        self.calls.popleft()()


class Stepped(Engine):
    """One without a thread, whose turns write one token of each text."""

    def _run(self) -> None:
        pass

    def _write(self) -> None:
        super()._write()
        self._commands.put(lambda: None)


class Orders(RuleBasedStateMachine):
    """Jobs of two clients in an engine of 3 slots and 4 places."""

    model: pantoum.Model

    def __init__(self) -> None:
        super().__init__()
        self.loop = Loop()
        self.engine = Stepped(self.model._loaded, 3, 4, self.loop)  # type: ignore[arg-type]
        self.jobs: list[Job] = []

    def job(self, which: int) -> Job | None:
        return self.jobs[-1 - which % len(self.jobs)] if self.jobs else None

    @rule(
        count=st.integers(1, 3),
        length=st.sampled_from([0, 1, 9, 10**6, 10**6]),
        prompt=st.sampled_from(["", "The cat", "The cat sat. " * 40]),
        client=st.sampled_from("ab"),
        fails=st.sampled_from([False] * 7 + [True]),
    )
    def submit(self, count: int, length: int, prompt: str, client: str, fails: bool) -> None:
        inbox = Inbox(self.engine.cancel, self.engine.pause)
        reading = Reading(self.engine.model, None, self.engine.model.tokenizer.encode(prompt))
        sampling = SamplingConfig(temperature=1, logit_bias={9999: 1.0} if fails else {})
        job = inbox.job(reading, Writing(length, sampling, 1, count) if length else None)
        job.client = client
        before = self.engine.taken
        try:
            self.engine.submit(job)
            self.jobs.append(job)
        except RequestError:
            assert self.engine.taken == before

    @rule(which=WHICH, orders=st.lists(st.sampled_from(ORDERS), min_size=2, max_size=9))
    def ask(self, which: int, orders: list[str]) -> None:
        """Some things of one job, which works between them or not."""
        for order in orders:
            if order == "work":
                self.work(1)
            elif job := self.job(which):
                if order == "cancel":
                    self.engine.cancel(job)
                else:
                    self.engine.pause(job, order == "pause")

    @rule(turns=st.integers(1, 4))
    def work(self, turns: int) -> None:
        for _ in range(turns):
            Clock.now += 1.0
            try:
                self.engine._step()
            except ZeroDivisionError as error:
                self.engine._fail(error)

    @rule()
    def hear(self) -> None:
        if self.loop.calls:
            self.loop.turn()

    @rule(one_in=st.integers(0, 9))
    def fail(self, one_in: int) -> None:
        if one_in == 9:
            self.engine._commands.put(lambda: 1 / 0)  # type: ignore[arg-type]

    @invariant()
    def counts_agree(self) -> None:
        engine = self.engine
        assert engine.taken == sum(engine._of.values()) >= 0 <= min(engine._of.values(), default=0)
        assert engine._slots.taken == sum(job.held for job in self.jobs) == sum(engine._slots._held.values())
        assert len(engine._batch) == len(engine._texts)
        assert engine._slots.taken == len(engine._texts) + len(engine._reading)

    def teardown(self) -> None:
        """All clients go away."""
        for job in self.jobs:
            self.engine.cancel(job)
        while self.loop.calls or not self.engine._commands.empty():
            self.work(1)
            while self.loop.calls:
                self.loop.turn()
        engine = self.engine
        assert engine.taken == 0 and not engine._of
        assert engine._slots.taken == 0 and not engine._slots._held and not engine._slots.waiting
        assert not engine._active and not engine._texts and not engine._reading
        assert len(engine._batch) == 0 and not any(job.held or job.parked for job in self.jobs)
        begun, ended, cancelled = (
            engine.counters[f"texts_{name}"] for name in ("begun", "ended", "cancelled")
        )
        assert begun == ended + cancelled


def test_in_every_order_all_slots_and_places_are_free_at_the_end(
    model: pantoum.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever waits gets a slot of others in every turn.
    monkeypatch.setattr("pantoum.apps.server.engine.time", Clock)
    monkeypatch.setattr(Orders, "model", model, raising=False)
    run_state_machine_as_test(Orders, settings=settings(max_examples=60, stateful_step_count=20, **CHECKS))
