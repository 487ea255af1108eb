"""What happens around LAMMPS: damaged work folders, full disks, killed guards, commands as users write them, ranks without a common MPI."""

from __future__ import annotations

import errno
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ecmpipe.engines import lammps
from ecmpipe.engines.lammps import Chunk, Deck, run_deck
from ecmpipe.errors import EngineError
from tests.engines.test_lammps_runs import LMP, MOVE, MPIEXEC, NOTE, deck, running, tables, until
from tests.md.boxes import data_file, described

BOXED = [*MOVE, NOTE.format("run_2"), "run 20", 'print "$(lx:%.15g)" file run_2.box']


def stub(path: Path, *lines: str) -> str:
    """A shell script in the place of LAMMPS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return str(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("box") / "system.data"
    return data_file(path, described("pdms"), 1, 8, 16.0, 150)


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three chunks that were run: restart.a is of the third, restart.b of the second."""
    work = tmp_path_factory.mktemp("finished") / "work"
    run_deck(deck(3, lambda division: BOXED), data, work, "same")
    return work


@pytest.fixture
def work(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "work"))


def done(work: Path) -> int:
    return json.loads((work / "state.json").read_text())["done"]


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", "3", "\x00" * 40, "identity", "done", "left", "facts", "cpu [s]", "engine"])
def test_a_damaged_state_is_nothing_done(damage: str, data: Path, work: Path, capfd: pytest.CaptureFixture) -> None:
    state = json.loads((work / "state.json").read_text())
    if damage in state | state["facts"]:
        (state if damage in state else state["facts"]).pop(damage)
        damage = json.dumps(state)
    (work / "state.json").write_text(damage)
    assert run_deck(deck(2), data, work, "same")["atoms"] == 82
    assert "state.json: damaged; starting again from the first chunk" in capfd.readouterr().err
    assert done(work) == 2 and not (work / "run_2.txt").exists()


@pytest.mark.parametrize(
    ("files", "back"),
    [
        (["restart.a"], 3),
        (["restart.a", "restart.b"], 1),
        (["run_2.end"], 3),
        (["run_2.box"], 3),
        (["run_2.txt", "restart.a"], 3),
        (["run_1.txt"], 1),
    ],
    ids=["last restart", "both restarts", "end", "box", "table and restart", "early table"],
)
@pytest.mark.parametrize("content", [None, b"", b"\x00damaged"], ids=["missing", "empty", "damaged"])
def test_what_was_damaged_is_done_again(
    files: list[str], back: int, content: bytes | None, data: Path, finished: Path, work: Path, capfd: pytest.CaptureFixture
) -> None:
    for name in files:
        (work / name).unlink()
        if content is not None:
            (work / name).write_bytes(content)
    run_deck(deck(3, lambda division: BOXED), data, work, "same")
    assert f"going back to chunk {back}" in capfd.readouterr().err and done(work) == 3
    assert (work / "run_2.box").read_text() == (finished / "run_2.box").read_text()
    again, before = tables(work), tables(finished)
    assert list(again) == list(before) and all(np.array_equal(again[name], before[name]) for name in before)


def test_a_restart_of_a_chunk_that_was_not_recorded_is_not_taken_for_an_older_one(data: Path, work: Path, capfd) -> None:
    """Killed between LAMMPS' last command and the record: restart.b is of the fourth chunk already."""
    shutil.copyfile(work / "restart.a", work / "restart.b")
    (work / "restart.a").write_bytes(b"")
    run_deck(deck(3, lambda division: BOXED), data, work, "same")
    assert "going back to chunk 1" in capfd.readouterr().err


@pytest.mark.parametrize("written", ["", "20 82", "20 82 82 -1.5", "20 82 82 -1.5 300 1 nonsense", "\\0377"])
def test_a_cut_end_is_no_end(written: str, data: Path, tmp_path: Path) -> None:
    program = stub(tmp_path / "lmp", f"printf '{written}' > only.end")
    with pytest.raises(EngineError, match=r"'only' ended before its last command.*(\n.*)*the disk has room.* delete "):
        run_deck(Deck([], [], [Chunk("only", lambda division: [], 20)]), data, tmp_path / "work", "x", [program])


def test_a_folder_that_cannot_be_made_is_said(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="file/work: Not a directory; see that the disk .* run the step again"):
        run_deck(deck(2), data, tmp_path / "file" / "work", "x")


