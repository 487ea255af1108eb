"""Cauchy stress of a box of atoms by the virial theorem (S.32), tension positive."""

from __future__ import annotations

import numpy as np

AXES = ("xx", "yy", "zz", "xy", "xz", "yz")


def virial_stress(masses: np.ndarray, velocities: np.ndarray, pairs: np.ndarray, forces: np.ndarray, volume: float) -> np.ndarray:
    """S.32 with the sign that makes tension positive.

    ``masses`` (n,) [kg], ``velocities`` (n, 3) [m/s]; ``pairs`` (m, 3) [m] holds r_i - r_j and ``forces`` (m, 3) [N] the force on i
    by j, each pair once; ``volume`` [m3]. Returns (3, 3) [Pa]. The SI prints a plus before the pair sum and leaves the direction of
    r_ij open; with r_ij = r_i - r_j (S.32 read with F_ij on i) a repulsive box would then be in tension, hence the minus.
    """
    kinetic = np.einsum("n,na,nb->ab", masses, velocities, velocities)
    potential = np.einsum("ma,mb->ab", pairs, forces)
    return -(kinetic + potential) / volume


def cauchy_stress(pressure: np.ndarray) -> np.ndarray:
    """Cauchy stress from a pressure tensor of any shape: an engine's pressure is positive in compression (S.32, sign)."""
    return -np.asarray(pressure)
