"""The project is written in plain technical English: no private word stands where the field has a term.

    python tests/test_english.py --list                  every finding in the project
    python tests/test_english.py --list src/pantoum/cli  only what is found there
    python tests/test_english.py --count                 how many findings each package and folder has

The test covers every Markdown file that git tracks and the source trees in ``SOURCES``. In Python it searches
docstrings, comments, strings (messages, help) and public names: functions, classes, parameters, attributes
and files; in C++, comments.

A word is refused only in the sense that the field calls otherwise: "look up", "the test passes", "room for",
"a backward pass" and "``math.floor``" are good English.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES: tuple[str, ...] = ("src", "core", "examples", "tests", "benchmarks")
"""Source trees that are searched besides the pages."""


ONE = r"(?:an?|one|two|three|four|each|every|no|the|its|their|another|last|next|first)"
WORD = r"(?:tokens?|characters?|words?|lines?|bytes?|targets?|symbols?|units?|pieces?|\w+ token)"
PER = (
    r"(?:row|weight|command|operation|token|stream|line|report|platform|step|layer|record|unit|gate|document)"
)

PHRASES: tuple[tuple[str, str], ...] = (
    (r"held[- ]out loss(?:es)?", "validation loss"),
    (
        rf"{ONE} (?:held-out )?looks?(?! ?-?(?:up|at|like|ahead|back)\b)",
        "evaluation (noun: 'a look', 'the last look')",
    ),
    (r"(?:held-out|fewer|more|between|such|these|those|dozen|\d+) looks", "evaluations"),
    (r"looks (?:take|took|use|cost|may|while|were|are|in|of|see|with)", "evaluations"),
    (r"(?:[\d.,]+\)?|repeated|many|more|so many) passes", "epochs"),
    (r"passes over (?:the|a|its|this|that|all|[\d{])[^.]{0,20}(?:text|tokens?|data|it)", "epochs"),
    (r"(?:updates|offset|times) an? pass|another pass(?! over)|end of (?:a|the) pass", "epoch"),
    (rf"(?:nats|bits) an? {WORD}", "nats per token, bits per byte"),
    (
        r"(?:tokens|characters|words|bytes|operations|frames|times|updates|steps|texts|requests|calls|records"
        r"|samples|targets|lines|GB|MB) an? (?:second|minute|hour)",
        "per second, per minute",
    ),
    (
        r"(?:one|an?|two|\d+) (?:JSON )?(?:scale|number|size|file|object|line|row|wheel|entry|call|bias)"
        rf"e?s? an? {PER}",
        "one X per Y",
    ),
    (r"ways? back", "backward pass"),
    (r"(?<!hard )(?<!disk )(?<!flash )drives?(?!'s| (?:the|a|an|it|this|them)\b)", "input projection"),
    (
        r"candidate's inner|(?:the|its|whose) inner(?! (?:product|loop|function|parts))",
        "hidden projection of the candidate",
    ),
    (r"twins?", "reference implementation; of a session: copy, fork"),
    (r"(?<!pantoum\.)(?<![`/\"])seams?(?![.`\"])", "interface"),
    (
        r"(?:Muon's|Newton-Schulz|two|three|four|five|fewer) rounds?|rounds? of (?:Newton|Muon)",
        "Newton-Schulz iterations",
    ),
    (
        r"models?,? (?:trained |kept |standing )?side by side|members side by side|stands? side by side",
        "an ensemble of K members",
    ),
    (r"kept as one(?! \w)", "an ensemble, joined into one model"),
    (r"(?:the|our|this) house(?:'s)?", "architecture, project"),
    (r"rooms|(?:the|each|every|one|this|that) room(?! (?:for|to|that))", "packages"),
    (r"floors|(?:the|each|every|one|lower|upper|lowest|same|this) floor(?! (?:of|under|at|for)\b)", "layers"),
    (r"affairs?", "say who does it"),
    (
        r"(?:is|are|stays?) (?:always )?(?:the |an? )?`?[\w.]+`?'s(?=[.;,:])",
        "name the owner as subject: 'X handles Y'",
    ),
    (r"ours so", "ours under the same limit"),
    (r"logits that are given", "`given_NV` is added to the logits"),
    (r"is what [\w' ]{1,20} (?:say|says) by themselves", "n-gram logits"),
)
PATTERNS = tuple((re.compile(rf"(?<![\w-])(?:{p})(?![\w-])", re.IGNORECASE), say) for p, say in PHRASES)

NAMES: dict[str, str] = {
    "upkeep": "evaluation and checkpoints",
    "twin": "reference",
    "drive": "input projection",
    "drives": "input projection",
    "inner": "hidden projection",
    "house": "project",
    "floors": "layers",
    "rooms": "packages",
    "passes": "epochs",
    "look": "evaluate",
    "looks": "evaluations",
}
"""Words that no public name holds, and what to say. ``look_up`` and ``lookup`` are good names."""

WHOLE_NAMES = ("Beside", "Whole", "Alone", "hear_saver", "rest()")
"""Names that do not say what they name; a method ``rest`` that frees memory, not a remainder."""


class Finding(NamedTuple):
    path: str
    line: int
    found: str
    say: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.found!r}: say {self.say}"


def tracked(*patterns: str) -> list[str]:
    """Files that git knows or would add, relative to the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("not a git checkout: the files of the project are not known")
    return [name for name in sorted(set(found.stdout.splitlines())) if (ROOT / name).is_file()]


