"""One line per finished job: how many are done, how long it took, about how long is left.

The estimate is (seconds of the jobs still to do, by rule) / (jobs at once). A rule's seconds per job come from the jobs of this run,
before that from the last run's benchmark files, before that from the reference run in ``workflow/costs.csv``, scaled by this
machine's pace so far. Where a rule has none of the three, the line says so instead of guessing.
"""

from __future__ import annotations

import csv
import logging
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import mean
from typing import TextIO


class ProgressHandler(logging.Handler):
    """Listens to Snakemake's log events and prints the progress; attached in ``workflow/rules/common.smk``."""

    def __init__(self, benchmarks: Path, reference: Path, jobs_at_once: int, stream: TextIO | None = None):
        super().__init__()
        self.expected = reference_costs(reference)
        self.last = benchmark_costs(benchmarks)
        self.stream = stream or sys.stderr
        self.todo: Counter[str] = Counter()
        self.rules: dict[int, str] = {}
        self.started: dict[int, float] = {}
        self.seconds: dict[str, list[float]] = {}
        self.began = time.monotonic()
        self.jobs_at_once = jobs_at_once
        self.total = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Follow one event; unknown ones pass by."""
        event = str(getattr(record, "event", ""))
        if event == "run_info" and not self.total:  # a dry run says it twice
            self.todo = Counter({rule: count for rule, count in record.stats.items() if rule not in ("total", "all")})
            self.total = sum(self.todo.values())
            if self.total:
                print(f"{self.total} steps to do, {self.estimate()}", file=self.stream, flush=True)
        elif event == "job_info":
            self.rules[record.jobid] = record.rule_name
            self.started[record.jobid] = time.monotonic()
        elif event == "job_finished":
            self._finish(record.job_id)

    def _finish(self, job: int) -> None:
        rule = self.rules.get(job, "")
        if rule not in self.todo:
            return
        spent = time.monotonic() - self.started.pop(job)
        self.seconds.setdefault(rule, []).append(spent)
        self.todo[rule] -= 1
        done = self.total - sum(self.todo.values())
        elapsed = (time.monotonic() - self.began) / 60
        line = f"[{done}/{self.total}] {rule} done in {spent:.0f} s; {elapsed:.1f} min so far, {self.estimate()}"
        print(line, file=self.stream, flush=True)

    def estimate(self) -> str:
        """How long the rest will take, in words."""
        costs = {rule: self._cost(rule) for rule, count in self.todo.items() if count > 0}
        unknown = sorted(rule for rule, cost in costs.items() if cost is None)
        if unknown:
            return f"time left unknown ({', '.join(unknown) if len(unknown) < 4 else f'{len(unknown)} rules'} never timed here)"
        running = sum(
            min(time.monotonic() - began, costs.get(self.rules[job]) or 0.0) for job, began in self.started.items() if job in self.rules
        )
        left = max(0.0, sum(cost * self.todo[rule] for rule, cost in costs.items()) - running)
        return f"about {left / self.jobs_at_once / 60:.1f} min left"

    def _cost(self, rule: str) -> float | None:
        if rule in self.seconds:
            return mean(self.seconds[rule])
        if rule in self.last:
            return self.last[rule]
        return self.expected[rule] * self._pace() if rule in self.expected else None

    def _pace(self) -> float:
        """This machine's seconds over the reference machine's, for the jobs finished so far."""
        here = sum(sum(times) for rule, times in self.seconds.items() if rule in self.expected)
        there = sum(len(times) * self.expected[rule] for rule, times in self.seconds.items() if rule in self.expected)
        return here / there if there > 30 else 1.0


def reference_costs(path: Path) -> dict[str, float]:
    """Wall seconds per job by rule of the reference run; empty when there is no such file."""
    if not path.is_file():
        return {}
    with open(path, encoding="utf-8") as stream:
        return {row["rule"]: float(row["wall per job [s]"]) for row in csv.DictReader(stream)}


def benchmark_costs(folder: Path) -> dict[str, float]:
    """Wall seconds per job by rule, from the benchmark files of the last run."""
    costs = {}
    for rule in folder.glob("*"):
        times = []
        for path in rule.glob("*.tsv"):
            with open(path, encoding="utf-8") as stream:
                times += [float(row["s"]) for row in csv.DictReader(stream, delimiter="\t")][:1]
        if times:
            costs[rule.name] = mean(times)
    return costs
