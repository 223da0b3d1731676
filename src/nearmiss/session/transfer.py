"""Between a project and the forms of other tools: what people said, out and in."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nearmiss.session.answers import MOST_AT_ONCE, Submission
from nearmiss.session.exchange.forms import write_items
from nearmiss.session.exchange.imported import ImportedItems, occurring_labels
from nearmiss.session.exchange.records import AnswerKind, ExchangedAnswer, ExchangedItem, ExchangedSuggestion
from nearmiss.session.items import NewItem, as_item
from nearmiss.session.labels import Label
from nearmiss.session.origins import Origin, Source
from nearmiss.session.people import local_person
from nearmiss.session.project import Project
from nearmiss.session.projection import resolved_label

__all__ = ["ImportReport", "export_items", "import_items", "write_export"]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file.

    Attributes
    ----------
    added, known
        Texts that are new, and texts the project had.
    labeled
        Answers taken over.
    new_labels
        Labels the project did not have.
    notes
        What was guessed, changed or left out, in sentences.
    """

    added: int
    known: int
    labeled: int
    new_labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def import_items(project: Project, imported: ImportedItems, *, person: str | None = None) -> ImportReport:
    """Take over texts, labels and what each person said; the same file twice changes nothing more.

    Labels nobody declared are added. A flat file's label counts as said by the person who imports it; answers that
    name their annotator stay theirs.

    Raises
    ------
    InvalidInput
        As ``TextShelf.add``; nothing is taken over then.
    """
    who = person or local_person()
    with project.database.writing():
        added = project.add(
            [NewItem(item.text, item.pair, item.ref, item.meta) for item in imported.items],
            source=imported.form,
            person=who,
        )
        offered = {label.name: label.id for label in project.labels.offered()}
        declared = dict.fromkeys([*imported.label_names, *occurring_labels(imported.items)])
        new = tuple(name for name in declared if name not in offered)
        for label in project.labels.add_all(who, [Label(0, name) for name in new]):
            offered[label.name] = label.id
        said: dict[str, list[Submission]] = defaultdict(list)
        for number, item in zip(added.ids, imported.items, strict=True):
            for annotator, submission in _said(number, item, offered, who):
                said[annotator].append(submission)
        labeled = 0
        for annotator, submissions in said.items():
            fresh = _not_said_yet(project, annotator, submissions)
            for start in range(0, len(fresh), MOST_AT_ONCE):
                part = fresh[start : start + MOST_AT_ONCE]
                project.answers.submit_all(annotator, part, Origin(Source.IMPORT))
                labeled += len(part)
    return ImportReport(added.added, added.known, labeled, new, (*imported.notes, *added.notes))


def export_items(project: Project, *, everything: bool = False) -> tuple[ExchangedItem, ...]:
    """Gather the labelled texts with every answer and how each label was come by.

    Parameters
    ----------
    everything
        Texts that nobody has answered too, with what the model says of them.
    """
    names = {label.id: label.name for label in project.labels.every()}
    with project.database.reading() as connection:
        answers = _answers(connection, names)
        chosen = "" if everything else "WHERE decision.item IS NOT NULL OR EXISTS"
        if not everything:
            chosen += " (SELECT 1 FROM answer WHERE answer.item = item.id)"
        rows = connection.execute(
            "SELECT item.*, decision.label AS decided, decision.disputed, decision.settled, decision.audit,"
            " event.at, event.person, event.body FROM item LEFT JOIN decision ON decision.item = item.id"
            f" LEFT JOIN event ON event.seq = decision.event {chosen} ORDER BY item.id"
        ).fetchall()
        refs = {row["id"]: row["ref"] for row in connection.execute("SELECT id, ref FROM item")}
    facts = project.models.latest()
    guesses = project.models.guesses([row["id"] for row in rows], n=1)
    agent = "" if facts is None else f"{facts.classifier} {facts.version}"
    items = []
    for row in rows:
        item = as_item(row)
        guess = guesses.get(item.id)
        suggestion = None
        if guess is not None and guess.labels[0] in names:
            suggestion = ExchangedSuggestion(names[guess.labels[0]], guess.probabilities[0], agent)
        items.append(
            ExchangedItem(
                item.ref,
                item.text,
                item.pair,
                item.meta,
                names.get(row["decided"]),
                tuple(answers.get(item.id, ())),
                suggestion,
                _provenance(row, refs),
            )
        )
    return tuple(items)


def write_export(
    project: Project, path: Path, form: str | None = None, *, everything: bool = False, overwrite: bool = False
) -> int:
    """Write a project's labels to a file or folder and return how many texts it holds.

    Raises
    ------
    InvalidInput
        An unknown form, or a path that cannot be written.
    """
    items = export_items(project, everything=everything)
    names = tuple(label.name for label in project.labels.offered())
    guideline = project.settings.guidelines().text
    write_items(items, path, form=form, label_names=names, overwrite=overwrite, guideline=guideline)
    return len(items)


def _said(number: int, item: ExchangedItem, labels: Mapping[str, int], who: str) -> list[tuple[str, Submission]]:
    if item.answers:
        return [
            (
                answer.annotator or who,
                Submission(
                    number,
                    answer.kind,
                    None if answer.label is None else labels[answer.label],
                    note=answer.note,
                    seconds=answer.seconds,
                ),
            )
            for answer in item.answers
        ]
    if item.label is not None:
        return [(who, Submission(number, AnswerKind.LABEL, labels[item.label]))]
    return []


def _not_said_yet(project: Project, person: str, said: Sequence[Submission]) -> list[Submission]:
    """Leave out what the person says already."""
    with project.database.reading() as connection:
        rows = connection.execute("SELECT item, kind, label FROM answer WHERE person = ?", (person,)).fetchall()
        known = {
            row["item"]: (row["kind"], None if row["label"] is None else resolved_label(connection, row["label"]))
            for row in rows
        }
    latest = {each.item: each for each in said}
    return [each for each in latest.values() if known.get(each.item) != (each.kind, each.label)]


def _answers(connection: sqlite3.Connection, names: Mapping[int, str]) -> dict[int, list[ExchangedAnswer]]:
    answers: dict[int, list[ExchangedAnswer]] = defaultdict(list)
    today = {label: resolved_label(connection, label) for label in names}
    for row in connection.execute("SELECT * FROM answer WHERE stands ORDER BY event"):
        label = None if row["label"] is None else today[row["label"]]
        answers[row["item"]].append(
            ExchangedAnswer(
                row["person"],
                AnswerKind(row["kind"]),
                None if label is None else names[label],
                row["at"],
                row["seconds"],
                row["note"],
            )
        )
    return answers


def _provenance(row: sqlite3.Row, refs: Mapping[int, str]) -> dict[str, str | int | float | bool | None]:
    if row["body"] is None:
        return {}
    body = json.loads(row["body"])
    told: dict[str, str | int | float | bool | None] = {
        "annotator": row["person"],
        "labeled_at": row["at"],
        "disputed": bool(row["disputed"]),
        "settled": bool(row["settled"]),
        "audit": bool(row["audit"]),
        "note": body["note"],
    }
    if "origin" in body:
        origin = Origin.from_json(body["origin"])
        told |= {
            "source": origin.source.value,
            "strategy": origin.strategy,
            "score": origin.score,
            "model_version": origin.model,
            "neighbors": " ".join(refs[neighbor.item] for neighbor in origin.neighbors),
            "guideline_version": body["guideline"],
            "suggestion_visible": body["suggestion_visible"],
            "seconds": body["seconds"],
        }
    return told
