"""What an adaptation achieved, as numbers and as the card that travels with the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

__all__ = ["AdaptationReport", "model_card"]


@dataclass(frozen=True, slots=True)
class AdaptationReport:
    """What an adaptation did and achieved. Losses are in nats per predicted token of the held-out texts.

    Attributes
    ----------
    loss_before, loss_after
        Masked-LM cross-entropy before the first and after the last step; before means the checkpoint's own head, or
        the one trained over the frozen encoder.
    loss_unigram
        That of the plain frequencies of the tokens trained on.
    n_texts, n_held_out
        Texts trained on and measured on.
    n_tokens
        Tokens of one pass over the texts trained on.
    n_predicted
        Tokens predicted in the held-out texts, over all the times they were masked.
    steps
        Optimiser steps.
    seconds
        Spent in all, interruptions left out.
    """

    loss_before: float
    loss_after: float
    loss_unigram: float
    n_texts: int
    n_held_out: int
    n_tokens: int
    n_predicted: int
    steps: int
    seconds: float

    @classmethod
    def from_facts(cls, facts: Mapping[str, str | int | float | None]) -> Self:
        """Take a report from what was kept of it as JSON."""
        return cls(
            loss_before=float(facts["loss_before"] or 0),
            loss_after=float(facts["loss_after"] or 0),
            loss_unigram=float(facts["loss_unigram"] or 0),
            n_texts=int(facts["n_texts"] or 0),
            n_held_out=int(facts["n_held_out"] or 0),
            n_tokens=int(facts["n_tokens"] or 0),
            n_predicted=int(facts["n_predicted"] or 0),
            steps=int(facts["steps"] or 0),
            seconds=float(facts["seconds"] or 0),
        )


def model_card(report: AdaptationReport, base: str, settings: Mapping[str, object]) -> str:
    """Write the model card, in Markdown; the same adaptation always gets the same card.

    Examples
    --------
    >>> report = AdaptationReport(3.5, 2.5, 6.0, 900, 100, 20_000, 2_000, 50, 61.0)
    >>> print(model_card(report, "minilm", {"max_length": 128})[-23:])
    | `max_length` | 128 |
    <BLANKLINE>
    """
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: fill-mask",
        "tags: [masked-lm, task-adaptive-pretraining, nearmiss]",
        "---",
        "",
        f"# {base}, adapted to a pool of texts",
        "",
        f"`{base}`, trained further as a masked language model on {report.n_texts:,} texts of a pool "
        f"({report.n_tokens:,} tokens a pass) for {report.steps:,} steps, with `nearmiss adapt`: task-adaptive "
        "pretraining (Gururangan et al., 2020, arXiv 2004.10964). No label was read. The whole encoder was trained; a "
        "pooler, where there is one, is the base model's, unchanged.",
        "",
        f"Cross-entropy on {report.n_held_out:,} texts that were held out, in nats per predicted token "
        f"({report.n_predicted:,} of them):",
        "",
        "| | loss |",
        "|---|---|",
        f"| the tokens' plain frequencies | {report.loss_unigram:.3f} |",
        f"| before | {report.loss_before:.3f} |",
        f"| after | {report.loss_after:.3f} |",
        "",
        "It can bring back passages of the texts it was trained on: pass it on as you would pass on the texts.",
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| `{name}` | {value} |" for name, value in settings.items()),
        "",
    ]
    return "\n".join(lines)
