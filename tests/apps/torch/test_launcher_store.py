"""What the launcher's store remembers of a job, from one start of its processes to the next."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import pantoum
from pantoum.errors import RunError

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]


@pytest.fixture
def started(torch: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``started(restarts)``: this process is one that ``torchrun`` has started, again so many times."""
    from torch.distributed import TCPStore

    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=20))
    monkeypatch.delenv("PANTOUM_LAUNCHER", raising=False)

    def again(restarts: int, job: str = "job") -> None:
        for name, value in {
            "TORCHELASTIC_RUN_ID": job, "TORCHELASTIC_USE_AGENT_STORE": "True",
            "TORCHELASTIC_RESTART_COUNT": str(restarts), "TORCHELASTIC_MAX_RESTARTS": "3",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "WORLD_SIZE": "1", "RANK": "0",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)

    return again


def test_a_restarted_process_goes_on_with_the_run_of_its_job(started: Any, tmp_path: Path) -> None:
    text = tmp_path / "räin.txt"
    text.write_text("the rain in the plain falls again and again on the train\n" * 30)
    asked = {"hidden_size": 9, "num_layers": 1, "batch_size": 2, "seq_len": 8, "steps": 8}
    run = str(tmp_path / "rün")

    def fails(record: Any) -> None:
        raise MemoryError("the process ends")

    started(0)
    with pytest.raises(MemoryError):
        pantoum.train(str(text), run=run, checkpoint_every=100, on_report=fails, **asked)
    started(1)
    done = pantoum.train(str(text), run=run, checkpoint_every=2, **asked)
    assert done.result.finished and done.result.steps == 8
    started(1, job="another")
    with pytest.raises(RunError, match="exists already"):
        pantoum.train(str(text), run=run, **asked)


def test_a_store_that_nobody_keeps_is_done_without(
    torch: Any, started: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pantoum.apps.torch import ranks

    monkeypatch.setattr(ranks, "STORE_PATIENCE", 1.0)
    started(1)
    assert ranks.torchrun_job() is not None and ranks.may_restart()
    monkeypatch.setenv("MASTER_PORT", "1")
    assert ranks.torchrun_job() is None
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "0")
    assert not ranks.may_restart()
