"""Forged requests against the real server: nothing that did not come from our own pages gets past the gate."""

import http.client
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import pytest
from tests.web.desk import Resting

from nearmiss.session.project import Project
from nearmiss.web.launch import launched
from nearmiss.web.security.gate import GatePolicy
from nearmiss.web.server import ServerSettings

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: str


class Visitor:
    """Sends exactly the headers it is told to."""

    def __init__(self, link: str) -> None:
        self.link = link
        self.host = urlsplit(link).netloc
        self.cookie = ""
        self.csrf = ""

    def send(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | str = b"") -> Answer:
        content = body.encode() if isinstance(body, str) else body
        sent = {"Host": self.host, **({"Cookie": self.cookie} if self.cookie else {}), **(headers or {})}
        if method == "POST" and not {"Content-Length", "Transfer-Encoding"} & set(sent):
            sent["Content-Length"] = str(len(content))
        connection = http.client.HTTPConnection(self.host, timeout=20)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders(content or None)
            found = connection.getresponse()
            return Answer(found.status, found.headers, found.read().decode("utf-8", "replace"))
        finally:
            connection.close()

    def enter(self) -> None:
        parts = urlsplit(self.link)
        entered = self.send("GET", f"{parts.path}?{parts.query}")
        self.cookie = entered.headers["Set-Cookie"].partition(";")[0]
        self.csrf = re.search(r'csrf-token" content="(\w+)"', self.send("GET", "/").body)[1]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("gate") / "project"
    with Project.create(folder, texts=[f"text {i}" for i in range(50)], label_names=["a", "b"]) as opened:
        yield opened


@pytest.fixture(scope="module")
def served(project: Project) -> Iterator[str]:
    with launched(project, ServerSettings(port=0), Resting()) as link:
        yield link


@pytest.fixture
def visitor(served: str) -> Visitor:
    return Visitor(served)


@pytest.fixture
def insider(visitor: Visitor) -> Visitor:
    visitor.enter()
    return visitor


def a_write(visitor: Visitor, headers: dict[str, str]) -> Answer:
    return visitor.send("POST", "/api/next", {**JSON, **headers}, json.dumps({"held": [], "want": 1}))


# ---- who answers to which name ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", "127.0.0.1.nip.io:{port}", ""],
)
def test_other_names_are_not_answered(insider, host):
    port = insider.host.partition(":")[2]
    for path in ("/", "/login", "/static/style.css"):
        assert insider.send("GET", path, {"Host": host.format(port=port)}).status in (400, 421)


def test_a_name_given_twice_is_not_answered(served):
    host = urlsplit(served).netloc
    with socket.create_connection(host.split(":"), timeout=10) as raw:
        raw.sendall(f"GET /login HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n".encode())
        assert b" 200 " not in raw.recv(200)


def test_localhost_is_this_machine(visitor):
    port = visitor.host.partition(":")[2]
    assert visitor.send("GET", "/login", {"Host": f"localhost:{port}"}).status == 200


