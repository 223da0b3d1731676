"""Somebody who labels in a real browser: presses keys, and looks at what the page shows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from nearmiss.session.project import Project

PATIENCE = 10.0

#: Times each key from its own time stamp to the first frame after the text has changed.
_WATCH = """
window.times = [];
let began = 0;
document.addEventListener('keydown', (event) => { began = event.timeStamp; }, true);
new MutationObserver(() => requestAnimationFrame(() => window.times.push(performance.now() - began)))
  .observe(document.getElementById('first'), {childList: true, characterData: true, subtree: true});
"""


class Labeler:
    """One person, one browser, one page at a time."""

    def __init__(self, driver: Any, serve: Callable[[Project], str]) -> None:
        self.driver = driver
        self._serve = serve

    def open(self, project: Project, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        self.enter(self._serve(project), width=width, height=height, dark=dark)

    def enter(self, link: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Follow the link that signs in, and wait for the first text."""
        self.driver.delete_all_cookies()
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", **screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])
        self.driver.get_log("browser")
        self.driver.get(link)
        self.until(lambda: self.run("return location.pathname === '/' && document.readyState === 'complete'"))
        self.until(lambda: self.text or self.seen("nothing"))

    def close(self) -> None:
        """Leave whatever page there is, unsaved answers or not."""
        self.cut_off()
        self.slow_down(0)
        self.run("try { localStorage.clear(); } catch {}")
        self.driver.get("about:blank")

    def slow_down(self, milliseconds: int) -> None:
        """Make every request take so long."""
        conditions = {"offline": False, "latency": milliseconds, "downloadThroughput": -1, "uploadThroughput": -1}
        self.command("Network.enable")
        self.command("Network.emulateNetworkConditions", **conditions)

    def cut_off(self, *patterns: str) -> None:
        """Let requests to such addresses fail; without patterns, let all pass again."""
        self.command("Network.enable")
        self.command("Network.setBlockedURLs", urls=list(patterns))

    def command(self, name: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, arguments)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, holds: Callable[[], Any], what: str = "") -> Any:
        """Look again and again until something holds, and give it."""
        end = time.monotonic() + PATIENCE
        while True:
            found = holds()
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"{what or holds}: not within {PATIENCE:g} s; {self.page!r}; {self.problems}")
            time.sleep(0.01)

    # ---- what is seen ------------------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """The text to label; empty while none is shown."""
        shown = "const text = document.getElementById('text'); return text && !text.hidden"
        return self.run(f"{shown} ? document.getElementById('first').textContent : ''")

    @property
    def page(self) -> str:
        return self.run("return document.body ? document.body.innerText : ''")

    @property
    def said(self) -> str:
        """What a screen reader was told last."""
        return self.run("return document.getElementById('live').textContent")

    @property
    def problems(self) -> list[str]:
        """What the browser complained of since it was asked last."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def seen(self, element: str) -> str:
        """What an element says; empty while it is hidden."""
        return self.run(
            "const found = document.getElementById(arguments[0]);"
            "return found && found.checkVisibility() ? found.innerText : ''",
            element,
        )

    def buttons(self, group: str) -> list[str]:
        script = "return [...document.querySelectorAll(`#${arguments[0]} button`)].filter((b) => b.checkVisibility())"
        return self.run(f"{script}.map((b) => b.lastElementChild.textContent)", group)

    def is_saved(self) -> bool:
        return self.seen("saved") == "Everything is saved."

    # ---- what is done ------------------------------------------------------------------------------------------------

    def press(self, keys: str) -> None:
        """Press one key after the other, wherever the focus is."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver, duration=0).send_keys(keys).perform()

    def strike(self, key: str, code: str, *, held: bool = False, **more: Any) -> None:
        """Press a key of a keyboard of some other layout, or one that is held down."""
        self.command("Input.dispatchKeyEvent", type="keyDown", key=key, code=code, text=key, autoRepeat=held, **more)
        if not held:
            self.command("Input.dispatchKeyEvent", type="keyUp", key=key, code=code)

    def give(self, keys: str) -> str:
        """Press keys that answer the text in sight, wait for the next one, and give the text that was answered."""
        before = self.until(lambda: self.text, "a text to answer")
        self.press(keys)
        self.until(lambda: self.text != before, f"another text than {before!r}")
        return before

    def settle(self) -> None:
        """Wait until everything is saved."""
        self.until(self.is_saved, "everything saved")

    def watch(self) -> None:
        self.run(_WATCH)

    @property
    def times(self) -> list[float]:
        """Milliseconds from each key to the next text, since ``watch``."""
        return self.run("return window.times")

    def violations(self, axe: str) -> list[str]:
        """What axe finds serious or worse on the page as it is."""
        self.run(axe)
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, {resultTypes: ['violations']}).then((r) => done(JSON.stringify(r.violations)))"
        )
        return [
            f"{each['id']} ({each['impact']}): {[node['html'][:200] for node in each['nodes']]}"
            for each in json.loads(found)
            if each["impact"] in ("serious", "critical")
        ]


def answers_of(project: Project) -> dict[str, str]:
    """Give the label of each labelled text, in words, in the order in which they were given."""
    names = {label.id: label.name for label in project.labels.every()}
    with project.database.reading() as connection:
        rows = connection.execute(
            "SELECT item.text, answer.label, answer.kind FROM answer JOIN item ON item.id = answer.item"
            " WHERE answer.stands ORDER BY answer.event"
        ).fetchall()
    return {row["text"]: names.get(row["label"], row["kind"]) for row in rows}


def events_of(project: Project) -> list[tuple[int, str]]:
    """List every answer ever given: the text's number, and how it came before the person."""
    with project.database.reading() as connection:
        rows = connection.execute(
            "SELECT item, json_extract(body, '$.origin.source') AS source FROM event"
            " WHERE kind = 'answered' ORDER BY seq"
        ).fetchall()
    return [(row["item"], row["source"]) for row in rows]
