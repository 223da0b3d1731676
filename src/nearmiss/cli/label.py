"""``nearmiss label`` and ``nearmiss serve``: from a file, or a project, to the page where people label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nearmiss.session.project import Project

__all__ = ["label", "serve"]

_PORT = typer.Option(help="The port [default: 8765, or the next that is free].")
_HOST = typer.Option(help="The address to listen on; any but this machine's own needs people with passwords.")
_ALLOW = typer.Option("--allow-host", help="A name that others reach this machine by, such as labels.lan. Repeatable.")
_BROWSER = typer.Option("--browser/--no-browser", help="Open the page in the browser.")
_CERTIFICATE = typer.Option(help="A TLS certificate (PEM); needs --key.")
_KEY = typer.Option(help="The certificate's private key (PEM).")


def label(
    file: Annotated[
        Path, typer.Argument(help="Texts: CSV, JSONL, Parquet, another tool's export; or a dataset to try, banking77.")
    ],
    project: Annotated[
        Path | None, typer.Option(help="The project's folder [default: beside the file, FILE.nearmiss].")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Label names, between commas [default: the file's; else the page asks]."),
    ] = None,
    seeds: Annotated[
        Path | None,
        typer.Option(
            help="Words or examples of labels: a file with columns text and label; they find the first texts."
        ),
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of the texts [default: guessed].")] = None,
    pair_column: Annotated[str | None, typer.Option(help="Column of the second texts.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of labels given before [default: guessed].")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column that names each row [default: guessed].")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of text files [default: UTF-8, or the file's mark].")] = None,
    port: Annotated[int | None, _PORT] = None,
    host: Annotated[str, _HOST] = "127.0.0.1",
    allow_host: Annotated[list[str] | None, _ALLOW] = None,
    certificate: Annotated[Path | None, _CERTIFICATE] = None,
    key: Annotated[Path | None, _KEY] = None,
    browser: Annotated[bool, _BROWSER] = True,
    seed: Annotated[int, typer.Option(help="Of every random choice of a new project.")] = 0,
) -> None:
    """Label the texts of a file in the browser: one key a label, everything saved at once.

    The first time, this makes a project (a folder beside the file); the same command opens it again, and takes in rows
    that the file has gained. Stop it with Ctrl-C at any time: nothing is lost.
    """
    from nearmiss.cli.projects import give_seeds, open_or_make, read_seeds

    seeded = None if seeds is None else read_seeds(seeds)
    names = None if labels is None else [name.strip() for name in labels.split(",") if name.strip()]
    opened, notes = open_or_make(
        file,
        project,
        names,
        seed=seed,
        text_column=text_column,
        pair_column=pair_column,
        label_column=label_column,
        id_column=id_column,
        encoding=encoding,
    )
    if seeded is not None:
        try:
            notes.append(f"{seeds}: {give_seeds(opened, seeded)}")
        except BaseException:
            opened.close()
            raise
    for note in notes:
        typer.echo(note, err=True)
    _serve(opened, port, host, allow_host, certificate, key, browser=browser)


def serve(
    project: Annotated[Path, typer.Argument(help="The folder of a project.")],
    label_studio: Annotated[
        bool, typer.Option("--label-studio", help="Serve Label Studio's ML backend instead of the page.")
    ] = False,
    port: Annotated[int | None, _PORT] = None,
    host: Annotated[str, _HOST] = "127.0.0.1",
    allow_host: Annotated[list[str] | None, _ALLOW] = None,
    certificate: Annotated[Path | None, _CERTIFICATE] = None,
    key: Annotated[Path | None, _KEY] = None,
    browser: Annotated[bool, _BROWSER] = False,
) -> None:
    """Serve a project's page, to this machine or (with people and passwords) to a team.

    With `--label-studio`, serve what Label Studio calls an ML backend: it orders the tasks and suggests labels.
    """
    from nearmiss.session.project import Project

    opened = Project.open(project)
    if label_studio:
        _require_web()
        from nearmiss.web.label_studio import serve_label_studio

        with opened:
            serve_label_studio(opened, host=host, port=port, allowed_hosts=tuple(allow_host or ()), on_ready=typer.echo)
        return
    _serve(opened, port, host, allow_host, certificate, key, browser=browser)


def _serve(
    project: Project,
    port: int | None,
    host: str,
    allow_host: list[str] | None,
    certificate: Path | None,
    key: Path | None,
    *,
    browser: bool,
) -> None:
    _require_web()
    import webbrowser

    from nearmiss.web.launch import launch
    from nearmiss.web.server import ServerSettings

    def ready(link: str) -> None:
        typer.echo(f"{project.name}: {project.texts.count()} texts in {project.folder}")
        typer.echo(f"Label here: {link}")
        typer.echo("Stop with Ctrl-C; everything is saved.")
        if browser:
            webbrowser.open(link)

    with project:
        settings = ServerSettings(
            host=host,
            port=port,
            certificate=certificate,
            key=key,
            allowed_hosts=tuple(allow_host or ()),
            guarded=any(person.signs_in for person in project.people.every()),
        )
        launch(project, settings, on_ready=ready)


def _require_web() -> None:
    import importlib.util

    from nearmiss.errors import MissingExtra

    for package in ("starlette", "uvicorn", "jinja2", "argon2", "python_multipart", "markdown_it"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra("the labelling page", "web", package)
