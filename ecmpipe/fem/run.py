"""One finite-element case from its parameters to history, fields and summary; resumes from its own checkpoint."""

from __future__ import annotations

import hashlib
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np

from ecmpipe.cards import FemParametersCard, read_card, read_curve, write_card
from ecmpipe.deadline import Deadline
from ecmpipe.engines.process import hold
from ecmpipe.errors import CardError, ConvergenceError, SettingsError
from ecmpipe.fem.model import Model
from ecmpipe.fem.output import frame_of, note_step, reason_for_frame, summarise, write_fields, write_history
from ecmpipe.fem.staggered import run_protocol
from ecmpipe.fem.state import Record, State, load, save
from ecmpipe.fem.tables import Table
from ecmpipe.settings.fem import NO_FILLER, FemParameters, RunStep

MADE = (  # by fem-parameters from the cards
    "site_density",
    "lithium_in_electrolyte",
    *(f"{name}_{side}" for name in ("youngs_modulus", "poisson_ratio", "toughness") for side in ("cathode", "electrolyte")),
)
LI_CONTENT, VOLUME, POTENTIAL = "Li content x [1]", "Volume [m3]", "Equilibrium potential [V]"


def run_case(
    step: RunStep,
    *,
    filler: str,
    c_rate: float,
    parameters: Path,
    delithiation: Path,
    output: Path,
    output_fields: Path,
    output_summary: Path,
    work: Path,
    runtime: float | None = None,
) -> dict:
    """Take one cell through its protocol at ``c_rate`` (1/h); ``work`` keeps the checkpoint. ``runtime``: minutes that the job may take.

    A finished checkpoint of the same input is not computed again, an unfinished one is taken up, another one is ignored.
    """
    if not c_rate > 0:
        raise SettingsError(f"c-rate: {c_rate:g} is not accepted: a charge needs a rate above 0 1/h")
    numbers = read_card(FemParametersCard, parameters).numbers
    if missing := sorted({*FemParameters.model_fields, *MADE} - set(numbers)):
        raise CardError(f"{parameters}: lacks {', '.join(missing)}; rerun fem-parameters")
    if (filler != NO_FILLER) != ("filler_c10" in numbers):
        raise CardError(f"{parameters}: does not belong to the filler '{filler}'; rerun fem-parameters")
    potential, volume = read_tables(delithiation)
    model = Model({name: number.value for name, number in numbers.items()}, step, c_rate, potential, volume)
    key = _key(step, filler, c_rate, parameters, delithiation)
    checkpoint = work / "checkpoint.npz"
    with hold(work):
        state, record = load(checkpoint, key) or (model.start(), Record())
        if not record.reason:
            state = _go(model, state, record, checkpoint, key, f"{filler} {c_rate:g}C", Deadline(runtime))
    if not record.rows:
        raise ConvergenceError(
            f"fem-run {filler} {c_rate:g}C: no step was accepted ({record.reason}); see {parameters} and the fem settings"
        )
    write_history(output, record)
    write_fields(output_fields, model.cell, record.frames)
    write_card(output_summary, summarise(model, record, numbers))
    return {
        "engine": "ecmpipe.fem (numba kernels, SuperLU)",
        "nodes": len(model.cell.nodes),
        "triangles": len(model.cell.triangles),
        "accepted steps": len(record.rows),
        "rejected steps": record.rejected,
        "cpu of the solver [s]": round(record.cpu, 2),
        "reason": record.reason,
    }


def read_tables(path: Path) -> tuple[Table, Table]:
    """E_eq(x) in V and the volume per formula unit (m3) of ``delithiation.csv``; E_eq must fall strictly with x."""
    table = read_curve(path, (LI_CONTENT, VOLUME, POTENTIAL)).sort_values(LI_CONTENT)
    if not (np.diff(table[POTENTIAL]) < 0).all():
        raise CardError(f"{path}: '{POTENTIAL}' does not fall strictly with the Li content; rerun dft-delithiation")
    if not (table[VOLUME] > 0).all():
        raise CardError(f"{path}: '{VOLUME}' holds values that are not positive; rerun dft-delithiation")
    return Table(table[LI_CONTENT], table[POTENTIAL]), Table(table[LI_CONTENT], table[VOLUME])


def _key(step: RunStep, filler: str, c_rate: float, *files: Path) -> str:
    parts = [step.canonical(), filler, f"{c_rate:.12g}", *(Path(path).read_text(encoding="utf-8") for path in files)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _go(model: Model, state: State, record: Record, checkpoint: Path, key: str, name: str, deadline: Deadline) -> State:
    rest = model.start()
    start = model.chemistry.lithium(rest.charge), model.energies(rest)[0]
    began = time.process_time() - record.cpu
    stop = _Termination()
    newton_before = [0]

    def accepted(before: State, after: State, record: Record, counts: dict[str, int]) -> None:
        record.cpu = time.process_time() - began
        newton, newton_before[0] = model.chemistry.newton_steps - newton_before[0], model.chemistry.newton_steps
        counts = counts | {"newton": newton}
        begins = note_step(model, before, after, record, start, counts)
        if begins:
            print(f"fem-run {name}: onset at Q = {record.onset[0]:.4f}, t = {record.onset[1]:.1f} s", file=sys.stderr, flush=True)
        what = "onset" if begins and not record.reason else reason_for_frame(model, before, after, record)
        if what:
            record.frames.append(frame_of(model, after, what))
        number = len(record.rows)
        if number % 10 == 0:
            _progress(name, number, after, record)
        out_of_time = not deadline.lap() and not record.reason
        if stop.asked or out_of_time or number % model.settings.solver.checkpoint_every == 0:
            save(checkpoint, key, after, record)
        if stop.asked or out_of_time:
            why = deadline.words if out_of_time else "stopped by a signal; run it again to go on from there"
            raise ConvergenceError(f"fem-run {name}: Q = {after.throughput:.4f}; {why}")

    with stop:
        state = run_protocol(model, state, record, accepted)
    if record.frames and record.frames[-1]["instant"][0] == state.time:
        record.frames[-1] |= {"what": np.array("end")}
    elif record.rows:
        record.frames.append(frame_of(model, state, "end"))
    record.cpu = time.process_time() - began
    save(checkpoint, key, state, record)
    print(f"fem-run {name}: {record.reason} at Q = {state.throughput:.4f} after {record.cpu:.0f} CPU s", file=sys.stderr, flush=True)
    return state


def _progress(name: str, number: int, state: State, record: Record) -> None:
    contact, voltage = float(np.mean(state.contact)), state.charge.voltage
    print(
        f"fem-run {name}: step {number}, Q = {state.throughput:.4f}, V = {voltage:.4f} V, contact {contact:.2f}, {record.cpu:.0f} CPU s",
        file=sys.stderr,
        flush=True,
    )


class _Termination:
    """Remembers a SIGTERM, so that the step in work is finished and saved before the end."""

    def __init__(self) -> None:
        self.asked = False
        self._before = None

    def __enter__(self) -> _Termination:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _ask(self, *_: object) -> None:
        self.asked = True
