"""The records of a run as TensorBoard reads them: an event file per session, in ``tensorboard/`` of the run.

The figures of ``metrics.jsonl`` under the same names, and the samples. Bytes and checksums are those of the
package tensorboardX (the extra ``tensorboard``), which needs no TensorFlow. Its ``SummaryWriter`` is not
used: it writes in a thread, which ends when the disk is full, and then whoever reports would wait for it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pantoum.errors import SettingError
from pantoum.report.record import Report

__all__ = ["FOLDER", "EventFile", "require_package"]

FOLDER = "tensorboard"


def require_package() -> None:
    """``SettingError`` where what writes the files is not installed."""
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        rule, advice = "needs tensorboardX, which is not installed", "run: pip install 'pantoum[tensorboard]'"
        raise SettingError("tensorboard", True, rule, advice) from None


class EventFile:
    """The file of a session; it is made with the first record."""

    def __init__(self, run: Path, step: int) -> None:
        """``step``: that of the checkpoint from which the session goes on."""
        self._folder, self._step = run / FOLDER, step
        self._writer: Any = None

    def write(self, report: Report) -> None:
        """Append a record. ``OSError``: it cannot be written; the next one begins another file."""
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.proto.summary_pb2 import Summary
        from tensorboardX.summary import text

        found = Summary(value=[Summary.Value(tag=tag, simple_value=x) for tag, x in report.figures.items()])
        if report.sample is not None:
            found.MergeFrom(text("sample", f"```\n{report.sample}\n```"))
        events = [Event(wall_time=time.time(), step=report.step, summary=found)]
        if self._writer is None or report.step < self._step:  # what was told from here on does not count
            after = min(self._step + 1, report.step)
            events.insert(0, Event(step=after, session_log=SessionLog(status=SessionLog.START)))
        try:
            writer = self._writer = self._writer or self._begun()
            for event in events:
                writer.write_event(event)
            writer.flush()
        except OSError:
            self.close()
            raise
        self._step = report.step

    def close(self) -> None:
        """No record follows."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(OSError):
                writer.close()

    def _begun(self) -> Any:
        from tensorboardX.event_file_writer import EventsWriter

        self._folder.mkdir(exist_ok=True)
        return EventsWriter(str(self._folder / "events"), f".{os.getpid()}.{self._step}")
