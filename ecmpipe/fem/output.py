"""What a run leaves behind: one history row per accepted step, some frames of the fields, the summary."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import h5py
import meshio
import numpy as np
import pandas as pd

from ecmpipe.cards import FemSummaryCard, write_curve
from ecmpipe.fem.mesh import CATHODE, FILLER, Cell
from ecmpipe.fem.model import Model
from ecmpipe.fem.state import Record, State

COLUMNS = (
    "Time [s]",
    "Phase of the protocol [1]",
    "Throughput Q [1]",
    "Current density [A.m-2]",
    "Li content mean x [1]",
    "Li content at interface x [1]",
    "Voltage [V]",
    "Equilibrium potential [V]",
    "Overpotential [V]",
    "Charge transfer overpotential [V]",
    "Cathode diffusion overpotential [V]",
    "Electrolyte overpotential [V]",
    "Anode overpotential [V]",
    "Contact fraction that carried this step [1]",
    "Contact fraction [1]",
    "Largest crack field d [1]",
    "Largest crack field on the interface d [1]",
    "Crack length [m]",
    "Largest opening [m]",
    "Interface traction [Pa]",
    "Li imbalance [1]",
    "Current imbalance [1]",
    "Elastic energy [J.m-1]",
    "Crack energy [J.m-1]",
    "Energy put in [J.m-1]",
    "Viscous dissipation [J.m-1]",
    "Energy lent by the history [J.m-1]",
    "Energy imbalance [1]",
    "Stagger iterations [1]",
    "Crack change of the last stagger [1]",
    "Force residual [1]",
    "Newton iterations [1]",
    "CPU time [s]",
)
LEVELS = np.linspace(0.9, 0.1, 9)  # a frame each time the contact falls through one of these


class _Writer(meshio.xdmf.TimeSeriesWriter):
    """meshio puts the HDF5 file into the working directory; this one puts it beside the XDMF file."""

    def __enter__(self):
        self.h5_filename = str(self.filename.with_suffix(".h5"))
        self.h5_file = h5py.File(self.h5_filename, "w")
        return self


def history_row(
    model: Model, before: State, after: State, record: Record, start: tuple[float, float], counts: dict[str, float]
) -> list[float]:
    """The values of `COLUMNS` at ``after``; overpotentials are those of the contact that this step started with.

    ``start`` holds Li (mol/m) and elastic energy (J/m) of the cell before the run. The energy imbalance is what the energy put in and lent
    exceeds stored, crack and viscous energy by, over the energy put in: a jump of the crack leaves its kinetic energy there, a step in
    which it runs far too much viscous dissipation, so either sign.
    """
    phase = model.protocol[int(before.phase)]
    seen = model.chemistry.observe(after.charge, model.current(phase), model.gate.with_floor(before.contact))
    elastic, crack = model.energies(after)
    on_interface = model.interface_crack(after)
    broken = on_interface >= model.settings.fracture.onset
    spent = elastic - start[1] + crack + record.viscous
    return [
        after.time,
        before.phase,
        after.throughput,
        model.current(phase),
        seen["mean"],
        seen["surface"],
        after.charge.voltage,
        seen["equilibrium"],
        seen["eta"],
        seen["charge transfer"],
        seen["cathode diffusion"],
        seen["electrolyte"],
        seen["anode"],
        model.contact_fraction(before),
        model.contact_fraction(after),
        float(after.d.max()),
        float(on_interface.max()),
        float(model.cell.interface_length @ broken),
        float(after.opening.max()),
        model.interface_traction(after),
        abs(model.chemistry.lithium(after.charge) - start[0]) / start[0],
        seen["current imbalance"],
        elastic,
        crack,
        record.energy_in,
        record.viscous,
        record.lent,
        (record.energy_in + record.lent - spent) / (record.energy_in or 1.0),
        float(counts["stagger"]),
        counts["crack change"],
        counts["force residual"],
        float(counts["newton"]),
        record.cpu,
    ]


def note_step(model: Model, before: State, after: State, record: Record, start: tuple[float, float], counts: dict[str, float]) -> bool:
    """Add an accepted step to ``record``: energies, row, onset; whether the crack begins in it. ``start`` as in `history_row`."""
    work, viscous, lent = model.powers(before, after, after.time - before.time)
    record.energy_in += work
    record.viscous += viscous
    record.lent += lent
    record.rows.append(history_row(model, before, after, record, start, counts))
    begins = model.onset(before, after) if record.onset is None else None
    record.onset = record.onset or begins
    return begins is not None


def cut_off_row(last: list[float], cut_off: float, contact: float) -> list[float]:
    """The end of a charge whose next step, however small, passes ``cut_off`` (V): the last state at that voltage.

    The contact that is left cannot carry the current below the cut-off, so the overpotential there is at least this one;
    what it lies above the last step's is charge transfer through the contact lost in it.
    """
    row = dict(zip(COLUMNS, last, strict=True))
    rise = cut_off - row["Voltage [V]"]
    for key in ("Voltage [V]", "Overpotential [V]", "Charge transfer overpotential [V]"):
        row[key] += rise
    row["Contact fraction that carried this step [1]"] = contact
    return list(row.values())


def reason_for_frame(model: Model, before: State, after: State, record: Record) -> str:
    """Why ``after`` deserves a frame (mark, propagation, charge, end), or nothing; the onset has one of its own."""
    if record.reason:
        return "end"
    if after.phase != before.phase:
        return f"end of {model.protocol[int(before.phase)].do}"
    advanced = after.throughput > before.throughput
    if advanced and any(abs(after.throughput - mark) < 1e-9 for mark in model.settings.time.marks):
        return "mark"
    if len(record.frames) >= model.settings.solver.most_frames - 1:
        return ""
    then, now = model.contact_fraction(before), model.contact_fraction(after)
    if any(then > level >= now for level in LEVELS):
        return "propagation"
    return "charge" if int(before.throughput / 0.1) < int(after.throughput / 0.1 + 1e-9) else ""


def frame_of(model: Model, state: State, what: str) -> dict[str, np.ndarray]:
    """The fields of one instant, in single precision."""
    k = model.chemistry.chemistry
    inside = model.chemistry.cathode_mass > 0
    mobile = np.where(model.chemistry.electrolyte_mass > 0, state.charge.ion * k.rest[0], 0.0)
    bound = np.where(model.chemistry.electrolyte_mass > 0, state.charge.bound, 0.0)
    fields = {
        "solid": np.where(inside, state.charge.x_li * k.site_density, 0.0),
        "mobile": mobile,
        "bound": bound,
        "phi": state.charge.phi / model.chemistry.f,
        "d": state.d,
        "ux": state.u[0::2],
        "uy": state.u[1::2],
    }
    frame = {name: np.asarray(values, dtype=np.float32) for name, values in fields.items()}
    return frame | {"instant": np.array([state.time, state.throughput, model.contact_fraction(state)]), "what": np.array(what)}


def write_fields(path: Path, cell: Cell, frames: list[dict[str, np.ndarray]]) -> None:
    """Write ``fields.xdmf`` and ``fields.h5``: a time series that ParaView and meshio open.

    The nodes of the cathode surface stand twice, once for each side, so that the Li concentration may jump there.
    """
    count = len(cell.nodes)
    twin = np.arange(count)
    twin[cell.interface] = count + np.arange(len(cell.interface))
    above = cell.layer != CATHODE
    triangles = np.where(above[:, None], twin[cell.triangles], cell.triangles)
    source = np.concatenate([np.arange(count), cell.interface])
    is_ionic = np.zeros(len(source), dtype=bool)
    is_ionic[triangles[cell.ionic].ravel()] = True
    points = np.column_stack([cell.nodes[source], np.zeros(len(source))])
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder:
        partial = Path(folder) / path.name
        with _Writer(partial) as writer:
            writer.write_points_cells(points, [("triangle", triangles)])
            for frame in frames:
                point_data = {
                    "Li concentration [mol.m-3]": np.where(is_ionic, (frame["mobile"] + frame["bound"])[source], frame["solid"][source]),
                    "Mobile Li concentration [mol.m-3]": np.where(is_ionic, frame["mobile"][source], np.float32(0)),
                    "Crack field d [1]": frame["d"][source],
                    "Displacement x [m]": frame["ux"][source],
                    "Displacement y [m]": frame["uy"][source],
                    "Electrolyte potential [V]": np.where(is_ionic, frame["phi"][source], np.float32(0)),
                }
                cell_data = {"Layer [1]": [cell.layer.astype(np.int32)]}
                writer.write_data(float(frame["instant"][0]), point_data=point_data, cell_data=cell_data)
        os.replace(partial.with_suffix(".h5"), path.with_suffix(".h5"))
        os.replace(partial, path)


def write_history(path: Path, record: Record) -> None:
    """Write the history CSV."""
    write_curve(path, pd.DataFrame(record.rows, columns=list(COLUMNS)))


def first_crossing(over: np.ndarray, values: np.ndarray, level: float) -> float | None:
    """Where ``values`` first rise to ``level``, in terms of ``over`` and linear between steps; None where they never do."""
    above = np.flatnonzero(values >= level)
    if not len(above):
        return None
    last = above[0]
    if last == 0:
        return float(over[0])
    share = (level - values[last - 1]) / (values[last] - values[last - 1])
    return float(over[last - 1] + share * (over[last] - over[last - 1]))


def summarise(model: Model, record: Record, numbers: dict) -> FemSummaryCard:
    """The headline numbers and the choices they depend on."""
    table = pd.DataFrame(record.rows, columns=list(COLUMNS))
    fracture, toughness = model.settings.fracture, numbers["interface_toughness"]
    onset = table[table["Time [s]"] >= record.onset[1]].iloc[0] if record.onset else None
    first = table[table["Phase of the protocol [1]"] == 0]
    first = first[~first["Time [s]"].duplicated()]  # without the row at the cut-off
    on_floor = (table["Contact fraction that carried this step [1]"] < model.gate.floor_contact).to_numpy()
    carried = first["Contact fraction that carried this step [1]"]
    whole = first[carried > 0.99]["Overpotential [V]"].tail(1)
    throughput, eta = first["Throughput Q [1]"].to_numpy(), first["Overpotential [V]"].to_numpy()
    details = {
        "engine": "ecmpipe.fem (numba kernels, SuperLU)",
        "model": fracture.model,
        "split in the band": fracture.band_split,
        "modulus of the band": "own" if (model.cell.layer == FILLER).any() else fracture.band_modulus,
        "bulk": fracture.bulk,
        "gate": fracture.gate,
        "top": model.settings.top.hold,
        "pressure of the top [Pa]": model.settings.top.pressure,
        "protocol": [phase.do for phase in model.protocol],
        "ends": record.ends,
        "shape": model.settings.geometry.shape,
        "filler": "none" if "filler_c10" not in numbers else "between" if (model.cell.layer == FILLER).any() else "behind",
        "viscous time [s]": model.numbers["viscous_time"] / model.c_rate,
        "interface toughness [J.m-2]": toughness.value,
        "interface toughness label": toughness.label,
        "interface toughness source": toughness.source,
        "C-rate [h-1]": model.c_rate,
        "current density [A.m-2]": model.c_rate * model.one_c,
        "accepted steps [1]": int(table["Time [s]"].nunique()),
        "rejected steps [1]": record.rejected,
        "frames": [
            {"what": str(frame["what"]), "time [s]": float(t), "throughput [1]": float(q), "contact fraction [1]": float(a)}
            for frame in record.frames
            for t, q, a in [frame["instant"]]
        ],
        "partial contact steps [1]": int(((table["Contact fraction [1]"] > 0.05) & (table["Contact fraction [1]"] < 0.95)).sum()),
        "Li content at interface at onset [1]": None if onset is None else float(onset["Li content at interface x [1]"]),
        "overpotential at full contact [V]": float(whole.iloc[0]) if len(whole) else None,
        "throughput at half contact [1]": first_crossing(throughput, -first["Contact fraction [1]"].to_numpy(), -0.5),
        # a jump passes through no half
        "overpotential at half contact [V]": first_crossing(eta, -carried.to_numpy(), -0.5) if carried.between(0.2, 0.8).any() else None,
        "overpotential at onset [V]": None if onset is None else float(onset["Overpotential [V]"]),
        "throughput at d = 0.5 [1]": first_crossing(throughput, first["Largest crack field on the interface d [1]"].to_numpy(), 0.5),
        "throughput at 20 mV above full contact [1]": first_crossing(throughput, eta, float(whole.iloc[0]) + 0.02) if len(whole) else None,
        # a current that no contact carries is the floor's, an assumption
        "throughput on the floor [1]": float(np.diff(table["Throughput Q [1]"], prepend=0.0)[on_floor].sum()),
        "largest energy imbalance [1]": float(table["Energy imbalance [1]"].abs().max()),
        "largest current imbalance [1]": float(table["Current imbalance [1]"].max()),
        "largest interface traction [Pa]": float(table["Interface traction [Pa]"].max()),
        "largest crack field d [1]": float(table["Largest crack field d [1]"].max()),
        "end time [s]": float(table["Time [s]"].iloc[-1]),
        "CPU time [s]": round(record.cpu, 2),
    }
    card = {
        "onset throughput [1]": record.onset[0] if record.onset else None,
        "onset time [s]": record.onset[1] if record.onset else None,
        "contact fraction at end [1]": float(table["Contact fraction [1]"].iloc[-1]),
        "largest overpotential [V]": float(table["Overpotential [V]"].max()),
        "largest Li imbalance [1]": float(table["Li imbalance [1]"].max()),
        "throughput at end [1]": float(table["Throughput Q [1]"].iloc[-1]),
        "end_reason": record.reason,
        "details": details,
    }
    return FemSummaryCard.model_validate(card)
