"""Compiled element loops: strain, split, stress, tangent and scatter into a fixed pattern in one pass.

Plane strain with eps_zz = -eps_chem. Strain and stress in Voigt order xx, yy, xy (engineering shear).
"""

from __future__ import annotations

import numpy as np
from numba import njit


def compiled(function):
    """Compile; keep the machine code beside the source where that folder can be written."""
    try:
        return njit(cache=True)(function)
    except RuntimeError:
        return njit(function)


ELASTIC, DIRECTIONAL, MIEHE, ISOTROPIC = 0, 1, 2, 3


@compiled
def _elastic(exx, eyy, gxy, ezz, lam, mu, stress, tangent):
    trace = exx + eyy + ezz
    stress[0] = lam * trace + 2 * mu * exx
    stress[1] = lam * trace + 2 * mu * eyy
    stress[2] = mu * gxy
    tangent[:] = 0.0
    tangent[0, 0] = tangent[1, 1] = lam + 2 * mu
    tangent[0, 1] = tangent[1, 0] = lam
    tangent[2, 2] = mu
    return 0.0


@compiled
def _directional(lam, mu, nx, ny, g, stress, tangent):
    # On entry stress and tangent are the intact ones; the normal lies in the plane.
    tx, ty = -ny, nx
    modulus = lam + 2 * mu
    s_nn = stress[0] * nx * nx + stress[1] * ny * ny + 2 * stress[2] * nx * ny
    s_nt = stress[0] * nx * tx + stress[1] * ny * ty + stress[2] * (nx * ty + ny * tx)
    a = (lam + 2 * mu * nx * nx, lam + 2 * mu * ny * ny, 2 * mu * nx * ny)
    b = (2 * mu * nx * tx, 2 * mu * ny * ty, mu * (nx * ty + ny * tx))
    opened = 1.0 if s_nn > 0 else 0.0
    psi = opened * s_nn * s_nn / (2 * modulus) + s_nt * s_nt / (2 * mu)
    lost = 1 - g
    for i in range(3):
        stress[i] -= lost * (opened * s_nn / modulus * a[i] + s_nt / mu * b[i])
        for j in range(3):
            tangent[i, j] -= lost * (opened / modulus * a[i] * a[j] + b[i] * b[j] / mu)
    return psi


@compiled
def _miehe(exx, eyy, gxy, ezz, lam, mu, g, stress, tangent):
    trace = exx + eyy + ezz
    centre, half = 0.5 * (exx + eyy), 0.5 * (exx - eyy)
    radius = np.sqrt(half * half + 0.25 * gxy * gxy)
    e1, e2 = centre + radius, centre - radius
    c2, s2 = (half / radius, 0.5 * gxy / radius) if radius > 0 else (1.0, 0.0)
    p1, p2, p3 = max(e1, 0.0), max(e2, 0.0), max(ezz, 0.0)
    h1, h2 = (1.0 if e1 > 0 else 0.0), (1.0 if e2 > 0 else 0.0)
    scale = abs(e1) + abs(e2)
    mixed = (p1 - p2) / (e1 - e2) if e1 - e2 > 1e-9 * scale and scale > 0 else 0.5 * (h1 + h2)
    opened = 1.0 if trace > 0 else 0.0
    # projectors n1 n1, n2 n2 and the symmetric n1 n2 in the components xx, yy, xy
    n11 = (0.5 * (1 + c2), 0.5 * (1 - c2), 0.5 * s2)
    n22 = (0.5 * (1 - c2), 0.5 * (1 + c2), -0.5 * s2)
    n12 = (-0.5 * s2, 0.5 * s2, 0.5 * c2)
    psi = 0.5 * lam * opened * trace * trace + mu * (p1 * p1 + p2 * p2 + p3 * p3)
    lost = 1 - g
    for i in range(3):
        volumetric = 1.0 if i < 2 else 0.0
        stress[i] -= lost * (lam * opened * trace * volumetric + 2 * mu * (p1 * n11[i] + p2 * n22[i]))
        for j in range(3):
            both = 1.0 if i < 2 and j < 2 else 0.0
            spectral = h1 * n11[i] * n11[j] + h2 * n22[i] * n22[j] + 2 * mixed * n12[i] * n12[j]
            tangent[i, j] -= lost * (lam * opened * both + 2 * mu * spectral)
    return psi


