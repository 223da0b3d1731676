"""The history is the truth: the present is what a slow, obvious reading of it says, and can be rebuilt from it."""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.session.answers import Submission
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.origins import Origin, Source
from nearmiss.session.project import Project
from nearmiss.session.projection import rebuild
from nearmiss.session.settings import Settings

PRESENT = ("answer", "decision", "undone", "setting", "guideline", "label")
PEOPLE = st.sampled_from(["ann", "bob", "cyd"])
ITEMS = st.integers(1, 3)
LABELS = st.integers(0, 7)
ORIGINS = st.sampled_from([Source.PERSON, Source.MODEL, Source.AUDIT])


def present(connection):
    return {
        table: [tuple(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")] for table in PRESENT
    }


def rebuilt(project):
    """The present as it would be derived anew, on a copy."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
        with project.database.reading() as connection:
            connection.backup(copy)
        copy.row_factory = sqlite3.Row
        copy.execute("PRAGMA foreign_keys=ON")
        copy.execute("BEGIN")
        rebuild(copy)
        copy.execute("COMMIT")
        return present(copy)


@dataclass
class Said:
    seq: int
    person: str
    item: int
    kind: AnswerKind
    label: int | None
    source: Source | None  # None: settled
    act: int
    undone: bool = False


@dataclass
class Known:
    name: str
    retired: bool = False
    into: int | None = None


@dataclass
class Reference:
    """A project as a list of what was said and a list of labels; everything else is worked out anew each time."""

    labels: dict[int, Known] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    acts: int = 0
    batch: int = 10
    guidelines: list[str] = field(default_factory=list)

    def stands_for(self, label):
        while self.labels[label].into is not None:
            label = self.labels[label].into
        return None if self.labels[label].retired else label

    def offered(self):
        return {number for number, known in self.labels.items() if not known.retired and known.into is None}

    def taken(self, name, but):
        return any(self.labels[number].name == name for number in self.offered() - {but})

    def undo(self, person):
        last = max((s.act for s in self.said if s.person == person and not s.undone), default=None)
        gone = [s for s in self.said if s.act == last and s.person == person]
        for each in gone:
            each.undone = True
        return {s.item for s in gone}

    def answers(self):
        """By text and person, what stands: kind, the label as it stands today, the event."""
        return {
            (s.item, s.person): (s.kind, None if s.label is None else self.stands_for(s.label), s.seq)
            for s in self.said
            if not s.undone and s.source is not None
        }

    def decision(self, item):
        """Label, answers, disputed, settled, audit, event; None for a text of which nothing holds."""
        mine = [answer for (of, _), answer in self.answers().items() if of == item]
        votes = Counter(label for _, label, _ in mine if label is not None)
        unsure = sum(kind is AnswerKind.UNSURE for kind, *_ in mine)
        settled = [s for s in self.said if s.item == item and s.source is None and not s.undone][-1:]
        settled = [s for s in settled if self.stands_for(s.label) is not None]
        if not votes and not unsure and not settled:
            return None
        most = [label for label in votes if votes[label] == max(votes.values())]
        label = self.stands_for(settled[0].label) if settled else most[0] if len(most) == 1 else None
        first = [s for s in self.said if s.item == item and s.source is not None and not s.undone][:1]
        return (
            label,
            votes.total() + unsure,
            int(not settled and (len(votes) > 1 or unsure > 0)),
            int(bool(settled)),
            int(bool(first) and first[0].source is Source.AUDIT),
            max([event for *_, event in mine] + [s.seq for s in settled]),
        )


class Labelling(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory()
        self.project = Project.create(
            Path(self.folder.name, "p"), texts=["one", "two", "three"], label_names=["a", "b"]
        )
        self.reference = Reference({1: Known("a"), 2: Known("b")})
        self.last_keyed = None

    def teardown(self):
        if hasattr(self, "project"):
            assert self.project.database.problems() == ()
            self.project.close()
            self.folder.cleanup()

    def label(self, pick):
        """One of the labels there ever were."""
        return 1 + pick % len(self.reference.labels)

    def note(self, seq, person, item, kind, label, source):
        stands = None if label is None else self.reference.stands_for(label)
        self.reference.said.append(Said(seq, person, item, kind, stands, source, self.reference.acts))

    @rule(person=PEOPLE, item=ITEMS, kind=st.sampled_from(AnswerKind), pick=LABELS, source=ORIGINS, keyed=st.booleans())
    def answer(self, person, item, kind, pick, source, keyed):
        label = self.label(pick) if kind is AnswerKind.LABEL else None
        key = f"key {len(self.reference.said)} {self.reference.acts}" if keyed else None
        said = Submission(item, kind, label, key)
        if label is not None and self.reference.stands_for(label) is None:
            with pytest.raises(UnknownName):
                self.project.answers.submit(person, said, Origin(source))
            return
        receipt = self.project.answers.submit(person, said, Origin(source))
        assert (receipt.items, receipt.repeated) == ((item,), False)
        self.reference.acts += 1
        self.note(receipt.event, person, item, kind, label, source)
        if keyed:
            self.last_keyed = (person, said, receipt)

    @rule()
    def answer_once_more_under_the_same_key(self):
        if self.last_keyed is None:
            return
        person, said, receipt = self.last_keyed
        if said.label is not None and self.reference.stands_for(said.label) is None:
            return  # what a repetition is told of a label retired meanwhile is tested elsewhere
        again = self.project.answers.submit(person, said)
        assert (again.event, again.repeated) == (receipt.event, True)

    @rule(person=PEOPLE, items=st.lists(ITEMS, min_size=1, max_size=4), pick=LABELS, source=ORIGINS)
    def label_many(self, person, items, pick, source):
        label = self.label(pick)
        said = [Submission(item, AnswerKind.LABEL, label) for item in items]
        if self.reference.stands_for(label) is None:
            with pytest.raises(UnknownName):
                self.project.answers.submit_all(person, said, Origin(source))
            return
        receipt = self.project.answers.submit_all(person, said, Origin(source))
        assert receipt.items == tuple(items)
        self.reference.acts += 1
        for place, item in enumerate(items):
            seq = receipt.event - len(items) + 1 + place
            self.note(seq, person, item, AnswerKind.LABEL, label, source)

    @rule(person=PEOPLE, item=ITEMS, pick=LABELS)
    def settle(self, person, item, pick):
        label = self.label(pick)
        if self.reference.stands_for(label) is None:
            with pytest.raises(UnknownName):
                self.project.answers.settle(person, item, label)
            return
        receipt = self.project.answers.settle(person, item, label)
        self.reference.acts += 1
        self.note(receipt.event, person, item, AnswerKind.LABEL, label, None)

    @rule(person=PEOPLE)
    def undo(self, person):
        receipt = self.project.answers.undo(person)
        assert (set() if receipt is None else set(receipt.items)) == self.reference.undo(person)

    @rule(name=st.sampled_from(["c", "d", "e", "a"]))
    def add_label(self, name):
        if self.reference.taken(name, None):
            with pytest.raises(InvalidInput, match="already"):
                self.project.labels.add("ann", name)
        elif len(self.reference.labels) < 8:
            self.reference.labels[self.project.labels.add("ann", name).id] = Known(name)

    @rule(pick=LABELS, name=st.sampled_from(["a", "b", "c", "x"]))
    def rename(self, pick, name):
        label = self.label(pick)
        if self.reference.taken(name, label):
            with pytest.raises(InvalidInput, match="already"):
                self.project.labels.change("ann", label, {"name": name})
        else:
            self.project.labels.change("ann", label, {"name": name})
            self.reference.labels[label].name = name

    @rule(pick=LABELS, other=LABELS)
    def merge(self, pick, other):
        label, into = self.label(pick), self.label(other)
        target = self.reference.stands_for(into)
        if target is None or target == label or self.reference.labels[label].into is not None:
            with pytest.raises(InvalidInput):
                self.project.labels.merge("ann", label, into)
        else:
            self.project.labels.merge("ann", label, into)
            self.reference.labels[label].into = target

    @rule(pick=LABELS)
    def retire(self, pick):
        label = self.label(pick)
        self.project.labels.retire("ann", label)
        self.reference.labels[label].retired = True

    @rule(pick=LABELS)
    def restore(self, pick):
        label = self.label(pick)
        known = self.reference.labels[label]
        if self.reference.taken(known.name, label):
            with pytest.raises(InvalidInput, match="already"):
                self.project.labels.restore("ann", label)
        else:
            self.project.labels.restore("ann", label)
            known.retired, known.into = False, None

    @rule(batch=st.integers(0, 3))
    def change_settings(self, batch):
        if batch == 0:
            with pytest.raises(InvalidInput, match="batch"):
                self.project.settings.change("ann", {"batch": batch, "overlap": 3})
        else:
            self.project.settings.change("ann", {"batch": batch})
            self.reference.batch = batch

    @rule(text=st.sampled_from(["Be fair.", "Be quick."]))
    def write_guidelines(self, text):
        self.project.settings.write_guidelines("ann", text)
        if self.reference.guidelines[-1:] != [text]:
            self.reference.guidelines.append(text)

    @rule()
    def reopen(self):
        folder = self.project.folder
        self.project.close()
        self.project = Project.open(folder)

    @invariant()
    def answers_are_those_that_stand(self):
        for item in range(1, 4):
            told = {(a.item, a.person): (a.kind, a.label, a.event) for a in self.project.answers.of_item(item)}
            assert told == {key: value for key, value in self.reference.answers().items() if key[0] == item}

    @invariant()
    def decisions_follow(self):
        with self.project.database.reading() as connection:
            rows = connection.execute(
                "SELECT item, label, answers, disputed, settled, audit, event FROM decision"
            ).fetchall()
        expected = {item: self.reference.decision(item) for item in range(1, 4)}
        assert {row[0]: tuple(row)[1:] for row in rows} == {i: d for i, d in expected.items() if d is not None}

    @invariant()
    def labels_are_as_they_were_made(self):
        decided = Counter((self.reference.decision(item) or [None])[0] for item in range(1, 4))
        told = {
            each.id: (each.name, each.retired, each.merged_into, each.texts) for each in self.project.labels.every()
        }
        assert told == {
            number: (known.name, known.retired, known.into, decided[number])
            for number, known in self.reference.labels.items()
        }
        assert {each.id for each in self.project.labels.offered()} == self.reference.offered()

    @invariant()
    def settings_and_guidelines_are_the_last(self):
        assert self.project.settings.read() == Settings(batch=self.reference.batch)
        last = self.project.settings.guidelines()
        assert [last.version, last.text] == [len(self.reference.guidelines), "".join(self.reference.guidelines[-1:])]

    @invariant()
    def the_present_can_be_rebuilt(self):
        with self.project.database.reading() as connection:
            now = present(connection)
        assert rebuilt(self.project) == now


TestLabelling = Labelling.TestCase
TestLabelling.settings = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking a history that is kept on a disk takes minutes
)


def test_rebuilding_knows_labels_that_came_after_the_first_answer(project):
    project.tell("1", "animal", person="ann")
    project.labels.add("ann", "plant")
    project.tell("1", "plant", person="ann")
    project.answers.settle("ann", 2, project.labels.named("plant").id)
    with project.database.reading() as connection:
        now = present(connection)
    assert rebuilt(project) == now


def test_rebuilding_knows_labels_that_came_after_a_settlement(project):
    project.answers.settle("ann", 1, project.labels.named("animal").id)
    project.labels.retire("ann", project.labels.named("animal").id)
    project.answers.settle("ann", 1, project.labels.add("ann", "plant").id)
    with project.database.reading() as connection:
        now = present(connection)
    assert rebuilt(project) == now


@pytest.mark.parametrize("table", ["event", "item"])
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = 'x'", "DELETE FROM {}"])
def test_history_and_texts_are_append_only(project, table, change):
    project.tell("1", "animal")
    column = {"event": "person", "item": "text"}[table]
    with (
        pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"),
        project.database.writing() as connection,
    ):
        connection.execute(change.format(table, column))
    assert project.texts.get(1).text.startswith("cat")


def test_replacing_a_text_or_an_event_is_refused_too(project):
    for statement in (
        "INSERT OR REPLACE INTO item SELECT id, ref, 'other', pair, meta, digest, draw FROM item WHERE id = 1",
        "INSERT OR REPLACE INTO event SELECT seq, at, 'mallory', kind, item, batch, key, body FROM event WHERE seq = 1",
    ):
        with pytest.raises(sqlite3.IntegrityError), project.database.writing() as connection:
            connection.execute(statement)
    with project.database.reading() as connection:
        assert not connection.execute("SELECT 1 FROM event WHERE person = 'mallory'").fetchall()
    assert project.texts.get(1).text.startswith("cat")