def in_text(path: str, text: str, first_line: int = 1) -> Iterator[Finding]:
    """Findings in prose. A phrase may be broken over two lines, with a comment sign between."""
    joined = re.sub(r"\n[ \t]*(?:#|//|>|\|)?[ \t]*", lambda m: "\n" + " " * (len(m[0]) - 1), text)
    flat = re.sub(r"\s", " ", joined)
    squeezed, places = _squeeze(flat)
    for pattern, say in PATTERNS:
        for match in pattern.finditer(squeezed):
            line = first_line + joined.count("\n", 0, places[match.start()])
            yield Finding(path, line, match[0], say)


def _squeeze(flat: str) -> tuple[str, list[int]]:
    """Runs of spaces as one, and where each character of the result stood."""
    kept = [i for i, c in enumerate(flat) if c != " " or i == 0 or flat[i - 1] != " "]
    return "".join(flat[i] for i in kept), kept


def in_python(path: str, source: str) -> Iterator[Finding]:
    """Findings in comments, strings and public names of a module."""
    parts: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind in ("STRING", "FSTRING_MIDDLE"):
            parts.append((token.start[0], token.string))
        elif kind == "COMMENT":
            if (
                parts
                and parts[-1][1].startswith("#")
                and parts[-1][0] + parts[-1][1].count("\n") == token.start[0] - 1
            ):
                parts[-1] = (parts[-1][0], parts[-1][1] + "\n" + token.string)
            else:
                parts.append((token.start[0], token.string))
    for line, text in parts:
        yield from in_text(path, text, line)
    stem = Path(path).stem
    yield from _name(path, 1, stem)
    yield from _names(path, ast.parse(source).body)


def _names(path: str, body: list[ast.stmt]) -> Iterator[Finding]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if node.name.startswith("_") and not node.name.startswith("__"):
                continue
            yield from _name(path, node.lineno, node.name)
            if not isinstance(node, ast.ClassDef) and not node.decorator_list:
                yield from _name(path, node.lineno, node.name + "()")
            if isinstance(node, ast.ClassDef):
                yield from _names(path, node.body)
            else:
                arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                for argument in arguments:
                    yield from _name(path, argument.lineno, argument.arg)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for name in (n for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)):
                yield from _name(path, node.lineno, name.id)