@compiled
def small_strain(kind, triangles, gradients, areas, lam, mu, normals, g, chem, u, slots, data, force, psi, with_tangent):
    """Add stiffness and internal force of small-strain triangles and write their psi+ (S.22 or the directional one).

    All arrays run over the given triangles; ``u`` (2n,) in m, ``g`` the degradation, ``chem`` the chemical strain,
    ``slots`` (t, 36) places in ``data``; ``force`` (2n,) in N/m.
    """
    stress, tangent = np.empty(3), np.empty((3, 3))
    b = np.empty((3, 6))
    for e in range(len(triangles)):
        exx = eyy = -chem[e]
        gxy = 0.0
        ezz = -chem[e]
        for a in range(3):
            node = triangles[e, a]
            dx, dy = gradients[e, a, 0], gradients[e, a, 1]
            ux, uy = u[2 * node], u[2 * node + 1]
            exx += dx * ux
            eyy += dy * uy
            gxy += dy * ux + dx * uy
            b[0, 2 * a], b[0, 2 * a + 1] = dx, 0.0
            b[1, 2 * a], b[1, 2 * a + 1] = 0.0, dy
            b[2, 2 * a], b[2, 2 * a + 1] = dy, dx
        psi[e] = _elastic(exx, eyy, gxy, ezz, lam[e], mu[e], stress, tangent)
        if kind[e] == DIRECTIONAL:
            psi[e] = _directional(lam[e], mu[e], normals[e, 0], normals[e, 1], g[e], stress, tangent)
        elif kind[e] == MIEHE:
            psi[e] = _miehe(exx, eyy, gxy, ezz, lam[e], mu[e], g[e], stress, tangent)
        elif kind[e] == ISOTROPIC:  # everything is degraded, compression too
            trace = exx + eyy + ezz
            psi[e] = 0.5 * lam[e] * trace * trace + mu[e] * (exx * exx + eyy * eyy + ezz * ezz + 0.5 * gxy * gxy)
            stress *= g[e]
            tangent *= g[e]
        for r in range(6):
            value = areas[e] * (b[0, r] * stress[0] + b[1, r] * stress[1] + b[2, r] * stress[2])
            force[2 * triangles[e, r // 2] + r % 2] += value
        if with_tangent:
            for r in range(6):
                c0 = b[0, r] * tangent[0, 0] + b[1, r] * tangent[1, 0] + b[2, r] * tangent[2, 0]
                c1 = b[0, r] * tangent[0, 1] + b[1, r] * tangent[1, 1] + b[2, r] * tangent[2, 1]
                c2 = b[0, r] * tangent[0, 2] + b[1, r] * tangent[1, 2] + b[2, r] * tangent[2, 2]
                for s in range(6):
                    data[slots[e, 6 * r + s]] += areas[e] * (c0 * b[0, s] + c1 * b[1, s] + c2 * b[2, s])


@compiled
def diffusion(triangles, gradients, areas, coefficient, slots, data):
    """Add int coefficient grad v . grad w of every triangle; ``slots`` (t, 9)."""
    for e in range(len(triangles)):
        for a in range(3):
            for b in range(3):
                dot = gradients[e, a, 0] * gradients[e, b, 0] + gradients[e, a, 1] * gradients[e, b, 1]
                data[slots[e, 3 * a + b]] += areas[e] * coefficient[e] * dot


@compiled
def apply_diffusion(triangles, gradients, areas, coefficient, field, residual):
    """Add int coefficient grad field . grad v to ``residual``."""
    for e in range(len(triangles)):
        gx = gy = 0.0
        for a in range(3):
            value = field[triangles[e, a]]
            gx += gradients[e, a, 0] * value
            gy += gradients[e, a, 1] * value
        for a in range(3):
            residual[triangles[e, a]] += areas[e] * coefficient[e] * (gradients[e, a, 0] * gx + gradients[e, a, 1] * gy)


@compiled
def migration(triangles, gradients, areas, plus, minus, c, phi, slots, data, row_phi, row_c):
    """Nernst-Planck fluxes (S.12) of the electrolyte: ``row_phi`` gets (Li+ - n-), ``row_c`` gets n-.

    ``c`` is relative to its rest value, ``phi`` in units of RT/F, ``plus`` and ``minus`` the blocked diffusivities (t,).
    ``slots`` (t, 36) in the order row (c, phi) x node x column (c, phi) x node.
    """
    for e in range(len(triangles)):
        mean = gcx = gcy = gpx = gpy = 0.0
        for a in range(3):
            node = triangles[e, a]
            mean += c[node] / 3
            gcx += gradients[e, a, 0] * c[node]
            gcy += gradients[e, a, 1] * c[node]
            gpx += gradients[e, a, 0] * phi[node]
            gpy += gradients[e, a, 1] * phi[node]
        total, difference = plus[e] + minus[e], plus[e] - minus[e]
        for a in range(3):
            dx, dy = gradients[e, a, 0] * areas[e], gradients[e, a, 1] * areas[e]
            node = triangles[e, a]
            along_c, along_p = dx * gcx + dy * gcy, dx * gpx + dy * gpy
            row_c[node] += minus[e] * (along_c - mean * along_p)
            row_phi[node] += difference * along_c + total * mean * along_p
            for b in range(3):
                dot = dx * gradients[e, b, 0] + dy * gradients[e, b, 1]
                data[slots[e, 6 * a + b]] += minus[e] * (dot - along_p / 3)
                data[slots[e, 6 * a + 3 + b]] += -minus[e] * mean * dot
                data[slots[e, 18 + 6 * a + b]] += difference * dot + total * along_p / 3
                data[slots[e, 18 + 6 * a + 3 + b]] += total * mean * dot
