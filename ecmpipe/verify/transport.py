"""Li and charge: series solution, asinh and contact laws, balances, orders of Fick, Nernst-Planck and time, and a PyBaMM model."""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import spsolve
from skfem import Basis, ElementTriP1, LinearForm, MeshTri, asm

from ecmpipe.errors import ConvergenceError
from ecmpipe.fem.electrochemistry import Charge, Chemistry, Electrochemistry
from ecmpipe.fem.kernels import diffusion, migration
from ecmpipe.fem.linsolve import Pattern
from ecmpipe.fem.mesh import Mesh
from ecmpipe.fem.shapes import layered_cell, tensor_mesh
from ecmpipe.fem.tables import Table
from ecmpipe.laws import kinetics
from ecmpipe.laws.diffusion import one_c_current_density, slab_surface_depletion
from ecmpipe.settings.fem import LayeredGeometry
from ecmpipe.verify.anchors import Anchor, Curve, Picture, at_most, check, order

# the SI's numbers with the fallbacks of the project's parameters; E_eq of NCM811 after Sturm 2019, as PyBaMM has it
CHEMISTRY = Chemistry(298.15, 4.92e4, 3.04e-13, 2.2e-12, 5.1e-15, 3.487e4, 0.7, 0.9e-8, 5.1e-4, 1e-2, 0.5, 0.5)
POTENTIAL_X = [0.2157, 0.25, 0.30, 0.40, 0.45, 0.50, 0.58, 0.60, 0.70, 0.80, 0.90, 0.98]
POTENTIAL_V = [4.2999, 4.217, 4.181, 4.062, 4.002, 3.944, 3.841, 3.818, 3.742, 3.670, 3.589, 3.545]
THICKNESS = 2.5e-6
START = 0.99


def cell(size: float = 0.05e-6, width: float = 0.1e-6) -> Electrochemistry:
    """A narrow layered cell of the default thicknesses."""
    geometry = LayeredGeometry.model_validate(
        {
            "shape": "layered",
            "cathode_thickness [m]": THICKNESS,
            "electrolyte_thickness [m]": THICKNESS,
            "width [m]": width,
            "filler_place": "between",
            "band_half_width [1]": 3,
            "elements_per_length_scale [1]": 4,
            "largest_element [m]": 2 * size,
            "growth [1]": 1.1,
        }
    )
    return Electrochemistry(layered_cell(geometry, 0.3e-6, size, 0.0), CHEMISTRY, Table(np.array(POTENTIAL_X), np.array(POTENTIAL_V)))


def charge_to(
    problem: Electrochemistry, rate: float, throughput: float, steps: int, contact: float = 1.0, x_start: float = START
) -> Charge:
    """The charge after ``throughput`` at ``rate`` (1/h) in equal steps."""
    charge, seconds = problem.rest(x_start), throughput * 3600 / rate / steps
    share, whole = np.full(len(problem.cell.interface), contact), np.ones(len(problem.cell.triangles))
    for _ in range(steps):
        charge = problem.step(charge, seconds, rate * current_1c(), whole, share, 1e-11, 25)
    return charge


def current_1c() -> float:
    """A/m2."""
    return one_c_current_density(CHEMISTRY.site_density, THICKNESS)


@check("galvanostatic slab")
def slab() -> list[Anchor]:
    """The surface of the cathode at Q = 0.2 against the series solution of S.1-S.3."""
    problem, anchors = cell(), []
    for rate in (1, 5, 10):
        charge = charge_to(problem, rate, 0.2, 400)
        fall = slab_surface_depletion(0.2 * 3600 / rate, rate * current_1c(), CHEMISTRY.diffusivity_cathode, THICKNESS)[0]
        error = np.abs(charge.x_li[problem.cell.interface] - START + fall / CHEMISTRY.site_density).max()
        anchors.append(at_most(f"Li content of the surface at {rate} C", "series solution of the slab", error, 2e-5))
    return anchors


