"""``pantoum serve``: models over HTTP, and a page to write on."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from pantoum.errors import PantoumError

if TYPE_CHECKING:
    from pantoum.seams import Output

__all__ = ["EXAMPLES", "HELP", "add_options", "run"]

HELP = "serve models over HTTP (OpenAI's interface, sessions, scores), and a page to write on"
EXAMPLES = """examples:
  pantoum serve runs/book
  pantoum serve runs/book runs/letters --port 9000
  pantoum serve runs/book --host 0.0.0.0 --api-key-file keys.txt
  pantoum serve runs/book --sessions redis://localhost:6379/0 --state-key-file state.key

Needs the extra: pip install 'pantoum[serve]'. The page is at http://127.0.0.1:8000/, the description
of the interface at /docs. docs/serving.md has examples. Without --host only this machine reaches the server.
Every option can also be a variable: PANTOUM_SERVE_PORT=9000 is --port 9000. SIGHUP reads the keys again.
"""
PREFIX = "PANTOUM_SERVE_"
"""Variables that give an option: PANTOUM_SERVE_PORT is --port."""
NEEDED = ("fastapi", "fastapi_offline", "uvicorn", "httptools", "prometheus_client")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The models, the address, the bounds."""
    from pantoum.apps.server.settings import ServeSettings
    from pantoum.seams import add_settings

    parser.add_argument(
        "model",
        nargs="+",
        metavar="[NAME=]MODEL",
        help="model files, run folders, base:NAME or hf://owner/name; NAME=MODEL gives a name",
    )
    add_settings(parser, ServeSettings)


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Serve until a signal comes. SIGHUP has nothing to do before there are keys that were read."""
    import signal  # not for `pantoum --help`

    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    import logging
    from importlib.util import find_spec

    from pantoum.apps.server.settings import ServeSettings
    from pantoum.seams import from_environment, given, is_terminal

    around = from_environment(ServeSettings, PREFIX, os.environ)
    settings = ServeSettings(**{**around, **given(arguments, ServeSettings)})
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        needed = f"the server needs {', '.join(missing)}, which this Python does not have"
        raise PantoumError(f"{needed}; install: pip install 'pantoum[serve]'")

    from pantoum.apps.server.serve import serve

    # On a terminal a person reads where it listens; elsewhere every line is one of the log.
    say = output.say if is_terminal(sys.stderr) else logging.getLogger("pantoum.server").info
    serve(arguments.model, settings, say, quiet=output.quiet)
