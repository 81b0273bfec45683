"""Makes untrusted text safe to show: samples of a model, file names, validation text; and the head of the
pages that show it, which load nothing.

A model writes whatever it has learned to write, so a sample may hold ``</script>``, an escape sequence that
repaints a terminal, or a mark that turns the rest of the line around. Such characters are shown, not obeyed:
control characters as their pictures (``␛``), invisible and direction marks by number (``⟨U+202E⟩``), halves
of surrogate pairs as U+FFFD. Line feeds and tabs stay. Nothing is dropped without a trace.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from functools import cache
from importlib import resources

# C0 and DEL and C1 controls; soft hyphen; zero-width and direction marks; line and paragraph separators;
# direction overrides and isolates; invisible operators; the byte-order mark; interlinear marks; tag
# characters. A zero-width joiner (U+200D) stays: scripts and emoji are written with it.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def _shown(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return f"⟨U+{code:04X}⟩"


def visible(text: str) -> str:
    """``text`` as it can be printed on a terminal or a page without being obeyed."""
    return _UNSAFE.sub(_shown, text.replace("\r\n", "\n"))


def markup(text: str) -> str:
    """``text`` as the content of an element or a quoted attribute of HTML or SVG."""
    return html.escape(visible(text), quote=True)


def tag(name: str, content: str = "", **attributes: object) -> str:
    """An element of HTML or SVG. ``content`` is markup, values of attributes are text. In the name of an
    attribute ``_`` stands for ``-``, and one at the end is left out (``class_``); ``None``: no attribute."""
    spelled = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{markup(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{spelled}>{content}</{name}>"


@cache
def asset(name: str) -> str:
    """A style sheet or script of this folder."""
    return (resources.files("pantoum.report") / name).read_text(encoding="utf-8")


def page_head(title: str, style: str, script: str = "") -> str:
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
