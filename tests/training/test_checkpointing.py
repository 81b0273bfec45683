"""The saver: in order, in the background, telling what failed."""

import errno
import threading
import weakref

import numpy as np
import pytest

from pantoum.errors import CheckpointError
from pantoum.formats import checkpoint, durable
from pantoum.formats.system_calls import System
from pantoum.training.saving import Saver, all_finite


def test_writes_behind_the_callers_back_and_prunes(tmp_path):
    saver = Saver(tmp_path)
    for step in range(1, 7):
        saver.checkpoint(step, {"w": np.ones(3)}, {"step": step}, also={2})
    saver.wait()
    assert not saver.busy and [outcome.step for outcome in saver.outcomes()] == [1, 2, 3, 4, 5, 6]
    assert checkpoint.steps(tmp_path) == [2, 4, 5, 6] and saver.outcomes() == []
    saver.close()


def test_a_checkpoint_discards_later_ones_which_did_not_happen(tmp_path):
    saver = Saver(tmp_path)
    for step in (3, 4, 5):
        saver.checkpoint(step, {}, {})
    saver.checkpoint(4, {}, {"again": True})
    saver.wait()
    assert checkpoint.steps(tmp_path) == [3, 4] and checkpoint.newest(tmp_path).state == {"again": True}
    saver.close()


def test_a_refusal_of_the_disk_is_told_and_the_next_save_works(tmp_path, monkeypatch):
    class Refusing(System):
        def fsync(self, descriptor):
            raise OSError(errno.EIO, "no")

    saver = Saver(tmp_path)
    monkeypatch.setattr(durable, "system", Refusing())
    saver.checkpoint(1, {}, {})
    saver.wait()
    monkeypatch.undo()
    saver.checkpoint(2, {}, {})
    saver.wait()
    first, second = saver.outcomes()
    assert "disk reported an error" in str(first.error) and second.error is None
    saver.close()


def test_an_error_that_is_not_the_disks_is_raised(tmp_path):
    saver = Saver(tmp_path)
    saver.checkpoint(1, {"w": np.array([np.nan])}, {})
    saver.wait()
    with pytest.raises(CheckpointError):
        saver.outcomes()
    saver.close()
    saver.close()


def thread_of_saver():
    return next(thread for thread in threading.enumerate() if thread.name == "pantoum-saver")


def test_nobody_waits_for_a_job_that_ended_the_thread(tmp_path, monkeypatch):
    class Gone(BaseException):
        pass

    def commit(*_):
        raise Gone

    monkeypatch.setattr(checkpoint, "commit", commit)
    saver = Saver(tmp_path)
    saver.checkpoint(1, {}, {})
    saver.wait()
    with pytest.raises(Gone):
        saver.outcomes()
    saver.close()


def test_a_machine_that_gives_no_thread_is_told(tmp_path, monkeypatch):
    saver = Saver(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("no thread")))
        with pytest.raises(RuntimeError, match="no thread"):
            saver.checkpoint(1, {}, {})
        saver.close()
    saver.checkpoint(2, {}, {})
    saver.wait()
    assert [outcome.step for outcome in saver.outcomes()] == [2]
    saver.close()


def test_the_thread_has_ended_when_an_idle_saver_is_closed(tmp_path):
    for _ in range(20):
        saver = Saver(tmp_path)
        saver.checkpoint(1, {}, {})
        saver.wait()
        thread = thread_of_saver()
        saver.close()
        assert not thread.is_alive()


def test_closing_does_not_wait_for_a_disk_that_hangs(tmp_path, monkeypatch):
    goes_on = threading.Event()
    monkeypatch.setattr(checkpoint, "commit", lambda *given: goes_on.wait(60.0))
    saver = Saver(tmp_path)
    saver.checkpoint(1, {}, {})
    thread = thread_of_saver()
    saver.close()
    assert thread.is_alive()
    goes_on.set()
    thread.join(10.0)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("array", "finite"),
    [
        (np.ones(3, np.float32), True),
        (np.array([1.0, np.nan]), False),
        (np.array([np.inf, -np.inf]), False),
        (np.full(4, 3e38, np.float32), True),
        (np.array([1, 2]), True),
    ],
)
def test_finite_means_every_number(array, finite):
    assert all_finite({"a": array}) is finite


def test_what_was_written_is_not_held_until_the_next_save(tmp_path):
    weights = np.ones(3)
    gone = weakref.ref(weights)
    saver = Saver(tmp_path)
    saver.checkpoint(1, {"w": weights}, {})
    del weights
    saver.wait()
    assert gone() is None
    saver.close()
