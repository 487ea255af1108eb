"""The progress line counts and estimates from Snakemake's events."""

from __future__ import annotations

import io
import logging
from pathlib import Path

from ecmpipe.progress import ProgressHandler


def record(**fields: object) -> logging.LogRecord:
    entry = logging.LogRecord("snakemake", logging.INFO, "", 0, "", None, None)
    entry.__dict__.update(fields)
    return entry


def handler(tmp_path: Path, monkeypatch) -> tuple[ProgressHandler, io.StringIO, list[float]]:
    clock = [0.0]
    monkeypatch.setattr("ecmpipe.progress.time.monotonic", lambda: clock[0])
    costs = tmp_path / "costs.csv"
    costs.write_text("rule,wall per job [s]\nfem_run,60\n")
    stream = io.StringIO()
    return ProgressHandler(tmp_path, costs, stream), stream, clock


def test_estimate_is_work_over_cores(tmp_path: Path, monkeypatch) -> None:
    progress, stream, clock = handler(tmp_path, monkeypatch)
    progress.emit(record(event="resources_info", cores=2))
    progress.emit(record(event="run_info", stats={"fem_run": 5, "all": 1, "total": 6}))
    progress.emit(record(event="job_info", jobid=1, rule_name="fem_run"))
    clock[0] = 120.0
    progress.emit(record(event="job_finished", job_id=1))
    line = stream.getvalue()
    assert line.startswith("[1/5] fem_run done in 120 s; 2.0 min so far")
    assert "about 4.0 min left" in line  # four jobs of 120 s on two cores, although the reference says 60 s


def test_a_rule_never_timed_is_said_to_be_unknown(tmp_path: Path, monkeypatch) -> None:
    progress, stream, clock = handler(tmp_path, monkeypatch)
    progress.emit(record(event="run_info", stats={"fem_run": 1, "md_tensile": 1, "total": 2}))
    progress.emit(record(event="job_info", jobid=1, rule_name="fem_run"))
    clock[0] = 60.0
    progress.emit(record(event="job_finished", job_id=1))
    assert "unknown (md_tensile never timed here)" in stream.getvalue()
