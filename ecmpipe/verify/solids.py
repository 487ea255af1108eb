"""Stress, tangent and elasticity: finite differences of the energy, closed forms, the patch test, orders of convergence."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.sparse.linalg import spsolve
from skfem import Basis, BilinearForm, ElementTriP1, ElementTriP2, ElementVector, LinearForm, MeshTri, asm, condense, solve
from skfem.helpers import ddot, sym_grad, trace

from ecmpipe.fem.mechanics import SPLITS, Mechanics, Rubber, Support
from ecmpipe.fem.mesh import Mesh
from ecmpipe.fem.shapes import tensor_mesh
from ecmpipe.laws import mooney_rivlin
from ecmpipe.laws.fracture import lame
from ecmpipe.verify.anchors import Anchor, Curve, Picture, at_most, check, near, order

LAM, MU = lame(113.0, 0.25)
# exx, eyy, gxy, eps_chem: what makes splits go wrong
STATES = {
    "general": (1.0e-3, -0.4e-3, 0.7e-3, 0.0),
    "equal eigenvalues in tension": (1.0e-3, 1.0e-3, 0.0, 0.0),
    "equal eigenvalues in compression": (-1.0e-3, -1.0e-3, 0.0, 0.0),
    "pure compression": (-1.0e-3, -0.2e-3, 0.1e-3, 0.0),
    "eps_zz in tension": (0.3e-3, -0.2e-3, 0.4e-3, -2.0e-3),
    "eps_zz in compression": (0.3e-3, 0.6e-3, 0.4e-3, 2.0e-3),
    "zero": (0.0, 0.0, 0.0, 0.0),
}


def triangle(kind: str) -> Mechanics:
    """One right-angled triangle of side 1, free all round; the interface's normal is slanted."""
    mesh = Mesh(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([[0, 1, 2]]))
    one = np.ones(1)
    return Mechanics(
        mesh, Support.holding(3, np.empty(0, dtype=int)), LAM * one, MU * one, np.array([SPLITS[kind]]), np.array([[0.6, 0.8]])
    )


@check("stress and tangent")
def stress_and_tangent() -> list[Anchor]:
    """Central differences of psi and of the force on a triangle; the zero state needs a step below any kink's reach."""
    worst, tangent = 0.0, 0.0
    for kind in ("none", "directional", "miehe"):
        problem, g = triangle(kind), np.array([0.3])
        for name, (exx, eyy, gxy, chem) in STATES.items():
            u = np.array([0.0, 0.0, exx, 0.5 * gxy, 0.5 * gxy, eyy])
            chemical = np.array([chem])
            force, data, _ = problem.evaluate(u, g, chemical)
            slopes = [_difference(problem.energy, u, i, 1e-13 if name == "zero" else 1e-7, g, chemical) for i in range(6)]
            worst = max(worst, float(np.abs(np.array(slopes) - force).max()) / (1e-3 * MU))
            if name != "zero":  # a split has no tangent where tension and compression meet
                images = [_difference(partial(_force, problem), u, i, 1e-9, g, chemical) for i in range(6)]
                matrix = problem.pattern.matrix(data).toarray()
                tangent = max(tangent, float(np.abs(np.array(images) - matrix).max()) / MU)
    return [
        at_most("stress, worst of 3 splits x 7 states", "central differences of psi (S.21-S.26), over 1e-3 mu", worst, 1e-8),
        at_most("tangent, worst of 3 splits x 6 states", "central differences of the stress, over mu", tangent, 1e-6),
    ]


def _force(problem: Mechanics, u: np.ndarray, g: np.ndarray, chem: np.ndarray) -> np.ndarray:
    return problem.evaluate(u, g, chem, 0)[0]


def _difference(function, u: np.ndarray, place: int, h: float, *more: np.ndarray):
    step = np.zeros_like(u)
    step[place] = h
    return (function(u + step, *more) - function(u - step, *more)) / (2 * h)


