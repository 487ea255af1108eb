"""The loop of the SI on one page: charge with the crack of the last step, then displacement and crack in turn (S.28-S.31).

Both minimise Pi = int psi(d, eps(u) - eps_chem) + int G_c gamma (S.28, S.29) in one of their arguments: the displacement by
div sigma = 0 (S.30), one Newton step a turn, the crack by (G_c/l + 2H) d - div(G_c l grad d) = 2H (S.31).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ecmpipe.errors import ConvergenceError
from ecmpipe.fem.model import Model
from ecmpipe.fem.state import Record, State
from ecmpipe.laws.fracture import update_history

SECONDS = 3600.0


class Rejected(Exception):
    """The attempted step was too long; nothing of it is kept."""


class CutOff(Rejected):
    """Even the smallest step ends beyond the cut-off voltage: the contact is lost and only the floors carry current."""


def charge_cell(model: Model, state: State, record: Record, accepted: Callable[[State, State, Record, dict], None]) -> State:
    """Charge from ``state`` to the cut-off voltage or to a cap; ``record.reason`` tells which. ``accepted`` sees every step."""
    time = model.settings.time
    while not record.reason:
        at_smallest = state.step <= time.smallest_step * (1 + 1e-9)
        length = model.clip_to_mark(state.throughput, state.step)
        try:
            after, counts = attempt(model, state, length, last_resort=at_smallest)
        except (Rejected, ConvergenceError) as problem:
            if at_smallest:
                reached = isinstance(problem, CutOff)
                record.at_cut_off = reached
                record.reason = f"cut-off voltage {model.cut_off:g} V reached within the next step" if reached else f"stopped: {problem}"
            else:
                record.rejected += 1
                state = replace(state, step=max(0.5 * length, time.smallest_step))
            continue
        pace = 0.85 * time.crack_limit / max(float(np.max(after.d - state.d)), 1e-9)
        ahead = state.step * float(np.clip(pace, 0.5, time.growth))
        after = replace(after, step=float(np.clip(ahead, time.smallest_step, time.step)))
        record.reason = model.reason_to_stop(after, len(record.rows) + 1)
        accepted(state, after, record, counts)
        state = after
    return state


def attempt(model: Model, state: State, length: float, *, last_resort: bool) -> tuple[State, dict[str, int]]:
    """One step of throughput ``length``. Raises `Rejected` as soon as d grows too fast, unless it is the ``last_resort``:
    a crack that pops in is an instability, which no shorter step tames, and is then followed to its end."""
    solver, limit = model.settings.solver, model.settings.time.crack_limit
    seconds = length * SECONDS / model.c_rate
    model.forget_factors()
    charge = model.charge_step(state, seconds)
    if charge.voltage > model.cut_off + model.overshoot:
        raise CutOff if last_resort else Rejected
    chem = model.chemical_strain(charge)
    u, d, g = state.u, state.d, model.degradation(state.d)
    scale = model.mechanics.load_scale(chem)
    forces = model.mechanics.evaluate(u, g, chem)
    cap = solver.most_staggers_in_jump if last_resort else solver.most_staggers
    error = np.inf
    for stagger in range(1, cap + 1):
        u, plus = model.mechanics.newton(u, forces, g, chem, solver.linear_tolerance)
        history = update_history(state.history, plus)
        solved = model.crack.solve(history, state.d, d, seconds)
        error, before = np.max(np.abs(solved - d)), error
        relaxation = solver.over_relaxation if error <= 1.05 * before else 1.0
        d = np.clip(d + relaxation * (solved - d), state.d, 1.0)
        if not last_resort and np.max(d - state.d) > limit:
            raise Rejected
        g = model.degradation(d)
        forces = model.mechanics.evaluate(u, g, chem)
        if error < solver.crack_tolerance and np.linalg.norm(forces[0]) < solver.force_tolerance * scale:
            return model.accept(state, length, seconds, charge, u, d, history, g, chem), {"stagger": stagger}
    if not last_resort:
        raise Rejected
    raise ConvergenceError(f"displacement and crack did not agree within {cap} turns at Q = {state.throughput + length:.4f}")
