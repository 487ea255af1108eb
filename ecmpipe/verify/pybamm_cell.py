"""The layered cell in one dimension as a PyBaMM model: another program's finite volumes and solver for the same equations (S.1-S.18)."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import replace
from typing import Any

import numpy as np

from ecmpipe.units import FARADAY
from ecmpipe.verify.anchors import Anchor, Curve, Picture, at_most, check
from ecmpipe.verify.transport import CHEMISTRY, POTENTIAL_V, POTENTIAL_X, START, THICKNESS, cell, charge_to, current_1c

POINTS = 200


@check("PyBaMM")
def voltage() -> list[Anchor]:
    """Cell voltage at Q = 0.1 to 0.4; without PyBaMM nothing is compared."""
    if importlib.util.find_spec("pybamm") is None:
        return []
    anchors, curves = [], []
    for rate in (1, 5, 10):
        throughput = np.array([0.1, 0.2, 0.3, 0.4])
        theirs = solve(rate, throughput * 3600 / rate)
        problem = cell(0.05e-6)
        ours = np.array([charge_to(problem, rate, q, round(q * 1000)).voltage for q in throughput])
        curves += [Curve(f"{rate} C, here", throughput, ours, True), Curve(f"{rate} C, PyBaMM", throughput, theirs)]
        anchors.append(at_most(f"cell voltage at {rate} C", "PyBaMM, 1-D, before damage", 1e3 * np.abs(ours - theirs).max(), 0.02, "mV"))
    picture = Picture("Q", "V", curves)
    return [replace(anchors[0], pictures=[picture]), *anchors[1:]]


def solve(rate: float, times: np.ndarray) -> np.ndarray:
    """Cell voltage (k,) at ``times`` (k,) [s] of a charge at ``rate`` (1/h)."""
    os.environ.setdefault("PYBAMM_DISABLE_TELEMETRY", "true")
    import pybamm

    k, current = CHEMISTRY, rate * current_1c()
    f = FARADAY / (8.314462618 * k.temperature)
    mobile, bound = k.rest
    generation, recombination = k.generation_rate, k.recombination_rate
    plus, minus = k.diffusivity_lithium_ion, k.diffusivity_counter_charge
    x_s = pybamm.Variable("Li content", domain="cathode")
    c = pybamm.Variable("mobile Li", domain="electrolyte", scale=mobile)
    c0 = pybamm.Variable("bound Li", domain="electrolyte", scale=bound)
    phi = pybamm.Variable("potential", domain="electrolyte")
    model = pybamm.BaseModel()
    source = generation * c0 - recombination * c**2
    # at both ends no counter charge passes: c' = f c phi', so Li+ alone carries -2 D+ c' = i/F
    slope = -current / (2 * FARADAY * plus)
    left, right = pybamm.boundary_value(c, "left"), pybamm.boundary_value(c, "right")
    counter = -minus * (pybamm.grad(c) - f * c * pybamm.grad(phi))
    both = -((plus - minus) * pybamm.grad(c) + (plus + minus) * f * c * pybamm.grad(phi))
    exchange_a = FARADAY * k.rate_constant_anode * (right / mobile) ** 0.5
    model.rhs = {
        x_s: -pybamm.div(-k.diffusivity_cathode * pybamm.grad(x_s)),
        c: -pybamm.div(counter) + source,
        c0: -source,
    }
    model.algebraic = {phi: pybamm.div(both)}
    gradient = -current / (FARADAY * k.diffusivity_cathode * k.site_density)
    model.boundary_conditions = {
        x_s: {"left": (pybamm.Scalar(0), "Neumann"), "right": (pybamm.Scalar(gradient), "Neumann")},
        c: {"left": (pybamm.Scalar(slope), "Neumann"), "right": (pybamm.Scalar(slope), "Neumann")},
        phi: {"left": (slope / (f * left), "Neumann"), "right": (2 / f * pybamm.arcsinh(current / (2 * exchange_a)), "Dirichlet")},
    }
    model.initial_conditions = {x_s: pybamm.Scalar(START), c: pybamm.Scalar(mobile), c0: pybamm.Scalar(bound), phi: pybamm.Scalar(0)}
    surface = pybamm.boundary_value(x_s, "right")
    exchange_c = FARADAY * k.rate_constant_cathode * ((1 - surface) * left / mobile) ** 0.5 * surface**0.5
    e_eq = pybamm.Interpolant(np.array([*POTENTIAL_X, 1.0]), np.array([*POTENTIAL_V, _extended()]), surface, interpolator="pchip")
    model.variables = {"V": pybamm.boundary_value(phi, "left") + e_eq + 2 / f * pybamm.arcsinh(current / (2 * exchange_c))}
    return _run(pybamm, model, times)


def _extended() -> float:
    """E_eq at x = 1, on the line through the last two points of the table."""
    slope = (POTENTIAL_V[-1] - POTENTIAL_V[-2]) / (POTENTIAL_X[-1] - POTENTIAL_X[-2])
    return POTENTIAL_V[-1] + slope * (1 - POTENTIAL_X[-1])


def _run(pybamm: Any, model: Any, times: np.ndarray) -> np.ndarray:
    y = {name: pybamm.SpatialVariable(name, domain=name, coord_sys="cartesian") for name in ("cathode", "electrolyte")}
    spans = {"cathode": (0, THICKNESS), "electrolyte": (THICKNESS, 2 * THICKNESS)}
    geometry = {name: {y[name]: {"min": pybamm.Scalar(low), "max": pybamm.Scalar(high)}} for name, (low, high) in spans.items()}
    pybamm.ParameterValues({}).process_geometry(geometry)
    mesh = pybamm.Mesh(geometry, dict.fromkeys(spans, pybamm.Uniform1DSubMesh), {y[name]: POINTS for name in spans})
    pybamm.Discretisation(mesh, dict.fromkeys(spans, pybamm.FiniteVolume())).process_model(model)
    solver = pybamm.IDAKLUSolver(rtol=1e-8, atol=1e-8)
    solution = solver.solve(model, np.concatenate([[0.0], times]))
    return np.asarray(solution["V"](times))
