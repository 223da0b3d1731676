"""Whether more labels are worth it: a plain sentence with its reason, by what the project has measured of itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from nearmiss.analysis.estimates import Estimate
from nearmiss.analysis.savings import Forecast
from nearmiss.loop.stopping import Evidence
from nearmiss.loop.stopping_text import parse_rule
from nearmiss.session.project import Project
from nearmiss.session.published import ModelFacts
from nearmiss.session.quality import ModelQuality, qualities
from nearmiss.session.worth import QUICK, Worth, latest_worth

__all__ = ["FEWEST_CHECKS", "Advice", "Standing", "Verdict", "advise", "read_standing", "savings_told", "told"]

#: Fewer random checks tell next to nothing.
FEWEST_CHECKS = 20
#: So sure must it be that random labels would have done better before anybody is told.
_SURELY_WORSE = 0.9
_CHANGES = 10
#: A model that is better than the commonest label by less than this share of what could be, by so many checks, has
#: learned next to nothing: where that was so in simulated projects (QNLI), picks did worse than random ones.
_LITTLE_SKILL, _FEWEST_TO_WARN = 0.05, 60
_RARE_BEYOND = 0.9


class Verdict(StrEnum):
    """What can be said about going on."""

    TOO_EARLY = "too early to tell"
    STOP = "you can stop"
    GO_ON = "go on"


@dataclass(frozen=True, slots=True)
class Advice:
    """Whether to go on labelling.

    Attributes
    ----------
    verdict
        In a word.
    sentence, reason
        What it means, and what it rests on.
    warning
        What is wrong with the way texts are picked; empty where nothing is.
    """

    verdict: Verdict
    sentence: str
    reason: str
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a project has measured of itself.

    Attributes
    ----------
    labels
        Texts with a label, random checks included.
    history
        Its models, oldest first.
    quality
        Of those that were measured, by version.
    worth
        What was found last of its labels, perhaps about an earlier model of the same kind.
    remaining
        Texts that nobody has answered.
    is_measured
        Whether random checks are drawn at all.
    unseen
        Labels on offer that no text has.
    """

    labels: int
    history: tuple[ModelFacts, ...]
    quality: dict[int, ModelQuality]
    worth: Worth | None
    remaining: float = math.inf
    is_measured: bool = True
    unseen: tuple[str, ...] = ()

    @property
    def forecasts(self) -> tuple[Forecast, ...]:
        """What more labels would bring, as far as there are texts for them."""
        told = () if self.worth is None else self.worth.forecasts
        return tuple(each for each in told if each.labels <= self.remaining)

    @property
    def latest(self) -> ModelQuality | None:
        """What is known of the model in use."""
        return self.quality.get(self.history[-1].version) if self.history else None

    @property
    def evidence(self) -> Evidence:
        """What a stopping rule reads."""
        latest = self.latest if self.history and self.history[-1].audits >= FEWEST_CHECKS else None
        forecasts = () if self.worth is None else self.worth.forecasts
        return Evidence(
            self.labels,
            None if latest is None else latest.accuracy.interval.low,
            None if latest is None else latest.macro_f1.interval.low,
            {each.labels: (each.gain, each.interval.high) for each in forecasts},
            tuple(facts.changed for facts in self.history[-_CHANGES:] if facts.changed is not None),
        )


def read_standing(project: Project) -> Standing:
    """Read all that a project has measured of itself."""
    with project.database.reading() as connection:
        labels = connection.execute("SELECT count(label) FROM decision").fetchone()[0]
        remaining = connection.execute(
            "SELECT count(*) FROM item WHERE NOT EXISTS (SELECT 1 FROM answer WHERE answer.item = item.id)"
        ).fetchone()[0]
    history, worth = project.models.history(), latest_worth(project)
    kinds = {facts.version: facts.classifier for facts in history}
    if worth is not None and kinds[worth.model] != history[-1].classifier:
        worth = None  # what another kind of model would gain says nothing of this one
    is_measured = project.settings.read().audit_share > 0
    unseen = tuple(label.name for label in project.labels.offered() if not label.texts)
    return Standing(labels, history, qualities(project), worth, remaining, is_measured, unseen)


