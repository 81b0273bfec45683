"""A signal to stop is noted; a second Ctrl-C does not wait; handlers are put back."""

import os
import signal
import threading

import pytest

from pantoum.training.run.signals import StopSignals, ending_at_once

pytestmark = pytest.mark.usefixtures("hang_up")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_notes_the_first_signal_and_puts_the_handlers_back(name):
    before = signal.getsignal(getattr(signal, name))
    with StopSignals() as stop:
        assert stop.received is None
        os.kill(os.getpid(), getattr(signal, name))
        assert stop.received == name
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == name
    assert signal.getsignal(getattr(signal, name)) is before


def test_a_second_ctrl_c_interrupts_at_once():
    with StopSignals() as stop, pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.received == "SIGINT"
        os.kill(os.getpid(), signal.SIGINT)


def test_in_another_thread_nothing_is_installed():
    before, during = signal.getsignal(signal.SIGINT), []

    def work():
        with StopSignals() as stop:
            during.append((signal.getsignal(signal.SIGINT), stop.received))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert during == [(before, None)]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_before_there_is_anything_to_save_a_signal_unwinds_the_stack(name):
    number = getattr(signal, name)
    before, cleared = signal.getsignal(number), []
    with pytest.raises(SystemExit) as ended, ending_at_once():
        try:
            os.kill(os.getpid(), number)
        finally:
            cleared.append(True)
    assert ended.value.code == 128 + number and cleared and signal.getsignal(number) is before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")
def test_under_nohup_a_closed_terminal_stops_nothing():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as stop, ending_at_once():
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.received is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
