"""What the solvers are held against: closed forms, convergence orders, balances, other programs. `make verify` writes the page."""
