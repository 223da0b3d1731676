"""A real browser in front of a real server."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.web.browser.labeler import Labeler
from tests.web.desk import Resting

from nearmiss.session.project import Project
from nearmiss.session.training import Trainer
from nearmiss.web.launch import launched
from nearmiss.web.server import ServerSettings

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1280,900"
)


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    if not (CHROMIUM.exists() and DRIVER.exists()):
        pytest.skip(f"no {CHROMIUM} or no {DRIVER} here (Debian: apt-get install chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=str(DRIVER)))
    yield started
    started.quit()


@pytest.fixture
def make_project(tmp_path):
    made = []

    def make(texts=12, labels=("animal", "metal"), **settings):
        chosen = [f"text number {n}" for n in range(1, texts + 1)] if isinstance(texts, int) else texts
        project = Project.create(tmp_path / f"p{len(made)}", texts=chosen, label_names=labels)
        project.settings.change("ann", {"classifier": "tfidf", **settings})
        made.append(project)
        return project

    yield make
    for project in made:
        project.close()


@pytest.fixture
def make_trained_project(make_project):
    """A project with a model that has seen twelve of sixty texts."""

    def make(**settings):
        words = (["cat", "dog", "cow", "hen", "pig"], ["iron", "zinc", "lead", "gold", "tin"])
        texts = [f"{words[n % 2][n % 5]} {words[n % 2][n // 5 % 5]} {words[n % 2][n // 3 % 5]} {n}" for n in range(60)]
        project = make_project(texts, **{"audit_share": 0, **settings})
        for item in range(1, 13):
            project.tell(str(item), "animal" if item % 2 else "metal", person="root")
        Trainer(project).train()
        return project

    return make


@pytest.fixture
def labeler(driver, make_project) -> Iterator[Labeler]:
    """Somebody before the page; ``labeler.open(project)`` serves a project and shows its page."""
    with ExitStack() as servers:

        def serve(project):
            return servers.enter_context(launched(project, ServerSettings(port=0), Resting()))

        person = Labeler(driver, serve)
        yield person
        person.close()


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The source of axe-core, which judges whether a page can be used by everybody."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm here, which brings axe-core")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", "axe-core@4"]
    try:
        brought = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not bring axe-core within two minutes")
    if brought.returncode:
        pytest.skip(f"npm could not bring axe-core: {brought.stderr.strip()[-300:]}")
    return (folder / "node_modules/axe-core/axe.min.js").read_text()
