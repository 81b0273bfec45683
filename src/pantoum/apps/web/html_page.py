"""Pages that ask nobody for anything: one that writes, with a model in it, and one that trains a model.

The modules of the library are put into one script each for the page and for its workers (``bundled``). Core
and model are compressed and in base64. A page has a strict Content-Security-Policy: only this style, this
script and a worker made of this file's text may run, and no address may be asked. What comes from a model
(name, card, texts) is text, never markup.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pantoum.apps.web.module import FUSED, PLAIN, Progress, modules
from pantoum.seams import MODEL_NAME, ModelFile, counting, durable, is_terminal, model_path, notes_on_cache

__all__ = ["bundled", "page", "training_page"]

HERE = Path(__file__).parent
PAGE, PLAY = HERE / "page", HERE / "play"
IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[^"]*)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const|let) (\w+))", re.MULTILINE)
COMMENT = re.compile(r"^ *//.*\n|^ */\*\*(?:[^*]|\*(?!/))*\*/\n|/\*\*(?:[^*]|\*(?!/))*\*/ ?", re.MULTILINE)
"""Comments on lines of their own, and types, which the page does not need."""
TOLD = ("nats_per_token", "unit", "bits_per_byte", "xz_bits_per_byte", "protocol")
"""What the page tells of the held-out text."""


def page(
    title: str,
    card: Mapping[str, Any],
    config: Mapping[str, Any],
    model: bytes,
    progress: Progress | None = None,
) -> bytes:
    """The page of a model file's bytes; ``progress`` hears of the core's files where it must be compiled."""
    rows = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in _card(card, config))
    parts = {"title": _text(title), "facts": _text(_facts(config)), "card": rows, "model": _packed(model)}
    parts |= _cores(progress)
    return _filled(PAGE / "page.html", PAGE / "page.js", _read(PAGE / "style.css"), parts)


def training_page(base: str = "", file: Path | None = None) -> bytes:
    """The page that trains a model of a text that is given to it. ``base``: what it can begin from, too, as
    ``--from`` names it, for example ``base:english``; ``file``: that model's, if it is elsewhere."""
    style = _read(PAGE / "style.css") + _read(PLAY / "play.css")
    parts = {"trainer": bundled(HERE / "training" / "worker.js"), "base_name": _text(base), **_cores()}
    parts["base"] = _packed((file or model_path(base)).read_bytes()) if base else ""
    return _filled(PLAY / "play.html", PLAY / "play.js", style, parts)


def _cores(progress: Progress | None = None) -> dict[str, str]:
    """Both modules of the core, of which a page takes one."""
    made = modules(progress)
    return {"module": _packed(made[PLAIN]), "fused": _packed(made[FUSED])}


def _filled(template: Path, entry: Path, style: str, parts: Mapping[str, str]) -> bytes:
    """A page with its style, its script, the worker that writes, and these parts."""
    script = bundled(entry)
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}' 'wasm-unsafe-eval'; style-src '{_hash(style)}'; "
        "worker-src blob:; img-src data:; base-uri 'none'; form-action 'none'"
    )
    common = {"policy": policy, "style": style, "script": script}
    known = {**common, "worker": bundled(HERE / "worker.js"), **parts}
    return re.sub(r"\{(\w+)\}", lambda place: known[place[1]], _read(template)).encode("utf-8")


def bundled(entry: Path) -> str:
    """A module and all that it imports as one script: each in a function of its own, in the order of need."""
    script = '"use strict";\n' + "".join(map(_wrapped, _needed(entry.resolve(), {})))
    assert "</script" not in script.lower() and "<!--" not in script
    return script


def _wrapped(file: Path) -> str:
    """A module as a function that is called at once and returns what the module exports."""
    text = COMMENT.sub("", _read(file))
    text = IMPORT.sub(lambda found: f"const {{{found[1]}}} = {_name(file, found[2])};\n", text)
    names, body = ", ".join(EXPORT.findall(text)), EXPORT.sub("", text)
    return f"const {_name(file)} = (() => {{\n{body}return {{ {names} }};\n}})();\n"


def _needed(file: Path, seen: dict[Path, None]) -> Iterator[Path]:
    """The files that a module imports, then itself."""
    if file in seen:
        return
    seen[file] = None
    for _, other in IMPORT.findall(_read(file)):
        yield from _needed((file.parent / other).resolve(), seen)
    yield file


def _name(file: Path, other: str = "") -> str:
    """The name of a module in the script, as ``file`` itself or another one calls it."""
    path = (file.parent / other).resolve() if other else file
    return "$" + "$".join(path.relative_to(HERE).with_suffix("").parts)


def _facts(config: Mapping[str, Any]) -> str:
    members, cell = config.get("members", 1), str(config.get("cell", "gru")).upper()
    of = f"{members} members of " if members > 1 else ""
    return f"{cell}, {of}{config.get('num_layers')} × {config.get('hidden_size')} units"


def _card(card: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is told of a model: rows for people, of whatever a card holds as single values."""
    yield "network", _facts(config)
    for name, value in card.items():
        if isinstance(value, (str, int, float)) and not isinstance(value, bool) and name != "units":
            yield name.replace("_", " "), _figure(value)
        elif name in ("validation", "loss") and isinstance(value, Mapping):
            told = {key: value[key] for key in TOLD if key in value} or value
            yield name, ", ".join(f"{str(key).replace('_', ' ')} {_figure(one)}" for key, one in told.items())


def _figure(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if type(value) is int else str(value)


def _packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode("ascii")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _text(value: str) -> str:
    return html.escape(value, quote=True)


def _read(file: Path) -> str:
    return file.read_text("utf-8")


def export(content: ModelFile, out: Path, texts: Sequence[str]) -> dict[str, Any]:
    """``pantoum export --to html``."""
    path = content.path
    assert path is not None
    # A file in a run folder has the name that all have: the folder's says which model it is.
    name = path.parent.resolve().name if path.name == MODEL_NAME else path.stem
    with counting("compiling the core for pages, once: file", is_terminal(sys.stderr)) as progress:
        durable.write_file(out, page(name, content.card, content.config, path.read_bytes(), progress))
    hint = "one page: open it in any browser, without a network; it writes what `pantoum generate` writes"
    return {"notes": notes_on_cache(content, "the page"), "hints": [hint]}


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(training_page("".join(sys.argv[2:3])))
