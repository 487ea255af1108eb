"""One line per finished job: how many are done, how long it took, about how long is left.

The estimate is (seconds of the jobs still to do) / (jobs at once). A job's seconds are those of its last run here
(Snakemake's benchmark files), else those of the reference run (``workflow/costs.csv``), scaled by the pace of the jobs
finished so far. Where a rule was never timed, the line says so instead of guessing.
"""

from __future__ import annotations

import csv
import logging
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TextIO


class ProgressHandler(logging.Handler):
    """Listens to Snakemake's log events and prints the progress; attached in ``workflow/rules/common.smk``."""

    def __init__(self, benchmarks: Path, reference: Path, jobs_at_once: int, stream: TextIO | None = None):
        super().__init__()
        self.costs = reference_costs(reference) | benchmark_costs(benchmarks)
        self.stream = stream or sys.stderr
        self.jobs_at_once = jobs_at_once
        self.todo: Counter[str] = Counter()
        self.left: dict[str, float | None] = {}  # reference seconds of a rule's jobs still to do
        self.running: dict[int, tuple[str, float | None, float]] = {}  # rule, reference seconds, start
        self.spent = self.expected = 0.0  # by finished jobs that have a reference
        self.began = time.monotonic()
        self.total = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Follow one event; unknown ones pass by."""
        event = str(getattr(record, "event", ""))
        if event == "run_info" and not self.total:  # a dry run says it twice
            self._plan(Counter({rule: count for rule, count in record.stats.items() if rule not in ("total", "all")}))
        elif event == "job_info" and record.rule_name in self.todo:
            cost = self.costs.get(str(record.benchmark), self._mean(record.rule_name))
            self.running[record.jobid] = (record.rule_name, cost, time.monotonic())
        elif event == "job_finished" and record.job_id in self.running:
            self._finish(*self.running.pop(record.job_id))

    def _plan(self, todo: Counter[str]) -> None:
        self.todo, self.total = todo, sum(todo.values())
        for rule, count in todo.items():
            known = self._known(rule)
            self.left[rule] = sum(known) * count / len(known) if known else None
        if self.total:
            print(f"{self.total} steps to do, {self.estimate()}", file=self.stream, flush=True)

    def _finish(self, rule: str, cost: float | None, started: float) -> None:
        spent = time.monotonic() - started
        self.todo[rule] -= 1
        if cost is not None:
            self.spent, self.expected = self.spent + spent, self.expected + cost
            self.left[rule] = max(0.0, (self.left[rule] or 0.0) - cost) if self.todo[rule] else 0.0
        done = self.total - sum(self.todo.values())
        elapsed = (time.monotonic() - self.began) / 60
        line = f"[{done}/{self.total}] {rule} done in {spent:.0f} s; {elapsed:.1f} min so far, {self.estimate()}"
        print(line, file=self.stream, flush=True)

    def estimate(self) -> str:
        """How long the rest will take, in words."""
        unknown = sorted(rule for rule, count in self.todo.items() if count > 0 and self.left[rule] is None)
        if unknown:
            return f"time left unknown ({', '.join(unknown) if len(unknown) < 4 else f'{len(unknown)} rules'} never timed here)"
        pace = self.spent / self.expected if self.expected > 30 else 1.0
        running = sum(min(time.monotonic() - started, cost or 0.0) for _, cost, started in self.running.values())
        left = max(0.0, sum(seconds or 0.0 for seconds in self.left.values()) * pace - running)
        return f"about {left / self.jobs_at_once / 60:.1f} min left"

    def _known(self, rule: str) -> list[float]:
        return [seconds for path, seconds in self.costs.items() if Path(path).parent.name == rule]

    def _mean(self, rule: str) -> float | None:
        known = self._known(rule)
        return sum(known) / len(known) if known else None


def reference_costs(path: Path) -> dict[str, float]:
    """Benchmark path -> wall seconds of the reference run; empty when there is no such file."""
    if not path.is_file():
        return {}
    with open(path, encoding="utf-8") as stream:
        return {row["benchmark"]: float(row["wall [s]"]) for row in csv.DictReader(stream)}


def benchmark_costs(folder: Path) -> dict[str, float]:
    """Benchmark path -> wall seconds of the last run."""
    costs = {}
    for path in folder.glob("*/*.tsv"):
        with open(path, encoding="utf-8") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                costs[str(path)] = float(row["s"])
    return costs
