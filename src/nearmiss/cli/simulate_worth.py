"""``nearmiss simulate-worth``: whether what labelling projects say of themselves is true, on simulated ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["simulate_worth"]


def simulate_worth(
    dataset: Annotated[
        list[str] | None, typer.Option(help="A dataset, by name or path. Repeatable [default: the embedded ones].")
    ] = None,
    projects: Annotated[int, typer.Option(help="Projects on each.")] = 24,
    labels: Annotated[int, typer.Option(help="Labels in a project; every fourth has twice as many.")] = 1_000,
    check_share: Annotated[float, typer.Option(help="Share of random checks; half in every fourth project.")] = 0.2,
    strategy: Annotated[str, typer.Option(help="What picks the texts.")] = "diverse-margin",
    weighted_checks: Annotated[
        bool, typer.Option("--weighted-checks", help="Draw checks by the model's doubt, and weigh them.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option(envvar="NEARMISS_DATA_DIR", help="Folder that holds datasets as folders.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Projects simulated at once.")] = 1,
    out: Annotated[Path, typer.Option(help="Where records, figures and README.md go.")] = Path("runs/worth"),
) -> None:
    """Simulate labelling projects, and check what they say: accuracy, savings, forecasts, advice on stopping.

    Interrupt it at any time; the same command goes on where it stopped. A project takes 5 to 20 seconds, much longer
    with many classes.
    """
    from nearmiss.experiment.worth.campaign import Campaign, carry_out
    from nearmiss.experiment.worth.records import ProjectRecord
    from nearmiss.experiment.worth.report import page, write_report

    datasets = tuple(dict.fromkeys(dataset or ("banking77", "dbpedia-6k")))
    campaign = Campaign(datasets, projects, labels, check_share, strategy, weighted_checks)

    def tell(record: ProjectRecord) -> None:
        held = "held" if record.coverage.always else "missed once"
        typer.echo(f"{record.dataset} {record.number}: {record.coverage.looks} looks, accuracy {held}", err=True)

    records = carry_out(campaign, out, data_dir=data_dir, workers=workers, on_project=tell)
    typer.echo(page(write_report(records, out)))