@check("contact law")
def contact_law() -> list[Anchor]:
    """Charge transfer at a preset share of contact, and the balances on the way."""
    problem, anchors, found, exact = cell(0.1e-6), [], [], []
    shares = (1.0, 0.5, 0.25, 0.1)
    for share in shares:
        charge = charge_to(problem, 1, 0.02, 4, share, 0.6)
        seen = problem.observe(charge, current_1c(), np.full(len(problem.cell.interface), share))
        node = problem.cell.interface[0]
        exchange = kinetics.cathode_exchange_current(CHEMISTRY.rate_constant_cathode, charge.x_li[node], charge.ion[node], 0.5)
        found.append(seen["charge transfer"])
        exact.append(kinetics.charge_transfer_overpotential(current_1c() / share, exchange, CHEMISTRY.temperature))
        lost = abs(problem.lithium(charge) / problem.lithium(problem.rest(0.6)) - 1)
        anchors.append(at_most(f"Li balance at contact {share:g}", "all Li of the cell, relative", lost, 1e-10))
        anchors.append(at_most(f"current balance at contact {share:g}", "what the electrodes pass", seen["current imbalance"], 1e-8))
    errors = np.abs(np.array(found) / np.array(exact) - 1)
    picture = Picture(
        "contact",
        "charge transfer [mV]",
        [Curve("here", shares, 1e3 * np.array(found), True), Curve("asinh law", shares, 1e3 * np.array(exact))],
    )
    return [
        at_most("charge transfer at full contact", "(2RT/F) asinh(i/(2 i0)), S.5 with alpha = 1/2", errors[0], 1e-5, pictures=[picture]),
        at_most("charge transfer at contact 1, 0.5, 0.25, 0.1", "(2RT/F) asinh(i/(2 i0 A))", errors.max(), 1e-5),
        *anchors,
    ]


@check("Fick")
def fick() -> list[Anchor]:
    """Manufactured steady solution on the unit square."""
    sizes = [1 / 8, 1 / 16, 1 / 32]
    errors = [_fick_error(round(1 / size)) for size in sizes]
    pictures = [Picture("h", "L2 error", [Curve("P1 kernel", sizes, errors)], log=True)]
    return [
        Anchor("order of Li in the cathode", "manufactured solution, L2", order(errors, sizes), 1.9, 2.3, pictures=pictures),
    ]


def _square(parts: int) -> tuple[Mesh, Basis, np.ndarray]:
    line = np.linspace(0, 1, parts + 1)
    nodes, triangles, _ = tensor_mesh(line, line)
    basis = Basis(MeshTri(nodes.T.copy(), triangles.T.copy()), ElementTriP1(), intorder=6)
    return Mesh(nodes, triangles), basis, np.flatnonzero(((nodes > 0) & (nodes < 1)).all(axis=1))


def _scalar_pattern(mesh: Mesh) -> Pattern:
    return Pattern(np.repeat(mesh.triangles, 3, axis=1).ravel(), np.tile(mesh.triangles, (1, 3)).ravel(), len(mesh.nodes))


def _fick_error(parts: int) -> float:
    mesh, basis, inner = _square(parts)
    pattern = _scalar_pattern(mesh)
    data = pattern.empty()
    diffusion(mesh.triangles, mesh.gradients, mesh.areas, np.ones(len(mesh.triangles)), pattern.slots.reshape(-1, 9), data)
    load = asm(LinearForm(lambda v, w: 2 * np.pi**2 * np.sin(np.pi * w.x[0]) * np.sin(np.pi * w.x[1]) * v), basis)
    c = np.zeros(len(mesh.nodes))
    c[inner] = spsolve(pattern.matrix(data)[inner][:, inner], load[inner])
    return _scalar_l2(basis, c, lambda x, y: np.sin(np.pi * x) * np.sin(np.pi * y))


def _scalar_l2(basis: Basis, values: np.ndarray, exact) -> float:
    return float(np.sqrt((((np.asarray(basis.interpolate(values)) - exact(*basis.global_coordinates())) ** 2) * basis.dx).sum()))