# ---- whence a request comes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://{host}", "http://localhost:{port}"]
)
def test_other_origins_are_refused_even_with_the_right_token(insider, project, origin):
    origin = origin.format(host=insider.host, port=insider.host.partition(":")[2])
    answer = a_write(insider, {"Origin": origin, "X-CSRF-Token": insider.csrf})
    assert answer.status == 403
    assert insider.send("GET", "/browse", {"Origin": origin}).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_are_refused_except_for_following_a_link(insider, site):
    assert a_write(insider, {"Sec-Fetch-Site": site, "X-CSRF-Token": insider.csrf}).status == 403
    assert insider.send("GET", "/api/state", {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors"}).status == 403
    followed = insider.send("GET", "/browse", {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"})
    assert followed.status == 200


def test_our_own_page_is_heard(insider):
    ours = {"Origin": f"http://{insider.host}", "Sec-Fetch-Site": "same-origin", "X-CSRF-Token": insider.csrf}
    assert a_write(insider, ours).status == 200


# ---- the token of a write -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "", "0" * 64])
def test_a_write_without_the_sessions_token_is_refused(insider, token):
    headers = {} if token is None else {"X-CSRF-Token": token}
    assert a_write(insider, headers).status == 403
    fields = urlencode({} if token is None else {"csrf_token": token})
    assert insider.send("POST", "/api/leave", FORM, fields).status == 403
    assert insider.send("POST", "/logout", FORM, fields).status == 403


def test_a_form_may_carry_the_token(insider):
    assert insider.send("POST", "/api/leave", FORM, urlencode({"csrf_token": insider.csrf})).status == 204


def test_a_form_read_for_its_token_reaches_the_page_whole(insider, project):
    fields = urlencode({"csrf_token": insider.csrf, "labels": "ninth\ntenth", "names": "ninth\ntenth"})
    insider.send("POST", "/welcome/labels", {**FORM, "Accept": "text/html"}, fields)
    assert "ninth" in {label.name for label in project.labels.offered()}


@pytest.mark.parametrize("first", [True, False])
def test_an_upload_must_begin_with_the_token(insider, first):
    before = "" if first else '--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
    body = (
        f'{before}--b\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n{insider.csrf}\r\n'
        '--b\r\nContent-Disposition: form-data; name="file"; filename="more.csv"\r\n'
        "Content-Type: text/csv\r\n\r\ntext\nuploaded\n\r\n--b--\r\n"
    )
    answer = insider.send("POST", "/import", {"Content-Type": "multipart/form-data; boundary=b"}, body)
    assert (answer.status == 403) != first, answer.body[:300]


def test_anothers_token_is_of_no_use(served, insider):
    other = Visitor(served)
    other.enter()
    assert other.csrf != insider.csrf
    assert a_write(insider, {"X-CSRF-Token": other.csrf}).status == 403


# ---- who is signed in ---------------------------------------------------------------------------------------------


def test_without_a_session_pages_lead_to_the_door_and_data_is_refused(visitor):
    page = visitor.send("GET", "/browse?state=labelled", {"Accept": "text/html"})
    assert (page.status, page.headers["Location"]) == (303, "/login?next=/browse%3Fstate%3Dlabelled")
    assert visitor.send("GET", "/api/state").status == 401
    assert a_write(visitor, {}).status == 401
    assert visitor.send("GET", "/items/1", {"Accept": "application/json"}).status == 401


@pytest.mark.parametrize("cookie", ["nearmiss-1=abc", "{name}=", "{name}=abc", "{name}=' OR 1=1"])
def test_made_up_cookies_open_nothing(visitor, cookie):
    visitor.cookie = cookie.format(name=f"nearmiss-{visitor.host.partition(':')[2]}")
    assert visitor.send("GET", "/api/state").status == 401


def test_a_wrong_link_does_not_open(visitor):
    answer = visitor.send("GET", "/enter?token=wrong")
    assert (answer.status, answer.headers["Set-Cookie"]) == (403, None)


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(visitor):
    parts = urlsplit(visitor.link)
    cookie = visitor.send("GET", f"{parts.path}?{parts.query}").headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "Secure" not in cookie


def test_signing_out_ends_the_session(insider):
    assert insider.send("POST", "/logout", FORM, urlencode({"csrf_token": insider.csrf})).status == 303
    assert insider.send("GET", "/api/state").status == 401


def test_a_session_outlives_the_server(project):
    with launched(project, ServerSettings(port=0), Resting()) as link:
        visitor = Visitor(link)
        visitor.enter()
    with launched(project, ServerSettings(port=int(visitor.host.partition(":")[2])), Resting()):
        assert a_write(visitor, {"X-CSRF-Token": visitor.csrf}).status == 200


# ---- sizes, methods, headers, paths -------------------------------------------------------------------------------


def test_large_bodies_are_refused_whatever_they_say_of_their_length(insider):
    most = GatePolicy(frozenset(), "http", "").most_bytes
    token = {"X-CSRF-Token": insider.csrf}
    told = insider.send("POST", "/api/next", {**JSON, **token, "Content-Length": str(most + 1)}, b"{}")
    assert told.status == 413
    chunk = b"%x\r\n%s\r\n" % (2**16, b" " * 2**16)
    whole = chunk * 17 + b"0\r\n\r\n"
    chunked = insider.send("POST", "/api/next", {**JSON, **token, "Transfer-Encoding": "chunked"}, whole)
    assert chunked.status == 413


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_other_methods_are_not_answered(insider, method):
    assert insider.send(method, "/", {"X-CSRF-Token": insider.csrf}).status == 405


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/login", 200), ("/nowhere", 404), ("/static/style.css", 200), ("/enter", 403)]
)
def test_every_answer_tells_the_browser_what_it_may_do(insider, path, status):
    answer = insider.send("GET", path)
    assert answer.status == status
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert answer.headers["Server"] is None


def test_refusals_carry_the_headers_too(visitor):
    for answer in (
        visitor.send("GET", "/browse"),
        visitor.send("GET", "/", {"Host": "evil.example"}),
        visitor.send("PUT", "/"),
    ):
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path",
    ["/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static/..%5capp.py", "/static//etc/passwd"],
)
def test_nothing_but_static_files_is_served_as_one(insider, path):
    answer = insider.send("GET", path)
    assert answer.status in (400, 404)
    assert "create_app" not in answer.body


def test_nothing_a_page_holds_is_kept_by_the_browser(insider):
    assert insider.send("GET", "/").headers["Cache-Control"] == "no-store"
