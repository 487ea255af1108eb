"""LAMMPS behind the engine, both ways to run it: chunks, resuming, retries, and failures that are noticed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from ecmpipe.engines.lammps import Chunk, Deck, force_field_file, hint_of, run_deck
from ecmpipe.errors import EngineError
from ecmpipe.md.deck import after_data, before_data
from tests.engines.test_lammps import DYNAMICS
from tests.md.boxes import data_file, described

LMP = str(Path(sys.executable).with_name("lmp"))
MPIEXEC = str(Path(sys.executable).with_name("mpiexec"))
MOVE = ["fix move all nve/limit 0.02", "fix bath all langevin 300 300 50 4243"]
NOTE = "fix note all ave/time 1 1 5 c_thermo_temp v_energy file {}.txt format ' %.15g'"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("box") / "system.data"
    return data_file(path, described("pdms"), 1, 8, 16.0, 150)


def deck(chunks: int, last: Callable[[int], list[str]] | None = None, steps: int = 20) -> Deck:
    """Minimise, then short runs; ``last`` replaces the commands of the last chunk."""
    items = [Chunk("start", lambda division: ["minimize 1e-4 0 200 2000", "velocity all create 300 4242"], None)]
    for number in range(1, chunks):
        commands = [*MOVE, NOTE.format(f"run_{number}"), f"run {steps}"]
        items.append(Chunk(f"run_{number}", lambda division, commands=commands: commands, steps))
    if last is not None:
        items[-1] = Chunk(items[-1].name, last, steps)
    return Deck(before_data(), after_data(DYNAMICS, []), items)


def tables(work: Path) -> dict[str, np.ndarray]:
    return {path.name: np.loadtxt(path) for path in sorted(work.glob("run_*.txt"))}


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of three chunks by the module."""
    work = tmp_path_factory.mktemp("whole")
    run_deck(deck(3), data, work, "same")
    return work


def test_a_resumed_run_equals_an_uninterrupted_one(data: Path, whole: Path, tmp_path: Path) -> None:
    run_deck(deck(2), data, tmp_path, "same")  # as if the third chunk had never been reached
    facts = run_deck(deck(3), data, tmp_path, "same")
    assert json.loads((tmp_path / "state.json").read_text())["done"] == 3 and facts["atoms"] == 82 and facts["cpu [s]"] > 0
    first, second = tables(whole), tables(tmp_path)
    assert list(first) == ["run_1.txt", "run_2.txt"] and all(np.array_equal(first[name], second[name]) for name in first)
    # a finished folder is read, not run again; another identity starts anew and leaves nothing of the old one
    stamp = (tmp_path / "run_2.txt").stat().st_mtime_ns
    run_deck(deck(3), data, tmp_path, "same")
    assert (tmp_path / "run_2.txt").stat().st_mtime_ns == stamp
    run_deck(deck(2), data, tmp_path, "other")
    assert not (tmp_path / "run_2.txt").exists() and (tmp_path / "run_1.txt").exists()


@pytest.mark.parametrize("command", [[LMP], [MPIEXEC, "-n", "2", LMP]], ids=["lmp", "mpiexec"])
def test_a_program_runs_the_same_scripts(data: Path, whole: Path, tmp_path: Path, command: list[str]) -> None:
    facts = run_deck(deck(3), data, tmp_path, "same", command)
    assert facts["engine"].startswith("LAMMPS (") and facts["engine"].endswith(f"run by {command[0]}") and facts["atoms"] == 82
    for name in ("in.start", "in.run_1", "in.run_2"):
        assert (tmp_path / name).read_text() == (whole / name).read_text()
    for name, table in tables(whole).items():
        # two ranks draw other random forces in the Langevin bath, so only the serial program repeats the trajectory
        assert np.loadtxt(tmp_path / name).shape == table.shape
        assert len(command) > 1 or np.allclose(np.loadtxt(tmp_path / name), table, rtol=1e-9)


def test_module_and_program_continue_each_other(data: Path, whole: Path, tmp_path: Path) -> None:
    run_deck(deck(2), data, tmp_path, "same", [LMP])
    run_deck(deck(3), data, tmp_path, "same")
    assert np.allclose(tables(tmp_path)["run_2.txt"], tables(whole)["run_2.txt"], rtol=1e-9)


