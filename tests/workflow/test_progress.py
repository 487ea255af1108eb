"""The progress line counts and estimates from Snakemake's events."""

from __future__ import annotations

import io
import logging
from pathlib import Path

from ecmpipe.install import describe
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
    return ProgressHandler(tmp_path, costs, 2, stream), stream, clock


def test_estimate_is_work_over_cores(tmp_path: Path, monkeypatch) -> None:
    progress, stream, clock = handler(tmp_path, monkeypatch)
    progress.emit(record(event="run_info", stats={"fem_run": 5, "all": 1, "total": 6}))
    progress.emit(record(event="job_info", jobid=1, rule_name="fem_run"))
    clock[0] = 120.0
    progress.emit(record(event="job_finished", job_id=1))
    plan, line = stream.getvalue().splitlines()
    assert plan == "5 steps to do, about 2.5 min left"
    assert line.startswith("[1/5] fem_run done in 120 s; 2.0 min so far")
    assert "about 4.0 min left" in line  # four jobs of 120 s on two cores, although the reference says 60 s


def test_a_rule_never_timed_is_said_to_be_unknown(tmp_path: Path, monkeypatch) -> None:
    progress, stream, clock = handler(tmp_path, monkeypatch)
    progress.emit(record(event="run_info", stats={"fem_run": 1, "md_tensile": 1, "total": 2}))
    progress.emit(record(event="job_info", jobid=1, rule_name="fem_run"))
    clock[0] = 60.0
    progress.emit(record(event="job_finished", job_id=1))
    assert "unknown (md_tensile never timed here)" in stream.getvalue()


def test_the_set_up_names_the_one_setting_only_when_gpu_packages_come() -> None:
    plain = describe({"torch": "2.13.0+cpu", "nvidia-ml-py3": "7.352.0", "numpy": "2.4.6"})
    heavy = describe({"torch": "2.13.0", "nvidia-cublas": "13", "triton": "3"})
    assert "PIP_EXTRA_INDEX_URL" not in plain and "CPU build" in plain
    assert "PIP_EXTRA_INDEX_URL" in heavy and "2 GPU packages" in heavy
