"""The options that this app adds to ``pantoum score`` (``pantoum.command_options``)."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pantoum.seams import Output

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--follow",
        action="store_true",
        help="keep reading the file as it grows, even when it is rotated or truncated, until the command "
        "is stopped",
    )
    parser.add_argument(
        "--state-file",
        default=None,
        metavar="F",
        help="with --follow: save in this file how far the log was read; after a restart reading goes on "
        "from there",
    )


def run(arguments: argparse.Namespace, output: Output, score: Callable[..., int]) -> int:
    """Score a log that grows, or what there is of a text."""
    if not arguments.follow and arguments.state_file is None:
        return score(arguments, output)
    from pantoum.apps.logs.followed_log import FollowedLog, require_followable
    from pantoum.seams import ScoreConfig, given

    config = ScoreConfig(**given(arguments, ScoreConfig))
    require_followable(config, arguments.text, arguments.format, arguments.follow, arguments.state_file)
    follow = partial(FollowedLog, text=arguments.text, state_file=arguments.state_file)
    return score(arguments, output, follow)