@check("Mooney-Rivlin")
def rubber() -> list[Anchor]:
    """The law S.37 against the incompressible forms and its pressure against kappa (J - 1); the solver's filler against law and form."""
    c10, c01, kappa = 0.30, 0.24, 4.2
    law = mooney_rivlin.two_parameters(c10, c01, kappa)
    anchors = []
    for name, axes in (("uniaxial", (1.0, -0.5, -0.5)), ("equibiaxial", (1.0, 1.0, -2.0))):
        stretch = 1.3
        errors = []
        for value in (0.7, 1.1, stretch):
            lengths = value ** np.array(axes)
            stress = mooney_rivlin.cauchy_stress(np.diag(lengths), law)
            found = stress[0, 0] - stress[2, 2]  # the pressure drops out
            exact = 2 * (c10 + c01 * value**-1.0) * (value**2 - 1 / value)
            if name == "equibiaxial":
                exact = 2 * (c10 + c01 * value**2) * (value**2 - value**-4)
            errors.append(abs(found / exact - 1))
        anchors.append(at_most(f"{name} tension", "2 (C10 + C01/l)(l2 - 1/l) and its equibiaxial twin, at J = 1", max(errors), 1e-10))
    swollen = mooney_rivlin.cauchy_stress(np.eye(3) * 1.05 ** (1 / 3), law)
    anchors.append(near("volumetric stress at J = 1.05", "kappa (J - 1)", swollen[0, 0], kappa * 0.05, 1e-9, "Pa"))
    stretch = 1.3
    f = np.diag([0.9, stretch, 1.0])
    whole = f @ mooney_rivlin.second_piola_kirchhoff(f.T @ f, law)
    given = _drawn_filler(Rubber(c10, c01, kappa), f, free=False)
    anchors.append(near("filler of the solver, homogeneous", "P = F S of the law (S.36)", given, whole[1, 1], 1e-10, "Pa"))
    exact = 2 * (c10 + c01) * (stretch**2 - stretch**-2) / stretch
    stiff = Rubber(c10, c01, 5000 * 2 * (c10 + c01))
    found = _drawn_filler(stiff, np.diag([1 / stretch, stretch, 1.0]), free=True)
    form = "2 (C10 + C01)(l2 - l-2)/l, kappa/mu = 5000"
    anchors.append(near("filler of the solver, drawn with free sides", form, found, exact, 1e-3, "Pa"))
    return anchors


def _drawn_filler(law: Rubber, f: np.ndarray, *, free: bool) -> float:
    """Nominal stress (Pa) on the top of a unit square of filler under ``f`` in plane strain; ``free`` leaves its sides to equilibrium."""
    nodes, triangles, _ = tensor_mesh(np.linspace(0, 1, 5), np.linspace(0, 1, 5))
    mesh, count = Mesh(nodes, triangles), len(triangles)
    x, y = nodes.T
    ends = (y == 0) | (y == 1)
    held = np.concatenate([2 * np.flatnonzero(x == 0), 2 * np.flatnonzero(ends) + 1]) if free else np.arange(2 * len(nodes))
    ones, nothing = np.ones(count), np.zeros(count)
    pairs = np.arange(count).reshape(-1, 2)
    problem = Mechanics(
        mesh, Support.holding(len(nodes), held), ones, ones, np.full(count, SPLITS["elastic"]), np.zeros((count, 2)), pairs, law
    )
    u = (nodes @ (f[:2, :2] - np.eye(2))).ravel()
    forces = problem.evaluate(u, ones, nothing)
    for _ in range(12 if free else 0):
        u, _ = problem.newton(u, forces, ones, nothing, 1e-10)
        forces = problem.evaluate(u, ones, nothing)
    return float(problem.reaction[2 * np.flatnonzero(y == 1) + 1].sum())


