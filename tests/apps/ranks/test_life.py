"""Ranks are watched: who sends no sign of life for the time limit is named, once."""

import os
import queue
import threading

from pantoum.apps.ranks.transport import Life, pause_of

PATIENCE = 120.0
"""Seconds after which a test has failed that waits for what must come."""


class Beats:
    """Signs of life of ranks that a test stops."""

    def __init__(self, rounds=0):
        self.silent, self.sent, self._left = set(), set(), rounds
        self.were_sent = threading.Event()
        """Each of three ranks was sent so many signs of life."""

    def send(self, rank):
        self.sent.add(rank)
        self._left -= rank == 3
        if self._left <= 0:
            self.were_sent.set()

    def received(self, rank):
        return rank not in self.silent


def test_rank_0_misses_the_one_that_is_silent():
    limit = 0.3
    beats, lost = Beats(rounds=round(limit / pause_of(limit)) + 2), queue.Queue()
    life = Life(beats.send, beats.received, 0, 4, limit, lambda rank, seconds: lost.put((rank, seconds)))
    assert beats.were_sent.wait(PATIENCE)
    assert lost.empty() and beats.sent == {1, 2, 3}, "all are alive, for longer than the limit"
    beats.silent = {2}
    rank, seconds = lost.get(timeout=PATIENCE)
    assert rank == 2 and seconds > limit
    life.close()
    assert lost.empty(), "said once"


def test_others_listen_to_rank_0():
    beats, lost = Beats(), queue.Queue()
    beats.silent = {0, 1, 3}
    life = Life(beats.send, beats.received, 2, 4, 0.2, lambda rank, seconds: lost.put(rank))
    assert lost.get(timeout=PATIENCE) == 0 and beats.sent == {0}
    life.close()


def test_a_rank_whose_launcher_has_ended_ends(monkeypatch):
    lost = queue.Queue()
    beats = Beats()
    life = Life(beats.send, beats.received, 1, 2, 0.3, lambda rank, seconds: lost.put(rank))
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert lost.get(timeout=PATIENCE) is None
    life.close()
