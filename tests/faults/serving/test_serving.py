"""Rows 15 to 18 and 20: crowds, mixed requests, clients that vanish or read slowly, always the same
answer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import serving_faults as faults

from pantoum.apps.server import connection, engine
from pantoum.inference.reading import advance
from pantoum.kernels import without_core

Serve = Callable[..., Any]


def test_a_crowd_is_served_or_told_to_come_again(serve: Serve) -> None:
    server = faults.Server(serve(slots=3, queue=4).url)
    found = asyncio.run(faults.crowd(server, clients=24, tokens=150, seconds=1.5, at_peak=3))
    assert set(found["statuses"]) == {"200", "429"}
    assert found["share_of_peak"] > 0 and found["rejected_p99_ms"] < 2000


def test_requests_of_every_kind_leave_nothing_behind(serve: Serve) -> None:
    server = faults.Server(serve(slots=8, queue=32).url)
    found = asyncio.run(faults.mixed(server, count=250, at_once=6))
    assert found["failed"] == 0 and set(found["statuses"]) == {"200", "400", "422"}
    assert abs(found["descriptors"]) <= 5


def test_a_client_that_goes_away_gives_its_slot_back(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def never_to_the_end(readings: list[Any], tokens: int) -> int:
        """A long prompt goes on until its client has gone, however slowly this one leaves."""
        if len(readings[0].tokens_T) < 1000 or readings[0].left > tokens:
            return advance(readings, tokens)
        time.sleep(0.001)
        return 0

    monkeypatch.setattr(engine, "advance", never_to_the_end)
    found = asyncio.run(faults.vanish(faults.Server(serve(slots=2, queue=0).url), midway=12, before=6))
    assert found["begun"] == found["ended_or_cancelled"] == 12


def test_slow_readers_and_half_open_connections_are_cut_and_cost_the_others_nothing(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 1.5)
    server = serve(slots=16)
    most = []

    def watch() -> None:
        while not done.is_set():
            waiting = [
                one.transport.get_write_buffer_size() for one in list(server.connections) if one.transport
            ]
            most.append(max(waiting, default=0))
            time.sleep(0.02)

    done = threading.Event()
    watching = threading.Thread(target=watch)
    watching.start()
    found = asyncio.run(
        faults.slow(faults.Server(server.url), readers=4, half_open=10, others=2, tokens=200, patience=1.5)
    )
    done.set()
    watching.join()
    assert found["half_open_closed"] == 10
    assert max(found["half_open_cut_after_s"], found["readers_cut_after_s"]) < 120
    assert 0 < max(most) <= 64 * 1024


@pytest.mark.skipif(without_core() is not None, reason="promised by the native core")
def test_the_same_request_has_the_same_answer_in_every_company(serve: Serve) -> None:
    found = asyncio.run(faults.same(faults.Server(serve(slots=20).url), neighbours=16, tokens=40))
    assert set(found["same"].values()) == {True}


def test_sigterm_finishes_what_runs_and_ends_with_0(process: Callable[..., Any]) -> None:
    one = process("--slots", "4")
    body = {"prompt": "The", "max_tokens": 4000, "stream": True}
    with one.client.stream("POST", "/v1/completions", json=body) as response:
        lines = response.iter_lines()
        next(lines)
        one.process.terminate()
        rest = [line for line in lines if line]
    assert rest[-1] == "data: [DONE]"
    assert one.process.wait(120) == 0
