"""Fine-tuning and inference of a whole transformer, beside the Hugging Face Trainer on the same texts in the same run.

    python -m benchmarks.finetuning            # embedded datasets, about a quarter of an hour on 2 cores
    python -m benchmarks.finetuning --quick    # a few texts of one dataset: does it run, and about how fast
    python -m benchmarks.finetuning --dataset sst2 --data-dir DIR

Each way starts from a list of texts and the pretrained weights, sees every training text once and is timed from there
to the trained model: loading, tokenizing and everything else it does included. Then it reads other texts. The ways take
turns, so that a machine that slows down slows down all of them. The Trainer has default arguments and dynamic padding,
as the Hugging Face course shows it; further rows give it our batch size, and the padding to full length of the CAL
paper's published loop.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import cosine_similarity

from benchmarks.machine import processor
from benchmarks.memory import own_peak
from nearmiss.acquisition.base import Signal
from nearmiss.experiment.machine import usable_cores
from nearmiss.models.encoder import EMBEDDED, find_model
from nearmiss.models.inference import Precision
from nearmiss.models.sequence_model import CLS, load_sequence_model, read
from nearmiss.models.tokens import tokenize
from nearmiss.models.transformer import FinetunedClassifier
from nearmiss.text.corpus import Corpus
from nearmiss.text.datasets import load_dataset

if TYPE_CHECKING:
    from transformers import Trainer

Floats = npt.NDArray[np.float32]
Result = TypeVar("Result")

EMBEDDED_DATASETS = ("banking77", "dbpedia-6k")
REPORT = Path(__file__).with_name("FINETUNING.md")
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Task:
    """What every way has to do."""

    dataset: str
    data_dir: str | None = None
    model: str = EMBEDDED
    max_length: int = 128
    n_train: int = 512
    n_read: int = 1024

    def corpora(self) -> tuple[Corpus, Corpus]:
        """Texts to train on and texts to read."""
        pool = load_dataset(self.dataset, self.data_dir, max_pool=self.n_train + self.n_read).pool
        order = np.random.default_rng(0).permutation(len(pool))
        return pool.take(order[: self.n_train]), pool.take(order[self.n_train :])


@dataclass(frozen=True)
class Ours:
    """``FinetunedClassifier`` with the preset for small models; one epoch, so that the work is the same."""

    title: str = "**nearmiss**, `finetuned`"
    precision: Precision = "auto"
    freeze_embeddings: bool = True

    def train(self, task: Task, corpus: Corpus) -> FinetunedClassifier:
        """Fine-tune from the pretrained weights."""
        classifier = FinetunedClassifier(
            model=task.model,
            max_length=task.max_length,
            epochs=1,
            min_steps=0,
            freeze_embeddings=self.freeze_embeddings,
            precision=self.precision,
            retries=0,
            device="cpu",
        )
        rng = np.random.default_rng(0)
        classifier.fit(corpus.texts, corpus.gold(), n_classes=corpus.n_classes, rng=rng)
        return classifier

    def logits(self, task: Task, trained: FinetunedClassifier, corpus: Corpus) -> Floats:
        """Read texts."""
        return trained.infer(corpus.texts, {Signal.LOG_PROBS}, rng=np.random.default_rng(0)).logits


@dataclass(frozen=True)
class Theirs:
    """The Hugging Face Trainer; None takes its own batch size, 8."""

    title: str = "`Trainer`, default arguments"
    batch_size: int | None = None
    pad_to_max: bool = False

    def train(self, task: Task, corpus: Corpus) -> Trainer:
        """Fine-tune from the pretrained weights."""
        trainer = self.trainer(task, find_model(task.model).directory, corpus)
        trainer.train()
        return trainer

    def logits(self, task: Task, trained: Trainer, corpus: Corpus) -> Floats:
        """Read texts."""
        return np.asarray(trained.predict(hugging_face_rows(trained.processing_class, corpus, task)).predictions)

    def trainer(self, task: Task, directory: Path, corpus: Corpus) -> Trainer:
        """Build it as the course does; what is set beyond that keeps it quiet, on the CPU and off the disk."""
        from transformers import (
            AutoModelForSequenceClassification,
            AutoTokenizer,
            DataCollatorWithPadding,
            PrinterCallback,
            Trainer,
            TrainingArguments,
        )

        tokenizer = AutoTokenizer.from_pretrained(directory)
        model = AutoModelForSequenceClassification.from_pretrained(directory, num_labels=corpus.n_classes)
        sizes = {} if self.batch_size is None else dict.fromkeys(_BATCH_SIZES, self.batch_size)
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=str(Path(tempfile.gettempdir(), "nearmiss-benchmark")),
                num_train_epochs=1,
                report_to="none",
                disable_tqdm=True,
                save_strategy="no",
                use_cpu=True,
                **sizes,
            ),
            train_dataset=hugging_face_rows(tokenizer, corpus, task),
            data_collator=DataCollatorWithPadding(
                tokenizer, padding="max_length" if self.pad_to_max else True, max_length=task.max_length
            ),
            processing_class=tokenizer,
        )
        trainer.remove_callback(PrinterCallback)
        return trainer


_BATCH_SIZES = ("per_device_train_batch_size", "per_device_eval_batch_size")
Way = Ours | Theirs
WAYS: tuple[Way, ...] = (
    Ours(),
    Theirs(),
    Theirs("`Trainer`, batches of 16", batch_size=16),
    Theirs("`Trainer`, batches of 16, all padded to full length", batch_size=16, pad_to_max=True),
    Ours("nearmiss, float32, every layer trained", precision="float32", freeze_embeddings=False),
)


@dataclass(frozen=True)
class Row:
    """What one way took: median seconds, peak bytes."""

    title: str
    train_seconds: float
    read_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Agreement:
    """How far the same weights say the same, by our reading and by ``Trainer.predict`` in float32."""

    logit_difference: float  # largest, ours in float32
    half_cosine: float  # lowest cosine of [CLS], ours in bfloat16 against ours in float32
    half_same: float  # share of texts given the same class, ours in bfloat16 against the Trainer


def hugging_face_rows(
    tokenizer: Callable[..., dict[str, list[list[int]]]], corpus: Corpus, task: Task
) -> list[dict[str, object]]:
    """Tokenize as the course does, without padding; a plain list is the fastest dataset a Trainer can be given."""
    second = None if corpus.texts.second is None else list(corpus.texts.second)
    encoded = tokenizer(list(corpus.texts.first), second, truncation=True, max_length=task.max_length)
    return [
        {"labels": int(label), **{name: values[i] for name, values in encoded.items()}}
        for i, label in enumerate(corpus.gold())
    ]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back warnings and load reports, which say nothing of speed."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def timed(call: Callable[[], Result], seconds: list[float]) -> Result:
    """Add what the call takes to the list."""
    start = time.perf_counter()
    result = call()
    seconds.append(time.perf_counter() - start)
    return result


def measure(task: Task, ways: Sequence[Way], repeats: int) -> tuple[list[Row], Agreement]:
    """Let the ways take turns; then compare what the same weights say."""
    train, unread = task.corpora()
    spent: list[tuple[list[float], list[float]]] = [([], []) for _ in ways]
    few = train.take(range(min(16, len(train))))
    with quiet():
        for way in ways:  # imports and first allocations are nobody's speed
            way.logits(task, way.train(task, few), few)
        for _ in range(repeats):
            for way, (training, reading) in zip(ways, spent, strict=True):
                trained = timed(partial(way.train, task, train), training)
                timed(partial(way.logits, task, trained, unread), reading)
        compared = agreement(task, train, unread)
    rows = [
        Row(way.title, statistics.median(training), statistics.median(reading), peak_of(task, way))
        for way, (training, reading) in zip(ways, spent, strict=True)
    ]
    return rows, compared


def agreement(task: Task, train: Corpus, unread: Corpus) -> Agreement:
    """Train once, save, and read the saved weights both ways."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Ours().train(task, train).save(Path(folder, "model"), train.label_names)
        theirs = Theirs()
        expected = theirs.logits(task, theirs.trainer(task, directory, train), unread)
        sequence = load_sequence_model(str(directory), train.n_classes, CPU)
        tokens = tokenize(sequence.encoder, unread.texts, task.max_length)
        full = read(sequence, tokens, (CLS,))
        half = read(sequence, tokens, (CLS,), half=True)
    return Agreement(
        float(np.abs(full.logits.numpy() - expected).max()),
        float(cosine_similarity(full.representations[CLS].double(), half.representations[CLS].double()).min()),
        float((half.logits.numpy().argmax(axis=1) == expected.argmax(axis=1)).mean()),
    )


