"""One case, assembled: mesh, materials, electrochemistry, mechanics and crack field from ``parameters.json`` and settings."""

from __future__ import annotations

import numpy as np

from ecmpipe.errors import ConvergenceError, SettingsError
from ecmpipe.fem.electrochemistry import Charge, Chemistry, Electrochemistry
from ecmpipe.fem.gates import Gate
from ecmpipe.fem.mechanics import SPLITS, Mechanics, Rubber, support_of
from ecmpipe.fem.mesh import BACKING, CATHODE, FILLER
from ecmpipe.fem.phasefield import CrackField
from ecmpipe.fem.shapes import build_cell
from ecmpipe.fem.state import State
from ecmpipe.fem.tables import Table
from ecmpipe.laws.chemical_strain import chemical_strain
from ecmpipe.laws.diffusion import one_c_current_density
from ecmpipe.laws.fracture import band_toughness_factor, cohesive_ratio, confined_shrinkage, lame, series_lame
from ecmpipe.settings.fem import PhaseSettings, RunStep

SIGN = {"charge": 1.0, "rest": 0.0, "discharge": -1.0}
LEAST_RATIO = 1.5  # of a1: below it PF-CZM snaps back


class Model:
    """The discrete problem of one case.

    Parameters
    ----------
    numbers : values in SI units by the names of ``parameters.json``; settings : the run step; c_rate : 1/h.
    potential, volume : tables of E_eq (V) and of the cathode volume (any unit) over the Li content.
    """

    overshoot = 5e-3  # V beyond the cut-off that a step may land without being halved

    def __init__(self, numbers: dict[str, float], settings: RunStep, c_rate: float, potential: Table, volume: Table):
        self.numbers, self.settings, self.c_rate, self.volume = numbers, settings, c_rate, volume
        n, fracture = numbers, settings.fracture
        self.ell, self.residual_stiffness = n["length_scale"], n["residual_stiffness"]
        has_filler = "filler_c10" in n
        self.cell = build_cell(settings.geometry, self.ell, n["filler_thickness_ratio"] if has_filler else 0.0)
        if has_filler != bool(np.isin(self.cell.layer, (FILLER, BACKING)).any()):  # only a user's own mesh can differ from its case
            raise SettingsError(
                f"fem.geometry: the case is one {'with' if has_filler else 'without'} a filler, the mesh is not; "
                "give variants with and without filler meshes of their own"
            )
        self.one_c = one_c_current_density(n["site_density"], self.cell.thickness)
        self.chemistry = Electrochemistry(self.cell, Chemistry(**{key: n[key] for key in Chemistry.__dataclass_fields__}), potential)
        rubber = Rubber(n["filler_c10"], n["filler_c01"], n["filler_kappa"]) if has_filler else None
        self._mechanics(rubber)
        self.gate = Gate(
            fracture.gate, fracture.gate_start, fracture.gate_end, self.opening_scale, n["floor_diffusion"], n["floor_contact"]
        )
        row = np.isin(self.cell.triangles, self.cell.interface).any(axis=1) & (self.cell.layer == CATHODE) & self.cell.band
        self.under_surface = np.flatnonzero(row)
        self.volume_start = float(volume(n["starting_lithium_content"]))

    @property
    def opening_scale(self) -> float:
        """Where the gap counts as open (m): of PF-CZM where its traction ends, w_c = 2 G_c/f_t, else the parameter."""
        n = self.numbers
        cohesive = self.settings.fracture.model == "PF-CZM"
        return 2 * n["interface_toughness"] / n["interface_strength"] if cohesive else n["opening_scale"]

    def _mechanics(self, rubber: Rubber | None) -> None:
        cell, n, fracture = self.cell, self.numbers, self.settings.fracture
        cathode = lame(n["youngs_modulus_cathode"], n["poisson_ratio_cathode"])
        electrolyte = lame(n["youngs_modulus_electrolyte"], n["poisson_ratio_electrolyte"])
        in_cathode, in_filler = cell.layer == CATHODE, np.isin(cell.layer, (FILLER, BACKING))
        lam, mu = (np.where(in_cathode, a, b) for a, b in zip(cathode, electrolyte, strict=True))
        self.shrinkage = in_cathode.astype(float)
        if fracture.band_modulus == "series" and not (cell.layer == FILLER).any():
            middle = series_lame(cathode, electrolyte)
            lam, mu = (np.where(cell.band, m, a) for m, a in zip(middle, (lam, mu), strict=True))
            # the pair keeps its compliance, and with this what the cathode's half of it shrinks by
            self.shrinkage[in_cathode & cell.band] = confined_shrinkage(*cathode) / confined_shrinkage(*middle)
        kind = np.where(cell.band, SPLITS[fracture.band_split], SPLITS[fracture.bulk])
        self.mechanics = Mechanics(
            cell, support_of(cell, self.settings.top), lam, mu, kind, cell.normals, cell.pairs if rubber else cell.pairs[:0], rubber
        )
        # An elastic bulk cannot crack: the tail of an interface crack that reaches into it costs what it costs in the band. A tough bulk
        # makes the band look tougher, which is divided out; PF-CZM has no tail beyond the band.
        elastic = fracture.bulk == "elastic"
        toughness = n["interface_toughness"] / (1.0 if elastic or fracture.model == "PF-CZM" else self.band_factor())
        bulk = np.where(in_cathode, n["toughness_cathode"], n["toughness_electrolyte"])
        g_c = np.where(cell.band | in_filler | elastic, toughness, bulk)
        driven = (cell.band | (kind != SPLITS["elastic"])) & (cell.layer != BACKING)
        modulus = np.where(in_filler, rubber.longitudinal, lam + 2 * mu) if rubber else lam + 2 * mu
        a1 = cohesive_ratio(modulus, g_c, self.ell, n["interface_strength"])
        if fracture.model == "PF-CZM" and a1[driven].min() < LEAST_RATIO:
            longest = self.ell * float(a1[driven].min()) / LEAST_RATIO
            raise SettingsError(
                f"parameters.fem.length_scale: {self.ell:g} m is too long for PF-CZM with interface_toughness "
                f"{n['interface_toughness']:g} J.m-2 and interface_strength {n['interface_strength']:g} Pa; at most {longest:.2g} m holds "
                f"(the softest that may crack has a longitudinal modulus of {modulus[driven].min():.3g} Pa)"
            )
        self.crack = CrackField(cell, fracture.model, g_c, self.ell, n["viscous_time"] / self.c_rate, driven, a1)

    def band_factor(self) -> float:
        """G_eff/G_i of the band between its two neighbours; each side of the crack pays for its own tail."""
        n, geometry = self.numbers, self.settings.geometry
        ratios = [n[f"toughness_{side}"] / n["interface_toughness"] for side in ("cathode", "electrolyte")]
        return float(np.mean([band_toughness_factor(geometry.band_half_width * self.ell, self.ell, ratio) for ratio in ratios]))

    def start(self) -> State:
        """The cell at rest, without chemical strain, under what presses on it."""
        cell, (u, history) = self.cell, self._pressed()
        return State(
            time=0.0,
            throughput=0.0,
            step=self.settings.time.step,
            phase=0.0,
            phase_time=0.0,
            charge=self.chemistry.rest(self.numbers["starting_lithium_content"]),
            u=u,
            d=np.zeros(len(cell.nodes)),
            history=history,
            opening=np.zeros(len(cell.interface)),
            contact=np.ones(len(cell.interface)),
        )

    def _pressed(self) -> tuple[np.ndarray, np.ndarray]:
        u, solver = np.zeros(2 * len(self.cell.nodes)), self.settings.solver
        if not self.mechanics.support.load.any():
            return u, np.zeros(len(self.cell.triangles))
        whole, nothing = np.ones(len(self.cell.triangles)), np.zeros(len(self.cell.triangles))
        scale = self.mechanics.load_scale(nothing)
        for _ in range(solver.most_newton):
            forces = self.mechanics.evaluate(u, whole, nothing)
            if np.linalg.norm(forces[0]) < 1e-3 * solver.force_tolerance * scale:
                return u, forces[2]
            u, _ = self.mechanics.newton(u, forces, whole, nothing, solver.linear_tolerance)
        raise ConvergenceError(
            f"the pressure of the top was not taken up within {solver.most_newton} Newton steps; lower fem.top.'pressure [Pa]'"
        )

    @property
    def protocol(self) -> list[PhaseSettings]:
        """The parts of the run, in order."""
        return self.settings.protocol

    def rate(self, phase: PhaseSettings) -> float:
        """C-rate (1/h), positive on charge, negative on discharge."""
        return SIGN[phase.do] * (phase.rate or self.c_rate)

    def pace(self, phase: PhaseSettings) -> float:
        """C-rate (1/h) that steps and the crack's viscosity are scaled with: that of the current, at rest that of the case."""
        return abs(self.rate(phase)) or self.c_rate

    def current(self, phase: PhaseSettings) -> float:
        """Mean current density at the interface (A/m2)."""
        return self.rate(phase) * self.one_c

    def beyond(self, phase: PhaseSettings, voltage: float) -> float:
        """How far (V) ``voltage`` lies beyond the cut-off of the phase; minus infinity at rest."""
        if phase.do == "charge":
            return voltage - self.numbers["cut_off_voltage"]
        return self.numbers["lower_cut_off_voltage"] - voltage if phase.do == "discharge" else -np.inf

    def cut_off(self, phase: PhaseSettings) -> float:
        """The voltage (V) that ends the phase."""
        return self.numbers["cut_off_voltage" if phase.do == "charge" else "lower_cut_off_voltage"]

    def exhausted(self, state: State, phase: PhaseSettings) -> bool:
        """Whether a few smallest steps fill, or empty, what of the cathode surface is in contact; no voltage drives the current then."""
        share = self.gate.with_floor(state.contact) * self.cell.interface_length
        content = float(share @ state.charge.x_li[self.cell.interface] / share.sum())
        room = {"charge": content, "discharge": 1 - content}.get(phase.do, 1.0)
        return room < 10 * self.settings.time.smallest_step

    def forget_factors(self) -> None:
        """Start every attempt without old matrix factors, so that a resumed run takes the very same path."""
        self.chemistry.factor = self.mechanics.solver.factor = None

    def charge_step(self, state: State, phase: PhaseSettings, seconds: float) -> Charge:
        """Electrochemistry over ``seconds`` with the crack of ``state``."""
        solver = self.settings.solver
        open_to = self.gate.diffusion(self.cell, state.d, state.opening)
        contact = self.gate.with_floor(state.contact)
        return self.chemistry.step(
            state.charge, seconds, self.current(phase), open_to, contact, solver.charge_tolerance, solver.most_newton
        )

    def chemical_strain(self, charge: Charge) -> np.ndarray:
        """eps_chem (t,) of S.19 in the cathode, zero elsewhere."""
        inside = self.cell.layer == CATHODE
        content = charge.x_li[self.cell.triangles[inside]].mean(axis=1)
        strain = self.shrinkage.copy()
        strain[inside] *= chemical_strain(self.volume(content), self.volume_start)
        return strain

    def degradation(self, state: State) -> np.ndarray:
        """g (t,) of S.26."""
        return self.mechanics.closed(state.u, self.crack.degradation(state.d, self.residual_stiffness))

    def opening(self, u: np.ndarray, g: np.ndarray, chem: np.ndarray) -> np.ndarray:
        """Normal inelastic opening (m) of the interface nodes: what opened in the band around each, over its length."""
        reach = self.cell.reach
        added = self.mechanics.opening(u, g, chem, reach.triangles)
        return reach.spread(added, len(self.cell.interface)) / self.cell.interface_length

    def contact_fraction(self, state: State) -> float:
        """Share of the interface that still carries current."""
        return min(1.0, float(state.contact @ self.cell.interface_length) / self.cell.width)  # rounding may pass 1

    def separation(self, state: State) -> np.ndarray:
        """At each interface node, 1 where the crack counts as begun: d over its onset; of PF-CZM the opening over w_c = 2 G_c/f_t, where
        the traction ends."""
        if self.settings.fracture.model == "PF-CZM":
            return state.opening / self.opening_scale
        return self.interface_crack(state) / self.settings.fracture.onset

    def onset(self, before: State, after: State) -> tuple[float, float] | None:
        """Throughput and time at which the crack begins anywhere on the interface, linear within the step; None where it does not in it."""
        low, high = (float(self.separation(state).max()) for state in (before, after))
        if not low < 1 <= high:
            return None
        share = (1 - low) / (high - low)
        return tuple(a + share * (b - a) for a, b in ((before.throughput, after.throughput), (before.time, after.time)))

    def interface_crack(self, state: State) -> np.ndarray:
        """d along the interface, the largest across the band at each node."""
        return self.cell.across(state.d)

    def interface_traction(self, state: State) -> float:
        """Mean normal stress (Pa) that the cathode surface carries, from the row of cathode elements below it."""
        chem, g = self.chemical_strain(state.charge), self.degradation(state)
        return self.mechanics.normal_stress(state.u, g, chem, self.under_surface)

    def energies(self, state: State) -> tuple[float, float]:
        """Elastic and crack energy (J/m) of Pi (S.28, S.29)."""
        chem, g = self.chemical_strain(state.charge), self.degradation(state)
        return self.mechanics.energy(state.u, g, chem), self.crack.surface_energy(state.d)

    def powers(self, before: State, after: State, seconds: float) -> tuple[float, float, float]:
        """Over a step (J/m): the work of the top and of the chemical strain, -int sigma : d eps_chem; what the crack's viscosity took; and
        what the history lent. S.27 drives a crack with the largest psi+ of its past, so a crack that grows where psi+ has fallen since
        takes int (H - psi+) d omega from nowhere: the price of irreversibility by a history, which vanishes where nothing unloads."""
        change = self.chemical_strain(after.charge) - self.chemical_strain(before.charge)
        work = self.mechanics.work_of_load(before.u, after.u)
        ends, lent = [], np.zeros(len(self.cell.triangles))
        for state in (before, after):
            chem, g = self.chemical_strain(state.charge), self.degradation(state)
            up, down = (self.mechanics.energy(state.u, g, chem + sign * change) for sign in (0.5, -0.5))
            work += 0.5 * (up - down)
            lent += 0.5 * (state.history - self.mechanics.evaluate(state.u, g, chem, 0)[2])
            ends.append(g)
        lent = np.where(self.crack.driven, lent * (ends[0] - ends[1]), 0.0)
        return work, self.crack.dissipated(before.d, after.d, seconds), float(self.cell.areas @ lent)
