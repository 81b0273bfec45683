"""From the settings to a server that listens, and to its end.

SIGTERM and Ctrl-C stop it gracefully: it takes no new connections, finishes what runs within ``DRAIN``
seconds, and ends with 0. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Sequence

import uvicorn
from fastapi import FastAPI

from pantoum.config import ServeSettings
from pantoum.errors import SettingError
from pantoum.server.app import make_app
from pantoum.server.connection import BACKLOG, Connection
from pantoum.server.log_lines import log_to_stderr
from pantoum.server.models import Models

__all__ = ["config_of", "listening", "serve"]

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
            rule = f"is no address of this machine ({error.strerror})"
            raise SettingError("host", host, rule, "give 127.0.0.1, 0.0.0.0 or another of its own") from None
        rule = f"cannot be listened on at {host} ({error.strerror})"
        raise SettingError("port", port, rule, "give another --port; 0 takes a free one") from None
    made.listen(BACKLOG)
    return made


def config_of(app: FastAPI) -> uvicorn.Config:
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
        proxy_headers=False,
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
        host, port = opened.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        say(f"pantoum: http://{shown}:{port}/ (Ctrl-C stops)")
        # What is there now stays: the collector need not look through it while a stream waits.
        gc.collect()
        gc.freeze()
        # uvicorn sends itself the signal once more when it has stopped: SIGTERM has done its work by then.
        signal.signal(signal.SIGTERM, lambda *_: None)
        asyncio.run(uvicorn.Server(config_of(app)).serve(sockets=[opened]))
    finally:
        opened.close()
