"""``nearmiss recheck``: labels that deserve a second look, printed or written to a file; nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nearmiss.session.project import Project
    from nearmiss.session.second_look import Doubt, SecondLook

__all__ = ["recheck"]


def recheck(
    project: Annotated[Path, typer.Argument(help="The folder of a project.")],
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="How many labels to list at most.")] = 20,
    out: Annotated[
        Path | None, typer.Option(help="A file for all of them instead; the suffix is the format (.csv, .jsonl ...).")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    audits: Annotated[
        bool, typer.Option("--audits", help="Random checks too; put right where a model disagrees, they flatter it.")
    ] = False,
) -> None:
    """List labels that the model and the nearest labelled texts contradict, the most doubtful first.

    One JSON object a line: id, text, label, the label suggested instead, and why. Nothing is changed; put a label right
    with `nearmiss tell`, or under Second look on the page, where one key keeps it or gives the other.
    """
    from nearmiss.session.project import Project
    from nearmiss.session.second_look import second_look
    from nearmiss.text.writers import check_writable, write_table

    if out is not None:
        check_writable(out, overwrite=overwrite)
    with Project.open(project) as opened:
        found = second_look(opened, audits=audits)
        shown = found.doubts if out is not None else found.doubts[:n]
        lines = [_line(opened, doubt) for doubt in shown]
    typer.echo(_summary(found), err=True)
    if out is None:
        for line in lines:
            typer.echo(json.dumps(line, ensure_ascii=False))
        return
    import pyarrow as pa

    columns = {name: [_cell(line[name]) for line in lines] for name in _COLUMNS}
    write_table(pa.table(columns), out, overwrite=overwrite)
    typer.echo(f"{out}: {len(lines)} labels to look at again")


_COLUMNS = ("id", "text", "text_pair", "label", "suggested", "score", "model_says", "near")


def _line(project: Project, doubt: Doubt) -> dict[str, object]:
    names = {label.id: label.name for label in project.labels.every()}
    why = doubt.origin
    items = project.texts.many([doubt.item, *(neighbor.item for neighbor in why.neighbors)])
    item = items[doubt.item]
    return {
        "id": item.ref,
        "text": item.text,
        "text_pair": item.pair or "",
        "label": names[doubt.label],
        "suggested": names[doubt.suggested],
        "score": why.score,
        "model_says": {names[label]: p for label, p in zip(why.labels, why.probabilities, strict=True)},
        "near": [{"id": items[each.item].ref, "label": names[each.label]} for each in why.neighbors],
    }


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value


def _summary(found: SecondLook) -> str:
    alone = f"; {found.alone} more are the only ones of their label" if found.alone else ""
    return f"{len(found.doubts)} of {found.judged} labels are contradicted by model and neighbours alike{alone}"
