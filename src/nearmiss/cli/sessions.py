"""``nearmiss ask / tell / train / import / export / people``: a project without its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ask", "export", "import_file", "people", "project_status", "tell", "train"]

_PROJECT = typer.Argument(help="The folder of a project.")
_PERSON = typer.Option("--as", help="Who labels [default: your user name].")


def ask(
    project: Annotated[Path, _PROJECT],
    n: Annotated[int, typer.Option("-n", help="How many texts.")] = 10,
    person: Annotated[str | None, _PERSON] = None,
) -> None:
    """Print the next texts to label, best first, one JSON object a line: id, text, why.

    They are yours for a few minutes; asking again gives the next ones. Answer with `nearmiss tell`.
    """
    from nearmiss.session.project import Project

    with Project.open(project) as opened:
        names = {label.id: label.name for label in opened.labels.every()}
        for pick in opened.ask(n, person=person):
            why = pick.origin
            line: dict[str, object] = {"id": pick.item.ref, "text": pick.item.text}
            if pick.item.pair is not None:
                line["text_pair"] = pick.item.pair
            if why.strategy:
                line |= {"strategy": why.strategy, "score": why.score, "model": why.model}
            if why.labels:
                line["model_says"] = {names[label]: p for label, p in zip(why.labels, why.probabilities, strict=True)}
            typer.echo(json.dumps(line, ensure_ascii=False))


def tell(
    project: Annotated[Path, _PROJECT],
    text: Annotated[str, typer.Argument(help="The text's id, as `nearmiss ask` prints it.")],
    label: Annotated[str | None, typer.Argument(help="The label's name; left out, the text is skipped.")] = None,
    note: Annotated[str, typer.Option(help="Words beside the label.")] = "",
    person: Annotated[str | None, _PERSON] = None,
) -> None:
    """Label one text. When the command has printed its line, the label is on the disk."""
    from nearmiss.session.project import Project

    with Project.open(project) as opened:
        receipt = opened.tell(text, label, person=person, note=note)
        typer.echo(f"saved: {text} {'skipped' if label is None else label} (event {receipt.event})")


def train(
    project: Annotated[Path, _PROJECT],
    out: Annotated[
        Path | None, typer.Option(help="Fine-tune a whole encoder on every label and save it in this folder.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="With --out: an option of the classifier, such as epochs=3. Repeatable.")
    ] = None,
    keep_audits_out: Annotated[
        bool, typer.Option("--keep-audits-out", help="With --out: the model never learns from random checks.")
    ] = False,
) -> None:
    """Train a model on the labels so far and rank the texts by it; the page does this by itself.

    With `--out`, make the model to take away instead: a Hugging Face folder with a card that tells where its labels
    come from. First it is trained without the random checks and measured by them, beside the model used while
    labelling: that tells whether the labels transfer. Then it is trained on everything.
    """
    from nearmiss.cli.options import classifier_option
    from nearmiss.errors import InvalidInput
    from nearmiss.session.project import Project

    if out is None and (option or keep_audits_out):
        raise InvalidInput("--option and --keep-audits-out go with --out; name a folder for the model")
    with Project.open(project) as opened:
        if out is not None:
            from nearmiss.session.handover import hand_over

            handed = hand_over(
                opened,
                out,
                dict(classifier_option(text) for text in option or []),
                keep_audits_out=keep_audits_out,
                on_step=lambda doing: typer.echo(f"{doing} ...", err=True),
            )
            learned = "every label but the random checks" if keep_audits_out else "every label"
            typer.echo(f"{handed.folder}: a model fine-tuned on {learned} of {opened.name}")
            typer.echo(handed.report.sentence)
            return
        from nearmiss.experiment.journal import take_lock
        from nearmiss.session.trainer_state import LOCK
        from nearmiss.session.training import Trainer

        with take_lock(opened.folder / LOCK):
            facts = Trainer(opened).train()
    typer.echo(
        f"model {facts.version}: {facts.classifier} on {facts.trained_on} labelled texts in {facts.seconds:.1f} s; "
        f"{facts.audits_right} of {facts.audits} random checks right"
    )


def import_file(
    project: Annotated[Path, _PROJECT],
    file: Annotated[Path, typer.Argument(help="CSV, TSV, JSONL, Parquet, Label Studio JSON, Argilla records ...")],
    form: Annotated[str | None, typer.Option(help="What the file is [default: seen from its content].")] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of the texts [default: guessed].")] = None,
    pair_column: Annotated[str | None, typer.Option(help="Column of the second texts.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the labels [default: guessed].")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column that names each row [default: guessed].")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of text files [default: UTF-8, or the file's mark].")] = None,
    person: Annotated[str | None, _PERSON] = None,
) -> None:
    """Take texts, and labels given elsewhere, into a project; the same file again changes nothing."""
    from nearmiss.cli.projects import report_lines
    from nearmiss.session.exchange.forms import read_items
    from nearmiss.session.project import Project
    from nearmiss.session.transfer import import_items

    with Project.open(project) as opened:
        imported = read_items(
            file,
            form=form,
            text_column=text_column,
            pair_column=pair_column,
            label_column=label_column,
            id_column=id_column,
            encoding=encoding,
        )
        for line in report_lines(import_items(opened, imported, person=person), str(file)):
            typer.echo(line)


def export(
    project: Annotated[Path, _PROJECT],
    out: Annotated[Path, typer.Argument(help="A file (.csv, .tsv, .jsonl, .parquet, .json), or a folder.")],
    form: Annotated[
        str | None,
        typer.Option(help="csv, tsv, jsonl, parquet, label-studio, argilla or huggingface [default: by the suffix]."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Texts without a label too.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Write the labels, who gave them and why each text was asked about."""
    from nearmiss.session.project import Project
    from nearmiss.session.transfer import write_export

    with Project.open(project) as opened:
        n = write_export(opened, out, form, everything=everything, overwrite=overwrite)
    typer.echo(f"{out}: {n} texts")


def people(
    project: Annotated[Path, _PROJECT],
    add: Annotated[str | None, typer.Option(help="Let this person sign in; asks for a password.")] = None,
    owner: Annotated[bool, typer.Option("--owner", help="With --add: may change labels and settings too.")] = False,
    remove: Annotated[str | None, typer.Option(help="Let this person in no longer; what they said stays.")] = None,
) -> None:
    """List who works on a project, let somebody in, or shut somebody out."""
    from nearmiss.session.project import Project

    with Project.open(project) as opened:
        if add is not None:
            from nearmiss.web.security.passwords import hash_password

            password = typer.prompt(f"A password for {add} (at least 10 characters)", hide_input=True)
            typer.prompt("The same again", hide_input=True, confirmation_prompt=False, value_proc=_same_as(password))
            role = "owner" if owner else "annotator"
            opened.people.add(add, role=role, password_hash=hash_password(password))
        if remove is not None:
            opened.people.remove(remove)
        for person in opened.people.every():
            signs = "signs in with a password" if person.signs_in else "at this machine only"
            typer.echo(f"{person.name}: {person.role}, {signs}")


def project_status(folder: Path) -> None:
    """Print where a project stands: texts, labels, model, random checks."""
    from nearmiss.session.overview import overview
    from nearmiss.session.project import Project

    with Project.open(folder) as opened:
        for line in overview(opened):
            typer.echo(line)


def _same_as(password: str) -> Callable[[str], str]:
    def check(again: str) -> str:
        if again != password:
            raise typer.BadParameter("the two differ; type the same again")
        return again

    return check
