"""CHGNet as an ASE calculator: the pretrained universal potential, without the training work that the stock model does.

The stock model asks autograd for a differentiable gradient, twice: needed to train, not to evaluate. One plain
gradient gives the same numbers in half the time and memory (chgnet 0.4.2; a test holds the equality).
"""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import torch
from ase.calculators.calculator import Calculator
from chgnet.model.dynamics import CHGNetCalculator
from chgnet.model.model import CHGNet

EV_PER_CUBIC_ANGSTROM_IN_GPA = 160.21766208  # the value that the model was trained with


class FastCHGNet(CHGNet):
    """CHGNet for evaluation: forces and stress from one first-order gradient. `_compute` is private: chgnet is pinned."""

    def _compute(self, g: Any, *, compute_force: bool = False, compute_stress: bool = False, **options: Any) -> dict:
        prediction = super()._compute(g, compute_force=False, compute_stress=False, **options)
        if compute_force or compute_stress:
            energy = prediction["e"] * prediction["atoms_per_graph"] if self.is_intensive else prediction["e"]
            places = list(g.atom_positions) if compute_force else []
            strains = list(g.strains) if compute_stress else []
            gradients = torch.autograd.grad(energy.sum(), places + strains)
            if compute_force:
                prediction["f"] = [-gradient for gradient in gradients[: len(places)]]
            if compute_stress:
                scales = EV_PER_CUBIC_ANGSTROM_IN_GPA / g.volumes
                prediction["s"] = [gradient * scale for gradient, scale in zip(gradients[len(places) :], scales, strict=True)]
        prediction["e"] = prediction["e"].detach()
        return prediction


class EfficientCalculator(CHGNetCalculator):
    """The stock calculator without magnetic moments: nobody reads them here, and ASE's adaptor trips over them."""

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = None, task: str = "efs") -> None:
        """Energy, forces and stress."""
        super().calculate(atoms=atoms, properties=properties, system_changes=system_changes, task=task)


@functools.cache
def load_model(device: str, model: str) -> FastCHGNet:
    """The pretrained weights, once per process."""
    torch.set_num_threads(1)  # two threads cost 10 % more CPU alone and 10 times more beside other work
    loaded = FastCHGNet.load(model_name=model, verbose=False, use_device=device)
    loaded.eval()
    warnings.filterwarnings("ignore", message="Converting a tensor with requires_grad")  # chgnet's own cell volumes
    for parameter in loaded.parameters():
        parameter.requires_grad_(False)
    return loaded


def calculator(
    device: str = "cpu", model: str = "0.3.0", dispersion: str | None = None, weights: Mapping[str, float] | None = None
) -> Calculator:
    """A calculator of its own for each Atoms; the model behind is shared.

    ``device``: cpu or cuda. ``dispersion``: damping of the D3 correction, for example d3bj; ``weights``: of species in it.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # the stock calculator prints its device
        made = EfficientCalculator(model=load_model(device, model), use_device=device, on_isolated_atoms="error")
    made.ecmpipe_name = f"CHGNet {model} (chgnet {metadata.version('chgnet')})"
    if dispersion is None:
        return made
    from ecmpipe.engines.dispersion import with_dispersion

    return with_dispersion(made, made.ecmpipe_name, dispersion, weights or {})
