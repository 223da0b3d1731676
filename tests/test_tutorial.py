"""docs/labelling.md, walked through: its commands run, its keys pressed in a real browser, its pictures taken.

With ``NEARMISS_SCREENSHOTS=docs/images`` the pictures of the documentation are taken anew.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from nearmiss import load_dataset
from nearmiss.session.project import Project

DOCS = Path(__file__).parent.parent / "docs"
TUTORIAL = (DOCS / "labelling.md").read_text(encoding="utf-8")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
#: Of BANKING77: what a person could tell apart without having read its guidelines.
INTENTS = ("card_arrival", "exchange_rate", "lost_or_stolen_card", "top_up_failed", "cash_withdrawal_charge")


def commands() -> list[str]:
    """List the shell lines of the tutorial that call nearmiss, comments aside."""
    blocks = re.findall(r"```sh\n(.*?)```", TUTORIAL, re.DOTALL)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("nearmiss ")]


@pytest.fixture(scope="module")
def messages() -> tuple[list[str], list[str]]:
    """Give some of BANKING77's messages and their intents, in words."""
    pool = load_dataset("banking77").pool
    chosen = {pool.label_names.index(name): name.replace("_", " ") for name in INTENTS}
    both = zip(pool.texts.first, pool.gold().tolist(), strict=True)
    rows = [(text, chosen[label]) for text, label in both if label in chosen]
    rows = sorted(dict(rows).items(), key=lambda row: (len(row[0]) * 7919) % 1009)[:360]
    return [text for text, _ in rows], [label for _, label in rows]


