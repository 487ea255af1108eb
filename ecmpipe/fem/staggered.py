"""The loop of the SI on one page: charge with the crack of the last step, then displacement and crack in turn (S.28-S.31).

Both minimise Pi = int psi(d, eps(u) - eps_chem) + int G_c gamma (S.28, S.29) in one of their arguments: the displacement by
div sigma = 0 (S.30), one Newton step a turn, the crack by its own equation, in AT2 (G_c/l + 2H) d - div(G_c l grad d) = 2H (S.31).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ecmpipe.errors import ConvergenceError
from ecmpipe.fem.mechanics import Mechanics
from ecmpipe.fem.model import Model
from ecmpipe.fem.output import cut_off_row, frame_of
from ecmpipe.fem.phasefield import CrackField
from ecmpipe.fem.state import Record, State
from ecmpipe.laws.fracture import update_history
from ecmpipe.settings.fem import PhaseSettings, StaggerSettings

SECONDS = 3600.0
FIRST_STEP = 0.25  # of the longest, after a change of the current


class Rejected(Exception):
    """The attempted step was too long; nothing of it is kept."""


class CutOff(Rejected):
    """Even the smallest step ends beyond the cut-off voltage: only the floors of a lost contact carry current, or the surface is full."""


def run_protocol(model: Model, state: State, record: Record, accepted: Callable[[State, State, Record, dict], None]) -> State:
    """Go through the protocol from ``state``; ``record.reason`` tells how it ended, ``record.ends`` how each phase did.

    ``accepted`` sees every step.
    """
    time = model.settings.time
    while not record.reason:
        phase = model.protocol[int(state.phase)]
        at_smallest = state.step <= time.smallest_step * (1 + 1e-9)
        length = clip(model, phase, state)
        try:
            after, counts = attempt(model, state, phase, length, last_resort=at_smallest)
        except (Rejected, ConvergenceError) as problem:
            if not at_smallest:
                record.rejected += 1
                state = replace(state, step=max(0.5 * length, time.smallest_step))
            elif isinstance(problem, CutOff):
                if state.phase_time > 0:  # else the last row is of another phase, with another current
                    record.rows.append(cut_off_row(record.rows[-1], model.cut_off(phase), model.contact_fraction(state)))
                if len(record.ends) + 1 < len(model.protocol):
                    record.frames.append(frame_of(model, state, f"end of {phase.do}"))
                state = next_phase(model, state, record, f"cut-off voltage {model.cut_off(phase):g} V reached within the next step")
            else:
                record.reason = f"stopped: {problem}"
            continue
        pace = 0.85 * time.crack_limit / max(float(np.max(after.d - state.d)), 1e-9)
        ahead = state.step * float(np.clip(pace, 0.5, time.growth))
        after = replace(after, step=float(np.clip(ahead, time.smallest_step, time.step)))
        end = reason_to_end(model, phase, after)
        if not end and len(record.rows) + 1 >= time.most_steps:
            record.reason = f"stopped: cap of {time.most_steps} steps reached"
        if end:
            after = next_phase(model, after, record, end)
        accepted(state, after, record, counts)
        state = after
    return state


def next_phase(model: Model, state: State, record: Record, end: str) -> State:
    """Close the phase with the reason ``end``; the last one ends the run."""
    record.ends.append(end)
    if len(record.ends) == len(model.protocol):
        record.reason = end
        return state
    return replace(state, phase=state.phase + 1, phase_time=0.0, step=FIRST_STEP * model.settings.time.step)


def clip(model: Model, phase: PhaseSettings, state: State) -> float:
    """The step, shortened so that the next mark, the throughput cap or the duration of the phase is met exactly."""
    time, pace = model.settings.time, model.pace(phase) / SECONDS
    so_far, ends = state.phase_time * pace, []
    if phase.duration is not None:
        ends.append(phase.duration * pace)
    if phase.do != "rest":
        ends.append(time.largest_throughput)
        if state.phase == 0:
            ends += time.marks
    ahead = [end - so_far for end in ends if end > so_far + 1e-12]
    return min(state.step, *ahead) if ahead else state.step


def reason_to_end(model: Model, phase: PhaseSettings, state: State) -> str:
    """Why the phase ends here; empty while it goes on."""
    if model.beyond(phase, state.charge.voltage) >= 0:
        return f"cut-off voltage {model.cut_off(phase):g} V reached"
    if phase.duration is not None and state.phase_time >= phase.duration * (1 - 1e-9):
        return f"duration {phase.duration:g} s reached"
    most = model.settings.time.largest_throughput
    if phase.do != "rest" and state.phase_time * model.pace(phase) / SECONDS >= most * (1 - 1e-12):
        return f"throughput cap {most:g} reached"
    return ""


def attempt(model: Model, state: State, phase: PhaseSettings, length: float, *, last_resort: bool) -> tuple[State, dict[str, int]]:
    """One step of ``length`` = t C/3600, C being the pace of the phase.

    Raises `Rejected` as soon as d grows too fast, unless it is the ``last_resort``: a crack that pops in is an instability, which no
    shorter step tames, and is then followed to its end.
    """
    solver = model.settings.solver
    seconds = length * SECONDS / model.pace(phase)
    model.forget_factors()
    model.crack.viscous_time = model.numbers["viscous_time"] / model.pace(phase)
    try:
        charge = model.charge_step(state, phase, seconds)
    except ConvergenceError:
        if last_resort and model.exhausted(state, phase):
            raise CutOff from None
        raise
    if model.beyond(phase, charge.voltage) > model.overshoot:
        raise CutOff if last_resort else Rejected
    chem = model.chemical_strain(charge)
    problem = Alternation(model.mechanics, model.crack, chem, model.mechanics.load_scale(chem), seconds, model.residual_stiffness)
    limit = None if last_resort else model.settings.time.crack_limit
    cap = solver.most_staggers_in_jump if last_resort else solver.most_staggers
    found = problem.solve(state.u, state.d, state.history, solver, cap, limit)
    if found is None:
        if not last_resort:
            raise Rejected
        raise ConvergenceError(f"displacement and crack did not agree within {cap} turns at Q = {state.throughput + length:.4f}")
    opening = model.opening(found.u, found.g, chem)
    after = replace(
        state,
        time=state.time + seconds,
        throughput=state.throughput + (length if phase.do != "rest" else 0.0),
        phase_time=state.phase_time + seconds,
        charge=charge,
        u=found.u,
        d=found.d,
        history=found.history,
        opening=opening,
        contact=model.gate.contact(model.cell, found.d, opening),
    )
    return after, {"stagger": found.turns, "crack change": found.change, "force residual": found.residual}


@dataclass(frozen=True)
class Agreed:
    """Displacement and crack that solve both equations, the factor g of psi+, the turns it took and what was left: the change of d in the
    last turn and the norm of the forces over the load's."""

    u: np.ndarray
    d: np.ndarray
    history: np.ndarray
    g: np.ndarray
    turns: int
    change: float
    residual: float


