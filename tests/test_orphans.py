"""A start beside jobs that an earlier one left behind; the real ones are in tests/slurm."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ecmpipe.errors import SettingsError
from ecmpipe.orphans import refuse_orphans, warn_of_lost_records


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a `squeue` on the path that prints the lines it is given."""

    def show(*lines: str, code: int = 0) -> None:
        program = tmp_path / "bin" / "squeue"
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\ncat <<'END'\n" + "\n".join(lines) + f"\nEND\nexit {code}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    return show


def test_jobs_of_this_folder_are_named_with_what_ends_them(queue, tmp_path: Path) -> None:
    queue(f"7|ecmpipe_a|{tmp_path}", f"8|ecmpipe_b|{tmp_path}/bin", f"9|ecmpipe_b|{tmp_path}")
    with pytest.raises(SettingsError, match="7, 9.*scancel 7 9"):
        refuse_orphans(tmp_path)


def test_a_job_of_another_name_or_folder_is_let_be(queue, tmp_path: Path) -> None:
    queue(f"7|interactive|{tmp_path}", f"8|ecmpipe_a|{tmp_path}/bin", "")
    refuse_orphans(tmp_path)


def test_without_slurm_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    refuse_orphans(tmp_path)


def test_the_job_that_snakemake_itself_runs_in_is_none(queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue(f"7|ecmpipe_a|{tmp_path}")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    refuse_orphans(tmp_path)


def test_a_queue_that_cannot_be_asked_stops_only_what_submits(queue, tmp_path: Path) -> None:
    queue(code=1)
    refuse_orphans(tmp_path)
    with pytest.raises(SettingsError, match="does not answer"):
        refuse_orphans(tmp_path, submits=True)


def test_results_without_snakemakes_record_are_said(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    warn_of_lost_records(tmp_path)
    (tmp_path / "results/benchmarks/fem_run").mkdir(parents=True)
    (tmp_path / "results/benchmarks/fem_run/a.tsv").touch()
    records = tmp_path / ".snakemake/metadata"
    records.mkdir(parents=True)
    (records / "x").touch()
    warn_of_lost_records(tmp_path)
    assert not capsys.readouterr().err
    (records / "x").unlink()
    warn_of_lost_records(tmp_path)
    assert "--forceall" in capsys.readouterr().err
