"""One case, assembled: mesh, materials, electrochemistry, mechanics and crack field from ``parameters.json`` and settings."""

from __future__ import annotations

import numpy as np

from ecmpipe.fem.electrochemistry import Charge, Chemistry, Electrochemistry
from ecmpipe.fem.gates import Gate, interface_crack
from ecmpipe.fem.mechanics import SPLITS, Mechanics, Rubber
from ecmpipe.fem.mesh import CATHODE, FILLER, build_cell
from ecmpipe.fem.phasefield import CrackField
from ecmpipe.fem.state import State
from ecmpipe.fem.tables import Table
from ecmpipe.laws.chemical_strain import chemical_strain
from ecmpipe.laws.diffusion import one_c_current_density
from ecmpipe.laws.fracture import band_toughness_factor, lame, series_lame
from ecmpipe.settings.fem import RunStep


class Model:
    """The discrete problem of one case.

    Parameters
    ----------
    numbers : values in SI units by the names of ``parameters.json``; settings : the run step; c_rate : 1/h.
    potential, volume : tables of E_eq (V) and of the cathode volume (any unit) over the Li content.
    """

    overshoot = 5e-3  # V above the cut-off that a step may land without being halved

    def __init__(self, numbers: dict[str, float], settings: RunStep, c_rate: float, potential: Table, volume: Table):
        self.numbers, self.settings, self.c_rate, self.volume = numbers, settings, c_rate, volume
        n, geometry, fracture = numbers, settings.geometry, settings.fracture
        self.ell, self.cut_off, self.residual_stiffness = n["length_scale"], n["cut_off_voltage"], n["residual_stiffness"]
        has_filler = "filler_c10" in n
        self.cell = build_cell(
            cathode=geometry.cathode_thickness,
            filler=n["filler_thickness_ratio"] * geometry.cathode_thickness if has_filler else 0.0,
            electrolyte=geometry.electrolyte_thickness,
            width=geometry.width,
            band=geometry.band_half_width * self.ell,
            size=self.ell / geometry.elements_per_length_scale,
            growth=geometry.growth,
            largest=geometry.largest_element,
        )
        self.current = c_rate * one_c_current_density(n["site_density"], geometry.cathode_thickness)
        self.chemistry = Electrochemistry(self.cell, Chemistry(**{key: n[key] for key in Chemistry.__dataclass_fields__}), potential)
        rubber = Rubber(n["filler_c10"], n["filler_c01"], n["filler_kappa"]) if has_filler else None
        self._mechanics(rubber)
        self.gate = Gate(
            fracture.gate, fracture.gate_start, fracture.gate_end, n["opening_scale"], n["floor_diffusion"], n["floor_contact"]
        )
        row = np.isin(self.cell.triangles, self.cell.interface).any(axis=1) & (self.cell.layer == CATHODE)
        self.under_surface = np.flatnonzero(row)
        self.volume_start = float(volume(n["starting_lithium_content"]))

    def _mechanics(self, rubber: Rubber | None) -> None:
        cell, n, fracture = self.cell, self.numbers, self.settings.fracture
        cathode = lame(n["youngs_modulus_cathode"], n["poisson_ratio_cathode"])
        electrolyte = lame(n["youngs_modulus_electrolyte"], n["poisson_ratio_electrolyte"])
        in_cathode = cell.layer == CATHODE
        lam, mu = (np.where(in_cathode, a, b) for a, b in zip(cathode, electrolyte, strict=True))
        if fracture.band_modulus == "series" and rubber is None:
            middle = series_lame(cathode, electrolyte)
            lam, mu = (np.where(cell.band, m, a) for m, a in zip(middle, (lam, mu), strict=True))
        kind = np.where(cell.band, SPLITS[fracture.band_split], SPLITS[fracture.bulk])
        self.mechanics = Mechanics(cell, lam, mu, kind, rubber)
        # An elastic bulk cannot crack: the tail of an interface crack that reaches into it costs what it costs in the band,
        # so the crack costs G_i. A tough bulk makes the band look tougher, which is divided out.
        toughness = n["interface_toughness"] / (1.0 if fracture.bulk == "elastic" else self.band_factor())
        bulk = np.where(in_cathode, n["toughness_cathode"], n["toughness_electrolyte"])
        weak = cell.band | (cell.layer == FILLER) | (fracture.bulk == "elastic")
        g_c = np.where(weak, toughness, bulk)
        self.crack = CrackField(cell, g_c, self.ell, n["viscous_time"] / self.c_rate, cell.band | (kind != SPLITS["elastic"]))

    def band_factor(self) -> float:
        """G_eff/G_i of the band between its two neighbours; each side of the crack pays for its own tail."""
        n, geometry = self.numbers, self.settings.geometry
        ratios = [n[f"toughness_{side}"] / n["interface_toughness"] for side in ("cathode", "electrolyte")]
        return float(np.mean([band_toughness_factor(geometry.band_half_width * self.ell, self.ell, ratio) for ratio in ratios]))

    def start(self) -> State:
        """The cell at rest, unstrained."""
        cell = self.cell
        return State(
            time=0.0,
            throughput=0.0,
            step=self.settings.time.step,
            charge=self.chemistry.rest(self.numbers["starting_lithium_content"]),
            u=np.zeros(2 * len(cell.nodes)),
            d=np.zeros(len(cell.nodes)),
            history=np.zeros(len(cell.triangles)),
            opening=np.zeros(cell.columns),
            contact=np.ones(len(cell.interface)),
        )

    def forget_factors(self) -> None:
        """Start every attempt without old matrix factors, so that a resumed run takes the very same path."""
        self.chemistry.factor = self.mechanics.solver.factor = self.crack.solver.factor = None

    def charge_step(self, state: State, seconds: float) -> Charge:
        """Electrochemistry over ``seconds`` with the crack of ``state``."""
        solver = self.settings.solver
        open_to = self.gate.diffusion(self.cell, state.d, state.opening)
        contact = self.gate.with_floor(state.contact)
        return self.chemistry.step(state.charge, seconds, self.current, open_to, contact, solver.charge_tolerance, solver.most_newton)

    def chemical_strain(self, charge: Charge) -> np.ndarray:
        """eps_chem (t,) of S.19 in the cathode, zero elsewhere."""
        strain = np.zeros(len(self.cell.triangles))
        inside = self.cell.layer == CATHODE
        content = charge.x_li[self.cell.triangles[inside]].mean(axis=1)
        strain[inside] = chemical_strain(self.volume(content), self.volume_start)
        return strain

    def degradation(self, d: np.ndarray) -> np.ndarray:
        """g (t,) of S.26."""
        return self.crack.degradation(d, self.residual_stiffness)

    def accept(self, before: State, length: float, seconds: float, charge: Charge, u, d, history, g, chem) -> State:
        """The next state; the opening is the largest of this charge, so contact never comes back while charging."""
        opening = np.maximum(before.opening, self.mechanics.opening(u, g, chem))
        contact = np.minimum(before.contact, self.gate.contact(self.cell, d, opening))
        return State(before.time + seconds, before.throughput + length, before.step, charge, u, d, history, opening, contact)

    def clip_to_mark(self, throughput: float, step: float) -> float:
        """The step, shortened so that the next mark or the throughput cap is met exactly."""
        time = self.settings.time
        ahead = [mark - throughput for mark in (*time.marks, time.largest_throughput) if mark > throughput + 1e-12]
        return min(step, *ahead) if ahead else step

    def reason_to_stop(self, state: State, steps: int) -> str:
        """Why the charge ends here; empty while it goes on."""
        time = self.settings.time
        if state.charge.voltage >= self.cut_off:
            return f"cut-off voltage {self.cut_off:g} V reached"
        if state.throughput >= time.largest_throughput * (1 - 1e-12):
            return f"throughput cap {time.largest_throughput:g} reached"
        if steps >= time.most_steps:
            return f"cap of {time.most_steps} steps reached"
        return ""

    def contact_fraction(self, state: State) -> float:
        """Share of the interface that still carries current."""
        return float(state.contact @ self.cell.interface_length) / self.cell.width

    def interface_crack(self, state: State) -> np.ndarray:
        """d along the interface, the largest across the band at each node."""
        return interface_crack(self.cell, state.d)

    def interface_traction(self, state: State) -> float:
        """Mean normal stress (Pa) that the cathode surface carries, from the row of cathode elements below it."""
        chem, g = self.chemical_strain(state.charge), self.degradation(state.d)
        return self.mechanics.normal_stress(state.u, g, chem, self.under_surface)

    def energies(self, state: State) -> tuple[float, float]:
        """Elastic and crack energy (J/m) of Pi (S.28, S.29)."""
        chem, g = self.chemical_strain(state.charge), self.degradation(state.d)
        return self.mechanics.energy(state.u, g, chem), self.crack.surface_energy(state.d)
