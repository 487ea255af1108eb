"""The state of a run at one accepted step, its checkpoint, and the lists that the results are made of."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ecmpipe.cards import whole_file
from ecmpipe.errors import CardError
from ecmpipe.fem.electrochemistry import Charge

SCHEMA = 3


@dataclass(frozen=True)
class State:
    """Everything the next step needs; a rejected step leaves no trace because this is replaced, never changed."""

    time: float
    throughput: float
    step: float  # t C/3600 of the next attempt
    phase: float  # place in the protocol
    phase_time: float  # s, since the phase began
    charge: Charge
    u: np.ndarray  # (2n,) m
    d: np.ndarray  # (n,)
    history: np.ndarray  # (t,) J/m3
    opening: np.ndarray  # (interface nodes,) m
    contact: np.ndarray  # (interface nodes,) share in contact


@dataclass
class Record:
    """What a run has produced so far: rows of the history, frames of the fields, the onset, the counters."""

    rows: list[list[float]] = field(default_factory=list)
    frames: list[dict[str, np.ndarray]] = field(default_factory=list)
    onset: tuple[float, float] | None = None  # throughput, time
    reason: str = ""
    ends: list[str] = field(default_factory=list)  # why each finished phase ended
    energy_in: float = 0.0  # J/m, work of the top and of the chemical strain so far
    viscous: float = 0.0  # J/m, taken by the crack's viscosity so far
    lent: float = 0.0  # J/m, given by the history so far
    rejected: int = 0
    cpu: float = 0.0


def save(path: Path, key: str, state: State, record: Record) -> None:
    """Write a checkpoint whole; ``key`` names the input it belongs to."""
    arrays = {f"charge.{f.name}": getattr(state.charge, f.name) for f in fields(Charge)}
    arrays |= {f"state.{f.name}": getattr(state, f.name) for f in fields(State) if f.name != "charge"}
    for number, frame in enumerate(record.frames):
        arrays |= {f"frame.{number:03d}.{name}": value for name, value in frame.items()}
    with whole_file(path) as partial, open(partial, "wb") as stream:
        np.savez(
            stream,
            schema=SCHEMA,
            key=key,
            rows=np.array(record.rows, dtype=float),
            onset=np.array(record.onset if record.onset else [], dtype=float),
            reason=record.reason,
            ends=np.array(record.ends, dtype=str),
            energy_in=record.energy_in,
            viscous=record.viscous,
            lent=record.lent,
            rejected=record.rejected,
            cpu=record.cpu,
            **arrays,
        )


def load(path: Path, key: str) -> tuple[State, Record] | None:
    """The checkpoint of the input ``key``, or None when there is none or it belongs to another input."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as store:
            if int(store["schema"]) != SCHEMA or str(store["key"]) != key:
                return None
            held = {name: store[name] for name in store.files}
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise CardError(f"{path}: damaged checkpoint ({error}); delete it, the run then starts anew") from None
    state = State(charge=Charge(**_pick(held, "charge.")), **_pick(held, "state."))
    frames: dict[str, dict[str, np.ndarray]] = {}
    for name, value in held.items():
        if name.startswith("frame."):
            _, number, inner = name.split(".", 2)
            frames.setdefault(number, {})[inner] = value
    record = Record(
        rows=held["rows"].tolist(),
        frames=[frames[number] for number in sorted(frames)],
        onset=tuple(held["onset"].tolist()) or None,
        reason=str(held["reason"]),
        ends=[str(end) for end in held["ends"]],
        energy_in=float(held["energy_in"]),
        viscous=float(held["viscous"]),
        lent=float(held["lent"]),
        rejected=int(held["rejected"]),
        cpu=float(held["cpu"]),
    )
    return state, record


def _pick(held: dict[str, np.ndarray], prefix: str) -> dict:
    found = {name[len(prefix) :]: value for name, value in held.items() if name.startswith(prefix)}
    return {name: float(value) if value.ndim == 0 else value for name, value in found.items()}