def _exact(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.sin(np.pi * x) * np.sin(np.pi * y), x * (1 - x) * np.sin(np.pi * y)


def _load(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """-div sigma of `_exact` in plane strain."""
    pi, sx, cx, sy, cy = np.pi, np.sin(np.pi * x), np.cos(np.pi * x), np.sin(np.pi * y), np.cos(np.pi * y)
    u_xx, u_yy, u_xy = -(pi**2) * sx * sy, -(pi**2) * sx * sy, pi**2 * cx * cy
    v_xx, v_yy, v_xy = -2 * sy, -(pi**2) * x * (1 - x) * sy, pi * (1 - 2 * x) * cy
    return -((LAM + 2 * MU) * u_xx + MU * u_yy + (LAM + MU) * v_xy), -((LAM + 2 * MU) * v_yy + MU * v_xx + (LAM + MU) * u_xy)


@check("elasticity")
def elasticity() -> list[Anchor]:
    """Manufactured solution on the unit square: the solver's P1 kernel, and P2 in the scikit-fem forms that it is compared with."""
    sizes = [1 / 8, 1 / 16, 1 / 32]
    by_kernel = [_error_of_kernel(round(1 / size)) for size in sizes]
    by_forms = [_error_of_forms(round(1 / size), ElementTriP2()) for size in sizes]
    picture = Picture("h", "L2 error", [Curve("P1 kernel", sizes, by_kernel), Curve("P2 forms", sizes, by_forms)], log=True)
    return [
        Anchor("order of P1 displacement", "manufactured solution, L2", order(by_kernel, sizes), 1.9, 2.3, pictures=[picture]),
        Anchor("order of P2 displacement", "the same in scikit-fem's forms", order(by_forms, sizes), 2.9, 3.3),
        at_most("patch test", "a linear displacement is in equilibrium, force over mu", _patch(), 1e-13),
    ]


def _error_of_kernel(parts: int) -> float:
    line = np.linspace(0, 1, parts + 1)
    nodes, triangles, _ = tensor_mesh(line, line)
    mesh = Mesh(nodes, triangles)
    edge = np.flatnonzero(((nodes == 0) | (nodes == 1)).any(axis=1))
    count = len(triangles)
    problem = Mechanics(
        mesh,
        Support.holding(len(nodes), np.concatenate([2 * edge, 2 * edge + 1])),
        np.full(count, LAM),
        np.full(count, MU),
        np.zeros(count, dtype=int),
        np.zeros((count, 2)),
    )
    basis = Basis(MeshTri(nodes.T.copy(), triangles.T.copy()), ElementVector(ElementTriP1()), intorder=6)
    load = asm(LinearForm(lambda v, w: sum(f * part for f, part in zip(_load(*w.x), v, strict=True))), basis)
    order_of = basis.nodal_dofs.T.ravel()
    u = np.zeros(2 * len(nodes))
    _, data, _ = problem.evaluate(u, np.ones(count), np.zeros(count))
    u[problem.kept] = spsolve(problem.pattern.matrix(data), load[order_of][problem.kept])[problem.target]
    values = np.empty(basis.N)
    values[order_of] = u
    return _l2(basis, values)


def _error_of_forms(parts: int, element) -> float:
    mesh = MeshTri.init_tensor(np.linspace(0, 1, parts + 1), np.linspace(0, 1, parts + 1))
    basis = Basis(mesh, ElementVector(element), intorder=6)
    stiffness = asm(
        BilinearForm(lambda u, v, w: LAM * trace(sym_grad(u)) * trace(sym_grad(v)) + 2 * MU * ddot(sym_grad(u), sym_grad(v))), basis
    )
    load = asm(LinearForm(lambda v, w: sum(f * part for f, part in zip(_load(*w.x), v, strict=True))), basis)
    return _l2(basis, solve(*condense(stiffness, load, D=basis.get_dofs())))


def _l2(basis: Basis, values: np.ndarray) -> float:
    found = basis.interpolate(values)
    exact = _exact(*basis.global_coordinates())
    return float(np.sqrt(sum((((np.asarray(f) - e) ** 2) * basis.dx).sum() for f, e in zip(found, exact, strict=True))))


def _patch() -> float:
    random = np.random.default_rng(1)
    line = np.linspace(0, 1, 6)
    nodes, triangles, _ = tensor_mesh(line, line)
    inner = ((nodes > 0) & (nodes < 1)).all(axis=1)
    nodes = nodes + 0.04 * random.uniform(-1, 1, nodes.shape) * inner[:, None]  # no two triangles alike
    count = len(triangles)
    edge = np.flatnonzero(~inner)
    problem = Mechanics(
        Mesh(nodes, triangles),
        Support.holding(len(nodes), np.concatenate([2 * edge, 2 * edge + 1])),
        np.full(count, LAM),
        np.full(count, MU),
        np.full(count, SPLITS["directional"]),
        np.tile([0.0, 1.0], (count, 1)),
    )
    u = (nodes @ np.array([[1e-3, -3e-4], [2e-4, 5e-4]])).ravel()
    return float(np.abs(problem.evaluate(u, np.ones(count), np.zeros(count))[0]).max()) / MU
