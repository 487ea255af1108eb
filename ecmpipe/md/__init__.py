"""Molecular-dynamics stage: PCFF boxes, equilibration, tensile runs."""
