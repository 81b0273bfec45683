"""``pantoum generate``: a model continues a prompt or a saved state."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pantoum.cli.options import add_model, add_settings, given
from pantoum.cli.output import Output, is_terminal
from pantoum.config import GenerationConfig, SamplingConfig, require
from pantoum.config.launcher import require_own_stdin
from pantoum.errors import SettingError

if TYPE_CHECKING:
    from pantoum.inference.after_prompts import WrittenTexts

EXAMPLES = """examples:
  pantoum generate runs/book --prompt "Once upon" --length 300 --seed 1
  pantoum generate runs/names --count 20 --temperature 1 --unique --novel
  pantoum generate runs/book --prompts openings.txt --length 100
  pantoum generate runs/names --prompt "Ma" --count 200 --n-best 10
  pantoum generate runs/names --count 20 --matching "[A-Z][a-z]{3,7}"
  pantoum generate runs/book --matching "[A-Z][a-z]+( [a-z]+)*[.]" --length 80
  pantoum generate runs/book --prompt "A" --state-out a.state
  pantoum generate runs/book --state-in a.state
  pantoum generate runs/book --prompt - --adapt --model-out mine.safetensors < letters.txt
"""


LONGEST_PROMPT = 32 << 20
"""Bytes; a prompt takes some eleven times its size while it is encoded and printed."""
FORM_FILES = {"json_schema", "grammar"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_model(parser)
    parser.add_argument(
        "--prompt",
        default="",
        metavar="P",
        help="text to continue; - reads it from stdin (default: a new line)",
    )
    parser.add_argument(
        "--prompts",
        metavar="FILE",
        help="a file with a prompt per line, all continued in parallel; in a .jsonl file each line is a JSON "
        "string",
    )
    add_settings(parser, GenerationConfig)
    add_settings(parser, SamplingConfig)
    parser.add_argument("--state-in", metavar="F", help="continue from this saved state")
    parser.add_argument(
        "--state-out", metavar="F", help="save the state after the text; with --adapt give --model-out, too"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object when the text is complete")


def run(arguments: argparse.Namespace, output: Output) -> None:
    """Print the text while it is generated; then save the state."""
    how_much = GenerationConfig(**given(arguments, GenerationConfig))
    typed = given(arguments, SamplingConfig)
    read = _forms(typed)
    with _by_name(typed):
        sampling = SamplingConfig(**read)
    if arguments.state_out is not None:
        _require_one_state(arguments, how_much)
    prompts = [_prompt(arguments.prompt)] if arguments.prompts is None else _prompts(arguments)

    from pantoum import State, load
    from pantoum.texts import printable

    model = load(arguments.model)
    if arguments.state_out is not None:
        model.require_apart("state_out", arguments.state_out)
    state = State.read(arguments.state_in) if arguments.state_in is not None else None
    with _by_name(typed):
        writing = model.generation(prompts, how_much, sampling, state=state)
    if how_much.seed is None:
        output.say(f"pantoum: repeat with --seed {writing.seed}")
    prompts = [printable(prompt) for prompt in prompts]
    if arguments.json:
        for _ in writing:
            pass
        output.json(_answer(writing, prompts, together=arguments.prompts is not None))
    else:
        border = "\n" if model.documents == "lines" else "\n---\n"
        _print(writing, prompts, border, output, ranked=how_much.n_best is not None)
    if arguments.state_out is not None:
        state = writing.state()
        state.write(arguments.state_out)
        if how_much.cache is not None:
            output.say(f"pantoum: the state contains the cache: {len(bytes(state)):,} bytes")


def _require_one_state(arguments: argparse.Namespace, how_much: GenerationConfig) -> None:
    """A state is that of one text, and belongs to the weights that made it: those of an adapted model must be
    saved, too."""
    model_out, out = how_much.model_out, arguments.state_out
    many = "those of --prompts" if arguments.prompts is not None else f"--count {how_much.count}"
    one = arguments.prompts is None and how_much.count == 1
    rule, advice = f"saves the state of one text, not of {many}", "leave one of the two out"
    require(one, "state_out", out, rule, advice)
    rule = "would be the state of an adapted model, which is not saved"
    advice = "give --model-out FILE too, which saves that model, or leave --state-out out"
    require(not how_much.adapt or model_out is not None, "state_out", out, rule, advice)
    same = model_out is not None and Path(model_out).resolve() == Path(out).resolve()
    require(not same, "state_out", out, "is also the file of --model-out", "give two different files")


def _prompt(text: str) -> str:
    if text != "-":
        return text
    require_own_stdin()
    data = sys.stdin.buffer.read(LONGEST_PROMPT + 1) if sys.stdin is not None else b""
    rule = f"may have at most {LONGEST_PROMPT:,} bytes on stdin, and there are more"
    advice = "give its end (tail -c 1000000 FILE), or let the model read all of it with "
    advice += "`pantoum evaluate MODEL FILE --adapt --model-out NEW`"
    require(len(data) <= LONGEST_PROMPT, "prompt", text, rule, advice)
    return data.decode("utf-8", "surrogateescape")


def _prompts(arguments: argparse.Namespace) -> list[str]:
    """The prompts of a file."""
    rule = "cannot be given together with --prompts"
    require(not arguments.prompt, "prompt", arguments.prompt, rule, "leave one of the two out")
    from pantoum.texts import lines

    return lines(arguments.prompts, "prompts", LONGEST_PROMPT)


def _forms(typed: dict[str, Any]) -> dict[str, Any]:
    """What files say of the form of a text, in the place of their names."""
    if not typed.keys() & {"json_schema", "grammar", "choices"}:
        return typed
    from pantoum.texts import lines, whole_text

    read = dict(typed)
    for name in read.keys() & FORM_FILES:
        read[name] = whole_text(read[name], name)
    if "choices" in read:
        read["choices"] = [line for file in read["choices"] for line in lines(file, "choices")]
    return read


@contextlib.contextmanager
def _by_name(typed: Mapping[str, Any]) -> Iterator[None]:
    """What is wrong with what a file says is said of the file, not of all its text."""
    try:
        yield
    except SettingError as error:
        name = error.argument
        if name not in {*FORM_FILES, "choices"} or name not in typed:
            raise
        files = typed[name]
        file = files[0] if not isinstance(files, str) and len(files) == 1 else files
        raise error.of(name, file) from None


def _answer(writing: WrittenTexts, prompts: Sequence[str], *, together: bool) -> dict[str, object]:
    """The JSON object: the texts of one prompt, or, where a file of prompts was given, those of each."""
    texts: list[list[object]] = [[] for _ in prompts]
    for t in writing.texts:
        texts[t.prompt].append({"text": t.text, "tokens": t.tokens, "nats": t.nats, "stopped": t.stopped})
    if not together:
        return {"prompt": prompts[0], "seed": writing.seed, **writing.rejected, "texts": texts[0]}
    pairs = zip(prompts, texts, strict=True)
    each = [{"prompt": prompt, "texts": own} for prompt, own in pairs]
    return {"seed": writing.seed, **writing.rejected, "prompts": each}


def _print(
    writing: WrittenTexts, prompts: Sequence[str], border: str, output: Output, *, ranked: bool
) -> None:
    """Print the texts one after the other: the first that is not finished streams. Before each of ``ranked``
    texts stands its log-probability."""
    show: Callable[[str], str] = str
    terminal = is_terminal(sys.stdout)
    if terminal:
        from pantoum.report.escape import visible

        show = visible
    texts, shown, waiting = writing.texts, -1, dict[int, list[str]]()

    def start() -> None:
        """The next text, as far as it is written."""
        nonlocal shown
        shown += 1
        text = texts[shown]
        rank = f"{-text.nats:.3f}\t" if ranked else ""
        output.write(show((border if shown else "") + rank + prompts[text.prompt]))
        for piece in waiting.pop(shown, []):
            output.write(show(piece))

    for piece in writing:  # where no text can be written this raises, before anything is printed
        if shown < 0:
            start()
        if piece.index == shown:
            output.write(show(piece.text))
        else:
            waiting.setdefault(piece.index, []).append(piece.text)
        while shown + 1 < len(texts) and writing.finished(shown):
            start()
    while shown + 1 < len(texts):
        start()
    if terminal:
        output.write("\n")
