"""``pantoum serve``: models over HTTP, and a page to write on."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import signal
import sys

from pantoum.cli.options import add_settings, from_environment, given
from pantoum.cli.output import Output, is_terminal
from pantoum.config import ServeSettings
from pantoum.errors import SettingError

EXAMPLES = """examples:
  pantoum serve runs/book
  pantoum serve runs/book runs/letters --port 9000
  pantoum serve runs/book --host 0.0.0.0 --api-key-file keys.txt
  pantoum serve runs/book --sessions redis://localhost:6379/0 --state-key-file state.key

Needs the extra: pip install 'pantoum[serve]'. The page is at http://127.0.0.1:8000/, the interface is
described at /docs. docs/serving.md has examples. Without --host only this machine reaches the server. Every
option may also be a variable: PANTOUM_SERVE_PORT=9000 is --port 9000. SIGHUP reads keys and templates again.
"""
PREFIX = "PANTOUM_SERVE_"
"""Variables that give an option: PANTOUM_SERVE_PORT is --port."""
NEEDED = ("fastapi", "fastapi_offline", "uvicorn", "httptools", "prometheus_client")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The models, the address, the bounds."""
    parser.add_argument(
        "model",
        nargs="+",
        metavar="[NAME=]MODEL",
        help="model files, run folders (their best model) or hf://owner/name; NAME=MODEL,slots=16 gives a "
        "name and options",
    )
    add_settings(parser, ServeSettings)


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Serve until a signal comes. SIGHUP has nothing to do before there are keys that were read."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    around = from_environment(ServeSettings, PREFIX, os.environ)
    settings = ServeSettings(**{**around, **given(arguments, ServeSettings)})
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        rule = f"needs {', '.join(missing)}, which this Python does not have"
        raise SettingError("serve", " ".join(arguments.model), rule, "install: pip install 'pantoum[serve]'")

    from pantoum.server.serve import serve

    # On a terminal a person reads where it listens; elsewhere every line is one of the log.
    say = output.say if is_terminal(sys.stderr) else logging.getLogger("pantoum.server").info
    serve(arguments.model, settings, say, quiet=output.quiet)
