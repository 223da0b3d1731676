"""Texts as the lists show them: where each stands, what the model says, and what the visitor said."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from nearmiss.errors import InvalidInput
from nearmiss.session.answers import Answer, Submission
from nearmiss.session.browsing import Found
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.items import Item
from nearmiss.session.labels import Label
from nearmiss.session.people import Person
from nearmiss.session.project import Project
from nearmiss.session.published import Guess
from nearmiss.web.sight import done_with, seen
from nearmiss.web.visits import Form, number_in

__all__ = ["FEW_LABELS", "GuessTold", "Row", "answer_in", "answers_of", "begins", "fresh_key", "guesses_told", "rows"]

#: So many labels fit into a list to choose from; more are found by typing.
FEW_LABELS = 20
_START = 240
_FEW_LINES = 4


@dataclass(frozen=True, slots=True)
class GuessTold:
    """What the model says: the label's number and name, and its probability."""

    label: int
    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class Row:
    """One text of a list.

    Attributes
    ----------
    item
        The text.
    start
        Its beginning, on one line; the text as it is where that is short.
    label
        The label that holds; None while there is none, or while the visitor must not know.
    is_open
        Whether the visitor may see everyone's answers.
    disputed, settled, audit, answers
        Where it stands; all empty while the visitor must not know. Whether it is a random check is told to nobody who
        may yet be asked about it.
    guess
        The model's likeliest label; None without a model, or while guesses are not to be seen.
    mine
        The visitor's own answer, as the form that corrects it writes it.
    """

    item: Item
    start: str
    label: Label | None
    is_open: bool
    disputed: bool
    settled: bool
    audit: bool
    answers: int
    guess: GuessTold | None
    mine: str


def rows(project: Project, person: Person, found: Sequence[Found]) -> list[Row]:
    """Tell of each text what this person may know."""
    items = [each.item.id for each in found]
    visible, done = seen(project, person, items), done_with(project, person, items)
    labels = {label.id: label for label in project.labels.every()}
    mine = answers_of(project, person.name, items)
    guesses = guesses_told(project, items, 1, closed=done)
    told = []
    for each in found:
        number, is_open = each.item.id, each.item.id in visible or not each.answers
        told.append(
            Row(
                each.item,
                _start(each.item.text),
                labels.get(each.label) if is_open and each.label is not None else None,
                is_open,
                is_open and each.disputed,
                is_open and each.settled,
                number in done and each.audit,
                each.answers if is_open else 0,
                guesses[number][0] if guesses.get(number) else None,
                _written(mine.get(number)),
            )
        )
    return told


def answers_of(project: Project, person: str, items: Sequence[int]) -> dict[int, Answer]:
    """Give what one person says of these texts."""
    with project.database.reading() as connection:
        answered = connection.execute(
            "SELECT item FROM answer WHERE person = ? AND item IN (SELECT value FROM json_each(?))",
            (person, json.dumps(list(items))),
        ).fetchall()
    return {
        row["item"]: answer
        for row in answered
        for answer in project.answers.of_item(row["item"])
        if answer.person == person
    }


def guesses_told(
    project: Project, items: Sequence[int], n: int, *, closed: set[int] | frozenset[int]
) -> dict[int, tuple[GuessTold, ...]]:
    """Give the model's likeliest labels of these texts.

    Parameters
    ----------
    closed
        Texts that the visitor is done with. In a project that is labelled without guesses, theirs alone are told.
    """
    names = {label.id: label.name for label in project.labels.every()}
    if project.settings.read().suggestions == "never":
        items = [item for item in items if item in closed]
    guesses: dict[int, Guess] = project.models.guesses(items, n) if items else {}
    return {
        item: tuple(
            GuessTold(label, names.get(label, "?"), probability)
            for label, probability in zip(guess.labels, guess.probabilities, strict=True)
        )
        for item, guess in guesses.items()
    }


def answer_in(project: Project, form: Form, item: int) -> Submission:
    """Read the form that answers a text: a label chosen from a list or typed, skipped, or unsure.

    Raises
    ------
    InvalidInput
        Nothing was chosen.
    UnknownName
        There is no label of the name that was typed.
    """
    chosen, typed = form.text("answer"), form.text("name").strip()
    key, note, guessed = form.text("key") or fresh_key(), form.text("note"), form.text("guess") == "shown"
    if chosen in (AnswerKind.SKIP, AnswerKind.UNSURE):
        return Submission(item, AnswerKind(chosen), key=key, note=note, suggestion_visible=guessed)
    if not chosen and not typed:
        raise InvalidInput("no label was chosen; choose one, then save")
    label = number_in("label", chosen) if chosen else project.labels.named(typed).id
    return Submission(item, AnswerKind.LABEL, label, key, note, suggestion_visible=guessed)


def begins(text: str) -> str:
    r"""Give the beginning of a text on one line.

    Examples
    --------
    >>> begins("one  line\nand more")
    'one line and more'
    """
    line = " ".join(text[: 2 * _START].split())
    return line if len(line) <= _START and len(text) <= 2 * _START else line[:_START].rstrip() + "…"


def _start(text: str) -> str:
    return text if len(text) <= _START and text.count("\n") < _FEW_LINES else begins(text)


def fresh_key() -> str:
    """Make a name for an act that is about to be sent."""
    return f"page-{secrets.token_hex(12)}"


def _written(answer: Answer | None) -> str:
    if answer is None:
        return ""
    return str(answer.label or "") if answer.kind is AnswerKind.LABEL else answer.kind.value
