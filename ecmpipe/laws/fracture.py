"""Phase-field fracture: crack density, energy splits, degradation, history, strength. Strain (..., 3, 3), in Pa and J/m3."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

IDENTITY = np.eye(3)


def lame(youngs_modulus: float, poisson_ratio: float) -> tuple[float, float]:
    """Lame constants lambda and mu (Pa)."""
    lam = youngs_modulus * poisson_ratio / ((1 + poisson_ratio) * (1 - 2 * poisson_ratio))
    return lam, youngs_modulus / (2 * (1 + poisson_ratio))


def series_lame(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """Lame constants (Pa) of equal thicknesses of two materials in series: normal modulus and shear modulus are harmonic means."""
    (lam_1, mu_1), (lam_2, mu_2) = first, second
    mu = 2 / (1 / mu_1 + 1 / mu_2)
    return 2 / (1 / (lam_1 + 2 * mu_1) + 1 / (lam_2 + 2 * mu_2)) - 2 * mu, mu


def confined_shrinkage(lam: float, mu: float) -> float:
    """(3 lambda + 2 mu)/(lambda + 2 mu): the stress-free strain across a layer that is held along its sides, over eps_chem."""
    return (3 * lam + 2 * mu) / (lam + 2 * mu)


def crack_density(d: np.ndarray, gradient_squared: np.ndarray, ell: float) -> np.ndarray:
    """Crack surface per volume (1/m): gamma = d2/(2 l) + (l/2) grad d . grad d (S.20, which lacks the l)."""
    return d**2 / (2 * ell) + ell / 2 * gradient_squared


def positive(value: np.ndarray) -> np.ndarray:
    """<x>+ = (x + |x|)/2."""
    return 0.5 * (value + np.abs(value))


def negative(value: np.ndarray) -> np.ndarray:
    """<x>- = (x - |x|)/2."""
    return 0.5 * (value - np.abs(value))


def spectral_parts(strain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """eps+ and eps-: sum over all three principal strains of <eps_a>+- n_a (x) n_a (S.24, S.25), eps_zz included."""
    values, vectors = np.linalg.eigh(strain)
    plus = np.einsum("...a,...ia,...ja->...ij", positive(values), vectors, vectors)
    minus = np.einsum("...a,...ia,...ja->...ij", negative(values), vectors, vectors)
    return plus, minus


def elastic_energy(strain: np.ndarray, lam: float, mu: float) -> np.ndarray:
    """psi = (lambda/2) tr(eps)2 + mu tr(eps2); equals psi+ + psi- of any split (S.21)."""
    return 0.5 * lam * np.trace(strain, axis1=-2, axis2=-1) ** 2 + mu * np.einsum("...ij,...ij->...", strain, strain)


def spectral_energies(strain: np.ndarray, lam: float, mu: float) -> tuple[np.ndarray, np.ndarray]:
    """psi+ (S.22) and psi- (S.23): (lambda/2) <tr eps>+-2 + mu tr(eps+-2)."""
    plus, minus = spectral_parts(strain)
    trace = np.trace(strain, axis1=-2, axis2=-1)
    first = 0.5 * lam * positive(trace) ** 2 + mu * np.einsum("...ij,...ij->...", plus, plus)
    second = 0.5 * lam * negative(trace) ** 2 + mu * np.einsum("...ij,...ij->...", minus, minus)
    return first, second


def spectral_stresses(strain: np.ndarray, lam: float, mu: float) -> tuple[np.ndarray, np.ndarray]:
    """d psi+/d eps and d psi-/d eps (Pa) of S.22 and S.23."""
    plus, minus = spectral_parts(strain)
    trace = np.trace(strain, axis1=-2, axis2=-1)[..., None, None]
    return lam * positive(trace) * IDENTITY + 2 * mu * plus, lam * negative(trace) * IDENTITY + 2 * mu * minus


def traction(strain: np.ndarray, lam: float, mu: float, normal: np.ndarray, tangent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normal and shear component (Pa) of the intact stress on the plane with ``normal``."""
    stress = lam * np.trace(strain, axis1=-2, axis2=-1)[..., None, None] * IDENTITY + 2 * mu * strain
    return (
        np.einsum("...ij,...i,...j->...", stress, normal, normal),
        np.einsum("...ij,...i,...j->...", stress, normal, tangent),
    )


