"""The time that a job may take: a long step stops before it with its checkpoint written, and the next attempt goes on from there."""

from __future__ import annotations

import os
import time

IN_JOB = "ECMPIPE_IN_JOB"  # set where the workflow runs as a scheduler's job; elsewhere nobody ends a step
MARGIN = 1.5  # of the longest piece so far, which the next one may last
LAST = 30.0  # s, to write results and leave


class Deadline:
    """Ends ``minutes`` from now within a scheduler's job; elsewhere, or without them, never."""

    def __init__(self, minutes: float | None = None):
        self.minutes = minutes if IN_JOB in os.environ else None
        self._last = self._began = time.monotonic()
        self._longest = 0.0

    def lap(self) -> bool:
        """Call after every piece of work: whether there is room for another one."""
        now = time.monotonic()
        self._longest, self._last = max(self._longest, now - self._last), now
        return self.minutes is None or now + MARGIN * self._longest + LAST < self._began + 60 * self.minutes

    @property
    def words(self) -> str:
        """Why a step stopped here."""
        return f"stopped before the {self.minutes:g} minutes of its job end; run it again to go on from there"
