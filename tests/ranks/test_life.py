"""Ranks are watched: who sends no sign of life for the time limit is named, once."""

import os
import queue
import time

from pantoum.ranks.life import Life


class Beats:
    """Signs of life of ranks that a test stops."""

    def __init__(self):
        self.silent, self.sent = set(), set()

    def send(self, rank):
        self.sent.add(rank)

    def received(self, rank):
        return rank not in self.silent


def test_rank_0_misses_the_one_that_is_silent():
    beats, lost = Beats(), queue.Queue()
    life = Life(beats, 0, 4, 0.3, lambda rank, seconds: lost.put((rank, seconds)))
    time.sleep(0.5)
    assert lost.empty() and beats.sent == {1, 2, 3}, "all are alive, for longer than the limit"
    beats.silent = {2}
    rank, seconds = lost.get(timeout=5.0)
    assert rank == 2 and 0.3 < seconds < 2.0
    time.sleep(0.1)
    assert lost.empty(), "said once"
    life.close()


def test_others_listen_to_rank_0():
    beats, lost = Beats(), queue.Queue()
    beats.silent = {0, 1, 3}
    life = Life(beats, 2, 4, 0.2, lambda rank, seconds: lost.put(rank))
    assert lost.get(timeout=5.0) == 0 and beats.sent == {0}
    life.close()


def test_a_rank_whose_launcher_has_ended_ends(monkeypatch):
    lost = queue.Queue()
    life = Life(Beats(), 1, 2, 0.3, lambda rank, seconds: lost.put(rank))
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert lost.get(timeout=5.0) is None
    life.close()