@contextmanager
def server(*arguments: object, cwd: Path) -> Iterator[str]:
    """Run a command that serves, as the tutorial writes it, and give the link it prints."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "nearmiss", *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            printed = []
            for line in process.stdout:
                printed.append(line)
                if found := re.search(r"https?://\S+", line):
                    yield found[0]
                    break
            else:
                raise AssertionError("".join(printed))
        finally:
            process.terminate()
            process.communicate(timeout=30)


def test_every_command_of_the_tutorial_runs(tmp_path: Path, messages):
    texts, labels = messages
    (tmp_path / "reviews.csv").write_text(
        "id,text\n" + "".join(f'{i},"{text}"\n' for i, text in enumerate(texts[:40], start=1))
    )
    ran = 0
    with Project.create(tmp_path / "seen") as nothing:  # the tutorial's first command makes the project
        nothing.close()
    for line in commands():
        arguments = line.split()[1:]
        if arguments[:2] == ["label", "reviews.csv"]:
            with server(*arguments, "--no-browser", "--port", 0, cwd=tmp_path) as link:
                assert "/enter?token=" in link
            with Project.open(tmp_path / "reviews.nearmiss") as project:
                project.settings.change("me", {"classifier": "tfidf"})
                for number in range(1, 9):
                    project.tell(str(number), "positive" if labels[number - 1] == labels[0] else "negative")
        elif arguments[:1] == ["serve"] and "--label-studio" in arguments:
            with server(*arguments, "--port", 0, cwd=tmp_path) as link:
                assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\S{20,}", link)
        elif arguments[:1] == ["people"]:
            answered = "correct horse battery\ncorrect horse battery\n"
            done = _run(arguments, tmp_path, answered)
            assert "Ada: annotator, signs in with a password" in done.stdout, done.stderr
        elif arguments[:1] == ["serve"]:
            make = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=labels.lan -keyout key.pem -out cert.pem"
            subprocess.run(make.split(), cwd=tmp_path, check=True, capture_output=True)
            with server(*arguments, "--port", 0, cwd=tmp_path) as link:
                assert link.startswith("https://127.0.0.1:")
        elif arguments[:1] == ["train"]:
            done = _run([*arguments, "--option", "epochs=1", "--option", "max-length=16"], tmp_path)
            assert (tmp_path / "model" / "model.safetensors").is_file(), done.stderr
        elif arguments[0] != "label":  # the other `label` opens 9,000 messages, and is tested with the command line
            done = _run(arguments, tmp_path)
            assert done.returncode == 0, done.stderr
            assert done.stdout
        ran += 1
    assert ran >= 9


def _run(arguments: list[str], cwd: Path, answers: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "nearmiss", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, input=answers, capture_output=True, text=True, check=False)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    if CHROMIUM is None or DRIVER is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium: make browser installs it")
        pytest.skip("no Chromium here (Debian: apt-get install chromium chromium-driver)")
    options = Options()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path / 'chromium'}")
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


Taker = Callable[[str], None]


@pytest.fixture
def take(browser: webdriver.Chrome, tmp_path: Path) -> Taker:
    """Give what takes a page's four pictures: 1280 and 390 px, light and dark."""
    out = Path(os.environ.get("NEARMISS_SCREENSHOTS") or tmp_path / "images")
    out.mkdir(parents=True, exist_ok=True)

    def take(name: str) -> None:
        for width, height in ((1280, 860), (390, 780)):
            for scheme in ("light", "dark"):
                size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
                browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
                scheme_is = [{"name": "prefers-color-scheme", "value": scheme}]
                browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme_is})
                file = out / f"{name}-{width}-{scheme}.png"
                assert browser.save_screenshot(str(file))
                assert file.stat().st_size > 5_000
        size = {"width": 1280, "height": 860, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    return take


@pytest.mark.slow
def test_the_five_minutes_in_a_browser(browser: webdriver.Chrome, take: Taker, tmp_path: Path, messages):
    texts, labels = messages
    truth = dict(zip(texts, labels, strict=True))
    names = [name.replace("_", " ") for name in INTENTS]
    with Project.create(tmp_path / "messages.nearmiss", texts=texts, label_names=names, name="messages") as project:
        for label, color in zip(
            project.labels.offered(), ("#2a6f97", "#b4501c", "#7b2d8b", "#1f6b45", "#a38200"), strict=True
        ):
            project.labels.change("me", label.id, {"color": color})
        with server("serve", project.folder, "--port", 0, cwd=tmp_path) as link:
            browser.get(link)
            _until(lambda: browser.find_elements(By.ID, "first") and browser.find_element(By.ID, "first").text)
            pressed = 0
            while pressed < 60:
                text = browser.find_element(By.ID, "first").text
                browser.find_element(By.TAG_NAME, "body").send_keys(str(1 + names.index(truth[text])))
                pressed += 1
                _until(lambda text=text: browser.find_element(By.ID, "first").text != text)
                if pressed == 40:
                    _until(lambda: project.models.latest() is not None, seconds=60)
            _until(lambda: (facts := project.models.latest()) and facts.classifier == "tuned", seconds=120)
            _until(lambda: sum(label.texts for label in project.labels.offered()) == 60)
            body = browser.find_element(By.TAG_NAME, "body")
            body.send_keys("g")
            take("label")
            _skip_to_a_near_miss(browser, body)
            take("why")
            for page in ("progress", "browse", "settings", "export"):
                browser.get(link.partition("/enter")[0] + f"/{page}")
                assert browser.find_element(By.TAG_NAME, "h1").text
                take(page)
    pictures = re.findall(r"\]\(images/([\w-]+)\.png\)", TUTORIAL)
    assert pictures
    assert all((DOCS / "images" / f"{picture}.png").is_file() for picture in pictures)


def _skip_to_a_near_miss(browser: webdriver.Chrome, body: object) -> None:
    """Open the reason, and skip until it tells of neighbours that are labelled otherwise than the model says."""
    body.send_keys("e")
    for _ in range(15):
        _until(lambda: browser.find_elements(By.CSS_SELECTOR, "#why .sentence"))
        if "yet the model says" in browser.find_element(By.CSS_SELECTOR, "#why .sentence").text:
            return
        before = browser.find_element(By.ID, "first").text
        body.send_keys("s")
        _until(lambda before=before: browser.find_element(By.ID, "first").text != before)
        time.sleep(0.3)  # the next reason is on its way


def _until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
