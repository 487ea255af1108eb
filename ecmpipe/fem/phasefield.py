"""The crack field: (G_c/l + 2H + eta/dt) d - div(G_c l grad d) = 2H + (eta/dt) d_n (S.31 of the AT2 density S.20).

Reaction terms are lumped, which with right-angled triangles gives an M-matrix and holds d in [0, 1].
"""

from __future__ import annotations

import numpy as np

from ecmpipe.fem.kernels import diffusion
from ecmpipe.fem.linsolve import Pattern, StaleFactor
from ecmpipe.fem.mesh import Cell


class CrackField:
    """Solver for d.

    Parameters
    ----------
    g_c : (t,) toughness in J/m2; ell : length scale in m; viscous_time : tau in s, eta = tau G_c/l.
    driven : (t,) bool, triangles whose history counts; an elastic bulk does not drive a crack.
    """

    tolerance = 1e-4  # of the correction that one turn of the staggered loop makes

    def __init__(self, cell: Cell, g_c: np.ndarray, ell: float, viscous_time: float, driven: np.ndarray):
        self.cell, self.g_c, self.ell, self.viscous_time, self.driven = cell, g_c, ell, viscous_time, driven
        rows = np.repeat(cell.triangles, 3, axis=1).ravel()
        columns = np.tile(cell.triangles, (1, 3)).ravel()
        self.pattern = Pattern(rows, columns, len(cell.nodes))
        self.data = self.pattern.empty()
        diffusion(cell.triangles, cell.gradients, cell.areas, g_c * ell, self.pattern.slots.reshape(-1, 9), self.data)
        self.toughness = self._lump(g_c / ell)
        number = np.arange(len(cell.nodes))
        self.diagonal = self.pattern.places(number, number)
        self.solver = StaleFactor()

    def _lump(self, density: np.ndarray) -> np.ndarray:
        weights = np.repeat(density * self.cell.areas / 3, 3)
        return np.bincount(self.cell.triangles.ravel(), weights, minlength=len(self.cell.nodes))

    def solve(self, history: np.ndarray, before: np.ndarray, guess: np.ndarray, step: float) -> np.ndarray:
        """d (n,) for the history H (t,) in J/m3, from ``before`` at the last accepted step; never below it, never above 1."""
        drive = self._lump(np.where(self.driven, 2 * history, 0.0))
        viscous = self.viscous_time / step * self.toughness
        right = drive + viscous * before
        data = self.data.copy()
        data[self.diagonal] += self.toughness + drive + viscous
        matrix = self.pattern.matrix(data)
        d = guess + self.solver.solve(matrix, right - matrix @ guess, self.tolerance)
        return np.clip(d, before, 1.0)

    def degradation(self, d: np.ndarray, residual_stiffness: float) -> np.ndarray:
        """g (t,) of S.26 with the same nodal quadrature as the lumped reaction, so both equations have one energy."""
        return ((1 - d[self.cell.triangles]) ** 2).mean(axis=1) + residual_stiffness

    def surface_energy(self, d: np.ndarray) -> float:
        """int G_c gamma (J/m) of S.20."""
        image = self.pattern.matrix(self.data) @ d
        return 0.5 * float(d @ image + self.toughness @ d**2)
