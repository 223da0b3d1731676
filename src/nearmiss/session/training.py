"""Between two batches of labels: train, predict, rank, publish; and read the texts while there is nothing to train.

A trainer does the most useful next thing and returns, so that whoever drives it can stop between two steps. Until the
encoder has read all texts, a TF-IDF model stands in: there is something to rank by within seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from time import perf_counter

import numpy as np

from nearmiss.acquisition.registry import make_strategy, strategy_text
from nearmiss.errors import InvalidInput
from nearmiss.loop.signals import default_representation
from nearmiss.loop.streams import named_generator
from nearmiss.models.base import Classifier, LabelFree
from nearmiss.session.first_texts import covering_notes, first_texts, what_covers, with_first_texts
from nearmiss.session.ground import Ground, read_ground, standing_labels
from nearmiss.session.plans import TFIDF, Plan, choose_plan
from nearmiss.session.project import Project
from nearmiss.session.published import ModelFacts
from nearmiss.session.quality import measure
from nearmiss.session.queue import QueueEntry
from nearmiss.session.ranking import described, explained, needed_signals, rank, weighted_checks
from nearmiss.session.readings import AHEAD, Reading
from nearmiss.session.second_look import look_again
from nearmiss.session.settings import AUTO, Settings
from nearmiss.session.worth import is_weighed, weigh
from nearmiss.text.corpus import Texts

__all__ = ["Did", "Step", "Trainer"]

#: Texts read at a step: a second or two, after which a training that is due goes first.
_READ_AT_ONCE = 512
#: Labels before the first model, where the batch asks for more.
_FIRST_MODEL = 10
#: What `auto` stands for while the features are those of a tuned or frozen encoder; a first batch covers the pool.
DEFAULT_STRATEGY = "diverse-margin"


class Did(StrEnum):
    """What a step did."""

    TRAINED = "trained"
    COVERED = "covered"
    READ = "read"
    WEIGHED = "weighed"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a trainer.

    Attributes
    ----------
    did
        What was done.
    model
        The model that was published, if one was.
    read, texts
        How many texts the encoder has read, of how many; equal where none is to be read.
    """

    did: Did
    model: ModelFacts | None = None
    read: int = 0
    texts: int = 0


class _LeftOff(Exception):
    """Ends work that can wait."""


