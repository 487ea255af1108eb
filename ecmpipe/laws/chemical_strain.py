"""Strain of the cathode by the loss of its lithium."""

from __future__ import annotations

import numpy as np


def chemical_strain(volume: np.ndarray, volume_start: float) -> np.ndarray:
    """The diagonal of eps_chem = ((V/V0)^(1/3) - 1) I (S.19), an isotropic tensor.

    The printed form, (1/3)(dV/V0) dc, is a scalar, carries a second dc and is only its linearisation.
    """
    return np.cbrt(np.asarray(volume) / volume_start) - 1


def elastic_strain(strain: np.ndarray, chemical: np.ndarray) -> np.ndarray:
    """eps_el = eps(u) - eps_chem I (S.30); ``strain`` (..., 3, 3). In plane strain eps_el,zz = -eps_chem, not 0."""
    return strain - np.asarray(chemical)[..., None, None] * np.eye(3)
