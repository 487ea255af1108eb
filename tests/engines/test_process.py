"""What a child that starts MPI inherits, and folders that one process works in."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from ecmpipe.engines.process import hold, own_mpi
from ecmpipe.errors import EngineError


def test_a_child_leaves_the_step_it_is_started_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    step = {"PMI_FD": "9", "PMIX_RANK": "0", "SLURM_STEP_ID": "0", "SLURM_NNODES": "1", "SLURM_CPU_BIND": "quiet"}
    for name, value in (step | {"SLURM_NTASKS": "32"}).items():
        monkeypatch.setenv(name, value)
    found = own_mpi()
    assert not step.keys() & found.keys() and found["SLURM_NTASKS"] == "32" and found["PATH"] == os.environ["PATH"]
    assert "SLURM_OVERLAP" not in found
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert own_mpi()["SLURM_OVERLAP"] == "1"


def test_a_folder_is_held_until_it_is_let_go(tmp_path: Path) -> None:
    first = hold(tmp_path / "work")
    with pytest.raises(EngineError, match="work: another process works in this folder"):
        hold(tmp_path / "work")
    first.close()
    hold(tmp_path / "work").close()


def test_a_file_system_without_locks_is_said_and_used(tmp_path: Path, monkeypatch, capsys) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    hold(tmp_path).close()
    assert "no lock to be had here" in capsys.readouterr().err
