"""Table 2: moduli of the polymers with their errors and rates, and in words what the fit can and cannot tell."""

from __future__ import annotations

import math
import re
from typing import Any

from ecmpipe.cards import HyperelasticCard

SI_ORDER = ("polyamide", "pdms")  # Fig. S8 (a) and (b)
MODULI = {"C10": "C10 [Pa]", "C01": "C01 [Pa]", "κ": "kappa [Pa]", "μ": "Shear modulus [Pa]", "E": "Young's modulus [Pa]"}
COLUMNS = ("polymer", *(f"{symbol} [MPa]" for symbol in MODULI), "K_T [MPa]", "ρ [g/cm³]", "atoms", "boxes", "pulls")
SPACE = "\N{NO-BREAK SPACE}"


def si_order(card: HyperelasticCard) -> tuple[int, str]:
    """Sort key: the polymers of the SI in its order, then others by name."""
    return filler_order(card.polymer)


def filler_order(name: str) -> tuple[int, str]:
    """Sort key of a polymer by its name; no filler comes first."""
    known = ("none", *SI_ORDER)
    return (known.index(name) if name in known else len(known), name)


def hyperelastic_rows(summary: dict[str, Any]) -> list[list[str]]:
    """Table 2 under `COLUMNS`: every modulus with its standard error and its strain rate, in the order of ``summary``."""
    rows = []
    for name, card in summary["hyperelastic"].items():
        bulk = card["Bulk modulus from volume fluctuation [Pa]"]
        rows.append(
            [
                name,
                *(
                    f"{plus_minus(card[key], card['Standard errors'][key])} at{SPACE}{rate_text(card['Strain rate [s-1]'])}"
                    for key in MODULI.values()
                ),
                "–" if bulk is None else plus_minus(bulk, card["Bulk modulus from volume fluctuation, standard error [Pa]"] or 0.0),
                density_text(card),
                str(card["Atoms [1]"]),
                str(card["Boxes [1]"]),
                str(card["Tensile runs [1]"]),
            ]
        )
    return rows


def plus_minus(value: float, error: float) -> str:
    """Pa as MPa with the standard error, which keeps two digits."""
    places = max(0, 1 - math.floor(math.log10(error / 1e6))) if error else 0
    return f"{value / 1e6:.{places}f}{SPACE}±{SPACE}{error / 1e6:.{places}f}"


def rate_text(rate: float) -> str:
    """A strain rate [1/s] as in 1e10 /s."""
    return re.sub(r"e\+0*", "e", f"{rate:.3g}") + f"{SPACE}/s"


def density_text(card: dict[str, Any]) -> str:
    """The density in g/cm³, with its standard error where there is one."""
    error = card["density standard error [kg.m-3]"]
    return f"{card['density [kg.m-3]'] / 1e3:.3f}" + ("" if error is None else f" ± {error / 1e3:.3f}")


def polymer_notes(summary: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """By polymer, what a reader must know of its row of Table 2, one sentence each."""
    return [(name, _notes(card)) for name, card in summary["hyperelastic"].items()]


def _notes(card: dict[str, Any]) -> list[str]:
    low, high = card["Stretch range [1]"]
    told = "C10 and C01 can be told apart" if card["identifiable"] else "C10 and C01 cannot be told apart: read μ and κ"
    notes = [told, *(f"{name} stands on its bound" for name in card["at_bound"])]
    notes.append(f"stable over {low:.2f}-{high:.2f}: {_stable(card['stability'])}")
    notes.append({True: "equilibrated", False: "not equilibrated", None: "equilibration not tested"}[card["equilibrated"]])
    energy = {True: "yes", False: "no", None: "not tested"}[card["conserves_energy"]]
    notes.append(f"torsions: {card['torsion_mode']}; energy conserved: {energy}")
    notes.append(_errors(card))
    averaged = card["Fit of the averaged curve"]
    bounds = card["Fit of the averaged curve, at its bounds"]
    values = ", ".join(f"{symbol} {averaged[key] / 1e6:.0f}" for symbol, key in MODULI.items())
    stands = f" ({', '.join(bounds)} on the bound, no result)" if bounds else ""
    notes.append(f"fit of the averaged curve, as in the SI: {values} MPa{stands}")
    notes.append(_windows(card))
    return notes + _generalised(card["Generalised fit (S.33)"], card)


def _windows(card: dict[str, Any]) -> str:
    found = (
        f"κ {values[MODULI['κ']] / 1e6:.0f} and μ {values[MODULI['μ']] / 1e6:.0f} MPa over {window}{SPACE}ps"
        for window, values in card["Fits by window [ps]"].items()
    )
    own = f"{card['Window of the fit [s]'] * 1e12:.3g}{SPACE}ps"
    return f"stress and stretch are means over {own}; by window: {', '.join(found)}; what differs between windows is in no ±"


def _stable(flags: dict[str, bool]) -> str:
    broken = [name for name, key in (("Baker-Ericksen", "baker_ericksen"), ("Drucker", "drucker")) if not flags[key]]
    return "yes (Baker-Ericksen, Drucker)" if not broken else f"no ({', '.join(broken)})"


def _errors(card: dict[str, Any]) -> str:
    bootstrap = card["Bootstrap"]
    if bootstrap is None:
        return "± of the fit's covariance: one pull has no scatter between pulls"
    wider = [symbol for symbol, key in MODULI.items() if card["Standard errors from"][key] == "bootstrap"]
    units = bootstrap["units"]
    first = f"± of {', '.join(wider)} from the scatter between {units}" if wider else "± of the fit's covariance"
    rest = "" if len(wider) in (0, len(MODULI)) else ", the others of the fit's covariance"
    count = card["Boxes [1]"] if units == "boxes" else card["Tensile runs [1]"]
    few = f"; {count} {units} have only {bootstrap['Distinct resamples [1]']} distinct resamples"
    return first + rest + (few if bootstrap["Distinct resamples [1]"] < bootstrap["Resamples [1]"] else "")


def _generalised(fit: dict[str, Any] | None, card: dict[str, Any]) -> list[str]:
    if fit is None:
        return []
    errors = [row[index] ** 0.5 for index, row in enumerate(fit["Covariance of the coefficients [Pa2]"])]
    pairs = zip(fit["Coefficients [Pa]"].items(), errors, strict=True)
    values = ", ".join(f"{name} {plus_minus(value, error)}" for (name, value), error in pairs)
    before, after = (found["Root-mean-square misfit [Pa]"] / 1e6 for found in (card, fit))
    return [f"S.33 beside it: {values} MPa; misfit {after:.2f} for {before:.2f} MPa; stable: {_stable(fit['stability'])}"]
