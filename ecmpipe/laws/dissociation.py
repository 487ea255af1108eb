"""Generation and recombination of mobile Li+ in the electrolyte, eliminated node by node.

Bound Li0 = Li+ + n-, n- being the uncompensated charge left on the lattice (S.10, printed with an electron).
"""

from __future__ import annotations

import numpy as np


def generation_rate(recombination: float, total: float, mobile_fraction: float) -> float:
    """k_d = k_r a0 delta2/(1 - delta) in 1/s (S.11), k_r in m3/(mol s), a0 in mol/m3; printed with k_r in m3/s."""
    return recombination * total * mobile_fraction**2 / (1 - mobile_fraction)


def equilibrium(total: float, mobile_fraction: float) -> tuple[float, float]:
    """Mobile and bound Li (mol/m3) at rest: delta a0 and (1 - delta) a0; delta is a fraction (S.10)."""
    return mobile_fraction * total, (1 - mobile_fraction) * total


def bound_after_step(bound: np.ndarray, mobile: np.ndarray, step: float, generation: float, recombination: float) -> np.ndarray:
    """Bound Li at the end of an implicit step: c0 = (c0_n + dt k_r c2)/(1 + dt k_d) (S.10, S.11).

    ``mobile`` is at the end of the step. Setting c0 = a0 - c instead would lose Li.
    """
    return (bound + step * recombination * mobile**2) / (1 + step * generation)


def source(bound_after: np.ndarray, mobile: np.ndarray, generation: float, recombination: float) -> np.ndarray:
    """Net generation r = k_d c0 - k_r c2 in mol/(m3 s)."""
    return generation * bound_after - recombination * mobile**2


def source_slope(mobile: np.ndarray, step: float, generation: float, recombination: float) -> np.ndarray:
    """dr/dc with the bound Li eliminated."""
    return -2 * recombination * mobile / (1 + step * generation)
