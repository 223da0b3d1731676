"""How texts are chosen and models trained, each setting with what it does; and the guidelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from starlette.responses import Response
from starlette.routing import Route

from nearmiss.acquisition.registry import strategy_names
from nearmiss.errors import InvalidInput
from nearmiss.loop.stopping_text import FORMS, STOP_WHEN
from nearmiss.session.project import Project
from nearmiss.session.settings import ALPS, AUTO, CLASSIFIERS, COVERS, NAMES, Guidelines, Settings
from nearmiss.web.context import Context
from nearmiss.web.pages.label import rendered_guidelines
from nearmiss.web.visits import Notice, Visit, owners_only, reading, writing

__all__ = ["routes"]


@dataclass(frozen=True, slots=True)
class _Entry:
    """One setting as the form shows it.

    Attributes
    ----------
    name, title, told
        What it is called in files, on the page, and what it does.
    choices
        The values there are, with words for each; empty where it is typed.
    offers
        Values that are proposed while it is typed.
    step
        How a number is counted; empty for text.
    """

    name: str
    title: str
    told: str
    choices: Mapping[str, str] | None = None
    offers: tuple[str, ...] = ()
    step: str = ""

    @property
    def default(self) -> str:
        """What it is when nobody sets it."""
        return str(getattr(Settings(), self.name))


_CLASSIFIERS = {
    AUTO: "auto: the best that is quick enough here",
    "tfidf": "tfidf: words alone, no encoder",
    "frozen": "frozen: a linear model on the encoder’s vectors",
    "tuned": "tuned: the encoder’s top layer is trained",
    "finetuned": "finetuned: the whole encoder is trained, slowly",
}


_COVERS = {
    AUTO: "auto: typiclust; labels that none of 50 texts has are looked for by name",
    "typiclust": "typiclust: the most typical text of every kind, the commonest kinds first",
    NAMES: "names: texts near the names of the labels, in turn with typiclust’s",
    "k-means": "k-means: texts in the middle of as many groups",
    ALPS: "alps: spread by what a masked language model finds surprising (the encoder must be one)",
    "random": "random: drawn at random",
}


def _entries() -> tuple[_Entry, ...]:
    names = tuple(name for name in strategy_names() if name != "alps")
    return (
        _Entry(
            "strategy",
            "Strategy",
            "How the next texts are chosen. “auto” takes the ones the model is least sure of, spread over different "
            "kinds of text. “cal” takes those that the model judges unlike their labelled neighbours.",
            offers=(AUTO, *names),
        ),
        _Entry(
            "cover",
            "First texts",
            "What chooses while there is no model; typiclust goes on up to two labels a class. Words or examples of a "
            "label, which its own page takes, find texts whatever this is.",
            choices={name: _COVERS[name] for name in COVERS},
        ),
        _Entry(
            "classifier",
            "Classifier",
            "What learns from the labels.",
            choices={name: _CLASSIFIERS[name] for name in CLASSIFIERS},
        ),
        _Entry(
            "encoder",
            "Encoder",
            "Turns texts into numbers: “minilm” comes with nearmiss and reads English; or a folder, or the name of a "
            "model on Hugging Face that is on this machine.",
        ),
        _Entry("batch", "Labels a batch", "A new model is trained after so many new labels.", step="1"),
        _Entry(
            "audit_share",
            "Share of random checks",
            "So many of the texts are drawn at random, and measure the model without training it: 0.2 is every fifth. "
            "Fewer are drawn once the accuracy is known to 20 points, and again at 10. At 0, nothing is known of it.",
            step="0.01",
        ),
        _Entry(
            "check_choice",
            "Random checks are drawn",
            "“weighted” draws the texts more often that the model is less sure of, and lets each count the less: that "
            "pays a little in large pools with a good model. What picking saves, and what more labels would bring, is "
            "told from uniform checks alone.",
            choices={"uniform": "uniform: every text is as likely", "weighted": "weighted: by the model’s doubt"},
        ),
        _Entry(
            "stop_when",
            "Advise to stop when",
            f"Rules, joined by “and” or “or”: {'; '.join(f'{form}: {meaning}' for form, meaning in FORMS.items())}. "
            f"“auto” is {STOP_WHEN}.",
            offers=(AUTO, STOP_WHEN, "target:90%", "target:90% or budget:1000"),
        ),
        _Entry("overlap", "Answers a text", "How many different people answer the same text.", step="1"),
        _Entry(
            "overlap_share",
            "Share of texts with several answers",
            "Of which texts that many answers are wanted; one person answers the others. 1 is all of them.",
            step="0.01",
        ),
        _Entry(
            "suggestions",
            "The model’s guesses",
            "Guesses in sight make people quicker, and likelier to agree with the model even where it is wrong.",
            choices={"offered": "offered: people may show them", "never": "never: everyone labels without them"},
        ),
        _Entry(
            "lease_seconds",
            "Seconds a text is kept",
            "A text in front of one person is kept from the others for so long after they were last seen.",
            step="1",
        ),
    )


def routes(context: Context) -> Sequence[Route]:
    """List what the pages answer."""
    return [
        reading(context, "/settings/training", owners_only(_show)),
        writing(context, "/settings/training", owners_only(_save)),
        reading(context, "/settings/guidelines", owners_only(_show_guidelines)),
        writing(context, "/settings/guidelines", owners_only(_save_guidelines)),
    ]


def _show(visit: Visit) -> Response:
    values = {name: str(value) for name, value in asdict(visit.project.settings.read()).items()}
    return visit.page("training_settings.html", {"entries": _entries(), "values": values, "errors": {}})


def _save(visit: Visit) -> Response:
    names = [entry.name for entry in fields(Settings) if entry.name in visit.form.fields]
    typed = {name: visit.form.text(name) for name in names}
    errors = _errors(visit.project, visit.person.name, typed)
    if errors:
        values = {name: str(value) for name, value in asdict(visit.project.settings.read()).items()} | typed
        facts = {"entries": _entries(), "values": values, "errors": errors}
        return visit.page("training_settings.html", facts, status=400)
    visit.project.settings.change(visit.person.name, typed)
    return visit.onward("/settings/training", Notice("Saved: it holds from the next model and the next text on."))


class _TriedOut(Exception):
    """Ends a transaction that was only to find out what would be refused."""


def _errors(project: Project, person: str, typed: Mapping[str, str]) -> dict[str, str]:
    """Find what is wrong with each field, by setting one after another and taking all of it back."""
    errors: dict[str, str] = {}
    try:
        with project.database.writing():
            for name, value in typed.items():
                try:
                    project.settings.change(person, {name: value})
                except InvalidInput as refusal:
                    errors[name] = str(refusal)
            raise _TriedOut
    except _TriedOut:
        return errors


def _show_guidelines(visit: Visit) -> Response:
    return _guidelines_page(visit, visit.project.settings.guidelines().text, preview=None, error="")


def _guidelines_page(visit: Visit, text: str, *, preview: str | None, error: str) -> Response:
    facts = {
        "text": text,
        "preview": preview,
        "error": error,
        "versions": [(each, rendered_guidelines(each.text)) for each in _versions(visit.project)],
    }
    return visit.page("guidelines.html", facts, status=400 if error else 200)


def _save_guidelines(visit: Visit) -> Response:
    text = visit.form.text("text")
    if visit.form.text("act") == "preview":
        return _guidelines_page(visit, text, preview=rendered_guidelines(text), error="")
    before = visit.project.settings.guidelines().version
    try:
        written = visit.project.settings.write_guidelines(visit.person.name, text)
    except InvalidInput as refusal:
        return _guidelines_page(visit, text, preview=None, error=str(refusal))
    told = "Nothing changed." if written.version == before else f"Saved: version {written.version} is in force."
    return visit.onward("/settings/guidelines", Notice(told))


def _versions(project: Project) -> list[Guidelines]:
    """List all versions, the newest first."""
    with project.database.reading() as connection:
        rows = connection.execute("SELECT * FROM guideline ORDER BY version DESC").fetchall()
    return [Guidelines(row["version"], row["text"], row["at"], row["person"]) for row in rows]
