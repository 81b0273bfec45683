"""A release begins with a tag that a maintainer has signed, and files that agree with it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = (".ci/tag", "pyproject.toml", "CHANGELOG.md", "CITATION.cff")
pytestmark = pytest.mark.skipif(
    not (shutil.which("git") and shutil.which("ssh-keygen")), reason="git or ssh-keygen is missing"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with the files that the check reads, ready for release."""
    folder = tmp_path / "project"
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    version = re.findall(r'^version = "(.*)"$', (folder / "pyproject.toml").read_text(), re.MULTILINE)[0]
    golden = folder / "tests" / "golden" / version
    golden.mkdir(parents=True)
    (golden / "expected.json").write_text("{}")
    change(folder, "CHANGELOG.md", r"## \[Unreleased\]", f"## [{version}] - 2027-01-02")
    change(folder, "CITATION.cff", r"date-released: \S+", "date-released: 2027-01-02")
    change(folder, "pyproject.toml", "/OWNER/", "/somebody/")
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    (folder / ".github").mkdir()
    (folder / ".github" / "allowed_signers").write_text(
        f"me@example.org {key.with_suffix('.pub').read_text()}"
    )
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "ready")
    git(folder, "tag", f"v{version}", "-s", "-m", "release", signed_by=key)
    return folder


def git(folder: Path, *command: str, signed_by: Path | None = None) -> None:
    settings = ["user.name=me", "user.email=me@example.org", "gpg.format=ssh", f"user.signingkey={signed_by}"]
    subprocess.run(
        ["git", *(part for one in settings for part in ("-c", one)), *command],
        cwd=folder, check=True, env={**os.environ, "HOME": str(folder.parent), "GIT_CONFIG_NOSYSTEM": "1"},
    )  # fmt: skip


def change(folder: Path, name: str, pattern: str, new: str) -> None:
    text, count = re.subn(pattern, new, (folder / name).read_text("utf-8"), count=1)
    assert count == 1
    (folder / name).write_text(text, "utf-8")


def checked(folder: Path, *words: str) -> tuple[int, str]:
    command = [sys.executable, str(folder / ".ci" / "tag"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    return done.returncode, done.stdout


def tag_of(folder: Path) -> str:
    return subprocess.run(["git", "tag"], cwd=folder, capture_output=True, text=True).stdout.strip()


def test_a_signed_tag_of_files_that_agree_may_be_released(project: Path) -> None:
    tag = tag_of(project)
    assert checked(project, tag) == (0, f"{tag} may be released\n")
    status, notes = checked(project, "--notes", tag)
    assert status == 0 and "### Added" in notes and "## [" not in notes


def test_a_tag_that_nobody_signed_is_refused(project: Path) -> None:
    tag = tag_of(project)
    git(project, "tag", "-f", "-a", tag, "-m", "not signed")
    status, said = checked(project, tag)
    assert status == 1 and f"{tag} is not signed by a key of .github/allowed_signers" in said


def test_a_tag_of_a_stranger_is_refused(project: Path, tmp_path: Path) -> None:
    stranger, tag = tmp_path / "stranger", tag_of(project)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger], check=True)
    git(project, "tag", "-f", "-s", tag, "-m", "release", signed_by=stranger)
    assert checked(project, tag)[0] == 1


@pytest.mark.parametrize(
    ("name", "pattern", "new", "said"),
    [
        ("pyproject.toml", r'\nversion = ".*"', '\nversion = "9.9.9"', "is not the version of"),
        ("pyproject.toml", "/somebody/", "/OWNER/", "placeholder"),
        ("CHANGELOG.md", r"## \[[\d.]+\] - \S+", "## [Unreleased]", "has no part"),
        ("CITATION.cff", r"date-released: \S+", "date-released: 2020-01-01", "CITATION.cff has the date"),
    ],
)  # fmt: skip
def test_files_that_do_not_agree_are_named(
    project: Path, name: str, pattern: str, new: str, said: str
) -> None:
    change(project, name, pattern, new)
    status, out = checked(project, tag_of(project))
    assert status == 1 and said in out


def test_a_version_needs_its_golden_files(project: Path) -> None:
    shutil.rmtree(project / "tests")
    status, said = checked(project, tag_of(project))
    assert status == 1 and "tests/golden has no files" in said
