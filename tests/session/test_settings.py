"""Settings are checked as a whole, and kept in the history."""

from __future__ import annotations

import pytest

from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.session.project import Project
from nearmiss.session.settings import Guidelines, Settings


def test_what_was_never_set_has_its_default(project):
    assert project.settings.read() == Settings()


def test_settings_survive_reopening(project):
    after = project.settings.change("ann", {"batch": "25", "audit_share": "0.3", "strategy": " cal:k=5 "})
    assert after == Settings(batch=25, audit_share=0.3, strategy="cal:k=5")
    project.close()
    with Project.open(project.folder) as again:
        assert again.settings.read() == after


def test_only_what_changes_is_written(project, dump):
    project.settings.change("ann", {"batch": 25, "overlap": 1})
    before = dump(project, "event")
    project.settings.change("ann", {"batch": "25"})
    project.settings.change("ann", {})
    assert dump(project, "event") == before
    assert dump(project, "setting")["setting"] == [("batch", "25")]


@pytest.mark.parametrize(
    "changes, error",
    [
        ({"batch": 0}, InvalidInput),
        ({"batch": "many"}, InvalidInput),
        ({"batch": 2.5}, InvalidInput),
        ({"batch": None}, InvalidInput),
        ({"batch": True}, InvalidInput),
        ({"audit_share": 1}, InvalidInput),
        ({"audit_share": "nan"}, InvalidInput),
        ({"audit_share": "-inf"}, InvalidInput),
        ({"overlap": 21}, InvalidInput),
        ({"overlap": 10**30}, InvalidInput),
        ({"overlap_share": 1.01}, InvalidInput),
        ({"lease_seconds": 1}, InvalidInput),
        ({"encoder": "  "}, InvalidInput),
        ({"encoder": 7}, InvalidInput),
        ({"suggestions": "always"}, UnknownName),
        ({"classifier": "tfdf"}, UnknownName),
        ({"strategy": "marign"}, UnknownName),
        ({"strategy": "cal:k=zero"}, InvalidInput),
        ({"strategy": "alps"}, InvalidInput),
        ({"strategy": ""}, InvalidInput),
        ({"batches": 5}, UnknownName),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(project, changes, error):
    project.settings.change("ann", {"batch": 25})
    with pytest.raises(error):
        project.settings.change("ann", {"lease_seconds": 60, **changes})
    assert project.settings.read() == Settings(batch=25)


def test_guidelines_have_versions(project):
    assert project.settings.guidelines() == Guidelines()
    first = project.settings.write_guidelines("ann", "Be fair.\r\nBe quick. ")
    assert (first.version, first.text, first.person) == (1, "Be fair.\nBe quick.", "ann")
    assert project.settings.write_guidelines("bob", "Be fair.\nBe quick.") == first
    second = project.settings.write_guidelines("bob", "")
    assert (second.version, second.text, second.person) == (2, "", "bob")
    with pytest.raises(InvalidInput, match="100001 characters"):
        project.settings.write_guidelines("ann", "x" * 100_001)
    assert project.settings.guidelines() == second
