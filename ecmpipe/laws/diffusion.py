"""Transport laws: Fick in the cathode, Nernst-Planck in the electrolyte, and the closed form of a galvanostatic slab."""

from __future__ import annotations

import numpy as np

from ecmpipe.units import FARADAY, GAS_CONSTANT


def fick_flux(diffusivity: float, gradient: np.ndarray) -> np.ndarray:
    """Li flux in the cathode (mol/(m2 s)): J = -D grad c (S.1, whose printed sign is wrong)."""
    return -diffusivity * np.asarray(gradient)


def interface_flux(current: float, area: float = 1.0) -> float:
    """Li flux out of the cathode at its surface (mol/(m2 s)): J = I/(F A) (S.2); at the collector it is zero (S.3)."""
    return current / (FARADAY * area)


def collector_flux() -> float:
    """Li flux at the current collector (S.3)."""
    return 0.0


def nernst_planck_flux(
    diffusivity: float, valence: int, concentration: np.ndarray, gradient: np.ndarray, potential_gradient: np.ndarray, temperature: float
) -> np.ndarray:
    """Flux of one species in the electrolyte (mol/(m2 s)): J = -D grad c - z F/(RT) D c grad phi (S.12, printed with a plus).

    A charge moves towards what attracts it: a cation runs down the potential.
    """
    f = FARADAY / (GAS_CONSTANT * temperature)
    return -diffusivity * np.asarray(gradient) - valence * f * diffusivity * concentration * np.asarray(potential_gradient)


def electrolyte_boundary_flux(current: float, area: float = 1.0, valence: int = 1) -> float:
    """Li+ flux along +y that enters the electrolyte at the cathode (S.13) and leaves it at the lithium (S.14).

    On charge the cathode current is positive, the anode current negative: both fluxes point to the lithium.
    """
    return current / (valence * FARADAY * area)


def counter_charge_boundary_flux() -> float:
    """The counter charge stays in the electrolyte: zero flux at both ends (S.15)."""
    return 0.0


def one_c_current_density(site_density: float, thickness: float) -> float:
    """Current density (A/m2) that empties a layer of ``thickness`` with ``site_density`` (mol/m3) in an hour."""
    return FARADAY * site_density * thickness / 3600.0


def slab_surface_depletion(time: np.ndarray, current: float, diffusivity: float, thickness: float, terms: int = 200) -> np.ndarray:
    """Fall of the surface concentration (mol/m3) of a slab under constant current density (A/m2), sealed at its back (S.1-S.3).

    The series solution: Dc = i/(F D) [D t/L + L/3 - (2 L/pi2) sum exp(-n2 pi2 D t/L2)/n2].
    """
    time = np.atleast_1d(np.asarray(time, dtype=float))
    n = np.arange(1, terms + 1)
    decay = np.exp(-(n**2) * np.pi**2 * diffusivity * time[:, None] / thickness**2) / n**2
    shape = diffusivity * time / thickness**2 + 1 / 3 - 2 / np.pi**2 * decay.sum(axis=1)
    return current * thickness / (FARADAY * diffusivity) * shape
