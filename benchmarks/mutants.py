"""Mutation testing of the code that keeps people's work: `make mutants`, by hand, not in CI.

`mutmut` changes one sign of the source at a time (a `<` becomes a `<=`, a number one more, an argument
`None`) and runs the tests of that package; a change that no test notices survived. Each package is mutated in
a copy of its own under `build/mutants/`, with the package's own tests: the whole suite for each of thousands
of mutants would take days. A second call goes on where the first one stopped; `--fresh` begins again.
Survivors take most of the time, since every test of a function runs before it is known to have survived.

    python benchmarks/mutants.py formats|training|inference [--only NAME] [--fresh] [--list]

It ends with one line for each survivor, the counts, and the share that was killed; `--show MUTANT` prints
the diff of one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
COPIED = ("src", "tests", "benchmarks", "core", "docs", "examples", "README.md", "CHANGELOG.md", "Makefile")


@dataclass(frozen=True)
class Package:
    """What is mutated, and the tests that must notice."""

    mutated: tuple[str, ...]
    tests: tuple[str, ...]


PACKAGES = {
    "formats": Package(("formats/*.py",), ("tests/formats",)),
    "training": Package(
        tuple(
            f"training/{name}.py"
            for name in ("guard", "keep_best", "recovery", "refusals", "resume", "rhythm", "run_state")
        ),
        (
            "tests/training",
            "tests/faults/test_resume.py",
            "tests/faults/test_resume_guards.py",
            "tests/faults/test_resume_rollbacks.py",
        ),
    ),
    "inference": Package(
        tuple(f"inference/{name}.py" for name in ("alert", "batch", "state")),
        (
            "tests/inference",
            "tests/test_copies.py",
            "tests/test_model_batch.py",
            "tests/test_model_scores.py",
        ),
    ),
}
KILLED = {
    1: "killed",
    3: "killed",
    -24: "timeout",
    24: "timeout",
    36: "timeout",
    152: "timeout",
    255: "timeout",
}
WORDS = {0: "survived", 5: "no test", 33: "no test", 34: "skipped", None: "not run"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", choices=PACKAGES)
    parser.add_argument("--only", default="*", help="mutants whose name begins so: model_file.x_write")
    parser.add_argument("--sample", type=int, help="run so many of them, drawn by chance, the same each time")
    parser.add_argument("--children", type=int, default=1, help="mutants at a time")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--list", action="store_true", help="print the results there are; run nothing")
    parser.add_argument("--show", metavar="MUTANT", help="print one mutant's diff; run nothing")
    wanted = parser.parse_args()
    folder = HERE / "build" / "mutants" / wanted.package
    if wanted.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    if wanted.show:
        return subprocess.run([*mutmut(), "show", wanted.show], cwd=folder, check=False).returncode
    if not wanted.list:
        prepare(folder, PACKAGES[wanted.package])
        command = [*mutmut(), "run", "--max-children", str(wanted.children)]
        # Tests that start Python must find the mutated package, too.
        environment = {**os.environ, "PYTHONPATH": str(folder / "mutants" / "src")}
        beginning = f"pantoum.{wanted.package}." + wanted.only.rstrip("*")
        if wanted.sample is not None:
            if not results(folder):  # a name that there is none of: mutants are made, and none is run
                subprocess.run([*command, "none"], cwd=folder, env=environment, check=False)
            names = sorted(name for name in results(folder) if name.startswith(beginning))
            command += random.Random(0).sample(names, min(wanted.sample, len(names)))
        elif wanted.only != "*":
            command.append(f"{beginning}*")
        subprocess.run(command, cwd=folder, env=environment, check=True)
    return report(folder)


def mutmut() -> list[str]:
    return [sys.executable, "-m", "mutmut"]


def prepare(folder: Path, package: Package) -> None:
    """Bring the copy up to date (files that did not change keep their times, and mutmut its results)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source, target = HERE / name, folder / name
        if source.is_dir():
            forget(source, target)
            ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
            shutil.copytree(source, target, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)
    shutil.rmtree(folder / "mutants" / "tests", ignore_errors=True)
    (folder / "mutants" / "src").mkdir(parents=True, exist_ok=True)  # Python forgets a path that is not there
    settings = {
        "source_paths": ["src"],
        "only_mutate": [f"src/pantoum/{pattern}" for pattern in package.mutated],
        "also_copy": [name for name in COPIED if name not in ("src", "tests")],
        "pytest_add_cli_args_test_selection": list(package.tests),
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-m", "not oracle and not slow"],
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    text = (HERE / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text("\n".join([text, "[tool.mutmut]", *lines, ""]), encoding="utf-8")


def forget(source: Path, target: Path) -> None:
    """Remove from the copy what is gone from the source."""
    for path in sorted(target.rglob("*.py")) if target.is_dir() else []:
        if not (source / path.relative_to(target)).exists():
            path.unlink()


def report(folder: Path) -> int:
    """Counts, the share that was killed, and the survivors."""
    found = results(folder)
    for name, what in found.items():
        if what not in ("killed", "timeout", "not run"):
            print(f"{what:<10}{name}")
    counts = Counter(found.values())
    ran = sum(counts.values()) - counts["not run"] - counts["skipped"]
    killed = counts["killed"] + counts["timeout"]
    print(dict(counts), f"{killed} of {ran} killed ({killed / max(1, ran):.1%})")
    return 0


def results(folder: Path) -> dict[str, str]:
    """What became of each mutant, by its name."""
    found: dict[str, str] = {}
    for path in sorted((folder / "mutants" / "src").rglob("*.meta")):
        codes = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        found.update(
            (name, KILLED.get(code) or WORDS.get(code, f"exit {code}")) for name, code in codes.items()
        )
    return found


if __name__ == "__main__":
    sys.exit(main())
