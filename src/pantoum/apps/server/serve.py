"""From the settings to a server that listens, and to its end.

SIGTERM and Ctrl-C stop it gracefully: it takes no new connections, finishes what runs within ``DRAIN``
seconds, and ends with 0. A second signal ends it at once. SIGHUP lets it read its keys again.

The log has a JSON object per line, also for warnings and tracebacks. What is said of a request carries its
number, so that one search finds its line and its errors.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence

import uvicorn
from fastapi import FastAPI

from pantoum.apps.server.app import make_app
from pantoum.apps.server.caller import request_id
from pantoum.apps.server.connection import BACKLOG, Connection
from pantoum.apps.server.models import Models
from pantoum.apps.server.settings import ServeSettings
from pantoum.errors import SettingError

__all__ = ["JsonFormatter", "config_of", "listening", "serve"]

DRAIN = 30
"""Seconds that running requests have to end after SIGTERM."""
SWITCH = 0.0005
"""Seconds after which Python lets another thread run. The engine's thread asks for the interpreter once a
round, and would wait for ten rounds at the default of 5 ms while the event loop is busy."""


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens, or an error that names the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named: only then does asyncio set TCP_NODELAY on the connections. Without it a small
    # event waits 40 ms for the acknowledgement of the one before.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host.strip("[]"), port))
    except OSError as error:
        made.close()
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            rule = f"is not an address of this machine ({error.strerror})"
            raise SettingError(
                "host", host, rule, "give 127.0.0.1, 0.0.0.0 or another address of this machine"
            ) from None
        rule = f"cannot be opened at {host} ({error.strerror})"
        raise SettingError("port", port, rule, "give another --port; 0 takes a free one") from None
    made.listen(BACKLOG)
    return made


def config_of(app: FastAPI, settings: ServeSettings) -> uvicorn.Config:
    """How uvicorn runs the application. Its own access log names query strings and stays off."""
    logging.getLogger("uvicorn.access").disabled = True
    return uvicorn.Config(
        app,
        http=Connection,
        backlog=BACKLOG,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        root_path=settings.root_path,
        proxy_headers=settings.forwarded_allow_ips is not None,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        timeout_graceful_shutdown=DRAIN,
        timeout_keep_alive=30,
    )


def serve(
    models: Sequence[str], settings: ServeSettings, say: Callable[[str], None], quiet: bool = False
) -> None:
    """Serve these models until a signal comes. ``say`` hears where; ``quiet``: no line per request."""
    sys.setswitchinterval(SWITCH)
    log_to_stderr(quiet)
    opened = listening(settings.host, settings.port)
    try:
        app = make_app(Models(models, settings), settings)
        if hasattr(signal, "SIGHUP"):  # Windows has none
            signal.signal(signal.SIGHUP, lambda *_: app.state.reread())
        say(f"pantoum: {address_of(opened)} (Ctrl-C stops)")
        # What is there now stays: the collector need not look through it while a stream waits.
        gc.collect()
        gc.freeze()
        # uvicorn sends the signal that stopped it once more when it has ended; then, and before, it ends.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        asyncio.run(uvicorn.Server(config_of(app, settings)).serve(sockets=[opened]))
    finally:
        opened.close()


def address_of(opened: socket.socket) -> str:
    """The address of the page."""
    host, port = opened.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


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
