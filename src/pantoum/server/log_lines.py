"""The log: a JSON object per line, also for warnings and tracebacks.

What is said of a request carries its number, so that one search finds its line and its errors.
"""

from __future__ import annotations

import json
import logging
import sys
import time

from pantoum.server.caller import request_id

__all__ = ["JsonFormatter", "log_to_stderr"]


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; the ``fields`` of its ``extra`` stand beside time and level."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        said: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if message := record.getMessage():
            said["message"] = message
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            said |= fields
        elif number := request_id():
            said["request_id"] = number
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def log_to_stderr(quiet: bool) -> None:
    """Send the log to stderr; ``quiet``: no line per request."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING if quiet else logging.INFO)
    logging.captureWarnings(True)