@dataclass(frozen=True)
class Alternation:
    """Displacement and crack in turn at a given chemical strain; a residual counts as small against ``scale`` (N/m)."""

    mechanics: Mechanics
    crack: CrackField
    chem: np.ndarray
    scale: float
    seconds: float
    residual_stiffness: float

    def solve(
        self, u: np.ndarray, before: np.ndarray, history_before: np.ndarray, solver: StaggerSettings, cap: int, limit: float | None
    ) -> Agreed | None:
        """From the last accepted ``u``, d and history; None where ``cap`` turns do not do or d grows by more than ``limit``."""
        d, g = before, self._degradation(u, before)
        forces = self.mechanics.evaluate(u, g, self.chem)
        error = np.inf
        for turn in range(1, cap + 1):
            u, plus = self.mechanics.newton(u, forces, g, self.chem, solver.linear_tolerance)
            history = update_history(history_before, plus)
            solved = self.crack.solve(history, before, d, self.seconds)
            error, last = np.max(np.abs(solved - d)), error
            relaxation = solver.over_relaxation if error <= 1.05 * last else 1.0
            d = np.clip(d + relaxation * (solved - d), before, 1.0)
            if limit is not None and np.max(solved - before) > limit:
                return None
            g = self._degradation(u, d)
            forces = self.mechanics.evaluate(u, g, self.chem)
            residual = float(np.linalg.norm(forces[0])) / self.scale
            if error < solver.crack_tolerance and residual < solver.force_tolerance:
                return Agreed(u, d, history, g, turn, float(error), residual)
        return None

    def _degradation(self, u: np.ndarray, d: np.ndarray) -> np.ndarray:
        return self.mechanics.closed(u, self.crack.degradation(d, self.residual_stiffness))