@check("time")
def in_time() -> list[Anchor]:
    """Both electrodes, electrolyte and galvanostat at 10 C to Q = 0.02, while all is on the move, in fewer and more steps."""
    problem, parts = cell(0.1e-6), (8, 16, 32)
    exact = charge_to(problem, 10, 0.02, 1024)
    found = [charge_to(problem, 10, 0.02, steps) for steps in parts]
    sizes = [1 / steps for steps in parts]
    by_content = [float(np.abs(charge.x_li - exact.x_li)[problem.solid].max()) for charge in found]
    by_voltage = [abs(charge.voltage - exact.voltage) for charge in found]
    picture = Picture("step", "error", [Curve("Li content", sizes, by_content), Curve("V", sizes, by_voltage)], log=True)
    return [
        Anchor("order of the Li content in time", "1024 steps", order(by_content, sizes), 0.95, 1.2, pictures=[picture]),
        Anchor("order of the voltage in time", "1024 steps", order(by_voltage, sizes), 0.95, 1.2),
    ]


@check("Nernst-Planck")
def nernst_planck() -> list[Anchor]:
    """Manufactured concentration and potential on the unit square, both fluxes at once (S.12)."""
    sizes = [1 / 8, 1 / 16, 1 / 32]
    errors = [_migration_errors(round(1 / size)) for size in sizes]
    picture = Picture("h", "L2 error", [Curve(name, sizes, [e[i] for e in errors]) for i, name in enumerate(("c", "phi"))], log=True)
    return [
        Anchor(
            f"order of {name} in the electrolyte", "manufactured solution, L2", order([e[i] for e in errors], sizes), 1.9, 2.3, pictures=pic
        )
        for i, (name, pic) in enumerate((("concentration", [picture]), ("potential", [])))
    ]


def _concentration(x, y):
    return 1 + 0.3 * np.sin(np.pi * x) * np.cos(np.pi * y)


def _potential(x, y):
    return 0.5 * x * x + 0.4 * np.sin(np.pi * y)


def _sources(x, y, plus: float, minus: float) -> tuple[np.ndarray, np.ndarray]:
    """div of (Li+ - n-) and of n- fluxes, S.12: -div[(D+ - D-) grad c + (D+ + D-) c grad phi], -div[D- (grad c - c grad phi)]."""
    pi = np.pi
    c_x, c_y = 0.3 * pi * np.cos(pi * x) * np.cos(pi * y), -0.3 * pi * np.sin(pi * x) * np.sin(pi * y)
    laplace_c = -2 * pi**2 * 0.3 * np.sin(pi * x) * np.cos(pi * y)
    p_x, p_y = x, 0.4 * pi * np.cos(pi * y)
    laplace_p = 1 - 0.4 * pi**2 * np.sin(pi * y)
    drift = c_x * p_x + c_y * p_y + _concentration(x, y) * laplace_p
    return -(plus - minus) * laplace_c - (plus + minus) * drift, -minus * (laplace_c - drift)


def _migration_errors(parts: int) -> tuple[float, float]:
    mesh, basis, inner = _square(parts)
    plus, minus, n, count = 1.0, 0.3, len(mesh.nodes), len(mesh.triangles)
    dofs = np.concatenate([mesh.triangles, n + mesh.triangles], axis=1)  # c, then phi
    pattern = Pattern(np.repeat(dofs, 6, axis=1).ravel(), np.tile(dofs, (1, 6)).ravel(), 2 * n)
    loads = [asm(LinearForm(lambda v, w, i=i: _sources(*w.x, plus, minus)[i] * v), basis) for i in (0, 1)]
    c, phi = _concentration(*mesh.nodes.T), _potential(*mesh.nodes.T)
    c[inner], phi[inner] = 1.0, 0.0
    free = np.concatenate([inner, n + inner])
    for _ in range(20):
        row_phi, row_c, data = -loads[0], -loads[1], pattern.empty()
        migration(
            mesh.triangles, mesh.gradients, mesh.areas, np.full(count, plus), np.full(count, minus), c, phi,
            pattern.slots.reshape(-1, 36), data, row_phi, row_c,
        )  # fmt: skip
        residual = np.concatenate([row_c, row_phi])[free]
        if np.linalg.norm(residual) < 1e-12:
            return _scalar_l2(basis, c, _concentration), _scalar_l2(basis, phi, _potential)
        update = spsolve(pattern.matrix(data)[free][:, free], -residual)
        c[inner] += update[: len(inner)]
        phi[inner] += update[len(inner) :]
    raise ConvergenceError("the manufactured Nernst-Planck problem did not converge")
