"""Electrochemistry of the cell on one implicit step: cathode, both interfaces, electrolyte and the galvanostat in one Newton.

Unknowns, interleaved node by node: x = Li content of the cathode, c = mobile Li+ over its rest value, phi = electrolyte
potential in RT/F; last, V = cell voltage in RT/F. The phi row is (Li+ row - n- row), the c row the n- row: with this and
no pivoting the factor stays sparse. Rows are in mol/(m s), per metre of depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecmpipe.errors import ConvergenceError
from ecmpipe.fem.kernels import apply_diffusion, diffusion, migration
from ecmpipe.fem.linsolve import Pattern, factorise
from ecmpipe.fem.mesh import CATHODE, Cell
from ecmpipe.fem.tables import Table
from ecmpipe.laws import dissociation, kinetics
from ecmpipe.laws.diffusion import one_c_current_density
from ecmpipe.units import FARADAY

FULL = 1e-12  # Li content this near to 0 or 1 is empty or full
WORSE = 2.0  # growth of the residual that a Newton step may cost
SMALLEST_SHARE = 1 / 32  # of a Newton step


@dataclass(frozen=True)
class Chemistry:
    """Numbers of S.1-S.18 in SI units, named as in ``parameters.json``."""

    temperature: float
    site_density: float
    diffusivity_cathode: float
    diffusivity_lithium_ion: float
    diffusivity_counter_charge: float
    lithium_in_electrolyte: float
    mobile_fraction: float
    recombination_rate: float
    rate_constant_cathode: float
    rate_constant_anode: float
    transfer_coefficient_cathode: float
    transfer_coefficient_anode: float

    @property
    def rest(self) -> tuple[float, float]:
        """Mobile and bound Li of the electrolyte at rest (mol/m3)."""
        return dissociation.equilibrium(self.lithium_in_electrolyte, self.mobile_fraction)

    @property
    def generation_rate(self) -> float:
        """k_d of S.11 in 1/s."""
        return dissociation.generation_rate(self.recombination_rate, self.lithium_in_electrolyte, self.mobile_fraction)


@dataclass(frozen=True)
class Charge:
    """Fields of one instant, on all nodes; a field is meaningless outside its layer. ``bound`` in mol/m3, V in volt."""

    x_li: np.ndarray
    ion: np.ndarray
    phi: np.ndarray
    bound: np.ndarray
    voltage: float
    plated: float  # mol/m, Li put down at the anode so far


class Electrochemistry:
    """Assembles and solves the coupled charge problem; all patterns are built once."""

    def __init__(self, cell: Cell, chemistry: Chemistry, potential: Table):
        self.cell, self.chemistry, self.potential = cell, chemistry, potential
        self.f = kinetics.thermal_factor(chemistry.temperature)
        cathode = np.flatnonzero(cell.layer == CATHODE)
        electrolyte = np.flatnonzero(cell.ionic)
        self.cathode, self.electrolyte = cathode, electrolyte
        self.cathode_mass, self.electrolyte_mass = cell.lumped_mass(cathode), cell.lumped_mass(electrolyte)
        self._number()
        self._patterns()
        self.reference = one_c_current_density(chemistry.site_density, cell.thickness)
        self.factor = None  # kept from step to step: chord iterations cost a tenth of Newton ones
        self.newton_steps = self.factorisations = 0

    def _number(self) -> None:
        n = len(self.cell.nodes)
        has = np.column_stack([self.cathode_mass > 0, self.electrolyte_mass > 0, self.electrolyte_mass > 0])
        number = np.full((n, 3), -1, dtype=np.int64)
        number[has] = np.arange(has.sum())
        self.x_dof, self.c_dof, self.phi_dof = number.T
        self.size = int(has.sum()) + 1
        self.solid = np.flatnonzero(has[:, 0])
        self.ionic = np.flatnonzero(has[:, 1])

    def _patterns(self) -> None:
        cell = self.cell
        solid = self.x_dof[cell.triangles[self.cathode]]
        ionic = np.concatenate([self.c_dof[cell.triangles[self.electrolyte]], self.phi_dof[cell.triangles[self.electrolyte]]], axis=1)
        nodes = cell.interface
        surface = np.column_stack([self.x_dof[nodes], self.c_dof[nodes], self.phi_dof[nodes], np.full(len(nodes), self.size - 1)])
        metal = np.column_stack([self.c_dof[cell.anode], self.phi_dof[cell.anode]])
        everything = np.arange(self.size)[:, None]
        blocks = [solid, ionic, surface, metal, everything]
        rows = np.concatenate([np.repeat(b, b.shape[1], axis=1).ravel() for b in blocks])
        columns = np.concatenate([np.tile(b, (1, b.shape[1])).ravel() for b in blocks])
        self.pattern = Pattern(rows, columns, self.size)
        parts = np.split(self.pattern.slots, np.cumsum([b.size * b.shape[1] for b in blocks])[:-1])
        self.solid_slots, self.ionic_slots, surface_slots, metal_slots, self.diagonal = (
            part.reshape(len(b), -1) for part, b in zip(parts, blocks, strict=True)
        )
        self.diagonal = self.diagonal.ravel()
        self.surface_slots = surface_slots.reshape(-1, 4, 4)
        self.metal_slots = metal_slots.reshape(-1, 2, 2)

    def rest(self, x_start: float) -> Charge:
        """The cell at rest at a uniform Li content."""
        n = len(self.cell.nodes)
        mobile, bound = self.chemistry.rest
        return Charge(np.full(n, x_start), np.ones(n), np.zeros(n), np.full(n, bound), float(self.potential(x_start)), 0.0)

    def cathode_current(self, charge: Charge, contact: np.ndarray):
        """Local current density (A/m2) of the interface nodes and its slopes by x, c, phi and V (S.5, S.6, S.8)."""
        k, alpha = self.chemistry, self.chemistry.transfer_coefficient_cathode
        nodes = self.cell.interface
        x = np.clip(charge.x_li[nodes], FULL, 1 - FULL)
        c = np.maximum(charge.ion[nodes], 1e-9)
        exchange = kinetics.cathode_exchange_current(k.rate_constant_cathode, x, c, alpha)
        eta = kinetics.local_overpotential(charge.voltage, charge.phi[nodes] / self.f, self.potential(x))
        current = contact * kinetics.butler_volmer(exchange, eta, alpha, k.temperature)
        slope = contact * kinetics.butler_volmer_slope(exchange, eta, alpha, k.temperature)
        by_x = current * ((1 - alpha) / x - alpha / (1 - x)) - slope * self.potential.slope(x)
        return current, by_x, current * alpha / c, -slope / self.f, slope / self.f

    def anode_current(self, charge: Charge):
        """Local current density (A/m2, negative on charge) at the lithium and its slopes by c and phi (S.17, S.18)."""
        k, alpha = self.chemistry, self.chemistry.transfer_coefficient_anode
        c = np.maximum(charge.ion[self.cell.anode], 1e-9)
        eta = -charge.phi[self.cell.anode] / self.f
        exchange = kinetics.anode_exchange_current(k.rate_constant_anode, c, alpha)
        current = kinetics.butler_volmer(exchange, eta, alpha, k.temperature)
        slope = kinetics.butler_volmer_slope(exchange, eta, alpha, k.temperature)
        return current, current * alpha / c, -slope / self.f

    def step(
        self, before: Charge, step: float, current: float, open_to: np.ndarray, contact: np.ndarray, tolerance: float, most: int
    ) -> Charge:
        """Advance by ``step`` seconds at the mean current density ``current`` (A/m2).

        ``open_to`` (t,) multiplies the diffusivities, ``contact`` (interface nodes,) the reaction. The norm of the
        residuals over the flow that a 1C current makes ends below ``tolerance``; failing that within ``most`` Newton steps is a
        `ConvergenceError`.
        """
        scale = max(abs(current), self.reference) * self.cell.width / FARADAY
        charge = before
        best = last = np.inf
        kept, update, share = charge, None, 1.0
        for _ in range(most):
            residual, data = self._assemble(charge, before, step, current, open_to, contact)
            error = float(np.linalg.norm(residual)) / scale
            if error <= tolerance or (error >= 0.5 * best and error <= 100 * tolerance):  # the second: rounding is reached
                return self._finish(charge, before, step)
            best = min(best, error)
            self.newton_steps += 1
            if update is not None and not error <= WORSE * last and share > SMALLEST_SHARE:
                # too far along the step: a half of it, never a stale factor's word against the residual
                share *= 0.5
                charge = self._move(kept, share * update)
                continue
            if not np.isfinite(error):
                break
            if self.factor is None or error > 0.2 * last:
                self.factor = factorise(self.pattern.matrix(data))
                self.factorisations += 1
            last, share = error, 1.0
            kept, update = charge, self.factor.solve(-residual)
            charge = self._move(kept, update)
        raise ConvergenceError(f"electrochemistry: residual {error:.1e} after {most} Newton steps, {tolerance:.1e} wanted")

    def _move(self, charge: Charge, update: np.ndarray) -> Charge:
        dx, dc, dphi = update[self.x_dof[self.solid]], update[self.c_dof[self.ionic]], update[self.phi_dof[self.ionic]]
        largest = max(np.abs(dx).max() / 0.3, np.abs(dc).max() / 0.5, np.abs(dphi).max() / 6, abs(update[-1]) / 20, 1.0)
        x, c, phi = charge.x_li.copy(), charge.ion.copy(), charge.phi.copy()
        old = x[self.solid]  # full and empty are never passed: the exchange current ends there with an infinite slope
        x[self.solid] = np.clip(old + dx / largest, 0.1 * old, 1 - 0.1 * (1 - old))
        c[self.ionic] += dc / largest
        phi[self.ionic] += dphi / largest
        return Charge(x, c, phi, charge.bound, charge.voltage + update[-1] / largest / self.f, charge.plated)

    def _finish(self, charge: Charge, before: Charge, step: float) -> Charge:
        k = self.chemistry
        mobile = charge.ion * k.rest[0]
        bound = dissociation.bound_after_step(before.bound, mobile, step, k.generation_rate, k.recombination_rate)
        flow = float(self.anode_current(charge)[0] @ self.cell.anode_length)
        return Charge(charge.x_li, charge.ion, charge.phi, bound, charge.voltage, before.plated - step * flow / FARADAY)

    def _assemble(self, charge: Charge, before: Charge, step: float, current: float, open_to: np.ndarray, contact: np.ndarray):
        cell, k = self.cell, self.chemistry
        n, data = len(cell.nodes), self.pattern.empty()
        solid, row_c, row_phi = np.zeros(n), np.zeros(n), np.zeros(n)
        part = self.cathode
        flow = open_to[part] * k.diffusivity_cathode * k.site_density
        diffusion(cell.triangles[part], cell.gradients[part], cell.areas[part], flow, self.solid_slots, data)
        apply_diffusion(cell.triangles[part], cell.gradients[part], cell.areas[part], flow, charge.x_li, solid)
        weight = self.cathode_mass * k.site_density / step
        solid += weight * (charge.x_li - before.x_li)
        data[self.diagonal[self.x_dof[self.solid]]] += weight[self.solid]

        part, mobile = self.electrolyte, k.rest[0]
        plus, minus = open_to[part] * k.diffusivity_lithium_ion * mobile, open_to[part] * k.diffusivity_counter_charge * mobile
        migration(
            cell.triangles[part], cell.gradients[part], cell.areas[part], plus, minus, charge.ion, charge.phi,
            self.ionic_slots, data, row_phi, row_c,
        )  # fmt: skip
        c = charge.ion * mobile
        bound = dissociation.bound_after_step(before.bound, c, step, k.generation_rate, k.recombination_rate)
        source = dissociation.source(bound, c, k.generation_rate, k.recombination_rate)
        row_c += self.electrolyte_mass * (mobile * (charge.ion - before.ion) / step - source)
        slope = self.electrolyte_mass * mobile * (1 / step - dissociation.source_slope(c, step, k.generation_rate, k.recombination_rate))
        data[self.diagonal[self.c_dof[self.ionic]]] += slope[self.ionic]
        voltage = self._interfaces(charge, current, contact, solid, row_phi, data)

        residual = np.empty(self.size)
        residual[self.x_dof[self.solid]] = solid[self.solid]
        residual[self.c_dof[self.ionic]] = row_c[self.ionic]
        residual[self.phi_dof[self.ionic]] = row_phi[self.ionic]
        residual[-1] = voltage
        return residual, data

    def _interfaces(
        self, charge: Charge, current: float, contact: np.ndarray, solid: np.ndarray, row_phi: np.ndarray, data: np.ndarray
    ) -> float:
        cell, lengths = self.cell, self.cell.interface_length / FARADAY
        facing = cell.anode_length / FARADAY
        flow, *slopes = self.cathode_current(charge, contact)
        solid[cell.interface] += lengths * flow
        row_phi[cell.interface] -= lengths * flow
        for column, slope in enumerate(slopes):
            for row, sign in ((0, 1.0), (2, -1.0), (3, 1.0)):
                data[:] += np.bincount(self.surface_slots[:, row, column], sign * lengths * slope, minlength=len(data))
        metal, *slopes = self.anode_current(charge)
        row_phi[cell.anode] -= facing * metal
        for column, slope in enumerate(slopes):
            data[self.metal_slots[:, 1, column]] -= facing * slope
        return float(lengths @ flow) - current * cell.width / FARADAY

    def lithium(self, charge: Charge) -> float:
        """All Li of the cell (mol/m): cathode, mobile and bound in the electrolyte, plated. Constant on a perfect step."""
        k = self.chemistry
        solid = k.site_density * float(self.cathode_mass[self.solid] @ charge.x_li[self.solid])
        ionic = float(self.electrolyte_mass[self.ionic] @ (k.rest[0] * charge.ion + charge.bound)[self.ionic])
        return solid + ionic + charge.plated

    def observe(self, charge: Charge, current: float, contact: np.ndarray) -> dict[str, float]:
        """Mean and surface Li content, overpotential and its parts (S.7-S.9), and the imbalance of the two currents."""
        lengths = self.cell.interface_length
        flow = self.cathode_current(charge, contact)[0] * lengths
        metal = self.anode_current(charge)[0] * self.cell.anode_length
        mean = float(self.cathode_mass[self.solid] @ charge.x_li[self.solid] / self.cathode_mass.sum())
        surface = charge.x_li[self.cell.interface]
        # without a net current the means are plain ones
        share = flow / flow.sum() if current else lengths / lengths.sum()
        facing = metal / metal.sum() if current else self.cell.anode_length / self.cell.anode_length.sum()
        e_eq_mean = float(self.potential(mean))
        parts = kinetics.split_overpotential(
            charge.voltage,
            e_eq_mean,
            float(share @ self.potential(surface)),
            float(share @ charge.phi[self.cell.interface]) / self.f,
            float(facing @ charge.phi[self.cell.anode]) / self.f,
        )
        return {
            "mean": mean,
            "surface": float(lengths @ surface) / self.cell.width,
            "equilibrium": e_eq_mean,
            "eta": kinetics.overpotential(charge.voltage, e_eq_mean),
            "current imbalance": abs(flow.sum() + metal.sum()) / (max(abs(current), self.reference) * self.cell.width),
            **parts,
        }
