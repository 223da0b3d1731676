"""The commands of ``nearmiss`` and nothing else; each one's body lives in its own module.

Only typer is imported up here: ``nearmiss --help`` must answer at once, so torch waits until a command needs it.
"""

from __future__ import annotations

from typing import Annotated

import typer

from nearmiss._version import __version__
from nearmiss.cli import (
    adapt,
    catalog,
    label,
    recheck,
    reproduce,
    run,
    select,
    sessions,
    shards,
    simulate_worth,
    status,
)

__all__ = ["app"]

app = typer.Typer(
    name="nearmiss",
    help="Label text with as few labels as possible: active learning, from one-shot selection to whole experiments.",
    epilog="Example: nearmiss run --dataset banking77 --strategy random --strategy diverse-margin --classifier tfidf",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nearmiss {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Label text with as few labels as possible: active learning, from one-shot selection to whole experiments."""


app.command("label", epilog="Example: nearmiss label reviews.csv --labels positive,negative")(label.label)
app.command("serve", epilog="Example: nearmiss serve reviews.nearmiss --host 0.0.0.0 --allow-host labels.lan")(
    label.serve
)
app.command("ask", epilog="Example: nearmiss ask reviews.nearmiss -n 5")(sessions.ask)
app.command("tell", epilog="Example: nearmiss tell reviews.nearmiss 17 positive")(sessions.tell)
app.command("train", epilog="Example: nearmiss train reviews.nearmiss --out model")(sessions.train)
app.command("recheck", epilog="Example: nearmiss recheck reviews.nearmiss -n 20")(recheck.recheck)
app.command("import", epilog="Example: nearmiss import reviews.nearmiss more.csv")(sessions.import_file)
app.command("export", epilog="Example: nearmiss export reviews.nearmiss labels.csv")(sessions.export)
app.command("people", epilog="Example: nearmiss people reviews.nearmiss --add Ada")(sessions.people)
app.command("run", epilog="Example: nearmiss run examples/demo.toml --out runs/demo")(run.run)
app.command("reproduce", epilog="Example: nearmiss reproduce figure2 table3 --protocol laptop --dataset sst2")(
    reproduce.reproduce
)
app.command("simulate-worth", epilog="Example: nearmiss simulate-worth --dataset dbpedia-6k --projects 4 --out worth")(
    simulate_worth.simulate_worth
)
app.command("status", epilog="Example: nearmiss status reviews.nearmiss")(status.status)
app.command(
    "select",
    epilog="Example: nearmiss select pool.csv labelled.csv --strategy diverse-margin -n 50 --out next.csv",
)(select.select)
app.command("shard", epilog="Example: nearmiss shard reviews.jsonl pool/ --rows 50000")(shards.shard)
app.command("adapt", epilog="Example: nearmiss adapt pool.csv --out adapted")(adapt.adapt)
app.command("strategies", epilog="Example: nearmiss strategies cal")(catalog.strategies)
app.command("datasets", epilog="Example: nearmiss datasets dbpedia --data-dir ~/datasets")(catalog.datasets)
