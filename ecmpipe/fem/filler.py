"""The polymer layer at finite strain: Mooney-Rivlin (S.33-S.37), total Lagrangian, plane strain F33 = 1.

Linear triangles lock when the bulk modulus is large (+21 % at nu = 0.499), so the two triangles of a cell share one
volume ratio, the mean of theirs. The energy then is a function of that mean, and force and tangent are its exact
derivatives. A crack is driven by, and degrades, the energy of pairs that are drawn; where their volume has shrunk the caller
gives g = 1.
"""

from __future__ import annotations

import numpy as np

from ecmpipe.fem.kernels import compiled

NONE, EXACT, CONVEX = 0, 1, 2


@compiled
def mooney_rivlin_patches(triangles, gradients, areas, c10, c01, kappa, g, u, slots, data, force, psi, with_tangent):
    """Add force and tangent of pairs of triangles with W = C10 (J1 - 3) + C01 (J2 - 3) + kappa/2 (J - 1)2 (S.37).

    ``with_tangent`` is NONE, EXACT, or CONVEX for its positive definite part only, which a Newton step needs where a broken
    and strongly drawn filler makes the exact one indefinite. ``slots`` (pairs, 144); ``psi`` (t,) gets the degradable
    energy. Returns the smallest volume ratio met; at or below 0 nothing after that pair is added and the caller must
    shorten its step.
    """
    smallest = 1e300
    f = np.empty((2, 4))  # F11, F12, F21, F22
    cof = np.empty((2, 4))
    jac = np.empty(2)
    shape = np.empty((2, 6, 4))  # dF/du of each triangle
    q = np.empty(12)
    first = np.empty((2, 4))
    second = np.empty((4, 4))
    for pair in range(len(triangles) // 2):
        area = mean = degraded = 0.0
        for half in range(2):
            e = 2 * pair + half
            f[half, 0] = f[half, 3] = 1.0
            f[half, 1] = f[half, 2] = 0.0
            shape[half] = 0.0
            for a in range(3):
                node = triangles[e, a]
                for i in range(2):
                    for j in range(2):
                        f[half, 2 * i + j] += gradients[e, a, j] * u[2 * node + i]
                        shape[half, 2 * a + i, 2 * i + j] = gradients[e, a, j]
            jac[half] = f[half, 0] * f[half, 3] - f[half, 1] * f[half, 2]
            smallest = min(smallest, jac[half])
            cof[half, 0], cof[half, 1] = f[half, 3], -f[half, 2]
            cof[half, 2], cof[half, 3] = -f[half, 1], f[half, 0]
            area += areas[e]
            mean += areas[e] * jac[half]
            degraded += areas[e] * g[e]
        if smallest <= 0:
            return smallest
        mean /= area
        stiffness = kappa * (degraded / area if mean > 1 else 1.0)
        pressure = stiffness * (mean - 1)
        for half in range(2):
            e = 2 * pair + half
            square = (f[half] * f[half]).sum()
            j = jac[half]
            w_i = c10 * j ** (-2 / 3) + c01 * j ** (-4 / 3)
            w_j = -2 / 3 * c10 * (square + 1) * j ** (-5 / 3) + c01 * (2 / 3 * j ** (-1 / 3) - 4 / 3 * square * j ** (-7 / 3))
            psi[e] = 0.0
            if mean > 1:  # what is pressed together drives no crack
                psi[e] = c10 * ((square + 1) * j ** (-2 / 3) - 3) + c01 * ((j * j + square) * j ** (-4 / 3) - 3)
                psi[e] += 0.5 * kappa * (mean - 1) ** 2
            first[half] = g[e] * (2 * w_i * f[half] + w_j * cof[half]) + pressure * cof[half]
            for r in range(6):
                q[6 * half + r] = areas[e] * (shape[half, r] * cof[half]).sum()
                force[2 * triangles[e, r // 2] + r % 2] += areas[e] * (shape[half, r] * first[half]).sum()
            if with_tangent:
                w_ij = -2 / 3 * c10 * j ** (-5 / 3) - 4 / 3 * c01 * j ** (-7 / 3)
                w_jj = 10 / 9 * c10 * (square + 1) * j ** (-8 / 3) + c01 * (-2 / 9 * j ** (-4 / 3) + 28 / 9 * square * j ** (-10 / 3))
                for i in range(4):
                    for k in range(4):
                        second[i, k] = g[e] * (
                            2 * w_ij * (f[half, i] * cof[half, k] + cof[half, i] * f[half, k]) + w_jj * cof[half, i] * cof[half, k]
                        )
                        if with_tangent == CONVEX:
                            second[i, k] = 0.0
                    second[i, i] += g[e] * 2 * w_i
                turn = g[e] * w_j + pressure if with_tangent == EXACT else 0.0
                second[0, 3] += turn
                second[3, 0] += turn
                second[1, 2] -= turn
                second[2, 1] -= turn
                for r in range(6):
                    for s in range(6):
                        value = 0.0
                        for i in range(4):
                            if shape[half, r, i] != 0.0:
                                for k in range(4):
                                    value += shape[half, r, i] * second[i, k] * shape[half, s, k]
                        data[slots[pair, 12 * (6 * half + r) + 6 * half + s]] += areas[e] * value
        if with_tangent:
            for r in range(12):
                for s in range(12):
                    data[slots[pair, 12 * r + s]] += stiffness / area * q[r] * q[s]
    return smallest


def patch_dofs(triangles: np.ndarray) -> np.ndarray:
    """The twelve displacement numbers (pairs, 12) of each pair of triangles; shared nodes stand twice and add up."""
    dofs = (2 * triangles[:, :, None] + np.arange(2)).reshape(len(triangles), 6)
    return dofs.reshape(-1, 12)
