"""What the labels of a project were worth, and what more of them would bring: worked out while the trainer is idle."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from nearmiss.acquisition.base import IndexArray, Signal
from nearmiss.analysis.growth import fit_growth, spread_sizes
from nearmiss.analysis.random_curve import FEWEST_CHECKS, CurvePoints, random_curve
from nearmiss.analysis.savings import Forecast, Savings, forecast, savings
from nearmiss.analysis.significance import Interval
from nearmiss.errors import InvalidInput
from nearmiss.loop.streams import named_generator
from nearmiss.models.base import Classifier
from nearmiss.session.ground import read_ground
from nearmiss.session.project import Project
from nearmiss.session.published import ModelFacts
from nearmiss.session.quality import guessed_classes
from nearmiss.session.readings import read_answered, readings
from nearmiss.text.corpus import Texts

__all__ = ["AHEAD", "QUICK", "Worth", "is_weighed", "latest_worth", "weigh"]

#: Labels ahead for which a forecast is made.
AHEAD = (100, 500, 1_000)
#: A random curve takes some thirty models; these classifiers train in a second or two.
QUICK = frozenset({"tfidf", "frozen", "tuned"})
#: The most checks that it is drawn from: their number decides how long it takes.
_MOST_CHECKS = 600


@dataclass(frozen=True, slots=True)
class Worth:
    """What was found of a project's labels.

    Attributes
    ----------
    model
        The version of the model it is about.
    savings
        The randomly chosen labels that would have done as well.
    forecasts
        What more labels would bring, one for each of `AHEAD`.
    """

    model: int
    savings: Savings
    forecasts: tuple[Forecast, ...]

    def as_json(self) -> str:
        """Write it down; what is infinite is null."""
        body = asdict(self)
        for bounds in (body["savings"]["interval"], *(each["interval"] for each in body["forecasts"])):
            bounds.update({end: None for end, value in bounds.items() if math.isinf(value)})
        return json.dumps(body)

    @classmethod
    def from_json(cls, written: str) -> Worth:
        """Read what ``as_json`` wrote.

        Examples
        --------
        >>> found = Savings(100, 150.0, Interval(90.0, math.inf), 0.1, told=True)
        >>> worth = Worth(3, found, (Forecast(100, 0.01, Interval(-0.01, 0.03)),))
        >>> Worth.from_json(worth.as_json()) == worth
        True
        """
        body = json.loads(written)
        found = dict(body["savings"])
        found["interval"] = _interval(found["interval"])
        forecasts = tuple(
            Forecast(each["labels"], each["gain"], _interval(each["interval"])) for each in body["forecasts"]
        )
        return cls(body["model"], Savings(**found), forecasts)


def is_weighed(project: Project, facts: ModelFacts) -> bool:
    """Say whether nothing is to be found of a model that is not known: too few checks, too slow, or done."""
    if facts.audits < FEWEST_CHECKS or facts.classifier not in QUICK:
        return True
    with project.database.reading() as connection:
        row = connection.execute("SELECT worth FROM reading WHERE version = ?", (facts.version,)).fetchone()
    return row is None or row["worth"] is not None


def weigh(
    project: Project,
    facts: ModelFacts,
    texts: Texts,
    make: Callable[[], Classifier],
    on_step: Callable[[], None] = lambda: None,
) -> Worth | None:
    """Find out what the labels that a model learned from were worth, and keep it; None where it cannot be told.

    Parameters
    ----------
    facts
        The model in use.
    texts
        The project's.
    make
        Makes a classifier like the model's, untrained: some thirty are trained on a part of the random checks.
    on_step
        Called before each; what it raises ends the work, and nothing is kept.

    Raises
    ------
    NearmissError
        The encoder cannot be loaded ...
    """
    ground = read_ground(project.database)
    answered = read_answered(project.database)
    checks = answered.on_offer(ground)
    # A curve of random labels needs a plain random sample: checks that were drawn by a weight take no part.
    checks = checks.take((checks.events <= facts.cutoff) & np.isnan(checks.weights))
    known = readings(project.database)
    history = [
        each
        for each in project.models.history()
        if each.version <= facts.version and each.version in known and each.classifier == facts.classifier
    ]
    past = (
        [history[place] for place in spread_sizes(np.array([each.trained_on for each in history]))] if history else []
    )
    for each in past:  # texts that came later were not there to be asked about
        checks = checks.take(np.isin(checks.items, known[each.version].items))
    items, classes = checks.items[:_MOST_CHECKS], checks.classes[:_MOST_CHECKS]
    if len(items) < FEWEST_CHECKS or facts.version not in known or len(np.unique(classes)) < 2:
        return None
    classifier = make()

    def guess(train: IndexArray, test: IndexArray) -> IndexArray:
        on_step()
        if len(np.unique(classes[train])) < 2:
            return np.full(len(test), classes[train[0]])
        rng = named_generator(project.seed, "worth", facts.version)
        classifier.fit(texts.take(items[train] - 1), classes[train], n_classes=len(ground.labels), rng=rng)
        given = classifier.infer(texts.take(items[test] - 1), frozenset({Signal.LOG_PROBS}), rng=rng).log_probs
        if given is None:
            raise InvalidInput(f"{facts.classifier} gave no log-probabilities when asked for them")
        return np.asarray(given.argmax(axis=1), dtype=np.int64)

    rng = named_generator(project.seed, "savings", facts.version)
    by_random = random_curve(classes, len(ground.labels), guess, rng, repeats=1 if facts.classifier == "tuned" else 2)
    right = [guessed_classes(known[each.version], items, ground) == classes for each in past]
    by_picks = CurvePoints(np.array([each.trained_on for each in past]), np.array(right, dtype=np.float64).T)
    growth = fit_growth(by_random, by_picks, len(ground.labels), rng)
    share = facts.audits / (facts.trained_on + facts.audits)
    worth = Worth(
        facts.version,
        savings(growth, labels=facts.trained_on + facts.audits, checks=len(items), pool=ground.texts),
        tuple(forecast(growth, more, checks_share=share) for more in AHEAD),
    )
    with project.database.writing() as connection:
        connection.execute("UPDATE reading SET worth = ? WHERE version = ?", (worth.as_json(), facts.version))
    return worth


def latest_worth(project: Project) -> Worth | None:
    """Give what was found last; it may be about an earlier model than the one in use."""
    with project.database.reading() as connection:
        row = connection.execute(
            "SELECT worth FROM reading WHERE worth IS NOT NULL ORDER BY version DESC LIMIT 1"
        ).fetchone()
    return None if row is None else Worth.from_json(row["worth"])


def _interval(body: Mapping[str, float | None]) -> Interval:
    low, high = body["low"], body["high"]
    return Interval(math.inf if low is None else low, math.inf if high is None else high)
