"""Time that a job has left, and the sizes that the scheduler is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecmpipe import cost, deadline
from ecmpipe.deadline import Deadline
from ecmpipe.settings import read_settings


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(deadline.time, "monotonic", lambda: now[0])
    monkeypatch.setenv("ECMPIPE_IN_JOB", "1")
    return now


def test_it_leaves_room_for_the_longest_piece(clock: list[float]) -> None:
    end = Deadline(10)  # 600 s
    for seconds, room in ((100, True), (150, True), (150, False)):  # at last 200 s are left, 30 for the end and 1.5 x 150 for a piece
        clock[0] += seconds
        assert end.lap() is room
    assert "10 minutes" in end.words


def test_without_minutes_or_scheduler_it_never_ends(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    endless = Deadline()
    monkeypatch.delenv("ECMPIPE_IN_JOB")
    local = Deadline(1)
    clock[0] += 1e9
    assert endless.lap() and local.lap()


def test_minutes_and_memory_follow_the_size(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    files = [root / "inputs/parameters.yaml", root / "inputs/default.yaml"]
    small, paper = read_settings(files), read_settings([*files, root / "inputs/paper.yaml"])
    for polymer in ("polyamide", "pdms"):
        assert cost.equilibrate_minutes(small, polymer) == cost.SHORTEST < cost.equilibrate_minutes(paper, polymer) == cost.LONGEST
        assert cost.md_memory(small, polymer, 1) < cost.md_memory(paper, polymer, 1) < cost.md_memory(paper, polymer, 2)
    assert cost.SHORTEST < cost.tensile_minutes(paper, "pdms") < cost.tensile_minutes(paper, "polyamide") == cost.LONGEST
    assert cost.fem_minutes(small) >= cost.SHORTEST and cost.fem_memory(2) == 2 * cost.fem_memory(1)
