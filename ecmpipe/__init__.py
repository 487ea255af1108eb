"""From crystal structures and monomers to the loss of contact in an all-solid-state cell."""

__version__ = "0.1.0"
