"""The datasets known by name: what each is, and where it can be had."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CATALOG", "DatasetInfo", "HubSource", "SplitSizes"]


@dataclass(frozen=True, slots=True)
class SplitSizes:
    """Numbers of texts; None where a split is missing, or its size unknown."""

    pool: int | None = None
    validation: int | None = None
    test: int | None = None


@dataclass(frozen=True, slots=True)
class HubSource:
    """Where a dataset lies on the Hugging Face hub, and how its splits become ours.

    Attributes
    ----------
    name, config
        As ``datasets.load_dataset`` takes them.
    text, label, pair
        Column names.
    test
        The split that serves as test set: for GLUE the development set, whose labels are public.
    validation
        The split that serves for validation, or how many rows of the training split are set aside for it.
    pool
        How many rows of the training split are kept; None for all that remain.
    """

    name: str
    config: str | None = None
    text: str = "text"
    label: str = "label"
    pair: str | None = None
    test: str = "test"
    validation: str | int = "validation"
    pool: int | None = None


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What is known about a dataset without opening it.

    Attributes
    ----------
    name
        What ``load_dataset`` takes.
    title
        Its full name.
    task
        What the classes mean.
    label_names
        In the order of their ids; empty where the data tell.
    n_classes
        Number of classes.
    licence
        On what terms; what is not free to pass on is not in the package.
    source
        Citation and address.
    paper_sizes
        Table 1 of Margatina et al. (2021); None for datasets that are not in the paper.
    paired
        Each text has a partner.
    ood
        Names of its out-of-domain test sets.
    hub
        None where the hub has no trustworthy copy.
    embedded
        Part of the package.
    remark
        What differs from the paper or the original; empty for nothing.
    """

    name: str
    title: str
    task: str
    label_names: tuple[str, ...]
    n_classes: int
    licence: str
    source: str
    paper_sizes: SplitSizes | None = None
    paired: bool = False
    ood: tuple[str, ...] = ()
    hub: HubSource | None = None
    embedded: bool = False
    remark: str = ""


_SENTIMENT = ("negative", "positive")
_NEWS = ("World", "Sports", "Business", "Sci/Tech")
_ONTOLOGY = (
    "Company",
    "EducationalInstitution",
    "Artist",
    "Athlete",
    "OfficeHolder",
    "MeanOfTransportation",
    "Building",
    "NaturalPlace",
    "Village",
    "Animal",
    "Plant",
    "Album",
    "Film",
    "WrittenWork",
)
_GLUE = "Wang et al. 2019 (GLUE), https://gluebenchmark.com"
_ZHANG = "Zhang, Zhao and LeCun 2015, Character-level Convolutional Networks for Text Classification"
_SWAPPED = "The paper's text takes {said} of the training set for validation; its table of sizes, followed here, {has}."

