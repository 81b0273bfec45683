"""Runs cannot be mixed up: a folder that is replaced, another run's checkpoint."""

import contextlib
import json
import shutil
import signal

import pytest

from pantoum.errors import CheckpointError, RunError
from pantoum.formats import checkpoint


def content(folder):
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def wait_for_step(process, step):
    for line in process.stdout:
        if line.strip().isdigit() and int(line) >= step:
            return
    raise AssertionError(process.stderr.read())


@pytest.mark.parametrize("replaced", [True, False])
def test_a_run_whose_folder_is_replaced_or_gone_ends_and_touches_nothing(spawn, run, tmp_path, replaced):
    process = spawn("run", steps=100_000)
    wait_for_step(process, 5)
    process.send_signal(signal.SIGSTOP)
    shutil.rmtree(tmp_path / "run")
    if replaced:
        run("run", steps=9)
    before = content(tmp_path / "run")
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1 and "was removed or replaced while this command used it" in errors
    assert content(tmp_path / "run") == before
    if replaced:
        assert run("run", resume=True, steps=3).steps == 12


def test_a_checkpoint_of_another_run_is_refused(run, tmp_path):
    run("run", steps=9, stop_after=3)
    run("other", steps=9, stop_after=5)
    name = "step-00000005.safetensors"
    shutil.copy(tmp_path / "other" / "checkpoints" / name, tmp_path / "run" / "checkpoints" / name)
    with pytest.raises(CheckpointError, match="safetensors' belongs to another run; move it out"):
        run("run", resume=True)
    (tmp_path / "run" / "checkpoints" / name).unlink()
    assert run("run", resume=True).finished


def test_a_run_of_an_older_pantoum_and_a_copy_of_a_run_go_on(run, tmp_path):
    run("run", steps=9, stop_after=3)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    assert run("copy", resume=True).finished
    config = tmp_path / "run" / "config.json"
    config.write_text(json.dumps({k: v for k, v in json.loads(config.read_text()).items() if k != "run"}))
    found = checkpoint.newest(tmp_path / "run")
    state = {name: value for name, value in found.state.items() if name not in ("run", "good")}
    checkpoint.commit(tmp_path / "run", found.step, found.arrays, state)
    checkpoint.prune(tmp_path / "run", found.step, keep=1)
    assert run("run", resume=True).finished


def test_a_command_whose_lock_file_is_removed_ends_when_another_begins(spawn, run, tmp_path):
    process = spawn("run", steps=100_000)
    wait_for_step(process, 2)
    (tmp_path / "run" / ".lock").unlink()
    with contextlib.suppress(RunError, CheckpointError):
        run("run", resume=True, stop_after=3)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1 and "was removed or replaced while this command used it" in errors
