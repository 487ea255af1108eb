"""Mechanical equilibrium div sigma + b = 0 (S.30): residual, tangent, one Newton step with line search.

The stress follows from the *elastic* strain eps(u) - eps_chem.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecmpipe.errors import ConvergenceError
from ecmpipe.fem.filler import CONVEX, EXACT, NONE, mooney_rivlin_patches, patch_dofs
from ecmpipe.fem.kernels import DIRECTIONAL, ELASTIC, ISOTROPIC, MIEHE, small_strain
from ecmpipe.fem.linsolve import Pattern, StaleFactor
from ecmpipe.fem.mesh import Cell, Mesh
from ecmpipe.laws.fracture import spectral_stresses
from ecmpipe.settings.fem import TopSettings

NOTHING = np.empty(0, dtype=np.int64)
NO_PAIRS = np.empty((0, 2), dtype=np.int64)
ROUNDING = 1e-12  # of all nodal forces; below it the slope along a step is noise
SPLITS = {"elastic": ELASTIC, "directional": DIRECTIONAL, "miehe": MIEHE, "none": ISOTROPIC}


@dataclass(frozen=True)
class Rubber:
    """Coefficients of S.37 in Pa."""

    c10: float
    c01: float
    kappa: float

    @property
    def longitudinal(self) -> float:
        """kappa + 4 mu/3 (Pa), what a thin bonded layer answers a pull with."""
        return self.kappa + 8 / 3 * (self.c10 + self.c01)


@dataclass
class Group:
    """Triangles that one kernel call handles."""

    chosen: np.ndarray
    triangles: np.ndarray
    gradients: np.ndarray
    areas: np.ndarray
    slots: np.ndarray


@dataclass(frozen=True)
class Support:
    """``number`` (2n,): the unknown that each displacement is, -1 where it is given; ``load`` (unknowns,) in N/m pushes on them."""

    number: np.ndarray
    load: np.ndarray

    @classmethod
    def holding(cls, nodes: int, held: np.ndarray, tied: np.ndarray = NOTHING) -> Support:
        """Displacements ``held`` are given, all those ``tied`` are one unknown, the last; no load yet."""
        number = np.zeros(2 * nodes, dtype=np.int64)
        number[held] = number[tied] = -1
        free = np.flatnonzero(number == 0)
        number[free] = np.arange(len(free))
        number[tied] = len(free)
        return cls(number, np.zeros(len(free) + bool(len(tied))))


def support_of(cell: Cell, top: TopSettings) -> Support:
    """The collector keeps its height, symmetry planes their place; the top is clamped, a platen, or free under pressure."""
    held = np.concatenate([2 * cell.fixed_x, 2 * cell.fixed_y + 1])
    above = 2 * cell.top + 1
    if top.hold == "clamped":
        return Support.holding(len(cell.nodes), np.concatenate([held, above]))
    support = Support.holding(len(cell.nodes), held, np.setdiff1d(above, held) if top.hold == "platen" else NOTHING)
    free = support.number[above] >= 0  # a corner may be held by another boundary
    np.subtract.at(support.load, support.number[above[free]], top.pressure * cell.top_length[free])
    return support


class Mechanics:
    """Residual and tangent of the displacement, with patterns and the elastic bulk built once.

    Parameters
    ----------
    lam, mu : (t,) Lame constants in Pa; kind : (t,) one of the codes in `SPLITS`; normals : (t, 2) for the directional split.
    pairs : (p, 2) triangles of the filler, whose coefficients are ``rubber``.
    """

    def __init__(
        self,
        mesh: Mesh,
        support: Support,
        lam: np.ndarray,
        mu: np.ndarray,
        kind: np.ndarray,
        normals: np.ndarray,
        pairs: np.ndarray = NO_PAIRS,
        rubber: Rubber | None = None,
    ):
        self.mesh, self.support, self.lam, self.mu, self.kind, self.normals, self.rubber = mesh, support, lam, mu, kind, normals, rubber
        self.kept = np.flatnonzero(support.number >= 0)
        self.target = support.number[self.kept]
        chosen = [np.flatnonzero(kind == ELASTIC), np.flatnonzero(kind != ELASTIC), pairs.ravel()]
        if rubber is not None:
            chosen[:2] = [np.setdiff1d(each, pairs) for each in chosen[:2]]
        self.pattern, groups = self._build(support.number, chosen)
        self.elastic, self.breakable, self.filler = groups
        single = np.repeat(pairs[:, 0] == pairs[:, 1], 2)
        self.filler.areas[single] *= 0.5  # a triangle that is paired with itself
        self.solver = StaleFactor()
        self.elastic_data = self.pattern.empty()
        nothing, still = np.zeros(len(kind)), np.zeros(2 * len(mesh.nodes))
        self._small(self.elastic, nothing, nothing, still, self.elastic_data, still.copy(), EXACT)

    def _build(self, number: np.ndarray, chosen: list[np.ndarray]) -> tuple[Pattern, list[Group]]:
        mesh = self.mesh
        dofs = [(2 * mesh.triangles[part][:, :, None] + np.arange(2)).reshape(-1, 6) for part in chosen[:2]]
        dofs.append(patch_dofs(mesh.triangles[chosen[2]]))
        rows = [np.repeat(number[d], d.shape[1], axis=1) for d in dofs]
        columns = [np.tile(number[d], (1, d.shape[1])) for d in dofs]
        pattern = Pattern(np.concatenate([r.ravel() for r in rows]), np.concatenate([c.ravel() for c in columns]), len(self.support.load))
        ends = np.cumsum([r.size for r in rows])
        slots = [part.reshape(r.shape) for part, r in zip(np.split(pattern.slots, ends[:-1]), rows, strict=True)]
        groups = [
            Group(part, mesh.triangles[part], mesh.gradients[part], mesh.areas[part], s) for part, s in zip(chosen, slots, strict=True)
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
        self.reaction = force
        return np.bincount(self.target, force[self.kept], minlength=self.pattern.size) - self.support.load, data, psi

    def closed(self, u: np.ndarray, g: np.ndarray) -> np.ndarray:
        """``g`` (t,) with 1 in the pairs of the filler that are pressed together at ``u``: a closed crack in it carries what it carried."""
        if not len(self.filler.chosen):
            return g
        ratio = self._mean_ratio(u)
        shut = self.filler.chosen[ratio <= 1]
        g = g.copy()
        g[shut] = 1.0
        return g

    def _mean_ratio(self, u: np.ndarray) -> np.ndarray:
        """Volume ratio of each filler triangle's pair."""
        group = self.filler
        grad = np.einsum("tai,taj->tij", u.reshape(-1, 2)[group.triangles], group.gradients)
        ratio = (1 + grad[:, 0, 0]) * (1 + grad[:, 1, 1]) - grad[:, 0, 1] * grad[:, 1, 0]
        areas = group.areas.reshape(-1, 2)
        return np.repeat((ratio.reshape(-1, 2) * areas).sum(axis=1) / areas.sum(axis=1), 2)

    def load_scale(self, chem: np.ndarray) -> float:
        """The norm (N/m) of the chemical load and of what presses, which a residual must be small against."""
        pull = (3 * self.lam + 2 * self.mu) * chem * self.mesh.areas
        loads = pull[:, None, None] * self.mesh.gradients
        nodes = self.mesh.triangles.ravel()
        parts = [np.bincount(nodes, loads[:, :, axis].ravel()) for axis in range(2)]
        return float(np.sqrt(sum(part @ part for part in [*parts, self.support.load]))) or 1.0

    def newton(self, u: np.ndarray, forces: tuple, g: np.ndarray, chem: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
        """One Newton step from ``u``, where `evaluate` gave ``forces``; returns the new u and its psi+.

        The small-strain energy is convex at fixed d, so the line search only looks at its slope along the step; where the
        filler makes the tangent indefinite, its convex part gives the step.
        """
        if np.linalg.norm(forces[0]) <= ROUNDING * np.linalg.norm(self.reaction):
            return u, forces[2]  # in equilibrium to the last digit
        found = self._descend(u, forces, g, chem, tolerance)
        if found is None:  # an old factor may have led astray
            self.solver.factor = None
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
        direction = self.solver.solve(self.pattern.matrix(data), -residual, tolerance)
        step = np.zeros_like(u)
        step[self.kept] = direction[self.target]
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
        mesh = self.mesh
        psi = self.evaluate(u, g, chem, NONE)[2]
        grad = np.einsum("tai,taj->tij", u.reshape(-1, 2)[mesh.triangles], mesh.gradients)
        exx, eyy, gxy = grad[:, 0, 0] - chem, grad[:, 1, 1] - chem, grad[:, 0, 1] + grad[:, 1, 0]
        square = exx**2 + eyy**2 + chem**2 + 0.5 * gxy**2
        intact = 0.5 * self.lam * (exx + eyy - chem) ** 2 + self.mu * square
        if len(self.filler.chosen):
            inside, mean = self.filler.chosen, self._mean_ratio(u)
            intact[inside] = psi[inside] + np.where(
                mean <= 1, 0.5 * self.rubber.kappa * (mean - 1) ** 2 + self._isochoric(grad[inside]), 0.0
            )
        return float(mesh.areas @ (intact - (1 - g) * psi))

    def _isochoric(self, grad: np.ndarray) -> np.ndarray:
        """C10 (J1 - 3) + C01 (J2 - 3) of S.37 in plane strain, for the displacement gradients (k, 2, 2)."""
        f = grad + np.eye(2)
        square, j = (f**2).sum(axis=(1, 2)), np.linalg.det(f)
        return self.rubber.c10 * ((square + 1) * j ** (-2 / 3) - 3) + self.rubber.c01 * ((j**2 + square) * j ** (-4 / 3) - 3)

    def normal_parts(self, u: np.ndarray, chem: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of ``chosen`` triangles of small strain along their normals: the intact stress (Pa), what of it a crack takes away, that is
        n . (d psi+/d eps) . n of their split, and the total strain."""
        mesh, lam, mu, kind, normal = self.mesh, self.lam[chosen], self.mu[chosen], self.kind[chosen], self.normals[chosen]
        grad = np.einsum("tai,taj->tij", u.reshape(-1, 2)[mesh.triangles[chosen]], mesh.gradients[chosen])
        strain = np.zeros((len(chosen), 3, 3))
        strain[:, :2, :2] = 0.5 * (grad + grad.transpose(0, 2, 1))
        across = np.einsum("tij,ti,tj->t", grad, normal, normal)
        strain -= chem[chosen, None, None] * np.eye(3)
        stress = lam * np.trace(strain, axis1=1, axis2=2) + 2 * mu * (across - chem[chosen])
        lost = np.select([kind == ELASTIC, kind == DIRECTIONAL], [0.0, np.maximum(stress, 0)], stress)
        by_miehe = kind == MIEHE
        if by_miehe.any():
            lam_mu = (value[by_miehe, None, None] for value in (lam, mu))
            plus = spectral_stresses(strain[by_miehe], *lam_mu)[0]
            lost[by_miehe] = np.einsum("tij,ti,tj->t", plus[:, :2, :2], normal[by_miehe], normal[by_miehe])
        return stress, lost, across

    def normal_stress(self, u: np.ndarray, g: np.ndarray, chem: np.ndarray, chosen: np.ndarray) -> float:
        """Mean stress (Pa) along the normals that ``chosen`` triangles of small strain carry with their crack."""
        stress, lost, _ = self.normal_parts(u, chem, chosen)
        return float((stress - (1 - g[chosen]) * lost) @ self.mesh.areas[chosen] / self.mesh.areas[chosen].sum())

    def opening(self, u: np.ndarray, g: np.ndarray, chem: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """What ``chosen`` triangles add to the normal inelastic opening (m2): area times lost stress over M; of the filler, its strain."""
        _, lost, across = self.normal_parts(u, chem, chosen)
        elastic = lost / (self.lam + 2 * self.mu)[chosen]
        if self.rubber is not None:
            elastic = np.where(np.isin(chosen, self.filler.chosen), across, elastic)
        return self.mesh.areas[chosen] * (1 - g[chosen]) * np.maximum(elastic, 0)

    def work_of_load(self, before: np.ndarray, after: np.ndarray) -> float:
        """Work (J/m) of the load on the way from one displacement to another."""
        moved = np.zeros(self.pattern.size)
        moved[self.target] = (after - before)[self.kept]
        return float(self.support.load @ moved)