def test_progress_is_told_per_chunk(whole: Path, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    records = [json.loads(line) for line in (whole / "progress.jsonl").read_text().splitlines()]
    assert [record["chunk"] for record in records] == ["start", "run_1", "run_2"] and records[-1]["seconds left [s]"] == 0
    run_deck(deck(2), data, tmp_path, "same")
    assert "run_1 (2/2, 100 %)" in capfd.readouterr().err


def test_atoms_that_fly_apart_are_tried_again_at_a_shorter_step(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    def wild(division: int) -> list[str]:
        return ["fix move all nve", f"timestep {12 / division}", f"run {40 * division}"]

    facts = run_deck(deck(2, wild, 40), data, tmp_path, "x")
    assert set(facts["divided time steps"]) == {"run_1"} and facts["divided time steps"]["run_1"] in (2, 4, 8)
    assert "again from its start with the time step divided by 2" in capfd.readouterr().err


@pytest.mark.parametrize(
    "said",
    [
        "Bond atoms 113 116 missing on proc 0 at step 4",
        "Angle atoms 1 2 3 missing on proc 0 at step 1128",
        "Dihedral atoms 1 2 3 4 missing on proc 1 at step 7",
        "Improper atoms 1 2 3 4 missing on proc 1 at step 7",
        "Lost atoms: original 606 current 605",
        "ERROR on proc 1: Out of range atoms - cannot compute PPPM",
        "Non-numeric pressure - simulation unstable",
    ],
)
def test_what_lammps_says_of_unstable_dynamics_is_known(said: str) -> None:
    assert hint_of(said)
    assert hint_of("Unknown command: nonsense") is None


def test_a_program_is_given_a_screen_for_the_errors_of_all_its_ranks(data: Path, tmp_path: Path) -> None:
    # as LAMMPS does: the errors of ranks that do not write the log go to the screen, if there is one
    program = tmp_path / "lmp_stub"
    error = "ERROR on proc 3: Bond atoms 1 2 missing on proc 3 at step 4"
    program.write_text(f'#!/bin/sh\ncase "$*" in *"-screen none"*) ;; *) echo "{error}";; esac\nexit 1\n')
    program.chmod(0o755)
    with pytest.raises(EngineError, match=r"ERROR on proc 3: Bond atoms 1 2 missing.*divided by 1 to 8\)"):
        run_deck(deck(2), data, tmp_path / "work", "x", [str(program)])


@pytest.mark.parametrize("command", [None, [LMP]], ids=["module", "program"])
@pytest.mark.parametrize(
    ("commands", "message"),
    [
        ([*MOVE, "variable t equal step", "fix stop all halt 1 v_t > 5 error soft", "run 20"], r"stopped after \d+ of 20 steps"),
        ([*MOVE, "timer timeout 0:00:01 every 1", "run 1000000"], r"stopped after \d+ of 20 steps"),
        (["nonsense"], "Unknown command"),
        (["fix move all nve", "timestep 400", "run 20"], r"divided by 1 to 8\)"),
        (["shell 'kill -SEGV $PPID'", "run 20"], "SIGSEGV|exit code|-11"),
        (["quit 0"], "ended before its last command|ended with exit code 0"),
    ],
    ids=["halt", "timer", "bad command", "atoms fly apart", "crash", "silent end"],
)
def test_failures_are_noticed_and_the_folder_is_kept(data: Path, tmp_path: Path, command, commands: list[str], message: str) -> None:
    with pytest.raises(EngineError, match=message) as caught:
        run_deck(deck(2, lambda division: commands), data, tmp_path / "work", "x", command)
    assert "next:" in str(caught.value) and "last lines" in str(caught.value)
    assert json.loads((tmp_path / "work" / "state.json").read_text())["done"] == 1
    assert (tmp_path / "work" / "restart.a").is_file()


def test_a_command_that_does_not_exist_is_said(data: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"'lmp_of_nowhere' does not start .*md\.lammps"):
        run_deck(deck(2), data, tmp_path, "x", ["lmp_of_nowhere"])


def running(work: Path) -> bool:
    """Whether any process works in ``work``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            found.append(path.readlink())
    return work in found


@pytest.mark.parametrize("command", [None, [LMP], [MPIEXEC, "-n", "2", LMP]], ids=["module", "lmp", "mpiexec"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_step_leaves_no_lammps_behind_and_resumes(data: Path, tmp_path: Path, command, number: signal.Signals) -> None:
    work = tmp_path / "work"
    script = (
        "from pathlib import Path; from tests.engines.test_lammps_runs import *; endless = ['fix move all nve', 'run 10000000'];"
        f"run_deck(deck(3, lambda division: endless), Path({str(data)!r}), Path({str(work)!r}), 'same', {command})"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    state = work / "state.json"
    until(lambda: state.is_file() and json.loads(state.read_text())["done"] == 2 and (work / "log.run_2").is_file())
    with pytest.raises(EngineError, match="another process works in this folder"):
        run_deck(deck(3), data, work, "same")
    parent.send_signal(number)
    parent.wait()
    until(lambda: not running(work))
    facts = run_deck(deck(3), data, work, "same")  # what is left is done, from the last restart
    assert facts["atoms"] == 82 and json.loads(state.read_text())["done"] == 3


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for ``condition``, or fail."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_missing_force_field_is_an_engine_error() -> None:
    with pytest.raises(EngineError, match="no such force-field file"):
        force_field_file("none.frc")
