"""From a key to the next text, in a real browser, with the server and its trainer at work."""

from __future__ import annotations

import socket
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from benchmarks.labelling.client import Server
from benchmarks.labelling.speed import Spread

__all__ = ["latency"]

_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
# From the key's own time stamp to the first frame after the text has changed.
_WATCH = """
window.times = [];
let began = 0;
document.addEventListener('keydown', (event) => { began = event.timeStamp; }, true);
new MutationObserver(() => requestAnimationFrame((now) => { window.times.push(performance.now() - began); }))
  .observe(document.getElementById('first'), {childList: true, characterData: true, subtree: true});
"""


def latency(folder: Path, n: int) -> Spread:
    """Press n digits, one every 150 ms, and time each until the next text has been painted."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server(folder, port)
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for flag in _FLAGS.split():
        options.add_argument(flag)
    with tempfile.TemporaryDirectory() as profile:
        options.add_argument(f"--user-data-dir={profile}")
        browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        try:
            browser.get(server.link)
            time.sleep(2)
            browser.execute_script(_WATCH)
            body = browser.find_element(By.TAG_NAME, "body")
            for press in range(n):
                body.send_keys(str(1 + press % 9))
                time.sleep(0.15)
            times: list[float] = browser.execute_script("return window.times")
        finally:
            browser.quit()
            server.stop()
    return Spread.of([each / 1000 for each in times])
