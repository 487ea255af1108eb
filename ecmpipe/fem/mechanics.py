"""Mechanical equilibrium div sigma + b = 0 (S.30) of the layered cell: residual, tangent, one Newton step with line search.

The stress follows from the *elastic* strain eps(u) - eps_chem; collector and top hold the height, x = 0 is a symmetry plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecmpipe.errors import ConvergenceError
from ecmpipe.fem.filler import CONVEX, EXACT, NONE, mooney_rivlin_patches, patch_dofs
from ecmpipe.fem.kernels import DIRECTIONAL, ELASTIC, MIEHE, small_strain
from ecmpipe.fem.linsolve import Pattern, StaleFactor
from ecmpipe.fem.mesh import FILLER, Cell

SPLITS = {"elastic": ELASTIC, "directional": DIRECTIONAL, "miehe": MIEHE}


@dataclass(frozen=True)
class Rubber:
    """Coefficients of S.37 in Pa."""

    c10: float
    c01: float
    kappa: float


@dataclass
class Group:
    """Triangles that one kernel call handles."""

    chosen: np.ndarray
    triangles: np.ndarray
    gradients: np.ndarray
    areas: np.ndarray
    slots: np.ndarray


class Mechanics:
    """Residual and tangent of the displacement, with patterns and the elastic bulk built once.

    Parameters
    ----------
    lam, mu : (t,) Lame constants in Pa; kind : (t,) one of the codes in `SPLITS`; rubber : coefficients of the filler.
    """

    def __init__(self, cell: Cell, lam: np.ndarray, mu: np.ndarray, kind: np.ndarray, rubber: Rubber | None = None):
        self.cell, self.lam, self.mu, self.kind, self.rubber = cell, lam, mu, kind, rubber
        self.normals = np.tile([0.0, 1.0], (len(cell.triangles), 1))
        number = np.zeros(2 * len(cell.nodes), dtype=np.int64)
        number[2 * cell.bottom + 1] = number[2 * cell.anode + 1] = number[2 * cell.left] = -1
        self.free = np.flatnonzero(number == 0)
        number[self.free] = np.arange(len(self.free))
        is_filler = cell.layer == FILLER if rubber is not None else np.zeros(len(kind), dtype=bool)
        self.pattern, groups = self._build(number, [~is_filler & (kind == ELASTIC), ~is_filler & (kind != ELASTIC), is_filler])
        self.elastic, self.breakable, self.filler = groups
        self.solver = StaleFactor()
        self.elastic_data = self.pattern.empty()
        nothing = np.zeros(len(kind))
        self._small(self.elastic, nothing, nothing, np.zeros(2 * len(cell.nodes)), self.elastic_data, np.zeros(2 * len(cell.nodes)), EXACT)

    def _build(self, number: np.ndarray, masks: list[np.ndarray]) -> tuple[Pattern, list[Group]]:
        cell = self.cell
        dofs = [(2 * cell.triangles[mask][:, :, None] + np.arange(2)).reshape(-1, 6) for mask in masks[:2]]
        dofs.append(patch_dofs(cell.triangles[masks[2]]))
        rows = [np.repeat(number[d], d.shape[1], axis=1) for d in dofs]
        columns = [np.tile(number[d], (1, d.shape[1])) for d in dofs]
        pattern = Pattern(np.concatenate([r.ravel() for r in rows]), np.concatenate([c.ravel() for c in columns]), len(self.free))
        ends = np.cumsum([r.size for r in rows])
        slots = [part.reshape(r.shape) for part, r in zip(np.split(pattern.slots, ends[:-1]), rows, strict=True)]
        groups = [
            Group(np.flatnonzero(m), cell.triangles[m], cell.gradients[m], cell.areas[m], s) for m, s in zip(masks, slots, strict=True)
        ]
        return pattern, groups

    def _small(self, group: Group, g: np.ndarray, chem: np.ndarray, u: np.ndarray, data: np.ndarray, force: np.ndarray, tangent: int):
        chosen = group.chosen
        psi = np.empty(len(chosen))
        small_strain(
            self.kind[chosen],
            group.triangles,
            group.gradients,
            group.areas,
            self.lam[chosen],
            self.mu[chosen],
            self.normals[chosen],
            g[chosen],
            chem[chosen],
            u,
            group.slots,
            data,
            force,
            psi,
            tangent,
        )
        return psi

    def evaluate(self, u: np.ndarray, g: np.ndarray, chem: np.ndarray, tangent: int = EXACT):
        """Residual on the free dofs (N/m), matrix data and psi+ (t,) in J/m3.

        The residual is None where the filler is turned inside out, so that the caller shortens its step.
        """
        data = self.elastic_data.copy() if tangent else np.empty(0)
        force = np.zeros(len(u))
        psi = np.zeros(len(self.kind))
        self._small(self.elastic, g, chem, u, data, force, False)
        psi[self.breakable.chosen] = self._small(self.breakable, g, chem, u, data, force, tangent)
        if len(self.filler.chosen):
            group, rubber = self.filler, self.rubber
            inner = np.empty(len(group.chosen))
            smallest = mooney_rivlin_patches(
                group.triangles,
                group.gradients,
                group.areas,
                rubber.c10,
                rubber.c01,
                rubber.kappa,
                g[group.chosen],
                u,
                group.slots,
                data,
                force,
                inner,
                tangent,
            )
            if not smallest > 0:
                return None, data, psi
            psi[group.chosen] = inner
        return force[self.free], data, psi

    def load_scale(self, chem: np.ndarray) -> float:
        """The norm (N/m) of the chemical load, which a residual must be small against."""
        pull = (3 * self.lam + 2 * self.mu) * chem * self.cell.areas
        loads = pull[:, None, None] * self.cell.gradients
        nodes = self.cell.triangles.ravel()
        parts = [np.bincount(nodes, loads[:, :, axis].ravel()) for axis in range(2)]
        return float(np.sqrt(sum(part @ part for part in parts))) or 1.0

    def newton(self, u: np.ndarray, forces: tuple, g: np.ndarray, chem: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
        """One Newton step from ``u``, where `evaluate` gave ``forces``; returns the new u and its psi+.

        The small-strain energy is convex at fixed d, so the line search only looks at its slope along the step; where the
        filler makes the tangent indefinite, its convex part gives the step.
        """
        found = self._descend(u, forces, g, chem, tolerance)
        if found is None and len(self.filler.chosen):
            forces = self.evaluate(u, g, chem, CONVEX)
            self.solver.factor = None
            found = self._descend(u, forces, g, chem, tolerance)
            self.solver.factor = None
        if found is None:
            raise ConvergenceError("mechanics: the line search found no descent")
        return found

    def _descend(self, u: np.ndarray, forces: tuple, g: np.ndarray, chem: np.ndarray, tolerance: float):
        residual, data, _ = forces
        step = np.zeros_like(u)
        step[self.free] = self.solver.solve(self.pattern.matrix(data), -residual, tolerance)
        direction = step[self.free]
        start = float(residual @ direction)
        if start >= 0:
            return None
        low, low_slope, high, high_slope = 0.0, start, None, None
        length = 1.0
        for _ in range(20):
            trial, _, psi = self.evaluate(u + length * step, g, chem, NONE)
            slope = None if trial is None else float(trial @ direction)
            if slope is not None and (abs(slope) <= 0.5 * abs(start) or (slope < 0 and high is None)):
                return u + length * step, psi
            if slope is None or slope > 0:
                high, high_slope = length, slope
            else:
                low, low_slope = length, slope
            if high_slope is None:
                length = 0.5 * (low + high)
            else:
                secant = low + (high - low) * low_slope / (low_slope - high_slope)
                length = min(max(secant, low + 0.1 * (high - low)), high - 0.1 * (high - low))
        return None

    def energy(self, u: np.ndarray, g: np.ndarray, chem: np.ndarray) -> float:
        """int psi(d, eps(u) - eps_chem) in J/m (S.28, S.29)."""
        cell = self.cell
        psi = self.evaluate(u, g, chem, NONE)[2]
        grad = np.einsum("tai,taj->tij", u.reshape(-1, 2)[cell.triangles], cell.gradients)
        exx, eyy, gxy = grad[:, 0, 0] - chem, grad[:, 1, 1] - chem, grad[:, 0, 1] + grad[:, 1, 0]
        square = exx**2 + eyy**2 + chem**2 + 0.5 * gxy**2
        intact = 0.5 * self.lam * (exx + eyy - chem) ** 2 + self.mu * square
        if len(self.filler.chosen):
            inside = self.filler.chosen
            ratio = (1 + grad[inside, 0, 0]) * (1 + grad[inside, 1, 1]) - grad[inside, 0, 1] * grad[inside, 1, 0]
            mean = np.repeat((ratio * self.filler.areas).reshape(-1, 2).sum(axis=1) / self.filler.areas.reshape(-1, 2).sum(axis=1), 2)
            intact[inside] = psi[inside] + 0.5 * self.rubber.kappa * np.minimum(mean - 1, 0) ** 2
        return float(cell.areas @ (intact - (1 - g) * psi))

    def normal_stress(self, u: np.ndarray, g: np.ndarray, chem: np.ndarray, chosen: np.ndarray) -> float:
        """Mean stress s_yy (Pa) over ``chosen`` triangles of small strain, with the traction degraded where it opens."""
        cell = self.cell
        grad = np.einsum("tai,taj->tij", u.reshape(-1, 2)[cell.triangles[chosen]], cell.gradients[chosen])
        exx, eyy = grad[:, 0, 0] - chem[chosen], grad[:, 1, 1] - chem[chosen]
        stress = self.lam[chosen] * (exx + eyy - chem[chosen]) + 2 * self.mu[chosen] * eyy
        stress = np.where(stress > 0, g[chosen] * stress, stress)
        return float(stress @ cell.areas[chosen] / cell.areas[chosen].sum())

    def opening(self, u: np.ndarray, g: np.ndarray, chem: np.ndarray) -> np.ndarray:
        """Normal inelastic opening across the band in each column of cells (m): sum of (1 - g) <s_nn>+/M times the height."""
        cell = self.cell
        band = np.flatnonzero(cell.band)
        local = u.reshape(-1, 2)[cell.triangles[band]]
        grad = np.einsum("tai,taj->tij", local, cell.gradients[band])
        e = chem[band]
        exx, eyy, ezz = grad[:, 0, 0] - e, grad[:, 1, 1] - e, -e
        normal_stress = self.lam[band] * (exx + eyy + ezz) + 2 * self.mu[band] * eyy
        inelastic = (1 - g[band]) * np.maximum(normal_stress / (self.lam[band] + 2 * self.mu[band]), 0)
        filler = cell.layer[band] == FILLER
        inelastic[filler] = (1 - g[band][filler]) * np.maximum(grad[filler, 1, 1], 0)
        column = band // (2 * (len(cell.y) - 1))
        width = np.diff(cell.x)
        return np.bincount(column, inelastic * cell.areas[band], minlength=cell.columns) / width
