"""Fake potential files for the mock: headers that pymatgen and custodian can parse, and nothing else. Made at run time only."""

from __future__ import annotations

import os
import sys
from pathlib import Path

REFERENCE = Path(__file__).resolve().parent / "reference.json"
ELEMENTS = ("Li_sv", "Ni_pv", "Co", "Mn_pv", "O", "Ge_d", "P", "S")


def write_fake_potentials(folder: Path, functional: str = "POT_GGA_PAW_PBE_54") -> Path:
    """Make ``folder`` a value for PMG_VASP_PSP_DIR; returns it."""
    for name in ELEMENTS:
        path = folder / functional / name / "POTCAR"
        path.parent.mkdir(parents=True, exist_ok=True)
        element = name.split("_")[0]
        path.write_text(
            f"  PAW_PBE {name} mock\n   1.00000000000000\n parameters from PSCTR are:\n"
            f"   VRHFIN ={element}: none\n   LEXCH  = PE\n   EATOM  =     1.0000 eV\n   TITEL  = PAW_PBE {name} mock\n"
            "   LULTRA =        F\n   IUNSCR =        1\n   RPACOR =    0.000\n   POMASS =    1.000; ZVAL   =    1.000\n"
            "   ENMAX  =  100.000; ENMIN  =  100.000 eV\n   LCOR   =        T\n"
            " END of PSCTR-controll parameters\n local part\n  1.0 2.0 3.0\n End of Dataset\n"
        )
    return folder


def mock_environment(folder: Path, base: dict[str, str]) -> dict[str, str]:
    """``base`` with the mock first on the PATH, this interpreter second, fake potentials made in ``folder``, recorded inputs if any."""
    path = [str(Path(__file__).resolve().parent), str(Path(sys.executable).parent), base.get("PATH", "")]
    potentials = str(write_fake_potentials(folder).resolve())
    reference = {"ECMPIPE_MOCK_REFERENCE": str(REFERENCE)} if REFERENCE.is_file() else {}
    return base | {"PATH": os.pathsep.join(path), "PMG_VASP_PSP_DIR": potentials, "OMP_NUM_THREADS": "1"} | reference
