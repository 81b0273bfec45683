"""The examples for systemd, containers and Kubernetes name options and variables that there are.

Their own tools check them in `make check`.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
from pathlib import Path

import pytest

from pantoum.apps.server.command import PREFIX, add_options
from pantoum.apps.server.settings import ServeSettings
from pantoum.cli.options import from_environment, given

DEPLOY = Path(__file__).parents[3] / "examples" / "deploy"


def commands(text: str) -> list[list[str]]:
    """The arguments of `pantoum serve` in a file."""
    found = [shlex.split(line) for line in re.findall(r"^ExecStart=\S+ serve (.*)$", text, re.M)]
    return found + [json.loads(line) for line in re.findall(r"^(?:CMD| +args:) (\[.*\])$", text, re.M)]


@pytest.mark.parametrize("name", ["pantoum.service", "Containerfile", "kubernetes.yaml"])
def test_options_and_variables_are_those_of_serve(name: str) -> None:
    text = (DEPLOY / name).read_text()
    variables = dict(re.findall(r"(PANTOUM_SERVE_\w+)(?:=|, value: )([^\s}]+)", text))
    assert variables and len(commands(text)) == 1
    parser = argparse.ArgumentParser()
    add_options(parser)
    parsed = parser.parse_args(commands(text)[0])
    assert parsed.model
    around = from_environment(ServeSettings, PREFIX, variables)
    settings = ServeSettings(**{**around, **given(parsed, ServeSettings)})
    assert settings.api_key_file is not None
