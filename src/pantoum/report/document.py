"""The head of every page that we write: one file that loads nothing, and a policy that enforces that.

The only script allowed is the page's own, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources

from pantoum.report.escape import markup


@cache
def file(name: str) -> str:
    """A style sheet or script of this folder."""
    return (resources.files("pantoum.report") / name).read_text(encoding="utf-8")


def begin(title: str, style: str, script: str = "") -> str:
    """The page as far as ``<body>``; ``script``: the one that may run in it."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{digest}'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="pantoum">
<title>{markup(title)}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
"""