def peak_of(task: Task, way: Way) -> int:
    """Peak resident bytes of a process of its own that trains and reads this way."""
    asked = json.dumps({"task": asdict(task), "ours": isinstance(way, Ours), "way": asdict(way)})
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "benchmarks.finetuning", "--peak", asked]
    ended = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return int(ended.stdout.splitlines()[-1])


def print_peak(asked: str) -> None:
    """Do the task once and print the peak; the other side of ``peak_of``."""
    given = json.loads(asked)
    task, way = Task(**given["task"]), (Ours if given["ours"] else Theirs)(**given["way"])
    train, unread = task.corpora()
    with quiet():
        way.logits(task, way.train(task, train), unread)
    print(own_peak())


def table(task: Task, rows: Sequence[Row], compared: Agreement) -> str:
    """Write one dataset's section; ratios say how many times as fast our first row is."""
    tokens = token_lengths(task)
    ours = rows[0]
    lines = [
        f"## {task.dataset}",
        "",
        f"{task.n_train:,} texts trained on, {task.n_read:,} others read; {tokens.mean():.1f} tokens a text on "
        f"average, {tokens.max()} at most.",
        "",
        "| | training, examples/s | nearmiss is | inference, texts/s | nearmiss is | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.title} | {task.n_train / row.train_seconds:.0f} | {row.train_seconds / ours.train_seconds:.1f}x | "
        f"{task.n_read / row.read_seconds:.0f} | {row.read_seconds / ours.read_seconds:.1f}x | "
        f"{row.peak_bytes / 2**20:,.0f} MiB |"
        for row in rows
    ]
    lines += [
        "",
        f"The same weights read by both: float32 logits differ by at most {compared.logit_difference:.1e} from "
        f"`Trainer.predict`. In bfloat16 the [CLS] states have a cosine of at least {compared.half_cosine:.5f} with "
        f"float32's, and {compared.half_same:.2%} of the texts get the class that `Trainer.predict` gives.",
        "",
    ]
    return "\n".join(lines)