_KNOWN = (
    DatasetInfo(
        name="dbpedia-6k",
        title="DBpedia ontology, sample",
        task="topic of an encyclopedia entry",
        label_names=_ONTOLOGY,
        n_classes=14,
        licence="CC BY-SA 3.0",
        source=f"{_ZHANG}; DBpedia, https://www.dbpedia.org",
        embedded=True,
        remark="A stratified sample of dbpedia: 6,000 texts to label, 2,000 to test on; titles dropped.",
    ),
    DatasetInfo(
        name="banking77",
        title="BANKING77",
        task="intent of a bank customer's question",
        label_names=(),
        n_classes=77,
        licence="CC BY 4.0",
        source="Casanueva et al. 2020, https://github.com/PolyAI-LDN/task-specific-datasets",
        embedded=True,
        remark="Complete. 1,000 of 10,003 training texts serve for validation; 7 of the 10,003 recur in the test set.",
    ),
    DatasetInfo(
        name="imdb",
        title="IMDB, Large Movie Review Dataset",
        task="sentiment of a film review",
        label_names=_SENTIMENT,
        n_classes=2,
        licence="research use; no grant to redistribute",
        source="Maas et al. 2011, https://ai.stanford.edu/~amaas/data/sentiment",
        paper_sizes=SplitSizes(22_500, 2_500, 25_000),
        ood=("sst2",),
        hub=HubSource("stanfordnlp/imdb", validation=2_500),
    ),
    DatasetInfo(
        name="sst2",
        title="SST-2, Stanford Sentiment Treebank",
        task="sentiment of a phrase from a film review",
        label_names=_SENTIMENT,
        n_classes=2,
        licence="research use; none stated",
        source=f"Socher et al. 2013; {_GLUE}",
        paper_sizes=SplitSizes(60_600, 6_700, 871),
        ood=("imdb",),
        remark="The test set is GLUE's development set: 872 phrases, though the paper prints 871.",
        hub=HubSource("nyu-mll/glue", "sst2", text="sentence", test="validation", validation=6_735),
    ),
    DatasetInfo(
        name="agnews",
        title="AG News",
        task="topic of a news item",
        label_names=_NEWS,
        n_classes=4,
        licence="research and other non-commercial use",
        source=_ZHANG,
        paper_sizes=SplitSizes(114_000, 6_000, 7_600),
        hub=HubSource("fancyzhx/ag_news", validation=6_000),
    ),
    DatasetInfo(
        name="dbpedia",
        title="DBpedia ontology",
        task="topic of an encyclopedia entry",
        label_names=_ONTOLOGY,
        n_classes=14,
        licence="CC BY-SA 3.0 and GFDL",
        source=f"{_ZHANG}; DBpedia, https://www.dbpedia.org",
        paper_sizes=SplitSizes(20_000, 2_000, 70_000),
        hub=HubSource("fancyzhx/dbpedia_14", text="content", validation=2_000, pool=20_000),
        remark="Content without the title.",
    ),
    DatasetInfo(
        name="pubmed",
        title="PubMed 20k RCT",
        task="role of a sentence in a medical abstract",
        label_names=("background", "conclusions", "methods", "objective", "results"),
        n_classes=5,
        licence="none stated; abstracts from MEDLINE/PubMed",
        source="Dernoncourt and Lee 2017, https://github.com/Franck-Dernoncourt/pubmed-rct",
        paper_sizes=SplitSizes(180_000, 30_200, 30_100),
        hub=HubSource("armanc/pubmed-rct20k"),
    ),
    DatasetInfo(
        name="qnli",
        title="QNLI, question answering as inference",
        task="whether a sentence answers a question",
        label_names=("entailment", "not_entailment"),
        n_classes=2,
        licence="CC BY-SA 4.0 (from SQuAD); GLUE states none",
        source=f"Rajpurkar et al. 2016; {_GLUE}",
        paper_sizes=SplitSizes(99_500, 5_200, 5_500),
        paired=True,
        hub=HubSource("nyu-mll/glue", "qnli", text="question", pair="sentence", test="validation", validation=5_237),
        remark=_SWAPPED.format(said="10 %", has="has 5 %"),
    ),
    DatasetInfo(
        name="qqp",
        title="Quora Question Pairs",
        task="whether two questions ask the same",
        label_names=("not_duplicate", "duplicate"),
        n_classes=2,
        licence="non-commercial research (Quora's terms)",
        source=_GLUE,
        paper_sizes=SplitSizes(327_000, 36_400, 80_800),
        paired=True,
        ood=("twitterppdb",),
        hub=HubSource("nyu-mll/glue", "qqp", text="question1", pair="question2", test="validation", validation=36_385),
        remark=_SWAPPED.format(said="5 %", has="has 10 %")
        + " GLUE's development set, the test set here, holds 40,430 pairs.",
    ),
    DatasetInfo(
        name="twitterppdb",
        title="TwitterPPDB, Twitter News URL Corpus",
        task="whether two tweets say the same",
        label_names=("not_paraphrase", "paraphrase"),
        n_classes=2,
        licence="CC BY-NC-SA 3.0, and Twitter's terms",
        source="Lan et al. 2017, https://github.com/lanwuwei/Twitter-URL-Corpus",
        paired=True,
        remark="Out-of-domain test set of qqp; no pool of its own.",
    ),
    DatasetInfo(
        name="csabstruct",
        title="CSAbstruct",
        task="role of a sentence in a computer-science abstract",
        label_names=("background", "objective", "method", "result", "other"),
        n_classes=5,
        licence="Apache-2.0",
        source="Cohan et al. 2019, https://github.com/allenai/sequential_sentence_classification",
        remark="Not in the paper; the same kind of task as pubmed.",
    ),
    DatasetInfo(
        name="nicta_piboso",
        title="NICTA-PIBOSO",
        task="role of a sentence in a medical abstract",
        label_names=("background", "intervention", "other", "outcome", "population", "study design"),
        n_classes=6,
        licence="none stated; research use",
        source="Kim et al. 2011, Automatic classification of sentences to support Evidence Based Medicine",
        remark="Not in the paper; the same kind of task as pubmed.",
    ),
    DatasetInfo(
        name="agnews_desc",
        title="AG News, description only",
        task="topic of a news item",
        label_names=_NEWS,
        n_classes=4,
        licence="research and other non-commercial use",
        source=f"{_ZHANG}; the form used by Yuan, Lin and Boyd-Graber 2020 (ALPS)",
        remark="Not the paper's form, which has the title too.",
    ),
)

#: Every known dataset by name, in the order they are listed to users.
CATALOG = {info.name: info for info in _KNOWN}
