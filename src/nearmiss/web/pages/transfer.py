"""Labels out, as files for whatever tool comes next; texts and labels in."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.session.exchange.imported import ImportedItems
from nearmiss.session.overview import count
from nearmiss.session.transfer import ImportReport, import_items, write_export
from nearmiss.web.context import Context
from nearmiss.web.sight import may_export
from nearmiss.web.uploads import items_of_lines, read_upload
from nearmiss.web.visits import Form, Notice, Visit, owners_only, reading

__all__ = ["TARGETS", "Target", "routes"]

_NOTES = 4


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of file that can be downloaded.

    Attributes
    ----------
    form
        As ``write_export`` calls it.
    title, told
        What it is called on the page, and what it is good for.
    ending
        Of the file's name; a folder travels as ``.zip``.
    """

    form: str
    title: str
    told: str
    ending: str


TARGETS = (
    Target("csv", "CSV", "for spreadsheets; opens safely, whatever the texts hold", ".csv"),
    Target("tsv", "TSV", "the same, with tabs", ".tsv"),
    Target("jsonl", "JSON Lines", "one object a text, with everything known of it", ".jsonl"),
    Target("parquet", "Parquet", "compact and typed, for pandas, Polars, DuckDB", ".parquet"),
    Target("label-studio", "Label Studio", "tasks with annotations and predictions", ".json"),
    Target("argilla", "Argilla", "records with responses and suggestions", ".json"),
    Target("huggingface", "Hugging Face dataset", "a folder with a card, zipped, for load_dataset", ".zip"),
)


def routes(context: Context) -> Sequence[Route]:
    """List what the page answers."""

    async def upload(request: Request) -> Response:
        person = await run_in_threadpool(context.person, request)
        if person.role != "owner":
            raise HTTPException(403, "Only an owner of the project can add texts.")
        async with request.form(max_files=1, max_fields=20) as sent:
            file = sent.get("file")
            form = Form({name: value for name, value in sent.items() if isinstance(value, str)})
            visit = Visit(request, context, person, form)
            return await run_in_threadpool(_import, visit, file if isinstance(file, UploadFile) else None)

    return [
        reading(context, "/export", _show),
        reading(context, "/export/download", _download),
        reading(context, "/import", owners_only(_show)),
        Route("/import", upload, methods=["POST"]),
    ]


def _show(visit: Visit) -> Response:
    return _page(visit, "")


def _page(visit: Visit, error: str) -> Response:
    facts = {
        "targets": TARGETS,
        "counts": count(visit.project),
        "may_export": may_export(visit.project, visit.person),
        "error": error,
    }
    return visit.page("export.html", facts, status=400 if error else 200)


def _download(visit: Visit) -> Response:
    if not may_export(visit.project, visit.person):
        raise HTTPException(403, "Several people answer each text here: an owner of the project can export.")
    params = visit.request.query_params
    target = _target(params.get("form", ""))
    folder = Path(tempfile.mkdtemp(prefix="nearmiss-export-"))
    try:
        path = _written(visit, target, folder, everything=params.get("everything") == "yes")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", visit.project.name).strip("-.")[:60] or "labels"
    return FileResponse(
        path,
        filename=f"{name}-{datetime.now(UTC):%Y-%m-%d}{target.ending}",
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


def _written(visit: Visit, target: Target, folder: Path, *, everything: bool) -> Path:
    if target.form != "huggingface":
        path = folder / f"export{target.ending}"
        write_export(visit.project, path, target.form, everything=everything)
        return path
    write_export(visit.project, folder / "dataset", target.form, everything=everything)
    return Path(shutil.make_archive(str(folder / "export"), "zip", folder, "dataset"))


def _target(form: str) -> Target:
    for target in TARGETS:
        if target.form == form:
            return target
    raise UnknownName.among("form", form, (target.form for target in TARGETS))


def _import(visit: Visit, file: UploadFile | None) -> Response:
    back = "/welcome" if visit.form.text("from") == "welcome" else "/export"
    try:
        report = import_items(visit.project, _sent(visit.form, file), person=visit.person.name)
    except InvalidInput as refusal:
        if back == "/welcome":
            return visit.onward(back, Notice(f"Nothing was added: {refusal}"))
        return _page(visit, str(refusal))
    return visit.onward(back, Notice(_told(report)))


def _sent(form: Form, file: UploadFile | None) -> ImportedItems:
    if file is None or not file.filename:
        return items_of_lines(form.text("lines"))
    columns = form.text("text_column").strip() or None, form.text("label_column").strip() or None
    return read_upload(file.filename, file.file, *columns)


def _told(report: ImportReport) -> str:
    parts = [f"Added: {report.added} texts"]
    if report.known:
        parts.append(f"{report.known} were here already")
    if report.labeled:
        parts.append(f"{report.labeled} answers taken over")
    if report.new_labels:
        parts.append(f"{len(report.new_labels)} new labels")
    return ". ".join([", ".join(parts), *report.notes[:_NOTES]]) + "."
