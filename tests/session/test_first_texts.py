"""A cold start: no labels at all, names only, one class only, a late label, labels not seen, an undo: all work."""

from __future__ import annotations

import pytest
from tests.models.tiny import save_bert, save_masked_bert

from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.session.answers import Submission
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.gaps import label_gaps
from nearmiss.session.origins import Origin, Source
from nearmiss.session.overview import overview
from nearmiss.session.training import Did, Trainer

ANIMAL, METAL = 1, 2


@pytest.fixture
def pool(make_project):
    return lambda texts=60, **settings: make_project(
        texts, **{"classifier": "tfidf", "batch": 4, "audit_share": 0.0, **settings}
    )


def label(project, *items, by=None, source=Source.PERSON):
    """Give each text a label: that of its kind (odd numbers are animals), or one given."""
    for item in items:
        said = Submission(item, AnswerKind.LABEL, by or (ANIMAL if item % 2 else METAL))
        project.answers.submit("ann", said, Origin(source))


def queued(project):
    """List the queue: texts, and the origin of each."""
    with project.database.reading() as connection:
        rows = connection.execute("SELECT item, origin FROM queue ORDER BY position").fetchall()
    return [(row["item"], Origin.from_json(row["origin"])) for row in rows]


def strategies(project):
    return [origin.strategy for _, origin in queued(project)]


# ---- no labels, names only -------------------------------------------------------------------------------------------


def test_without_any_label_a_batch_covers_the_pool(make_project):
    project = make_project(40, labels=(), classifier="tfidf", batch=5)
    trainer = Trainer(project)
    assert trainer.step().did is Did.COVERED
    assert strategies(project) == ["typiclust"] * 10
    assert {origin.source for _, origin in queued(project)} == {Source.COVER}
    assert trainer.step().did is Did.NOTHING
    assert label_gaps(project).sentences == ("There are no labels yet: add the first ones.",)


def test_names_alone_find_texts_when_asked_to(make_project):
    texts = [f"{kind} number {i}" for i in range(20) for kind in ("rusty iron", "sleepy cat")]
    project = make_project(texts, labels=("iron", "cat", "7"), classifier="tfidf", batch=4, cover="names")
    Trainer(project).step()
    told = queued(project)
    assert strategies(project)[:4] == ["typiclust", "name:label=1", "typiclust", "name:label=2"]
    for item, origin in told:
        if origin.strategy.startswith("name"):
            assert item % 2 == (origin.strategy == "name:label=1")
    assert len({item for item, _ in told}) == len(told) == 12


def test_seeds_take_part_whatever_covers(pool):
    project = pool(cover="random")
    project.labels.change("ann", METAL, {"seeds": "zinc\nlead"})
    Trainer(project).step()
    told = queued(project)
    assert {origin.strategy for _, origin in told} == {"random", f"seeds:label={METAL}"}
    texts = {item: project.texts.get(item).text for item, _ in told}
    assert all(
        "zinc" in texts[item] or "lead" in texts[item] for item, origin in told if origin.strategy.startswith("seeds")
    )


@pytest.mark.parametrize(
    ("cover", "strategy"),
    [("auto", "typiclust"), ("typiclust", "typiclust"), ("k-means", "bertkm"), ("random", "random")],
)
def test_the_setting_says_what_covers(pool, cover, strategy):
    project = pool(cover=cover)
    Trainer(project).step()
    assert strategies(project) == [strategy] * 8


def test_a_cover_is_chosen_anew_when_what_it_depends_on_changes_or_it_is_used_up(pool):
    project = pool()
    trainer = Trainer(project)
    trainer.step()
    assert trainer.step().did is Did.NOTHING
    project.settings.change("ann", {"cover": "random"})
    assert trainer.step().did is Did.COVERED
    project.labels.change("ann", METAL, {"seeds": "zinc"})
    assert trainer.step().did is Did.COVERED
    project.labels.add("ann", "wood", seeds="oak")
    assert trainer.step().did is Did.COVERED
    assert trainer.step().did is Did.NOTHING
    label(project, *project.queue.order(), by=ANIMAL)
    assert trainer.step().did is Did.COVERED
    assert trainer.step().did is Did.NOTHING