def _name(path: str, line: int, name: str) -> Iterator[Finding]:
    if name in WHOLE_NAMES:
        yield Finding(path, line, name, "what it is or does")
    if name.startswith("_") or name.endswith("()"):
        return
    words = [w.lower() for w in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in NAMES and (word, following) != ("look", "up"):
            yield Finding(path, line, name, NAMES[word])


def in_cpp(path: str, source: str) -> Iterator[Finding]:
    """Findings in comments."""
    for match in re.finditer(r"(?:[ \t]*//[^\n]*\n?)+|/\*.*?\*/", source, re.DOTALL):
        yield from in_text(path, match[0], 1 + source.count("\n", 0, match.start()))


def findings(path: str) -> list[Finding]:
    """Everything found in one file."""
    text = (ROOT / path).read_text("utf-8")
    if path == "tests/test_english.py":
        return []
    if path.endswith(".py"):
        return sorted(in_python(path, text), key=lambda f: f.line)
    if path.endswith((".cpp", ".h")):
        return list(in_cpp(path, text))
    return sorted(in_text(path, text), key=lambda f: f.line)


def covered() -> list[str]:
    """Files that must have no findings."""
    code = [p for p in tracked(*SOURCES) if p.endswith((".py", ".cpp", ".h"))] if SOURCES else []
    return tracked("*.md") + code


def test_no_private_word() -> None:
    found = [finding for path in covered() for finding in findings(path)]
    assert not found, "\n" + "\n".join(map(str, found))


@pytest.mark.parametrize(
    "text",
    [
        "1.38 nats a character", "The held-out\nloss falls.", "a last look takes 2 s", "Looks use bf16.",
        "after 3.5 passes", "what the way back needs", "the sum of all drives", "the NumPy twin",
        "four Newton-Schulz rounds", "3 models side by side", "behind one seam", "one file a command",
        "the floors under it", "That is the guard's affair.", "A full disk is `formats.durable`'s.",
        "80,000 tokens a second", "a table of two rooms",
    ],
)  # fmt: skip
def test_a_private_word_is_found(text: str) -> None:
    assert list(in_text("page.md", text))


@pytest.mark.parametrize(
    "text",
    [
        "look up the row", "the table look-up", "the test passes", "the backward pass",
        "one pass over the text", "its passes stay in the cache", "in the drive's cache",
        "there is room for a list", "math.floor(x)", "the bytes a token adds",
        "runs side by side",
        "a round number", "the state passes through", "a look at the report", "seconds a run takes",
        "a hard drive",
        "it is the user's text.", "1.38 nats per character", "it takes a second",
        "what drives the cost", "a pass over the array",
    ],
)  # fmt: skip
def test_good_english_is_left_alone(text: str) -> None:
    assert not list(in_text("page.md", text))


def test_names_are_searched() -> None:
    source = """
class Upkeep:
    remainder: int
    def rest(self): ...
    def look(self): ...
    def look_up(self): ...
"""
    assert [f.found for f in in_python("a.py", source)] == ["Upkeep", "rest()", "look"]


def main(arguments: list[str]) -> int:
    """List or count findings, in the given files and folders or everywhere."""
    where = [a for a in arguments if not a.startswith("-")] or [
        "src",
        "core",
        "docs",
        "tests",
        "benchmarks",
        "examples",
        "*.md",
    ]
    files = [p for p in tracked(*where) if p.endswith((".py", ".md", ".cpp", ".h"))]
    found = [finding for path in files for finding in findings(path)]
    if "--count" in arguments:
        folders = Counter(
            "/".join(f.path.split("/")[:3]) if f.path.startswith("src") else f.path.split("/")[0]
            for f in found
        )
        for folder, n in sorted(folders.items()):
            print(f"{n:6} {folder}")
    else:
        print("\n".join(map(str, found)))
    print(f"{len(found)} findings in {len(files)} files", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