def token_lengths(task: Task) -> npt.NDArray[np.int64]:
    """Tokens of every text of the task."""
    train, unread = task.corpora()
    sequence = load_sequence_model(task.model, 2, CPU)
    return np.concatenate([tokenize(sequence.encoder, each.texts, task.max_length).lengths for each in (train, unread)])


def preamble(command: str, model: str, max_length: int, repeats: int) -> str:
    """Name the machine and what is compared."""
    import accelerate
    import transformers

    runs = f"medians of {repeats} runs, the ways taking turns" if repeats > 1 else "one run each"
    return "\n".join(
        [
            "# Fine-tuning, measured",
            "",
            f"`{command}`, {runs}. {usable_cores()} cores of {processor()}, torch "
            f"{torch.__version__} on {torch.get_num_threads()} threads, transformers {transformers.__version__}, "
            f"accelerate {accelerate.__version__}; {date.today()}.",
            "",
            f"One epoch of {model} from the pretrained weights, texts cut at {max_length} tokens. Each time runs from "
            "plain texts to the result; training's holds loading the model too. nearmiss trains in batches of 16 texts "
            "of like length, in bfloat16 where the processor multiplies it, with the embedding layer left as it was "
            "pretrained: the defaults of `finetuned`. Its last row takes the second and third of these away. `Trainer` "
            "trains every layer in float32, in batches of 8 unless the row says otherwise. Peak memory is of a process "
            "that does nothing else, libraries included.",
            "",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few texts, one dataset, one run; writes no file")
    parser.add_argument("--dataset", action="append", help="its name; may be given several times")
    parser.add_argument("--data-dir", help="where datasets lie that are not embedded")
    parser.add_argument("--model", default=EMBEDDED, help="a local folder or Hugging Face name")
    parser.add_argument("--max-length", type=int, default=128, help="texts are cut after this many tokens")
    parser.add_argument("--repeats", type=int, help="runs per figure; the median is quoted (3, quick: 1)")
    parser.add_argument("--out", type=Path, help=f"the report to write ({REPORT.name} beside this file; quick: none)")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.peak:
        print_peak(options.peak)
        return
    sizes = {"n_train": 64, "n_read": 128} if options.quick else {}
    repeats = options.repeats or (1 if options.quick else 3)
    given = [*(["--quick"] if options.quick else []), *(f"--dataset {name}" for name in options.dataset or ())]
    command = " ".join(["python -m benchmarks.finetuning", *given])
    parts = [preamble(command, options.model, options.max_length, repeats)]
    print(parts[0], flush=True)
    for name in options.dataset or EMBEDDED_DATASETS[: 1 if options.quick else None]:
        task = Task(name, options.data_dir, options.model, options.max_length, **sizes)
        parts.append(table(task, *measure(task, WAYS, repeats)))
        print(parts[-1], flush=True)
    out = options.out or (None if options.quick else REPORT)
    if out is not None:
        out.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
