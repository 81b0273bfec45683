"""``pantoum decompress``: the files of archives, or parts of them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pantoum.seams import Output

__all__ = ["EXAMPLES", "HELP", "add_options", "run"]

HELP = "decompress archives of `pantoum compress`, whole or in part"
EXAMPLES = """examples:
  pantoum decompress book.txt.pantoum --out again.txt
  pantoum decompress today.log.pantoum --model runs/app --out - | grep ERROR
  pantoum decompress names.txt.pantoum --model runs/names --record 12 --out -
  pantoum decompress book.txt.pantoum --test
  pantoum decompress book.txt.pantoum --keep-going --out rest.txt
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from pantoum.apps.archive.settings import DecompressConfig
    from pantoum.seams import add_settings

    parser.add_argument("files", nargs="+", metavar="ARCHIVE", help="archives to read; - is stdin")
    parser.add_argument(
        "--model", metavar="MODEL", help="the model with which the archive was made, or its run folder"
    )
    parser.add_argument(
        "--out",
        metavar="F",
        help="the file (default: ARCHIVE without .pantoum; for stdin, stdout); - is stdout",
    )
    parser.add_argument("--test", action="store_true", help="decode the archives, but write nothing")
    add_settings(parser, DecompressConfig)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Decompress the archives; 1 where something of them is lost."""
    from pantoum import load
    from pantoum.apps.archive import files
    from pantoum.apps.archive.compress import require_one_target
    from pantoum.apps.archive.settings import DecompressConfig
    from pantoum.seams import given

    settings = DecompressConfig(**given(arguments, DecompressConfig))
    targets: Sequence[str | None] = [None] * len(arguments.files)
    if not arguments.test:
        require_one_target(arguments)
        # Before any work is done.
        targets = [files.plain_name(name, arguments.out, settings.overwrite) for name in arguments.files]
    model = None if arguments.model is None else load(arguments.model)._loaded
    found = [
        files.decompress_file(name, model, target, settings, not output.quiet)
        for name, target in zip(arguments.files, targets, strict=True)
    ]
    for each in found:
        for lost in each["lost"]:
            output.complain(f"pantoum decompress: {each['file']}: {lost}")
    if arguments.json:
        output.json({"files": found})
        return int(any(each["lost"] for each in found))
    for each in found:
        what = (
            f"{each['file']}: it is intact"
            if each["out"] is None and not each["lost"]
            else str(each["out"] or "read")
        )
        tell = output.say if each["out"] == "-" else output.answer
        tell(f"{what}: {each['bytes']:,} bytes")
    return int(any(each["lost"] for each in found))
