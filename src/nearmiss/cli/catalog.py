"""``nearmiss strategies`` and ``nearmiss datasets``: what there is, one line each, or one card in full."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["datasets", "strategies"]


def strategies(
    name: Annotated[str | None, typer.Argument(help="Show this strategy's card.")] = None,
) -> None:
    """List the acquisition functions, or print the fidelity card of one.

    A card says what the function is, what it needs and costs, its options, and every point where the paper, the
    authors' code and this implementation differ.
    """
    from rich.console import Console
    from rich.table import Table

    from nearmiss.acquisition.registry import card, make_strategy, strategy_names

    console = Console()
    if name is not None:
        _print_strategy(name)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("name", "what it is", "reads", "cost"):
        table.add_column(header, overflow="fold")
    for each in strategy_names():
        table.add_row(each, card(each).title, _needs(make_strategy(each).needs), card(each).cost)
    console.print(table)


def _needs(needs: object) -> str:
    from nearmiss.acquisition.base import Needs

    if not isinstance(needs, Needs) or not (needs.pool or needs.labeled):
        return "nothing"
    parts = [" + ".join(sorted(s.value.replace("_", " ") for s in needs.pool))] if needs.pool else []
    if needs.labeled:
        parts.append("labelled set's " + " + ".join(sorted(s.value.replace("_", " ") for s in needs.labeled)))
    return "; ".join(parts)


def _print_strategy(name: str) -> None:
    from nearmiss.acquisition.base import Signal
    from nearmiss.acquisition.registry import card, make_strategy, strategy_options
    from nearmiss.experiment.features import feature_source_names

    strategy = make_strategy(name)
    name = name.partition(":")[0]
    about = card(name)
    lines = [
        f"{name}: {about.title}",
        "",
        about.definition,
        "",
        f"paper    {about.paper}",
        f"reads    {_needs(strategy.needs)}",
        f"cost     {about.cost}",
        f"score    {about.score}",
    ]
    options = [f"  {o.name} = {o.default}   {o.kind}" for o in strategy_options(name)]
    if Signal.FEATURES in strategy.needs.pool and name != "badge":  # BADGE's gradient is the classifier's own
        others = ", ".join(feature_source_names())
        options.append(f"  features = penultimate   another representation of the classifier, or {others}")
    if options:
        lines += ["", f"options (as {name}:option=value,option=value)", *options]
    lines += [
        "",
        "where implementations differ" if about.differences else "no difference between implementations is known",
    ]
    lines += [f"  - {difference}" for difference in about.differences]
    typer.echo("\n".join(lines))


def datasets(
    name: Annotated[str | None, typer.Argument(help="Show this dataset's card.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(envvar="NEARMISS_DATA_DIR", help="Folder that holds datasets as folders.")
    ] = None,
) -> None:
    """List the datasets known by name and whether they are here, or print the card of one.

    Any file or folder works by its path as well, and any dataset of the Hugging Face hub by its name.
    """
    from rich.console import Console
    from rich.table import Table

    from nearmiss.text.datasets import dataset_card, dataset_names

    if name is not None:
        _print_dataset(name, data_dir)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("name", "task", "classes", "where"):
        table.add_column(header, overflow="fold", justify="right" if header == "classes" else "left")
    for each in dataset_names():
        entry = dataset_card(each, data_dir)
        table.add_row(each, entry.info.task, str(entry.info.n_classes), entry.where)
    Console().print(table)


def _print_dataset(name: str, data_dir: Path | None) -> None:
    from nearmiss.text.datasets import dataset_card

    entry = dataset_card(name, data_dir)
    info = entry.info
    lines = [f"{info.name}: {info.title}", "", f"task      {info.task}", f"classes   {info.n_classes}"]
    if info.label_names:
        lines.append(f"labels    {', '.join(info.label_names)}")
    lines += [f"licence   {info.licence}", f"source    {info.source}", f"where     {entry.where}"]
    for title, sizes in (("here", entry.sizes), ("paper", info.paper_sizes)):
        if sizes is not None:
            counts = [
                f"{role} {n:,}"
                for role, n in (("pool", sizes.pool), ("validation", sizes.validation), ("test", sizes.test))
                if n
            ]
            lines.append(f"{title:<9} {', '.join(counts)}")
    if info.ood:
        lines.append(f"ood       {', '.join(info.ood)}")
    if info.remark:
        lines += ["", info.remark]
    typer.echo("\n".join(lines))
