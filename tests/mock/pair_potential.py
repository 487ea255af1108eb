"""The physics of the mock: Morse pairs and an optimiser. No physics at all, but energy, forces and stress belong to one another."""

import numpy as np

CUTOFF = 5.0  # A
SOFTNESS = 2.2  # 1/A, of every Morse well
WELLS = {  # depth in eV, rest length in A
    ("Li", "O"): (0.5, 2.10), ("Ni", "O"): (1.2, 1.95), ("Co", "O"): (1.25, 1.93), ("Mn", "O"): (1.3, 1.93),
    ("Li", "S"): (0.45, 2.45), ("P", "S"): (2.5, 2.05), ("Ge", "S"): (2.0, 2.20), ("O", "O"): (0.10, 3.0), ("S", "S"): (0.12, 3.8),
    # across a contact of oxide and sulphide: it sticks, at distances that are no bonds
    ("Ni", "S"): (0.25, 2.9), ("Co", "S"): (0.25, 2.9), ("Mn", "S"): (0.25, 2.9), ("P", "O"): (0.05, 3.3), ("Ge", "O"): (0.05, 3.3),
    ("O", "S"): (0.03, 3.6),
}  # fmt: skip
CATIONS, METAL = (0.004, 4.0), (0.35, 3.05)  # cation pairs repel; Li alone is a metal
ORDER = 0.8  # eV per formula unit and squared Li content of the oxide: the potential falls with x
LI_PER_S = 10 / 12  # of LGPS: the Li that is not the oxide's
SITES = {"Li": -4.5, "Ni": -1.0, "Co": -1.0, "Mn": -1.0, "O": -1.0, "Ge": -1.0, "P": -1.0, "S": -1.0}
STRESS_LIMIT, LONGEST_STEP, MEMORY = 3e-4, 0.12, 20  # eV/A3, A, pairs of the optimiser


class Potential:
    """Morse pairs, cut off smoothly; energy in eV, forces in eV/A, stress in eV/A3 (tension positive)."""

    def __init__(self, symbols):
        species = list(dict.fromkeys(symbols))
        self.kinds = np.array([species.index(symbol) for symbol in symbols])
        metal = species == ["Li"]
        wells = [[METAL if metal else WELLS.get((a, b)) or WELLS.get((b, a)) or CATIONS for b in species] for a in species]
        self.depth, self.rest = np.moveaxis(np.array(wells), -1, 0)
        self.sites = 0.0 if metal else sum(SITES[symbol] for symbol in symbols)
        if "O" in species:
            lithium = max(0.0, symbols.count("Li") - LI_PER_S * symbols.count("S"))
            self.sites += ORDER * lithium**2 / (symbols.count("O") / 2)

    def __call__(self, lattice, places):
        first, second, vector = neighbours(lattice, places)
        length = np.sqrt(np.einsum("ni,ni->n", vector, vector))
        a, b = self.kinds[first], self.kinds[second]
        depth, rest = self.depth[a, b], self.rest[a, b]
        decay = np.exp(-SOFTNESS * (length - rest))
        well, slope = depth * ((1 - decay) ** 2 - 1), 2 * depth * SOFTNESS * decay * (1 - decay)
        u = (length / CUTOFF) ** 2
        fade, fall = (1 - u) ** 3, -6 * (1 - u) ** 2 * length / CUTOFF**2
        pull = ((slope * fade + well * fall) / length)[:, None] * vector
        forces = np.column_stack([np.bincount(first, pull[:, k], len(places)) for k in range(3)])
        return self.sites + 0.5 * np.sum(well * fade), forces, 0.5 * pull.T @ vector / abs(np.linalg.det(lattice))


def neighbours(lattice, places):
    """Every ordered pair nearer than the cut-off and the vector between them; images out of reach of the cell are left out at once."""
    wrapped = places - np.floor(places)
    margin = CUTOFF * np.linalg.norm(np.linalg.inv(lattice), axis=0)  # in fractions of the heights of the cell
    low, high = wrapped.min(axis=0) - margin, wrapped.max(axis=0) + margin
    shifts = np.stack(
        np.meshgrid(*[np.arange(np.floor(a), np.ceil(b)) for a, b in zip(low, high, strict=True)], indexing="ij"), -1
    ).reshape(-1, 3)
    images = (wrapped[None] + shifts[:, None]).reshape(-1, 3)
    near = np.flatnonzero(np.all((images >= low) & (images <= high), axis=1))
    points, others = wrapped @ lattice, images[near] @ lattice
    square = sum((others[None, :, k] - points[:, None, k]) ** 2 for k in range(3))
    first, second = np.nonzero((square < CUTOFF**2) & (square > 1e-8))
    return first, near[second] % len(places), others[second] - points[first]


def relax(potential, lattice, places, tags):
    """L-BFGS on the positions, and on the deformation of the cell where ISIF is 3; all steps as (lattice, places, E, F, s)."""
    count, cell_moves = len(places), tags.get("ISIF", "2") == "3"
    limit, most = abs(float(tags.get("EDIFFG", "-0.01"))), max(1, int(tags.get("NSW", "0")))
    start, weight = lattice.copy(), float(count)
    x = np.vstack([places @ lattice, weight * np.eye(3)])
    steps, pairs, old = [], [], None
    while True:
        bend = x[count:] / weight
        lattice = start @ bend.T
        places = x[:count] @ np.linalg.inv(start)
        energy, forces, stress = potential(lattice, places)
        steps.append((lattice, places, energy, forces, stress))
        small = np.linalg.norm(forces, axis=1).max() < limit and (not cell_moves or np.abs(stress).max() < STRESS_LIMIT)
        if int(tags.get("IBRION", "2")) < 0 or small or len(steps) >= most:
            return steps
        pull = -abs(np.linalg.det(lattice)) * stress @ np.linalg.inv(bend).T / weight if cell_moves else np.zeros((3, 3))
        gradient = -np.vstack([forces @ bend, pull])
        if old is not None:
            move, change = x - old[0], gradient - old[1]
            if np.sum(move * change) > 1e-10:
                pairs = [*pairs[-MEMORY + 1 :], (move, change)]
        old = (x.copy(), gradient)
        direction, kept = -gradient, []
        for move, change in reversed(pairs):
            share = np.sum(move * direction) / np.sum(move * change)
            kept.append(share)
            direction = direction - share * change
        scale = np.sum(pairs[-1][0] * pairs[-1][1]) / np.sum(pairs[-1][1] ** 2) if pairs else 1 / 40
        direction = direction * scale
        for (move, change), share in zip(pairs, reversed(kept), strict=True):
            direction = direction + (share - np.sum(change * direction) / np.sum(move * change)) * move
        longest = np.linalg.norm(direction, axis=1).max()
        x = x + direction * min(1.0, LONGEST_STEP / longest)
