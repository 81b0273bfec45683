"""``pantoum compress``: files without a loss in fewer bytes, by a model or by what learns as it reads."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pantoum.errors import SettingError

if TYPE_CHECKING:
    from pantoum.seams import Output

__all__ = ["EXAMPLES", "HELP", "add_options", "run"]

HELP = "compress files losslessly, with or without a model"
EXAMPLES = """examples:
  pantoum compress book.txt
  pantoum compress today.log --model runs/app
  pantoum compress names.txt --model runs/names --documents lines
  tar c notes | pantoum compress - --out notes.tar.pantoum

It is slow: xz and zstd are the better choice wherever speed matters. A file that was compressed with a model
can only be decompressed with the same model, so keep both. The guide: docs/how-to/compress.md
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from pantoum.apps.archive.settings import CompressConfig
    from pantoum.seams import add_settings

    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="files to compress, each into its own archive; - is stdin"
    )
    parser.add_argument(
        "--model", metavar="MODEL", help="a model file, a run folder (its best model), or base:NAME"
    )
    parser.add_argument(
        "--out",
        metavar="F",
        help="the archive (default: FILE.pantoum; for stdin, stdout); - is stdout",
    )
    add_settings(parser, CompressConfig)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Compress the files and print how far."""
    from pantoum import load
    from pantoum.apps.archive import files
    from pantoum.apps.archive.settings import CompressConfig
    from pantoum.seams import given

    settings = CompressConfig(**given(arguments, CompressConfig))
    require_one_target(arguments)
    # Before any work is done.
    targets = [files.archive_name(name, arguments.out, settings.overwrite) for name in arguments.files]
    model = None if arguments.model is None else load(arguments.model)._loaded
    found = [
        files.compress_file(name, model, target, settings, not output.quiet)
        for name, target in zip(arguments.files, targets, strict=True)
    ]
    if arguments.json and all(each["out"] != "-" for each in found):
        output.json({"files": found})
        return
    for each in found:
        tell = output.say if each["out"] == "-" else output.answer
        tell(words(each))


def require_one_target(arguments: argparse.Namespace) -> None:
    """Refuse to write several files into one, and an answer among the bytes on stdout."""
    files, out = arguments.files, arguments.out
    if out is not None and len(files) > 1:
        raise SettingError(
            "out", out, "is one file, and there are several to write", "give one FILE, or leave it out"
        )
    if files.count("-") > 1:
        raise SettingError("file", "-", "is stdin, which can be read only once", "give it once")
    if arguments.json and (out == "-" or (out is None and "-" in files)):
        raise SettingError("json", True, "is printed on stdout, which receives the file", "give out a file")


def words(found: dict[str, object]) -> str:
    """What came of one file."""
    size, before = int(str(found["archive_bytes"])), int(str(found["bytes"]))
    text = f"{found['out']}: {size:,} bytes of {before:,}"
    if before:
        text += f" ({size / before:.1%}, {8 * size / before:.3f} bits per byte"
        if found.get("xz_bytes"):
            text += f"; xz -6 {int(str(found['xz_bytes'])) / before:.1%}"
        text += ")"
    if found.get("model_bytes"):
        text += f", plus the model, {int(str(found['model_bytes'])):,}"
    return text
