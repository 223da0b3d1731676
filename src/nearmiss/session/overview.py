"""Where a project stands, in a few plain lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from nearmiss.session.advice import advise, read_standing, savings_told, told
from nearmiss.session.gaps import label_gaps
from nearmiss.session.project import Project
from nearmiss.session.trainer_state import read_state

__all__ = ["Counts", "count", "overview"]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many texts there are, and how many of them stand where.

    Attributes
    ----------
    texts, labeled, audits, disputed
        In all; with a label that holds; random checks among those; with answers that differ or are unsure.
    """

    texts: int
    labeled: int
    audits: int
    disputed: int


def count(project: Project) -> Counts:
    """Count the texts of a project.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp() + "/films"
    >>> with Project.create(folder, texts=["good", "bad"], label_names=["no", "yes"]) as project:
    ...     _ = project.tell("1", "yes")
    ...     count(project)
    Counts(texts=2, labeled=1, audits=0, disputed=0)
    """
    with project.database.reading() as connection:
        row = connection.execute(
            "SELECT count(label) AS labeled, sum(audit AND label IS NOT NULL) AS audits, sum(disputed) AS disputed"
            " FROM decision"
        ).fetchone()
        texts = connection.execute("SELECT count(*) FROM item").fetchone()[0]
    return Counts(texts, row["labeled"], row["audits"] or 0, row["disputed"] or 0)


def overview(project: Project) -> list[str]:
    """Tell where a project stands."""
    counts = count(project)
    share = f" ({counts.labeled / counts.texts:.1%})" if counts.texts else ""
    lines = [
        f"{project.name}: {counts.texts} texts, {counts.labeled} labelled{share}, {counts.audits} of them random checks"
    ]
    labels = project.labels.offered()
    if labels:
        counted = Counter({label.name: label.texts for label in labels}).most_common()
        lines.append("labels: " + ", ".join(f"{name} {n}" for name, n in counted))
    else:
        lines.append("labels: none yet")
    lines += [f"note: {sentence}" for sentence in label_gaps(project).sentences if labels]
    if counts.disputed:
        lines.append(f"to settle: {counts.disputed} texts on which people differ, or are unsure")
    facts = project.models.latest()
    if facts is None:
        lines.append("model: none yet; it needs some ten texts, random checks aside, of two different labels")
    else:
        lines.append(
            f"model {facts.version}: {facts.classifier} on {facts.trained_on} texts, {facts.at[:16]}; "
            f"{facts.audits_right} of {facts.audits} random checks right"
        )
    standing = read_standing(project)
    if standing.latest is not None:
        lines.append(f"accuracy {told(standing.latest.accuracy)}, macro-F1 {told(standing.latest.macro_f1)}")
        lines.append(f"savings: {savings_told(standing.worth)}")
    advice = advise(standing, project.settings.read().stopping_rule)
    lines.append(f"advice: {advice.sentence} {advice.reason}")
    if advice.warning:
        lines.append(f"warning: {advice.warning} Mend it with the strategy random, in the settings.")
    state = read_state(project.folder)
    lines.append(f"trainer: {state.activity.value}{f': {state.error}' if state.error else ''}")
    return lines
