"""The errors a user can meet. Each says what happened, where, and what to do next; the CLI prints them bare."""


class EcmpipeError(Exception):
    """Base of every error that is meant for the user."""

    exit_code = 1

    def __str__(self) -> str:
        """What a file put into the message must not steer a terminal."""
        return "".join(sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in super().__str__())


class SettingsError(EcmpipeError):
    """A key of the settings, of the parameters or of an input file is wrong; nothing was started."""

    exit_code = 2


class CardError(EcmpipeError):
    """A hand-over file between two stages is missing, damaged or of another kind."""


class EngineError(EcmpipeError):
    """An engine (VASP, an ASE calculator, LAMMPS) failed; its folder is kept."""


class ConvergenceError(EcmpipeError):
    """A solver did not converge within its caps, or a result is not physical."""
