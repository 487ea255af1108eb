"""Charge transfer at both electrodes: Butler-Volmer with exchange currents from activities.

Cathode: LiMO2 = MO2 + Li+ + e- (S.4); anode: Li = Li+ + e- (S.16). Positive current takes Li out of the electrode.
"""

from __future__ import annotations

import numpy as np

from ecmpipe.units import FARADAY, GAS_CONSTANT


def thermal_factor(temperature: float) -> float:
    """f = F/(RT) in 1/V."""
    return FARADAY / (GAS_CONSTANT * temperature)


def butler_volmer(exchange: np.ndarray, overpotential: np.ndarray, alpha: float, temperature: float) -> np.ndarray:
    """Current density (A/m2): i = i0 [exp(alpha f eta) - exp(-(1 - alpha) f eta)] (S.5, S.17, whose bracket is not closed)."""
    f = thermal_factor(temperature)
    return exchange * (np.exp(alpha * f * overpotential) - np.exp(-(1 - alpha) * f * overpotential))


def butler_volmer_slope(exchange: np.ndarray, overpotential: np.ndarray, alpha: float, temperature: float) -> np.ndarray:
    """di/d(eta) in A/(m2 V) of `butler_volmer` (S.5, S.17)."""
    f = thermal_factor(temperature)
    return exchange * f * (alpha * np.exp(alpha * f * overpotential) + (1 - alpha) * np.exp(-(1 - alpha) * f * overpotential))


def cathode_exchange_current(rate_constant: float, x_li: np.ndarray, ion_activity: np.ndarray, alpha: float) -> np.ndarray:
    """i0 = F k (a_M a_Li+)^alpha a_LiM^(1-alpha) in A/m2 (S.6), k in mol/(m2 s), not m2/s: F k must be a current density.

    Activities: a_LiM = x, a_M = 1 - x, a_Li+ = c/c_eq.
    """
    return FARADAY * rate_constant * ((1 - x_li) * ion_activity) ** alpha * x_li ** (1 - alpha)


def anode_exchange_current(rate_constant: float, ion_activity: np.ndarray, alpha: float) -> np.ndarray:
    """i0 = F k a_Li+^alpha a_Li^(1-alpha) in A/m2 with a_Li = 1 (S.18), k in mol/(m2 s)."""
    return FARADAY * rate_constant * ion_activity**alpha


def charge_transfer_overpotential(current: float, exchange: float, temperature: float) -> float:
    """eta at a given current density for alpha = 1/2: (2RT/F) asinh(i/(2 i0)), the inverse of S.5."""
    return 2 / thermal_factor(temperature) * float(np.arcsinh(current / (2 * exchange)))


def overpotential(voltage: float, equilibrium: float) -> float:
    """Total overpotential (V): eta = phi_OV - E_eq(x mean) (S.7)."""
    return voltage - equilibrium


def local_overpotential(voltage: np.ndarray, phi_se: np.ndarray, equilibrium: np.ndarray) -> np.ndarray:
    """What drives the reaction (V): eta = phi_cathode - phi_SE - E_eq(x at the surface) (S.8)."""
    return voltage - phi_se - equilibrium


def split_overpotential(voltage: float, e_eq_mean: float, e_eq_surface: float, phi_interface: float, phi_anode: float) -> dict[str, float]:
    """The parts of eta (V), which add up to S.7: charge transfer, cathode diffusion, electrolyte, anode (S.9).

    Means are over the interface, weighted with the local current; whatever the weights, they add up.
    """
    return {
        "charge transfer": voltage - phi_interface - e_eq_surface,
        "cathode diffusion": e_eq_surface - e_eq_mean,
        "electrolyte": phi_interface - phi_anode,
        "anode": phi_anode,
    }