class Trainer:
    """Trains a project's models, one step at a time.

    Parameters
    ----------
    project
        Whose; several trainers of one project would undo one another's work (`training_lock`).
    passed_over, passed_request
        The event, and the request, up to which nothing is to be trained, because that failed or was cancelled.
    """

    def __init__(self, project: Project, *, passed_over: int = 0, passed_request: int = 0) -> None:
        self._project = project
        self._passed_over = passed_over
        self._passed_request = passed_request
        self._looked_at = (0, 0)
        self._texts = Texts(())
        self._plan: Plan | None = None
        self._planned_for: tuple[Settings, int] | None = None
        self._main: Classifier | None = None
        self._read = 0
        self._covered_by: str | None = None

    def step(self, *, quiet: bool = False, on_training: Callable[[int, int], None] = lambda read, texts: None) -> Step:
        """Do the most useful next thing.

        Parameters
        ----------
        quiet
            Whether nobody has labelled for a while: then a model is due after a single new label.
        on_training
            Called before a training begins, with how many texts the encoder has read, of how many.

        Raises
        ------
        NearmissError
            The encoder cannot be loaded, the disk is full, the strategy lacks a signal ...
        """
        # Before anything is read: what comes while this step is at work is news to the next, whatever becomes of it.
        self._looked_at = self._project.newest_event(), self._project.training_request()
        self._look()
        latest = self._project.models.latest()
        ground = read_ground(self._project.database, 0 if latest is None else latest.cutoff)
        if not self._awaits_reading(latest) and self._is_due(ground, latest, quiet):
            on_training(self._read, len(self._texts))
            return self._done(Did.TRAINED, self._train(ground, latest))
        if latest is None and self._cover(ground):
            return self._done(Did.COVERED)
        if self._read < len(self._texts):
            part = range(self._read, min(self._read + _READ_AT_ONCE, len(self._texts)))
            self._classifier().prepare(self._texts.take(part))
            self._read = part.stop
            return self._done(Did.READ)
        if latest is not None and self._weigh(latest):
            return self._done(Did.WEIGHED)
        if self._read == len(self._texts):
            look_again(self._project, self._texts, self._classifier)
        return self._done(Did.NOTHING)

    def _weigh(self, latest: ModelFacts) -> bool:
        """Find out what the labels were worth, and leave off once there is a model to train."""
        plan = self._ready_plan()
        if latest.classifier != plan.name or is_weighed(self._project, latest):
            return False
        until = self._project.newest_event(), self._project.training_request()

        def stop_for_news() -> None:
            if (self._project.newest_event(), self._project.training_request()) != until:
                self._look()
                if self._is_due(read_ground(self._project.database, latest.cutoff), latest, quiet=False):
                    raise _LeftOff

        try:
            weigh(self._project, latest, self._texts, self._comparable, stop_for_news)
        except _LeftOff:
            return True
        return is_weighed(self._project, latest)

    def _comparable(self) -> Classifier:
        """Make a classifier like the one in use that shares what was read of the texts."""
        classifier = self._ready_plan().make()
        classifier.prepare(self._texts)
        return classifier

    def pass_over(self) -> None:
        """Train no more on what the last step saw, until there is a new event or a new request: it has just failed."""
        self._passed_over, self._passed_request = self._looked_at

    def train(self) -> ModelFacts:
        """Train now, whether or not it is due, and read whatever must be read for it.

        Raises
        ------
        InvalidInput
            Fewer than two different labels have been given.
        NearmissError
            As ``step``.
        """
        self._look()
        latest = self._project.models.latest()
        ground = read_ground(self._project.database, 0 if latest is None else latest.cutoff)
        if ground.seen < 2:
            raise InvalidInput(
                f"{len(ground.rows)} texts to learn from, with {ground.seen} different labels (audits aside); label "
                "until there are two"
            )
        self._classifier().prepare(self._texts)
        self._read = len(self._texts)
        return self._train(ground, latest)

    def _look(self) -> None:
        """Take note of new texts and changed settings."""
        more = self._project.texts.corpus(after=len(self._texts))
        if len(more):
            self._texts = more if not len(self._texts) else self._texts.joined(more)
            self._covered_by = None
        settings = self._project.settings.read()
        if self._planned_for != (settings, len(self._texts)):
            plan = choose_plan(settings, self._texts, self._project.cache)
            if plan != self._plan:
                self._plan, self._main, self._covered_by = plan, None, None
                self._read = 0 if plan.reads else len(self._texts)
            self._planned_for = (settings, len(self._texts))
        if self._plan is not None and not self._plan.reads:
            self._read = len(self._texts)

    def _is_due(self, ground: Ground, latest: ModelFacts | None, quiet: bool) -> bool:
        if ground.seen < 2 or not len(self._texts):
            return False
        if ground.cutoff <= self._passed_over and self._project.training_request() == self._passed_request:
            return False
        batch = self._project.settings.read().batch
        if latest is None:
            return len(ground.rows) >= min(batch, _FIRST_MODEL) or self._project.training_requested()
        lost = latest.trained_on + ground.fresh - len(ground.rows)  # taken back, or given another label
        news = max(ground.fresh, lost)
        return (
            news >= batch
            or (quiet and news > 0)
            or latest.labels != ground.labels
            or latest.texts != ground.texts
            or self._project.models.probabilities(latest.version) is None
            or (latest.classifier != self._ready_plan().name and self._read == len(self._texts))
            or self._project.training_requested()
        )

    def _awaits_reading(self, latest: ModelFacts | None) -> bool:
        """Say whether the model in use is of the kind planned: then none of a lesser kind takes its place meanwhile."""
        planned = self._plan is not None and latest is not None and latest.classifier == self._plan.name
        return planned and self._read < len(self._texts)

    def _train(self, ground: Ground, latest: ModelFacts | None) -> ModelFacts:
        project, started = self._project, perf_counter()
        request = project.training_request()
        settings = project.settings.read()
        plan, version = self._ready_plan(), 1 if latest is None else latest.version + 1
        classifier = self._classifier() if plan is self._plan else plan.make()
        if plan.name == TFIDF:
            classifier.prepare(self._texts)
        strategy = make_strategy(DEFAULT_STRATEGY if settings.strategy == AUTO else settings.strategy)
        notes = plan.notes
        if not needed_signals(strategy) <= classifier.gives:
            notes += (f"{plan.name} lacks what {settings.strategy} reads: {DEFAULT_STRATEGY} ranks instead",)
            strategy = make_strategy(DEFAULT_STRATEGY)
        classifier.fit(
            self._texts.take(ground.rows),
            ground.classes,
            n_classes=len(ground.labels),
            rng=named_generator(project.seed, "fit", version),
        )
        representation = default_representation(strategy, classifier)
        inference = classifier.infer(
            self._texts,
            needed_signals(strategy),
            representations=(representation,),
            rng=named_generator(project.seed, "inference", version),
        )
        if inference.log_probs is None:
            raise InvalidInput("the classifier gave no log-probabilities when asked for them")
        features = inference.representations[representation]
        ranking = rank(
            strategy,
            inference,
            features,
            ground,
            model=version,
            batch=settings.batch,
            rng=named_generator(project.seed, "selection", version),
        )
        entries = with_first_texts(
            project,
            self._texts,
            classifier,
            ground,
            ranking.entries,
            lambda found: explained(found, inference, features, ground, model=version),
        )
        notes += (*ranking.notes, *covering_notes(settings, ground))
        upcoming = [number for number in project.queue.upcoming_draws(2 * settings.batch) if number <= ground.texts]
        probabilities = np.exp(inference.log_probs.astype(np.float32))
        drawn = described(upcoming, inference, features, ground, model=version)
        if settings.check_choice == "weighted":
            rng = named_generator(project.seed, "checks", version)
            drawn += weighted_checks(inference, features, ground, 2 * settings.batch, model=version, rng=rng)
        facts = ModelFacts(
            version=version,
            at="",
            classifier=plan.name,
            strategy=strategy_text(strategy),
            labels=ground.labels,
            trained_on=len(ground.rows),
            seconds=round(perf_counter() - started, 3),
            cutoff=ground.cutoff,
            audits=len(ground.audit_rows),
            audits_right=int((inference.log_probs[ground.audit_rows].argmax(axis=1) == ground.audit_classes).sum()),
            changed=None if latest is None else self._changed(latest, ground.labels, probabilities),
            texts=ground.texts,
            notes=notes,
        )
        reading = self._read_checks(ground, facts, probabilities, drawn)
        found = measure(project, ground, reading)
        quality = None if found is None else found.as_json()
        return project.publish(facts, probabilities, entries, drawn, request, reading, quality)

    def _read_checks(
        self, ground: Ground, facts: ModelFacts, probabilities: np.ndarray, drawn: Sequence[QueueEntry]
    ) -> Reading:
        """Write down what the model says of the random checks, and of those that come next."""
        coming = [item - 1 for item in self._project.queue.upcoming_draws(AHEAD) if item <= ground.texts]
        coming += [entry.item - 1 for entry in drawn]
        rows = np.union1d(ground.audit_rows, np.array(coming, dtype=np.int64))
        return Reading(rows + 1, np.array(facts.labels)[probabilities[rows].argmax(axis=1)])

    def _changed(self, latest: ModelFacts, labels: tuple[int, ...], probabilities: np.ndarray) -> float | None:
        """Give the share of texts that the new model labels otherwise than the one before it."""
        before = self._project.models.probabilities(latest.version)
        if before is None or not len(before):
            return None
        stands = standing_labels(self._project.database)
        was = np.array([stands.get(label, label) for label in latest.labels])[before.argmax(axis=1)]
        now = np.array(labels)[probabilities[: len(before)].argmax(axis=1)]
        return round(float((was != now).mean()), 5)

    def _cover(self, ground: Ground) -> bool:
        """Choose a first batch once the texts can be compared; anew when it is used up, or better vectors are read."""
        plan, settings = self._ready_plan(), self._project.settings.read()
        by = f"{plan.name} {what_covers(self._project, settings)}"
        left = set(self._project.queue.order()) - set((ground.closed_rows + 1).tolist())
        if not len(self._texts) or len(ground.closed_rows) == ground.texts or (self._covered_by == by and left):
            return False
        classifier = self._classifier() if plan is self._plan else plan.make()
        if not isinstance(classifier, LabelFree):
            return False
        classifier.prepare(self._texts)
        n = max(settings.batch, 2 * len(ground.labels)) * 2
        self._project.enqueue(first_texts(self._project, self._texts, classifier, ground, n))
        self._covered_by = by
        return True

    def _ready_plan(self) -> Plan:
        """Give the plan, or TF-IDF while the plan's encoder is still reading."""
        plan = self._plan or Plan(TFIDF)
        if not plan.reads or self._read == len(self._texts):
            return plan
        return Plan(TFIDF, notes=(f"the encoder has read {self._read} of {len(self._texts)} texts",))

    def _classifier(self) -> Classifier:
        if self._main is None:
            self._main = (self._plan or Plan(TFIDF)).make()
        return self._main

    def _done(self, did: Did, model: ModelFacts | None = None) -> Step:
        return Step(did, model, self._read, len(self._texts))
