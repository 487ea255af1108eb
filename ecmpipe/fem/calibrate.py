"""The one calibrated number of the cell: the toughness of the interface, from the throughput at which the SI's cell begins to crack."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

from ecmpipe.cards import FemParametersCard, ToughnessCard, read_card, read_json, write_card, write_json
from ecmpipe.errors import ConvergenceError
from ecmpipe.fem.model import Model
from ecmpipe.fem.output import COLUMNS
from ecmpipe.fem.parameters import collect_parameters
from ecmpipe.fem.run import read_tables
from ecmpipe.fem.staggered import run_protocol
from ecmpipe.fem.state import Record, State
from ecmpipe.provenance import hash_file
from ecmpipe.settings.fem import NO_FILLER, CalibrateStep

CLOSE = 0.005  # of the throughput; the SI's own times scatter by 0.001
MOST = 10
FIRST = 1.15  # factor of the second trial
C_RATE = 1.0


def calibrate(
    step: CalibrateStep,
    *,
    cathode_crystal: Path,
    cathode_elastic: Path,
    electrolyte_crystal: Path,
    electrolyte_elastic: Path,
    surfaces: Path,
    delithiation: Path,
    output: Path,
    work: Path,
) -> dict:
    """Write the toughness (J/m2) at which the default cell without filler cracks at 1C at the printed throughput.

    Trials begin at the parameter's value and are kept in ``work``. Raises `ConvergenceError` when ten of them do not bring it.
    """
    cards = {
        "cathode_crystal": cathode_crystal,
        "cathode_elastic": cathode_elastic,
        "electrolyte_crystal": electrolyte_crystal,
        "electrolyte_elastic": electrolyte_elastic,
        "surfaces": surfaces,
    }
    parameters = work / "parameters.json"
    collect_parameters(step.reading, filler=NO_FILLER, **cards, hyperelastic=[], adhesion=[], toughness=[], output=parameters)
    numbers = {name: number.value for name, number in read_card(FemParametersCard, parameters).numbers.items()}
    tables = read_tables(delithiation)
    key = f"{step.canonical()} {hash_file(parameters)} {hash_file(delithiation)}"
    kept = work / "trials.json"
    held = read_json(kept) if kept.is_file() else {}
    trials: list[list[float]] = held["trials"] if held.get("key") == key else []

    def onset(toughness: float) -> float:
        known = dict(map(tuple, trials))
        if toughness not in known:
            known[toughness] = onset_of(Model(numbers | {"interface_toughness": toughness}, step.run, C_RATE, *tables))
            trials.append([toughness, known[toughness]])
            write_json(kept, {"key": key, "trials": trials})
            print(f"fem-calibrate: {toughness:.4f} J/m2 cracks at Q = {known[toughness]:.4f}", file=sys.stderr, flush=True)
        return known[toughness]

    wanted = step.reading.parameters.onset_throughput.value
    toughness = find(onset, numbers["interface_toughness"], wanted)
    card = {"Toughness [J.m-2]": toughness, "Onset throughput [1]": onset(toughness), "Wanted throughput [1]": wanted}
    write_card(
        output, ToughnessCard.model_validate(card | {"model": step.run.fracture.model, "Toughness [J.m-2], onset throughput [1]": trials})
    )
    return {"engine": "ecmpipe.fem (numba kernels, SuperLU)", "trials": len(trials)}


def onset_of(model: Model) -> float:
    """Throughput at which the crack begins; that of the end where none does."""
    record = Record()

    def accepted(before: State, after: State, record: Record, counts: dict[str, int]) -> None:
        record.rows.append([0.0] * len(COLUMNS))  # counted only
        record.onset = model.onset(before, after)
        if record.onset:
            record.reason = "onset"

    end = run_protocol(model, model.start(), record, accepted).throughput
    return record.onset[0] if record.onset else end


def find(onset: Callable[[float], float], start: float, wanted: float) -> float:
    """The toughness whose onset lies `CLOSE` to ``wanted``; it rises with the toughness, so by secants in logarithms."""
    low, high = -math.inf, math.inf
    value, here, found = start, math.log(start), onset(start)
    before, stride = None, math.log(FIRST)
    for _ in range(MOST - 1):
        if abs(found - wanted) <= CLOSE:
            return value
        low, high = (max(low, here), high) if found < wanted else (low, min(high, here))
        if before is not None and found != before[1]:
            ahead = here + (wanted - found) * (here - before[0]) / (found - before[1])
        else:
            ahead = here + math.copysign(stride, wanted - found)
            stride *= 2  # no crack at all: the onset says nothing of how far
        ahead = min(max(ahead, here - 1.0), here + 1.0)
        if not low < ahead < high:
            ahead = 0.5 * (low + high)
        before, here, value = (here, found), ahead, math.exp(ahead)
        found = onset(value)
    if abs(found - wanted) <= CLOSE:
        return value
    raise ConvergenceError(
        f"fem-calibrate: no toughness within {MOST} trials puts the onset at Q = {wanted:g} "
        f"(the last, {value:.4g} J/m2, at {found:.4f}); start nearer "
        "(parameters.fem.interface_toughness) or set fem.toughness: given"
    )
