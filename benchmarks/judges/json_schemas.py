"""The schemas and instances of MaskBench (guidance-ai/jsonschemabench), given to our forms.

    python benchmarks/judges/json_schemas.py FOLDER [--every 1] [--seconds S]

FOLDER is ``maskbench/data`` of that repository. Each file has a schema, and instances that are valid or not.
An instance is given as compact JSON and as indented JSON. Prints schemas that are refused, by reason, valid
instances that do not have the form, and invalid ones that do. ``--every 5`` takes one file of five,
``--seconds`` stops earlier. Exits with 1 if a valid instance is refused or an invalid one accepted.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from pantoum.apps.forms.form_reader import FormReader
from pantoum.config import SamplingConfig
from pantoum.errors import SettingError


def written(instance: Any) -> tuple[str, str]:
    """The instance as JSON without white space and with much of it."""
    return json.dumps(instance, ensure_ascii=False, separators=(",", ":")), json.dumps(instance, indent=2)


def judge(files: list[Path], seconds: float) -> int:
    """How many instances were judged wrongly."""
    begun = time.process_time()
    refused: Counter[str] = Counter()
    slowest, right = (0.0, ""), Counter[bool]()
    wrong: list[str] = []
    read = 0
    for path in files:
        if time.process_time() - begun > seconds:
            break
        read += 1
        case = json.loads(path.read_text("utf-8"))
        start = time.process_time()
        try:
            asked = SamplingConfig(json_schema=case["schema"]).asked
            assert asked is not None
            form = FormReader(asked)
        except SettingError as error:
            refused[error.rule[:90]] += 1
            print(f"refused  {path.name}: {error.rule[:200]}", flush=True)
            continue
        finally:
            slowest = max(slowest, (time.process_time() - start, path.name))
        for instance in case.get("tests", ()):
            verdicts = {form.matches(text) for text in written(instance["data"])}
            if verdicts == {instance["valid"]}:
                right[instance["valid"]] += 1
            else:
                what = "invalid, accepted" if not instance["valid"] else "valid, refused"
                wrong.append(f"{path.name}: {what}: {instance.get('description', '')[:80]}")
                print(f"wrong    {wrong[-1]}", flush=True)
    print(
        f"{read:,} schemas, {refused.total():,} refused, the longest after {slowest[0]:.2f} s ({slowest[1]})"
    )
    for reason, count in refused.most_common(20):
        print(f"  {count:5,}  {reason}")
    print(
        f"{right[True]:,} valid instances accepted, {right[False]:,} invalid ones refused, {len(wrong)} wrong"
    )
    return len(wrong)


def main(arguments: list[str]) -> int:
    """Judge the files of a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    asked = parser.parse_args(arguments)
    files = sorted(asked.folder.glob("*.json"))[:: asked.every]
    return int(judge(files, asked.seconds) > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
