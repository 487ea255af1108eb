"""The crack field: the d in [d_n, 1] that minimises int omega(d) H + G_c gamma(d) + (eta/2 dt)(d - d_n)2 (S.31 in AT2's case).

For AT2 that is (G_c/l + 2H + eta/dt) d - div(G_c l grad d) = 2H + (eta/dt) d_n. Terms without gradients are lumped, which with
right-angled triangles gives an M-matrix.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg

from ecmpipe.errors import ConvergenceError
from ecmpipe.fem.kernels import diffusion
from ecmpipe.fem.linsolve import Pattern
from ecmpipe.fem.mesh import Mesh
from ecmpipe.laws.fracture import CRACK_MODELS

LEAST_CURVATURE = 0.05  # of 2 G_c/(c_w l): PF-CZM's own curvature can be negative


class CrackField:
    """Solver for d.

    Parameters
    ----------
    model : a name of `CRACK_MODELS`; g_c : (t,) toughness in J/m2; ell : length scale in m; viscous_time : tau in s, eta = tau G_c/l.
    driven : (t,) bool, triangles whose history counts; an elastic bulk does not drive a crack. a1 : (t,) of PF-CZM.
    """

    tolerance = 1e-4  # of the correction that one turn of the staggered loop makes
    enough = 2e-4  # change of d that ends Newton's steps
    most_steps = 30

    def __init__(
        self, mesh: Mesh, model: str, g_c: np.ndarray, ell: float, viscous_time: float, driven: np.ndarray, a1: np.ndarray | float = 1.0
    ):
        self.mesh, self.model, self.g_c, self.ell, self.viscous_time, self.driven = (
            mesh,
            CRACK_MODELS[model],
            g_c,
            ell,
            viscous_time,
            driven,
        )
        self.a1 = np.broadcast_to(a1, len(mesh.triangles))[:, None]
        # PF-CZM softens over d of order 1/a1, where Newton's first steps are as short
        self.enough = min(self.enough, 0.02 / float(np.max(self.a1)))
        triangles = mesh.triangles
        self.pattern = Pattern(np.repeat(triangles, 3, axis=1).ravel(), np.tile(triangles, (1, 3)).ravel(), len(mesh.nodes))
        self.data = self.pattern.empty()
        # 2 G_c l/c_w, the factor of grad d . grad v
        diffusion(triangles, mesh.gradients, mesh.areas, 2 * g_c * ell / self.model.c_w, self.pattern.slots.reshape(-1, 9), self.data)
        self.stiffness = self.pattern.matrix(self.data)
        self.toughness = self._lump(np.repeat(g_c[:, None] / ell, 3, axis=1))

    def _lump(self, density: np.ndarray) -> np.ndarray:
        weights = density * self.mesh.areas[:, None] / 3
        return np.bincount(self.mesh.triangles.ravel(), weights.ravel(), minlength=len(self.mesh.nodes))

    def solve(self, history: np.ndarray, before: np.ndarray, guess: np.ndarray, step: float) -> np.ndarray:
        """d (n,) for the history H (t,) in J/m3, from ``before`` at the last accepted step; never below it, never above 1."""
        drive = np.where(self.driven, history, 0.0)[:, None]
        viscous = self.viscous_time / step * self.toughness
        d = guess.copy()
        goal = None
        for _ in range(self.most_steps):
            _, slope, curvature = self.model.omega(d[self.mesh.triangles], self.a1)
            _, a_slope, a_curvature = self.model.alpha(d)
            share = self.toughness / self.model.c_w
            residual = self._lump(slope * drive) + share * a_slope + viscous * (d - before) + self.stiffness @ d
            bend = self._lump(curvature * drive) + share * a_curvature + viscous
            held = ((d <= before) & (residual > 0)) | ((d >= 1) & (residual < 0))
            right = np.where(held, 0.0, -residual)
            goal = goal or self.tolerance * float(np.linalg.norm(right))
            update = self._solve_free(np.maximum(bend, 2 * LEAST_CURVATURE * share), right, ~held, goal)
            largest = float(np.max(np.abs(update)))
            after = np.clip(d + update * min(1.0, 0.5 / max(largest, 1e-300)), before, 1.0)
            change, d = float(np.max(np.abs(after - d))), after
            if change <= self.enough:
                break
        return d

    def _solve_free(self, diagonal: np.ndarray, right: np.ndarray, free: np.ndarray, goal: float) -> np.ndarray:
        """(K + diagonal) update = right on the free nodes, zero on the others, to the residual ``goal``; CG behind the matrix' diagonal."""
        whole, size = diagonal + self.stiffness.diagonal(), len(right)
        operator = LinearOperator((size, size), lambda v: np.where(free, self.stiffness @ np.where(free, v, 0.0) + diagonal * v, v))
        update, failed = cg(operator, right, rtol=0, atol=goal, maxiter=2000, M=LinearOperator((size, size), lambda v: v / whole))
        if failed:
            raise ConvergenceError("crack field: conjugate gradients did not converge in 2000 iterations")
        return update

    def degradation(self, d: np.ndarray, residual_stiffness: float) -> np.ndarray:
        """g (t,) of S.26 with the same nodal quadrature as the lumped reaction, so both equations have one energy."""
        return self.model.omega(d[self.mesh.triangles], self.a1)[0].mean(axis=1) + residual_stiffness

    def surface_energy(self, d: np.ndarray) -> float:
        """int G_c gamma (J/m), S.20 for AT2."""
        return float(self.toughness @ self.model.alpha(d)[0] / self.model.c_w + 0.5 * d @ (self.stiffness @ d))

    def dissipated(self, before: np.ndarray, after: np.ndarray, step: float) -> float:
        """What the viscous term took in a step (J/m): int eta (d - d_n)2/dt."""
        return float(self.viscous_time / step * self.toughness @ (after - before) ** 2)
