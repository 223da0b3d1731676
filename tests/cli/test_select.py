"""One batch from files: what is chosen, what is written, and what is refused with nothing written."""

import csv

import pytest

GOOD = [
    f"a {word} film, truly {word}" for word in ("good", "fine", "great", "lovely", "warm", "bright", "clever", "kind")
]
BAD = [f"a {word} film, sadly {word}" for word in ("bad", "poor", "awful", "dull", "cold", "grim", "silly", "mean")]


@pytest.fixture
def files(tmp_path):
    """Six labelled texts; a pool of ten, one of which is labelled already."""
    labeled, pool = tmp_path / "labelled.csv", tmp_path / "pool.csv"
    with labeled.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("review", "label"), *((t, "good") for t in GOOD[:3]), *((t, "bad") for t in BAD[:3])]
        )
    with pool.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("id", "review", "year"), *((f"r{i}", t, 1990 + i) for i, t in enumerate(GOOD[2:7] + BAD[3:]))]
        )
    return pool, labeled, tmp_path / "next.csv"


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_writes_the_batch_with_all_columns(nearmiss, files):
    pool, labeled, out = files
    outcome = nearmiss("select", pool, labeled, "-n", 4, "--classifier", "tfidf", "--strategy", "margin", "--out", out)
    assert outcome.code == 0, outcome.err
    chosen = rows(out)
    assert [row["nearmiss_rank"] for row in chosen] == ["1", "2", "3", "4"]
    assert [row["id"] for row in chosen] == [row["nearmiss_row"] for row in chosen]
    assert all(row["year"].isdigit() for row in chosen)
    scores = [float(row["nearmiss_score"]) for row in chosen]
    assert scores == sorted(scores, reverse=True)
    assert "guessed" in outcome.err  # which columns were taken is told


def test_labelled_texts_are_never_chosen(nearmiss, files):
    pool, labeled, out = files
    outcome = nearmiss("select", pool, labeled, "-n", 9, "--classifier", "tfidf", "--out", out)
    assert outcome.code == 0, outcome.err
    assert GOOD[2] not in {row["review"] for row in rows(out)}
    assert "1 of 10 pool rows are left out" in outcome.err


def test_cal_says_why(nearmiss, files):
    pool, labeled, out = files
    nearmiss("select", pool, labeled, "-n", 2, "--classifier", "tfidf", "--strategy", "cal:k=2", "--out", out)
    assert all(row["nearmiss_reason"].count("divergence") == 2 for row in rows(out))


def test_same_seed_same_batch(nearmiss, files):
    pool, labeled, out = files
    batches = []
    for seed in (3, 3, 4):
        nearmiss("select", pool, labeled, "-n", 5, "--classifier", "tfidf", "--strategy", "random", "--seed", seed,
                 "--out", out, "--overwrite")  # fmt: skip
        batches.append([row["id"] for row in rows(out)])
    assert batches[0] == batches[1] != batches[2]


def test_nothing_labelled_yet(nearmiss, files):
    pool, _, out = files
    outcome = nearmiss("select", pool, "-n", 3, "--classifier", "tfidf", "--out", out)
    assert outcome.code == 0, outcome.err
    assert len(rows(out)) == 3
    assert "covers the pool" in outcome.err
    nearmiss("select", pool, "-n", 3, "--classifier", "tfidf", "--strategy", "typiclust", "--out", out, "--overwrite")
    typical = rows(out)
    outcome = nearmiss("select", pool, "-n", 3, "--classifier", "tfidf", "-s", "random", "--out", out, "--overwrite")
    assert "covers the pool" not in outcome.err
    assert rows(out) != typical


def test_one_file_that_holds_both(nearmiss, tmp_path):
    both, out = tmp_path / "both.jsonl", tmp_path / "next.csv"
    lines = [f'{{"text": "{t}", "label": "good"}}' for t in GOOD[:4]] + [
        f'{{"text": "{t}", "label": "bad"}}' for t in BAD[:4]
    ]
    lines += [f'{{"text": "{t}", "label": null}}' for t in GOOD[4:] + BAD[4:]]
    both.write_text("\n".join(lines))
    outcome = nearmiss("select", both, "-n", 3, "--classifier", "tfidf", "--strategy", "entropy", "--out", out)
    assert outcome.code == 0, outcome.err
    assert {row["text"] for row in rows(out)} <= set(GOOD[4:] + BAD[4:])


def test_one_label_only(nearmiss, files, tmp_path):
    pool, _, out = files
    labeled = tmp_path / "one.csv"
    labeled.write_text(f'text,label\n"{GOOD[0]}",good\n')
    outcome = nearmiss("select", pool, labeled, "-n", 3, "--classifier", "tfidf", "--strategy", "margin", "--out", out)
    assert outcome.code == 0, outcome.err
    assert len(rows(out)) == 3


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("-n", "50"), "asked for 50 texts, only 9 unlabelled remain"),
        (("-n", "0"), "at least 1"),
        (("--strategy", "cal:k=0"), "k"),
        (("--strategy", "nope"), "no strategy named 'nope'"),
        (("--classifier", "nope"), "no classifier named 'nope'"),
        (("--text-column", "body"), "body"),
        (("--option", "max-length"), "expected KEY=VALUE"),
        (("--strategy", "bald", "-n", "3"), "tuned"),
    ],
)
def test_refusals_leave_nothing_behind(nearmiss, files, arguments, message):
    pool, labeled, out = files
    before = sorted(out.parent.iterdir())
    classifier = () if "--classifier" in arguments else ("--classifier", "tfidf")
    outcome = nearmiss("select", pool, labeled, "--out", out, *classifier, *arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert sorted(out.parent.iterdir()) == before


def test_an_existing_file_is_not_replaced_unasked(nearmiss, files):
    pool, labeled, out = files
    out.write_text("mine")
    outcome = nearmiss("select", pool, labeled, "-n", 2, "--classifier", "tfidf", "--out", out)
    assert outcome.code == 2
    assert out.read_text() == "mine"


@pytest.mark.parametrize("content, message", [("", "empty"), ("text\n", "no row"), ("text,label\na\n", "row")])
def test_bad_files_are_refused(nearmiss, tmp_path, content, message):
    pool = tmp_path / "pool.csv"
    pool.write_text(content)
    outcome = nearmiss("select", pool, "-n", 1, "--classifier", "tfidf", "--out", tmp_path / "next.csv")
    assert outcome.code == 2
    assert str(pool) in outcome.err
    assert message in outcome.err
    assert not (tmp_path / "next.csv").exists()