def test_the_end_of_the_pool_ends_the_covering(pool):
    project = pool(12)
    trainer = Trainer(project)
    for _ in range(4):
        trainer.step()
        label(project, *project.queue.order(), by=ANIMAL)
    assert trainer.step().did is Did.NOTHING
    assert project.ask(1, person="bob") == ()


# ---- one class only --------------------------------------------------------------------------------------------------


def test_one_class_only_is_told_and_the_next_texts_cover_what_is_left(pool):
    project = pool()
    trainer = Trainer(project)
    trainer.step()
    first = project.queue.order()
    label(project, *first, by=ANIMAL)
    assert label_gaps(project).sentences == (
        "The 8 texts to learn from have the same label; a model needs two.",
        "No text yet has “metal”.",
    )
    assert trainer.step().did is Did.COVERED
    assert not set(first) & set(project.queue.order())
    label(project, project.queue.order()[0], by=METAL)
    assert trainer.step().did is Did.TRAINED
    assert label_gaps(project).sentences == ()


def test_an_undo_that_leaves_one_class_keeps_the_model_and_is_told(pool):
    project = pool()
    trainer = Trainer(project)
    label(project, 1, 3, 5, 7, 9, 2)
    trainer.step()
    guess = project.models.guess(20)
    project.answers.undo("ann")
    assert trainer.step(quiet=True).did is Did.NOTHING
    project.request_training()
    assert trainer.step(quiet=True).did is Did.NOTHING
    assert project.models.guess(20) == guess
    assert len(project.ask(5, person="bob")) == 5
    assert label_gaps(project).sentences[0] == (
        "The 5 texts to learn from have the same label; the model in use stays the last one that had two."
    )
    label(project, 4)
    assert trainer.step(quiet=True).model.version == 2


def test_labels_that_random_checks_alone_have_are_told(pool):
    project = pool()
    label(project, 1, 3, 5)
    label(project, 2, source=Source.AUDIT)
    gaps = label_gaps(project)
    assert [each.name for each in gaps.checks_only] == ["metal"]
    assert gaps.unseen == ()
    assert any("Only random checks have “metal”" in sentence for sentence in gaps.sentences)


# ---- late and unseen labels ------------------------------------------------------------------------------------------


@pytest.fixture
def grown():
    """Texts of two kinds and, rarely, of a third."""
    texts = [f"{'cat' if i % 2 else 'iron'} and note {i}" for i in range(1, 81)]
    for i in (30, 50, 70):
        texts[i] = f"an oak tree and note {i}"
    return texts


def test_a_late_label_with_seeds_is_looked_for_until_a_text_has_it(make_project, grown):
    project = make_project(grown, classifier="tfidf", batch=6, audit_share=0.0)
    trainer = Trainer(project)
    label(project, *range(1, 9))
    trainer.step()
    assert not any("label=" in strategy for strategy in strategies(project))
    wood = project.labels.add("ann", "wood", seeds="oak\nbirch").id
    assert "The model in use does not know “wood”; the next one will." in label_gaps(project).sentences
    trainer.step()
    told = queued(project)
    found = {item: place for place, (item, origin) in enumerate(told, start=1) if "label=" in origin.strategy}
    assert list(found.values()) == [3, 6]
    assert set(found) < {31, 51, 71}
    assert {origin.strategy for item, origin in told if item in found} == {f"seeds:label={wood}"}
    sought = told[2][1]
    assert (sought.source, sought.model) == (Source.MODEL, 2)
    assert sought.labels
    assert sought.neighbors
    label(project, told[2][0], by=wood)
    project.request_training()
    trainer.step()
    assert not any("label=" in strategy for strategy in strategies(project))


@pytest.mark.parametrize(
    ("settings", "early", "late"),
    [({}, False, True), ({"cover": "names"}, True, True), ({"cover": "typiclust"}, False, False)],
)
def test_a_late_label_is_looked_for_by_its_name_unless_something_else_was_asked_for(
    make_project, grown, settings, early, late
):
    project = make_project(grown, classifier="tfidf", batch=6, audit_share=0.0, **settings)
    trainer = Trainer(project)
    oak = project.labels.add("ann", "Oak").id
    label(project, *range(1, 31))
    trainer.step()
    assert (f"name:label={oak}" in strategies(project)[:6]) == early
    label(project, *(item for item in range(32, 53) if item != 51))
    trainer.step()
    assert (f"name:label={oak}" in strategies(project)[:6]) == late