def advise(standing: Standing, rule_text: str) -> Advice:
    """Say whether to go on labelling.

    Parameters
    ----------
    rule_text
        The project's stopping rule.

    Raises
    ------
    InvalidInput
        The rule cannot be read.

    Examples
    --------
    >>> advise(Standing(0, (), {}, None), "budget:100").sentence
    'Too early to tell: there is no model yet.'
    """
    judged = parse_rule(rule_text).judge(standing.evidence)
    warning = _warning(standing)
    if not standing.remaining:
        return Advice(Verdict.STOP, "Every text has an answer.", "There is nothing left to label.", warning)
    if judged.stop:
        reason = judged.reason
        if standing.unseen:
            named = ", ".join(f"“{name}”" for name in standing.unseen[:5])
            reason += f" But no text yet has {named}: what a model would gain from such texts is in no forecast."
        return Advice(Verdict.STOP, "You can stop if this is good enough for you.", reason, warning)
    if not standing.history:
        return Advice(
            Verdict.TOO_EARLY,
            "Too early to tell: there is no model yet.",
            "The first model is trained once some ten texts to learn from, random checks aside, have two labels.",
        )
    checks = standing.history[-1].audits
    if not standing.is_measured and checks < FEWEST_CHECKS:
        return Advice(
            Verdict.TOO_EARLY,
            "Too early to tell, and it will stay so: no random checks are drawn.",
            "Accuracy is measured by texts drawn at random; the setting audit_share says how many, and is 0.",
        )
    if standing.latest is None or checks < FEWEST_CHECKS:
        return Advice(
            Verdict.TOO_EARLY,
            f"Too early to tell: {checks} random check{'' if checks == 1 else 's'} so far.",
            f"Accuracy is measured by texts drawn at random; fewer than {FEWEST_CHECKS} tell next to nothing.",
        )
    reason, kind = judged.reason, standing.history[-1].classifier
    if kind not in QUICK and "gain" in rule_text:
        reason += f" No forecast is made for a {kind} model (it takes thirty trainings); add a target or a budget."
    return Advice(Verdict.GO_ON, _outlook(standing), reason, warning)


def told(found: Estimate) -> str:
    """Write a share with its interval.

    Examples
    --------
    >>> from nearmiss.analysis.significance import Interval
    >>> told(Estimate(0.874, Interval(0.81, 0.92), 120))
    '87 % (95 %: 81 to 92 %)'
    """
    low, high = found.interval.low, found.interval.high
    return f"{100 * found.value:.0f} % (95 %: {100 * low:.0f} to {100 * high:.0f} %)"


def savings_told(worth: Worth | None) -> str:
    """Say what picking saved, or that it is too early to tell.

    Examples
    --------
    >>> savings_told(None)
    'Too early to tell what picking texts has saved.'
    """
    if worth is None or not worth.savings.told:
        return "Too early to tell what picking texts has saved."
    found = worth.savings
    low, high = _round(found.interval.low), found.interval.high
    to = "more than there are texts" if math.isinf(high) else _round(high)
    return f"About {found.labels:,} labels instead of about {_round(found.equivalent)} (90 %: {low} to {to})."


def _outlook(standing: Standing) -> str:
    if standing.forecasts:
        next_ones = standing.forecasts[0]
        low, high = (100 * bound for bound in (next_ones.interval.low, next_ones.interval.high))
        return (
            f"Go on: {next_ones.labels} more labels should change the accuracy by about {100 * next_ones.gain:+.1f} "
            f"points (90 %: {low:+.1f} to {high:+.1f})."
        ).replace("-", "−")
    changed = standing.history[-1].changed
    if changed is None:
        return "Go on: this is the first model, the next will show what a batch of labels brings."
    return f"Go on: the last model labels {100 * changed:.1f} % of all texts otherwise than the one before."


def _warning(standing: Standing) -> str:
    latest = standing.latest
    if latest is not None and latest.checks >= _FEWEST_TO_WARN:
        commonest = max(each.n for each in latest.recalls.values()) / latest.checks
        # Where nearly all texts have one label, accuracy says little of what was learned of the others.
        if commonest <= _RARE_BEYOND and latest.accuracy.value - commonest < _LITTLE_SKILL * (1 - commonest):
            return (
                f"The model is right on {100 * latest.accuracy.value:.0f} %, and always giving the commonest label "
                f"would be on {100 * commonest:.0f} %: it has not learned to tell these labels apart, and what such a "
                "model picks may be worse than random texts."
            )
    found = None if standing.worth is None else standing.worth.savings
    if found is None or found.worse < _SURELY_WORSE:
        return ""
    return (
        f"Picked texts seem to do worse than random ones: with a probability of {found.worse:.0%} as many randomly "
        "chosen labels would have given a better model. The encoder may not tell these labels apart."
    ).replace("%", " %")


def _round(labels: float) -> str:
    """Write a number of labels to two digits: more would be a pretence.

    Examples
    --------
    >>> _round(1873.0), _round(94.0)
    ('1,900', '94')
    """
    if labels < 100:
        return f"{labels:.0f}"
    scale = 10 ** (math.floor(math.log10(labels)) - 1)
    return f"{round(labels / scale) * scale:,}"
