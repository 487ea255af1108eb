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
    costs.write_text("benchmark,wall [s]\nresults/benchmarks/fem_run/a.tsv,30\nresults/benchmarks/fem_run/b.tsv,90\n")
    stream = io.StringIO()
    return ProgressHandler(tmp_path, costs, 2, stream), stream, clock


def test_estimate_is_work_over_cores(tmp_path: Path, monkeypatch) -> None:
    progress, stream, clock = handler(tmp_path, monkeypatch)
    progress.emit(record(event="run_info", stats={"fem_run": 2, "all": 1, "total": 3}))
    progress.emit(record(event="job_info", jobid=1, rule_name="fem_run", benchmark="results/benchmarks/fem_run/b.tsv"))
    clock[0] = 180.0
    progress.emit(record(event="job_finished", job_id=1))
    plan, line = stream.getvalue().splitlines()
    assert plan == "2 steps to do, about 1.0 min left"
    assert line.startswith("[1/2] fem_run done in 180 s; 3.0 min so far")
    assert "about 0.5 min left" in line  # the job of 30 s is left, at half the reference's pace, on two cores


def test_a_rule_never_timed_is_said_to_be_unknown(tmp_path: Path, monkeypatch) -> None:
    progress, stream, clock = handler(tmp_path, monkeypatch)
    progress.emit(record(event="run_info", stats={"fem_run": 1, "md_tensile": 1, "total": 2}))
    progress.emit(record(event="job_info", jobid=1, rule_name="fem_run", benchmark="results/benchmarks/fem_run/b.tsv"))
    clock[0] = 60.0
    progress.emit(record(event="job_finished", job_id=1))
    assert "unknown (md_tensile never timed here)" in stream.getvalue()


def test_the_set_up_names_the_one_setting_only_when_gpu_packages_come() -> None:
    plain = describe({"torch": "2.13.0+cpu", "nvidia-ml-py3": "7.352.0", "numpy": "2.4.6"})
    heavy = describe({"torch": "2.13.0", "nvidia-cublas": "13", "triton": "3"})
    assert "PIP_EXTRA_INDEX_URL" not in plain and "CPU build" in plain
    assert "PIP_EXTRA_INDEX_URL" in heavy and "2 GPU packages" in heavy