def test_seeds_that_find_nothing_are_given_up(make_project, grown):
    project = make_project(grown, classifier="tfidf", batch=6, audit_share=0.0)
    trainer = Trainer(project)
    label(project, *range(1, 9))
    project.labels.add("ann", "gas", seeds="oak")
    trainer.step()
    assert any("label=" in strategy for strategy in strategies(project))
    label(project, 31, 51, 71, by=ANIMAL)
    project.request_training()
    trainer.step()
    assert not any("label=" in strategy for strategy in strategies(project))
    assert [each.name for each in label_gaps(project).unseen] == ["gas"]


def test_the_pool_is_covered_up_to_two_labels_a_class(make_project):
    project = make_project(120, labels=("animal", "metal", "x1", "x2", "x3", "x4"), classifier="tfidf", batch=5)
    trainer = Trainer(project)
    label(project, *range(1, 11))
    facts = trainer.step().model
    told = queued(project)
    assert [origin.strategy for _, origin in told[:6]] == ["typiclust"] * 5 + ["diverse-margin"]
    assert {(origin.source, origin.model) for _, origin in told[:5]} == {(Source.COVER, 1)}
    assert all(origin.labels and origin.neighbors for _, origin in told)
    assert any("fewer than 2 labels a class" in note for note in facts.notes)
    label(project, *range(11, 16))
    facts = trainer.step().model
    assert set(strategies(project)) == {"diverse-margin"}
    assert facts.notes == ()


@pytest.mark.parametrize("settings", [{"strategy": "entropy"}, {"cover": "random"}, {"cover": "k-means"}])
def test_who_asked_for_something_else_gets_it_from_the_first_model_on(make_project, settings):
    project = make_project(60, labels=[f"label {i}" for i in range(9)], classifier="tfidf", batch=5, **settings)
    label(project, *range(1, 11))
    Trainer(project).step()
    assert set(strategies(project)) == {settings.get("strategy", "diverse-margin")}


# ---- ALPS ------------------------------------------------------------------------------------------------------------


def test_alps_covers_by_a_masked_language_model(pool, tmp_path):
    project = pool(30, encoder=save_masked_bert(tmp_path / "mlm"), cover="alps")
    Trainer(project).step()
    assert strategies(project) == ["alps"] * 8
    assert not any("alps" in sentence for sentence in label_gaps(project).sentences)


def test_alps_is_refused_where_the_encoder_cannot_do_it(pool, tmp_path):
    project, masked = pool(30), save_masked_bert(tmp_path / "mlm")
    for encoder in ("minilm", save_bert(tmp_path / "bert"), str(tmp_path / "nowhere")):
        with pytest.raises(InvalidInput, match="first batch by alps"):
            project.settings.change("ann", {"encoder": encoder, "cover": "alps"})
    assert project.settings.read().cover == "auto"
    project.settings.change("ann", {"encoder": masked, "cover": "alps"})
    with pytest.raises(InvalidInput, match="first batch by alps"):
        project.settings.change("ann", {"encoder": "minilm"})
    project.settings.change("ann", {"encoder": "minilm", "cover": "auto"})


def test_an_encoder_that_is_gone_is_told_and_something_else_covers(pool, tmp_path):
    project = pool(30, encoder=save_masked_bert(tmp_path / "mlm"), cover="alps")
    (tmp_path / "mlm").rename(tmp_path / "moved")
    Trainer(project).step()
    assert set(strategies(project)) == {"typiclust"}
    assert any("chosen by typiclust, not by alps" in sentence for sentence in label_gaps(project).sentences)


def test_a_cover_that_is_none_is_refused_with_what_is_near(pool):
    with pytest.raises(UnknownName, match="did you mean 'typiclust'"):
        pool(cover="typiclus")


def test_the_overview_tells_what_is_missing(pool):
    project = pool()
    label(project, 1, 3)
    told = overview(project)
    assert "note: No text yet has “metal”." in told
    assert sum(line.startswith("note: ") for line in told) == 2