def directional_energies(
    strain: np.ndarray, lam: float, mu: float, normal: np.ndarray, tangent: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """psi+ = <s_nn>+2/(2M) + s_nt2/(2 mu) with M = lambda + 2 mu, and psi- = psi - psi+: only tractions break an interface.

    Same idea as Steinke and Kaliske 2019 (10.1007/s00466-018-1635-0). Used in the interface band in place of S.22, S.23,
    which count eps_zz = -eps_chem and in-plane tension as crack driving force.
    """
    s_nn, s_nt = traction(strain, lam, mu, normal, tangent)
    plus = positive(s_nn) ** 2 / (2 * (lam + 2 * mu)) + s_nt**2 / (2 * mu)
    return plus, elastic_energy(strain, lam, mu) - plus


def directional_stresses(
    strain: np.ndarray, lam: float, mu: float, normal: np.ndarray, tangent: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """d psi+/d eps and d psi-/d eps (Pa) of `directional_energies`."""
    s_nn, s_nt = traction(strain, lam, mu, normal, tangent)
    c_nn = lam * IDENTITY + 2 * mu * np.einsum("...i,...j->...ij", normal, normal)
    n_t = np.einsum("...i,...j->...ij", normal, tangent)
    c_nt = mu * (n_t + np.swapaxes(n_t, -1, -2))
    plus = (positive(s_nn) / (lam + 2 * mu))[..., None, None] * c_nn + (s_nt / mu)[..., None, None] * c_nt
    whole = lam * np.trace(strain, axis1=-2, axis2=-1)[..., None, None] * IDENTITY + 2 * mu * strain
    return plus, whole - plus


def degradation(d: np.ndarray, residual_stiffness: float) -> np.ndarray:
    """g = (1 - d)2 + p, the factor of psi+ (S.26)."""
    return (1 - d) ** 2 + residual_stiffness


def degraded_energy(d: np.ndarray, plus: np.ndarray, minus: np.ndarray, residual_stiffness: float) -> np.ndarray:
    """psi(d, eps) = [(1 - d)2 + p] psi+ + psi- (S.26)."""
    return degradation(d, residual_stiffness) * plus + minus


def update_history(history: np.ndarray, plus: np.ndarray) -> np.ndarray:
    """H = max(psi+, H of the last accepted step) (S.27): a crack does not heal."""
    return np.maximum(history, plus)


def total_energy(bulk: np.ndarray, d: np.ndarray, gradient_squared: np.ndarray, g_c: float, ell: float, volume: np.ndarray) -> float:
    """Pi = int psi(d, eps - eps_chem) + int G_c gamma (S.28, S.29), without loads.

    Printed with 1/2 psi (psi holds its half already), with -G_c gamma (cracks would form of themselves) and with
    -1/2 Y eps_chem2 (the chemical strain is subtracted inside psi).
    """
    return float(np.sum(volume * (bulk + g_c * crack_density(d, gradient_squared, ell))))


def uniform_crack_field(history: np.ndarray, g_c: float, ell: float) -> np.ndarray:
    """d that solves (G_c/l + 2H) d = 2H: S.31 without gradients, with the whole psi and not half of it."""
    return 2 * history / (g_c / ell + 2 * history)


def at2_strength(modulus: float, g_c: float, ell: float) -> float:
    """Peak stress (Pa) of an AT2 bar that breaks uniformly: (9/16) sqrt(E G_c/(3 l)), at d = 1/4."""
    return 9 / 16 * np.sqrt(modulus * g_c / (3 * ell))


def band_toughness_factor(half_width: float, ell: float, ratio: float) -> float:
    """G_eff/G_i of a crack in a weak band: (1 + q)/(1 - q), q = exp(-2b/l) (r - 1)/(r + 1), r = G_bulk/G_i."""
    q = np.exp(-2 * half_width / ell) * (ratio - 1) / (ratio + 1)
    return float((1 + q) / (1 - q))


def smoothstep(value: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, 3x2 - 2x3 between."""
    x = np.clip(value, 0, 1)
    return x * x * (3 - 2 * x)


@dataclass(frozen=True)
class CrackModel:
    """A phase-field model: gamma = [alpha(d)/l + l |grad d|2]/c_w and the factor omega(d) of psi+, with their derivatives by d.

    AT2 is the SI's (S.20, S.26); AT1 (10.1007/s00466-014-1109-y) has an elastic range; PF-CZM is Wu 2017 (10.1016/j.jmps.2017.03.015) with
    linear softening, whose strength f_t does not depend on l: its ``a1`` = 4 M G_c/(pi l f_t2) is read by the others as nothing.
    """

    name: str
    c_w: float

    def alpha(self, d: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """alpha, alpha' and alpha''."""
        if self.name == "AT2":
            return d**2, 2 * d, 2.0
        if self.name == "AT1":
            return d, np.ones_like(d), 0.0
        return 2 * d - d**2, 2 - 2 * d, -2.0

    def omega(self, d: np.ndarray, a1: np.ndarray | float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """omega, omega' and omega''; 1 at d = 0, 0 at d = 1."""
        rest = 1 - d
        if self.name != "PF-CZM":
            return rest**2, -2 * rest, np.full_like(d, 2.0)
        p, q = rest**2, a1 * (d - d**2 / 2)
        whole, slope = p + q, (a1 - 2) * rest
        n = -2 * rest * q - p * a1 * rest
        return p / whole, n / whole**2, (2 * q + a1 * p) / whole**2 - 2 * n * slope / whole**3


CRACK_MODELS = {"AT2": CrackModel("AT2", 2.0), "AT1": CrackModel("AT1", 8 / 3), "PF-CZM": CrackModel("PF-CZM", np.pi)}


def cohesive_ratio(modulus: np.ndarray, g_c: np.ndarray, ell: float, strength: float) -> np.ndarray:
    """a1 = 4 M G_c/(pi l f_t2) of PF-CZM with psi+ = <s_nn>2/(2M); below 3/2 the softening snaps back."""
    return 4 * modulus * g_c / (np.pi * ell * strength**2)


def drawn_modulus(split: str, youngs_modulus: float, poisson_ratio: float) -> float:
    """s2/(2 psi+) (Pa) of a bar drawn with stress s in plane strain, free at its sides: the M with which PF-CZM's strength is f_t there."""
    across = -poisson_ratio * (1 + poisson_ratio)
    strain = np.diag([1 - poisson_ratio**2, across, 0.0]) / youngs_modulus
    lam_mu = lame(youngs_modulus, poisson_ratio)
    plus = spectral_energies(strain, *lam_mu)[0] if split == "miehe" else elastic_energy(strain, *lam_mu)
    return float(1 / (2 * plus))


def at1_strength(modulus: float, g_c: float, ell: float) -> float:
    """Peak stress (Pa) of an AT1 bar that breaks uniformly: sqrt(3 E G_c/(8 l)), where damage begins."""
    return float(np.sqrt(3 * modulus * g_c / (8 * ell)))
