"""A small set of upstream cards from literature and assumed values (physics section 6), until a test needs real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ecmpipe.cards import CrystalCard, ElasticCard, HyperelasticCard, SurfacesCard, write_card, write_curve
from ecmpipe.verify.cells import VOLUME_CHANGE, VOLUME_X
from ecmpipe.verify.transport import POTENTIAL_V, POTENTIAL_X

POLYMERS = {"polyamide": (0.30e9, 0.24e9, 4.2e9), "pdms": (0.03e9, 0.02e9, 2.0e9)}
FORMULA_VOLUME = 3.375e-29


def write_cards(folder: Path) -> dict[str, Path]:
    """Write all cards that the stage reads; returns their paths by the argument names of the steps."""
    paths = {
        "cathode_crystal": folder / "ncm811" / "crystal.json",
        "cathode_elastic": folder / "ncm811" / "elastic.json",
        "electrolyte_crystal": folder / "lgps" / "crystal.json",
        "electrolyte_elastic": folder / "lgps" / "elastic.json",
        "surfaces": folder / "surfaces.json",
        "delithiation": folder / "ncm811" / "delithiation.csv",
    }
    write_card(paths["cathode_crystal"], crystal("ncm811", 12, 12, 12 * FORMULA_VOLUME))
    write_card(paths["electrolyte_crystal"], crystal("lgps", 2, 20, 952.35e-30))
    write_card(paths["cathode_elastic"], elastic("ncm811", 113e9, 0.25))
    write_card(paths["electrolyte_elastic"], elastic("lgps", 15e9, 0.35))
    write_card(paths["surfaces"], surfaces())
    write_curve(paths["delithiation"], delithiation())
    for polymer, (c10, c01, kappa) in POLYMERS.items():
        paths[polymer] = folder / "hyperelastic" / f"{polymer}.json"
        write_card(paths[polymer], rubber(polymer, c10, c01, kappa))
    return paths


def delithiation() -> pd.DataFrame:
    """The table of the DFT stage, from literature."""
    x = np.array(POTENTIAL_X)
    volume = FORMULA_VOLUME * (1 + np.interp(x, VOLUME_X[::-1], VOLUME_CHANGE[::-1]))
    return pd.DataFrame({"Li content x [1]": x, "Volume [m3]": volume, "Energy [J]": -1e-17 * x, "Equilibrium potential [V]": POTENTIAL_V})


def crystal(material: str, formula_units: int, li: int, volume: float) -> CrystalCard:
    """A relaxed cell."""
    return CrystalCard.model_validate(
        {
            "material": material,
            "engine": "literature",
            "formula": material,
            "Formula units per cell [1]": formula_units,
            "Li atoms per cell [1]": li,
            "Cell volume [m3]": volume,
            "Cell lengths [m]": [1e-9] * 3,
            "Cell angles [deg]": [90.0] * 3,
            "Energy [J]": -1e-17,
            "Density [kg.m-3]": 4000.0,
            "Largest residual force [eV.angstrom-1]": 0.0,
        }
    )


def elastic(material: str, youngs: float, poisson: float) -> ElasticCard:
    """Isotropic constants."""
    shear, bulk = youngs / (2 * (1 + poisson)), youngs / (3 * (1 - 2 * poisson))
    lam = bulk - 2 * shear / 3
    matrix = np.diag([2 * shear] * 3 + [shear] * 3)
    matrix[:3, :3] += lam
    return ElasticCard.model_validate(
        {
            "material": material,
            "engine": "literature",
            "Stiffness matrix [Pa]": matrix.tolist(),
            "Bulk modulus [Pa]": bulk,
            "Shear modulus [Pa]": shear,
            "Young's modulus [Pa]": youngs,
            "Poisson ratio [1]": poisson,
            "Voigt bounds [Pa]": {},
            "Reuss bounds [Pa]": {},
            "Smallest stiffness eigenvalue [Pa]": shear,
            "Asymmetry before symmetrisation [1]": 0.0,
            "Stress residual of the strain fit [1]": 0.0,
            "Jackknife errors": {},
            "symmetry": "isotropic",
            "Strains [1]": [0.01],
            "ions": "relaxed",
        }
    )


def surfaces() -> SurfacesCard:
    """Two slabs."""
    faces = {"ncm811_104": ("ncm811", [1, 0, 4], 0.5), "lgps_101": ("lgps", [1, 0, 1], 0.11)}
    return SurfacesCard.model_validate(
        {
            "engine": "literature",
            "surfaces": {
                name: {
                    "material": material,
                    "miller": miller,
                    "Surface energy [J.m-2]": energy,
                    "Slab thickness [m], surface energy [J.m-2]": [[1e-9, energy]],
                    "Area [m2]": 1e-18,
                    "Atoms [1]": 48,
                    "Slab thickness [m]": 1e-9,
                    "Vacuum [m]": 2e-9,
                    "polar": False,
                    "symmetric_cut": True,
                    "Largest residual force [eV.angstrom-1]": 0.0,
                }
                for name, (material, miller, energy) in faces.items()
            },
        }
    )


def rubber(polymer: str, c10: float, c01: float, kappa: float) -> HyperelasticCard:
    """Mooney-Rivlin coefficients."""
    shear = 2 * (c10 + c01)
    return HyperelasticCard.model_validate(
        {
            "polymer": polymer,
            "engine": "assumed",
            "C10 [Pa]": c10,
            "C01 [Pa]": c01,
            "kappa [Pa]": kappa,
            "Shear modulus [Pa]": shear,
            "Young's modulus [Pa]": 9 * kappa * shear / (3 * kappa + shear),
            "Poisson ratio [1]": (3 * kappa - 2 * shear) / (2 * (3 * kappa + shear)),
            "Density [kg.m-3]": 1000.0,
            "Standard errors": {"C10 [Pa]": 1e7, "C01 [Pa]": 1e7, "kappa [Pa]": 1e8},
            "Standard errors from": {},
            "Covariance of C10, C01, kappa [Pa2]": np.eye(3).tolist(),
            "Correlation of C10 and C01 [1]": 0.0,
            "Bootstrap": None,
            "Window of the fit [s]": 2.5e-13,
            "Fits by window [ps]": {},
            "identifiable": True,
            "at_bound": [],
            "stability": {"baker_ericksen": True, "drucker": True},
            "Fit of the averaged curve": {},
            "Fit of the averaged curve, at its bounds": [],
            "Stretch range [1]": [1.0, 1.1],
            "Strain rate [s-1]": 1e9,
            "Tensile runs [1]": 3,
            "Root-mean-square misfit [Pa]": 1e6,
            "Boxes [1]": 1,
            "Atoms [1]": 600,
            "torsion_mode": "literal",
        }
    )
