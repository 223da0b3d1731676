"""How fast people label, from the times of their answers alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from nearmiss.session.project import Project

__all__ = ["LONGEST_GAP", "Pace", "pace_of", "paces"]

#: Seconds between two answers beyond which somebody was away, not at work.
LONGEST_GAP = 300.0
#: Below this much working time a pace per hour would be a guess.
_LEAST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How much somebody answered, and how fast.

    Attributes
    ----------
    answers
        Answers given one at a time that stand.
    seconds
        Working time: the gaps between consecutive answers, those over five minutes left out.
    per_hour
        Answers an hour of working time; None below a minute of it.
    """

    answers: int
    seconds: float
    per_hour: float | None


def pace_of(times: Sequence[float]) -> Pace:
    """Work out a pace from the times of answers, in seconds, earliest first.

    Each gap that counts ends with one answer, so the pace is counted gaps over their length: the first answer after a
    pause, whose beginning nobody knows, counts neither way.

    Examples
    --------
    >>> pace_of([0, 30, 60, 4000, 4030])
    Pace(answers=5, seconds=90.0, per_hour=120.0)
    """
    gaps = [later - earlier for earlier, later in pairwise(times)]
    counted = [gap for gap in gaps if 0 <= gap <= LONGEST_GAP]
    seconds = float(sum(counted))
    return Pace(len(times), seconds, 3600 * len(counted) / seconds if seconds >= _LEAST_SECONDS else None)


def paces(project: Project) -> dict[str, Pace]:
    """Work out everybody's pace; labels given many at once, or that came with a file, are left out."""
    times: dict[str, list[float]] = defaultdict(list)
    with project.database.reading() as connection:
        rows = connection.execute(
            "SELECT answer.person, answer.at FROM answer JOIN event ON event.seq = answer.event"
            " WHERE event.batch IS NULL ORDER BY answer.event"
        )
        for row in rows:
            times[row["person"]].append(datetime.fromisoformat(row["at"]).timestamp())
    return {person: pace_of(sorted(found)) for person, found in sorted(times.items())}