@pytest.mark.parametrize(("names", "said"), [([], "{work}"), (["file"], "file"), (["source", None, "target"], "target")])
def test_a_full_disk_is_said_and_the_run_resumes(
    names: list, said: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, record: dict) -> None:
        if record["done"] == 2:
            raise OSError(errno.ENOSPC, "No space left on device", *names)
        whole(path, record)

    whole = lammps.write_json
    monkeypatch.setattr(lammps, "write_json", full)
    with pytest.raises(EngineError, match=f"^{said.format(work=tmp_path)}: No space left on device; see that the disk"):
        run_deck(deck(2), data, tmp_path, "x")
    monkeypatch.undo()
    assert done(tmp_path) == 1 and run_deck(deck(2), data, tmp_path, "x")["atoms"] == 82


def test_a_log_that_cannot_be_written_is_no_traceback(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    (tmp_path / "log.start").mkdir()
    with pytest.raises(EngineError, match="LAMMPS does not start .*see that log.start can be written"):
        run_deck(deck(2), data, tmp_path, "x")
    assert "Traceback" not in capfd.readouterr().err


def test_a_killed_guard_takes_its_program_along(tmp_path: Path) -> None:
    guard = subprocess.Popen([sys.executable, "-m", "ecmpipe.engines.guard", "sleep", "60"], cwd=tmp_path)
    children = Path(f"/proc/{guard.pid}/task/{guard.pid}/children")
    until(lambda: any(Path(f"/proc/{child}/comm").read_text() == "sleep\n" for child in children.read_text().split()))
    guard.send_signal(signal.SIGKILL)
    guard.wait()
    until(lambda: not running(tmp_path), 5)


@pytest.mark.parametrize("trap", ["", "trap '' TERM"], ids=["deaf launcher", "stubborn program"])
def test_a_step_whose_guard_is_killed_ends_the_group(trap: str, data: Path, tmp_path: Path) -> None:
    program = stub(tmp_path / "lmp", trap, "sleep 60 &", "kill -KILL $PPID", "sleep 60")
    with pytest.raises(EngineError, match="ended by SIGKILL"):
        run_deck(deck(2), data, tmp_path / "work", "x", [program])
    until(lambda: not running(tmp_path / "work"), 1)


def test_ranks_end_with_a_killed_guard(data: Path, tmp_path: Path) -> None:
    endless = ["fix move all nve", "shell 'cp /proc/self/stat stat'", "run 10000000"]
    script = (
        "from pathlib import Path; from tests.engines.test_lammps_runs import *;"
        f"run_deck(deck(2, lambda division: {endless}), Path({str(data)!r}), Path({str(tmp_path)!r}), 'same', {[MPIEXEC, '-n', '2', LMP]})"
    )
    step = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    until(lambda: (tmp_path / "stat").is_file())
    children = Path(f"/proc/{step.pid}/task/{step.pid}/children").read_text().split()
    subprocess.run(["kill", "-KILL", *children], check=True)
    assert "ended by SIGKILL" in step.communicate(timeout=30)[1]
    until(lambda: not running(tmp_path), 1)


@pytest.mark.parametrize("command", [["bin/lmp"], ["./bin/lmp"], ["~/bin/lmp"], ["env", "bin/lmp"]], ids=" ".join)
def test_a_command_is_looked_up_where_the_user_is(command: list[str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub(tmp_path / "bin" / "lmp", "echo ERROR: I was found", "exit 1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(EngineError, match=f"{tmp_path}/bin/lmp' failed: ERROR: I was found"):
        run_deck(deck(2), data, Path("work"), "x", command)


def test_ranks_that_do_not_see_each_other_are_an_error(data: Path, tmp_path: Path) -> None:
    # without the launcher's variables every rank is a run of its own, as with an lmp that has no MPI
    program = stub(tmp_path / "lmp", "unset PMI_RANK PMI_SIZE PMI_FD", f'exec {LMP} "$@"')
    with pytest.raises(EngineError, match="ran 2 copies of LAMMPS that know nothing of each other .* not built with the MPI"):
        run_deck(deck(2), data, tmp_path / "work", "x", [MPIEXEC, "-n", "2", program])
    assert not (tmp_path / "work" / "state.json").exists()


def test_every_attempt_is_given_its_division(data: Path, tmp_path: Path) -> None:
    asked: list[int] = []

    def commands(division: int) -> list[str]:
        asked.append(division)
        return []

    program = stub(tmp_path / "lmp", "echo ERROR: Lost atoms", "exit 1")
    with pytest.raises(EngineError, match=r"Lost atoms .*divided by 1 to 8\)"):
        run_deck(Deck([], [], [Chunk("only", commands, 20)]), data, tmp_path / "work", "x", [program])
    assert asked == [1, 2, 4, 8]
