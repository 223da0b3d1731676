"""What the paper itself reports, number by number: Margatina, Vernikos, Barrault and Aletras (EMNLP 2021).

"Active Learning by Acquiring Contrastive Examples", https://aclanthology.org/2021.emnlp-main.51. Tables 1 to 3 are in
§3, §4.2 and §6, tables 4 and 5 in appendix A.2. Figures 2 and 3 are printed without numbers; what the text says of them
is told in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = [
    "AVERAGES",
    "CITATION",
    "DATASETS",
    "FIGURE_2",
    "FIGURE_3",
    "FUNCTIONS",
    "OUT_OF_DOMAIN",
    "PROFILES",
    "RUNTIMES",
    "RUNTIME_ORDER",
    "TOTALS",
    "PaperAccuracy",
    "PaperDataset",
    "PaperProfile",
    "PaperRuntime",
    "PaperVariant",
]

CITATION = "Margatina et al. 2021, Active Learning by Acquiring Contrastive Examples, EMNLP"


@dataclass(frozen=True, slots=True)
class PaperDataset:
    """One line of Table 1; sizes as printed."""

    title: str
    task: str
    ood: str | None
    train: str
    validation: str
    test: str
    classes: int


@dataclass(frozen=True, slots=True)
class PaperAccuracy:
    """Accuracy in %: mean and standard deviation over five seeds."""

    mean: float
    std: float


@dataclass(frozen=True, slots=True)
class PaperProfile:
    """One line of Table 3, a mean over datasets."""

    input_diversity: float
    feature_diversity: float
    uncertainty: float
    representativeness: float


@dataclass(frozen=True, slots=True)
class PaperRuntime:
    """One cell of Table 4: seconds on one V100, median over iterations."""

    inference: int
    selection: int


@dataclass(frozen=True, slots=True)
class PaperVariant:
    """What §5 says of a variant of CAL in Figure 3.

    Attributes
    ----------
    option, value
        What sets the variant apart in a strategy's text form: ``order``, ``opposite``.
    group
        The part of CAL that it varies, as the paper's headings have it.
    finding
        The paper's words in short.
    """

    option: str
    value: str
    group: str
    finding: str


#: The paper's functions, as its tables order them.
FUNCTIONS = ("random", "bertkm", "entropy", "alps", "badge", "cal")

#: Table 1, by our names.
DATASETS: Mapping[str, PaperDataset] = MappingProxyType(
    {
        "imdb": PaperDataset("IMDB", "sentiment", "sst2", "22.5K", "2.5K", "25K", 2),
        "sst2": PaperDataset("SST-2", "sentiment", "imdb", "60.6K", "6.7K", "871", 2),
        "agnews": PaperDataset("AG News", "topic", None, "114K", "6K", "7.6K", 4),
        "dbpedia": PaperDataset("DBpedia", "topic", None, "20K", "2K", "70K", 14),
        "pubmed": PaperDataset("PubMed", "topic", None, "180K", "30.2K", "30.1K", 5),
        "qnli": PaperDataset("QNLI", "language inference", None, "99.5K", "5.2K", "5.5K", 2),
        "qqp": PaperDataset("QQP", "paraphrase", "twitterppdb", "327K", "36.4K", "80.8K", 2),
    }
)

#: Table 2: accuracy on the out-of-domain test set after 15 % of the pool, by training set, test set and function.
OUT_OF_DOMAIN: Mapping[tuple[str, str], Mapping[str, PaperAccuracy]] = MappingProxyType(
    {
        ("sst2", "imdb"): {
            "random": PaperAccuracy(76.28, 0.72),
            "bertkm": PaperAccuracy(75.99, 1.01),
            "entropy": PaperAccuracy(75.38, 2.04),
            "alps": PaperAccuracy(77.06, 0.78),
            "badge": PaperAccuracy(76.41, 0.92),
            "cal": PaperAccuracy(79.00, 1.39),
        },
        ("imdb", "sst2"): {
            "random": PaperAccuracy(82.50, 3.61),
            "bertkm": PaperAccuracy(84.98, 1.22),
            "entropy": PaperAccuracy(85.54, 2.52),
            "alps": PaperAccuracy(83.65, 3.17),
            "badge": PaperAccuracy(85.19, 3.01),
            "cal": PaperAccuracy(84.96, 2.36),
        },
        ("qqp", "twitterppdb"): {
            "random": PaperAccuracy(85.86, 0.48),
            "entropy": PaperAccuracy(85.06, 1.96),
            "alps": PaperAccuracy(84.79, 0.49),
            "cal": PaperAccuracy(86.20, 0.22),
        },
    }
)

#: Table 3: means over the paper's datasets.
PROFILES: Mapping[str, PaperProfile] = MappingProxyType(
    {
        "random": PaperProfile(0.766, 0.356, 0.132, 1.848),
        "bertkm": PaperProfile(0.717, 0.363, 0.145, 2.062),
        "entropy": PaperProfile(0.754, 0.323, 0.240, 2.442),
        "alps": PaperProfile(0.771, 0.360, 0.126, 2.038),
        "badge": PaperProfile(0.655, 0.339, 0.123, 2.013),
        "cal": PaperProfile(0.768, 0.335, 0.231, 2.693),
    }
)

#: Columns of Tables 4 and 5.
RUNTIME_ORDER = ("dbpedia", "imdb", "sst2", "qnli", "agnews", "pubmed", "qqp")
#: Datasets that each average of Table 5 is over.
AVERAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"AVG.-ALL": RUNTIME_ORDER, "AVG.-3": RUNTIME_ORDER[:3], "AVG.-6": RUNTIME_ORDER[:6]}
)


def _runtimes(*cells: tuple[int, int]) -> dict[str, PaperRuntime]:
    """Name cells by dataset; what was too slow to run is missing at the end."""
    return {dataset: PaperRuntime(*cell) for dataset, cell in zip(RUNTIME_ORDER, cells, strict=False)}


#: Table 4, by function and dataset; a missing dataset was not feasible.
RUNTIMES: Mapping[str, Mapping[str, PaperRuntime]] = MappingProxyType(
    {
        "random": _runtimes(*[(0, 0)] * 7),
        "alps": _runtimes((0, 181), (0, 222), (0, 733), (0, 1607), (0, 2309), (0, 5878), (0, 14722)),
        "bertkm": _runtimes((0, 467), (0, 431), (0, 4265), (0, 8138), (0, 9344), (0, 25965)),
        "badge": _runtimes((0, 12871), (0, 3816), (0, 25640)),
        "entropy": _runtimes((103, 1), (107, 0), (173, 0), (331, 0), (402, 0), (596, 0), (1070, 0)),
        "cal": _runtimes((133, 49), (212, 61), (464, 244), (528, 376), (656, 628), (1184, 1445), (1541, 2857)),
    }
)

#: Table 5's averages as printed, by function; its other cells are the sums of Table 4's.
TOTALS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "random": {"AVG.-ALL": 0, "AVG.-3": 0, "AVG.-6": 0},
        "alps": {"AVG.-ALL": 3664, "AVG.-3": 378, "AVG.-6": 1821},
        "bertkm": {"AVG.-3": 1721, "AVG.-6": 8101},
        "badge": {"AVG.-3": 14109},
        "entropy": {"AVG.-ALL": 397, "AVG.-3": 128, "AVG.-6": 285},
        "cal": {"AVG.-ALL": 1482, "AVG.-3": 387, "AVG.-6": 996},
    }
)

#: What §4.1 says of Figure 2, function by function.
FIGURE_2: Mapping[str, str] = MappingProxyType(
    {
        "cal": "consistently the best, clearest on DBpedia, PubMed and AG News; slightly better than ENTROPY on IMDB,"
        " QNLI and QQP",
        "entropy": "second best overall, ahead of the diversity-based and hybrid functions",
        "bertkm": "competitive (SST-2, QNLI), always behind CAL and ENTROPY",
        "badge": "low, despite using both uncertainty and diversity",
        "alps": "close to RANDOM; on SST-2 on a level with the best",
        "random": "the baseline; on SST-2 most functions are alike",
    }
)

_BOUNDARY = "Boundary, neighbourhood"
_SCORING = "Scoring function"
_SPACE = "Feature space"
#: What §5 says of Figure 3; the groups are the paper's, its first two in one.
FIGURE_3 = (
    PaperVariant("order", "opposite", _BOUNDARY, "stays at the accuracy of the initial set, or falls"),
    PaperVariant("anchor", "labeled", _BOUNDARY, "slightly worse, much cheaper"),
    PaperVariant("divergence", "cross-entropy", _SCORING, "a slight drop"),
    PaperVariant("reduce", "max", _SCORING, "like the mean"),
    PaperVariant("reduce", "median", _SCORING, "like the mean"),
    PaperVariant("features", "mean-embedding", _SPACE, "much worse"),
    PaperVariant("features", "mean-output", _SPACE, "worse"),
    PaperVariant("features", "pretrained-cls", _SPACE, "much worse"),
    PaperVariant("features", "tfidf", _SPACE, "much worse"),
)
