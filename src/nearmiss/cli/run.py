"""``nearmiss run``: an experiment from a spec file, from flags, or from both."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nearmiss.experiment.foreman import Executor
    from nearmiss.experiment.spec import ExperimentSpec

__all__ = ["run"]


def run(
    spec: Annotated[Path | None, typer.Argument(help="A spec in TOML; the flags below change it.")] = None,
    dataset: Annotated[str | None, typer.Option(help="A dataset's name (`nearmiss datasets`) or path.")] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of the texts [default: guessed].")] = None,
    pair_column: Annotated[str | None, typer.Option(help="Column of the second texts.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the labels [default: guessed].")] = None,
    strategy: Annotated[
        list[str] | None, typer.Option("--strategy", "-s", help="A strategy, such as cal or cal:k=5. Repeatable.")
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(help="A seed. Repeatable.")] = None,
    initial: Annotated[str | None, typer.Option(help="Labels to start from: a count, or a share such as 1%.")] = None,
    initial_method: Annotated[
        str | None, typer.Option(help="How they are drawn: stratified, random, or a cold-start strategy.")
    ] = None,
    batch: Annotated[str | None, typer.Option(help="Labels a round: a count or a share.")] = None,
    budget: Annotated[str | None, typer.Option(help="Labels in all: a count or a share.")] = None,
    classifier: Annotated[str | None, typer.Option(help="tuned, finetuned, frozen or tfidf.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="A classifier option, such as max-length=64. Repeatable.")
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(help="Labels that training may choose its weights by: a count or a share [default: none]."),
    ] = None,
    max_pool: Annotated[int | None, typer.Option(help="Use at most this many pool texts.")] = None,
    max_test: Annotated[int | None, typer.Option(help="Use at most this many test texts.")] = None,
    full_supervision: Annotated[
        bool,
        typer.Option(
            "--full-supervision",
            help="Train on the whole pool as well, once per seed: the report then tells how many labels come how near.",
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Where results go [default: runs/NAME].")] = None,
    workers: Annotated[int | None, typer.Option(help="Runs at once [default: as cores and memory allow].")] = None,
    memory: Annotated[
        str | None, typer.Option(help="Memory all runs may take together, such as 8GB [default: what is free].")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(envvar="NEARMISS_DATA_DIR", help="Folder that holds datasets as folders.")
    ] = None,
    executor: Annotated[
        str, typer.Option(help="Who carries the runs out: local (processes of this machine), or ray (a Ray cluster).")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            help="With ray: the cluster, as HOST:PORT, auto or local [default: RAY_ADDRESS, else this machine]. Its "
            "nodes must all have nearmiss and see --out under one path."
        ),
    ] = None,
    cpus_per_run: Annotated[
        float | None, typer.Option(help="With ray: processors kept free for each run [default: the spec's threads].")
    ] = None,
    gpus_per_run: Annotated[
        float | None, typer.Option(help="With ray: GPUs for each run; a fraction shares one [default: none].")
    ] = None,
) -> None:
    """Simulate active learning: every strategy with every seed, and random beside them, then a table and a report.

    Interrupt it at any time; the same command goes on where it stopped, and what is finished is reused. A run that
    fails is named with its reason, costs only itself, and makes the exit code 1.
    """
    from rich.console import Console

    from nearmiss.cli.options import memory_size
    from nearmiss.cli.progress import ExperimentDisplay
    from nearmiss.errors import MissingExtra
    from nearmiss.experiment.report import summary_table, verdict_sentences, write_report, write_rounds
    from nearmiss.experiment.runner import run_experiment
    from nearmiss.experiment.supervision import read_supervision, run_supervision

    changes = {
        "dataset": dataset,
        "text_column": text_column,
        "pair_column": pair_column,
        "label_column": label_column,
        "strategies": None if strategy is None else tuple(strategy),
        "seeds": None if seed is None else tuple(seed),
        "initial": initial,
        "initial_method": initial_method,
        "batch": batch,
        "budget": budget,
        "validation": validation,
        "max_pool": max_pool,
        "max_test": max_test,
    }
    carried_out_by = _executor(executor, address, cpus_per_run, gpus_per_run)
    wanted = _spec(spec, {k: v for k, v in changes.items() if v is not None}, classifier, option or [])
    folder = re.sub(r"[^\w +-]+", "-", wanted.name)  # a name may be anything; a folder stays where it belongs
    directory = out if out is not None else Path("runs") / folder
    console = Console()
    all_memory = None if memory is None else memory_size(memory)
    displays = [ExperimentDisplay(len(wanted.keys()), console)]
    try:
        with displays[0] as display:
            result = run_experiment(
                wanted,
                directory,
                workers=workers,
                memory=all_memory,
                on_event=display,
                data_dir=data_dir,
                executor=carried_out_by,
            )
        if full_supervision:
            displays.append(ExperimentDisplay(len(wanted.seeds), console, jobs="trainings on the whole pool"))
            with displays[1] as display:
                run_supervision(
                    wanted,
                    directory,
                    workers=workers,
                    memory=all_memory,
                    on_event=display,
                    data_dir=data_dir,
                    executor=carried_out_by,
                )
    except KeyboardInterrupt:
        typer.echo("\nnearmiss: stopped; finished rounds are saved, the same command goes on from there", err=True)
        raise typer.Exit(130) from None
    try:  # the files before the terminal, which may have been closed meanwhile
        written = f"report: {write_report(result, directory, read_supervision(wanted, directory)).html}"
    except MissingExtra as error:
        written = f"rounds: {write_rounds(result, directory)}\nno report: {error}"
    console.print(summary_table(result, width=console.width))
    for sentence in (*verdict_sentences(result), *result.notes):
        console.print(sentence, markup=False, highlight=False)
    console.print(written, markup=False, highlight=False, soft_wrap=True)
    if any(display.failed for display in displays):
        raise typer.Exit(1)


def _executor(
    name: str, address: str | None, cpus_per_run: float | None, gpus_per_run: float | None
) -> Executor | None:
    from nearmiss.errors import InvalidInput, UnknownName

    if name not in ("local", "ray"):
        raise UnknownName.among("executor", name, ("local", "ray"))
    if name == "ray":
        from nearmiss.experiment.on_ray import OnRay

        return OnRay(address, cpus_per_run, gpus_per_run or 0.0)
    given = {"--address": address, "--cpus-per-run": cpus_per_run, "--gpus-per-run": gpus_per_run}
    for flag in (flag for flag, value in given.items() if value is not None):
        raise InvalidInput(f"{flag} is for a Ray cluster; add --executor ray, or leave it out")
    return None


def _spec(path: Path | None, changes: dict[str, object], classifier: str | None, options: list[str]) -> ExperimentSpec:
    from nearmiss.cli.options import classifier_option
    from nearmiss.errors import InvalidInput
    from nearmiss.experiment.spec import REFERENCE, ClassifierChoice, ExperimentSpec

    if path is not None:
        spec = ExperimentSpec.read(path).replace(**changes)
    elif "dataset" in changes and "strategies" in changes:
        name = Path(str(changes["dataset"])).stem or "experiment"
        spec = ExperimentSpec(dataset="unset", strategies=("random",), name=name).replace(**changes)
    else:
        raise InvalidInput(
            "nothing to run: name a spec file, or both --dataset and --strategy (see nearmiss run --help)"
        )
    if REFERENCE not in spec.strategies:
        spec = spec.replace(strategies=(REFERENCE, *spec.strategies))
    if classifier is not None:
        spec = spec.replace(classifier=classifier)
    if options:
        given = dict(spec.classifier.options) | dict(classifier_option(text) for text in options)
        spec = spec.replace(classifier=ClassifierChoice(spec.classifier.name, given))
    return spec
