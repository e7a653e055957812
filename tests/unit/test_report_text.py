"""The report as text: what it says, and what nobody can make it do."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from rightarch.cli.report_data import data
from rightarch.cli.report_page import page
from rightarch.cli.report_text import headline, percent, text
from rightarch.errors import RightarchError
from rightarch.report import manifests, prometheus
from rightarch.report.inventory import Inventory
from rightarch.report.nodes import Node, Nodes
from rightarch.report.report import Origin, Report, make
from rightarch.report.verdict import Question
from tests.support.reports import AMD64, BOTH, HOSTILE, nodes, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rightarch.placement import Failure
    from rightarch.platforms import ImagePlatforms

Object = dict[str, Any]


def of(*objects: Object, images: dict[str, ImagePlatforms | Failure]) -> Report:
    """A report on some objects of a file."""
    inventory = Inventory(planned=True)
    manifests.fill(inventory, objects)
    return make(inventory.workloads(), Question("arm64", images), Origin("f", cluster=False))


def pod(name: str, *images: str, cpu: str = "1") -> Object:
    """A pod whose first container asks for some CPU."""
    containers: list[Object] = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    containers[0]["resources"] = {"requests": {"cpu": cpu}}
    return {"kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers}}


def test_the_largest_blocker_is_first() -> None:
    """By the CPU that it holds back; workloads that it alone blocks are one image away, or but one sidecar."""
    images: dict[str, ImagePlatforms | Failure] = {"app": AMD64, "mesh": AMD64, "good": BOTH}
    found = of(
        pod("a", "good", "mesh", cpu="3"),
        pod("b", "app", "mesh", cpu="1"),
        pod("c", "app", cpu="500m"),
        images=images,
    )
    first, second = found.blockers
    assert (first.image, first.held.requests.cpu) == ("mesh", 4000)
    assert [owner.name for owner in first.owners] == ["a", "b"]
    assert [owner.name for owner in first.sidecar_away] == ["a"]
    assert (second.image, second.held.requests.cpu) == ("app", 1500)
    assert [owner.name for owner in second.one_away] == ["c"]
    assert second.sidecar_away == ()


def test_daemon_sets_that_lack_the_architecture_are_first() -> None:
    """However little they ask for: they hold back whole nodes."""
    agent = {"kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": {"template": pod("", "app", cpu="1m")}}
    found = of(pod("big", "app", cpu="64"), agent, images={"app": AMD64})
    assert [row.workload.owner.name for row in found.rows] == ["agent", "big"]
    assert "holds back whole nodes" in text(found, "table", to_file=True)


def test_a_narrow_terminal_cuts_nothing_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """What keeps a workload is wrapped below its line, with the names in it whole; wide enough, it is beside it."""
    image = "registry.example.com/platform/service-mesh-proxy:1.18.2-distroless"
    found = of(pod("checkout", "good", image), pod("cart", "good"), images={image: AMD64, "good": BOTH})
    monkeypatch.setattr("rightarch.cli.printing.terminal_width", lambda: 80)
    shown = text(found, "table", to_file=False)
    assert "…" not in shown
    tables = shown.split("No prices")[0].splitlines()[3:]
    assert all(len(line) <= 80 for line in tables)
    row = next(number for number, line in enumerate(tables) if "checkout" in line and line.startswith("Blocked"))
    assert tables[row + 1 : row + 4] == ["    no linux/arm64:", f"    {image} has", "    linux/amd64"]
    assert any(line == f"    {image}" for line in tables)
    monkeypatch.setattr("rightarch.cli.printing.terminal_width", lambda: 200)
    assert text(found, "table", to_file=False) == text(found, "table", to_file=True)


@pytest.mark.parametrize(
    ("share", "told"), [(0, "0 %"), (0.001, "under 1 %"), (0.5, "50 %"), (0.999, "over 99 %"), (1, "100 %")]
)
def test_shares_do_not_pretend(share: float, told: str) -> None:
    """What is not all is never shown as all, and what is not nothing never as nothing."""
    assert percent(share) == told


def test_without_requests_workloads_are_counted() -> None:
    """A share of nothing is no share."""
    found = of(pod("a", "app", cpu="0"), pod("b", "good", cpu="0"), images={"app": AMD64, "good": BOTH})
    assert headline(found) == "1 of 2 workloads can run on arm64 as they are"
    assert data(found)["ready"] == {"share": 0.5, "of": "workloads"}


def test_without_workloads_there_is_a_report() -> None:
    """In every form."""
    nothing = of(images={})
    assert "no workload" in text(nothing, "table", to_file=True)
    for form in ("wide", "json", "yaml", "csv", "markdown"):
        assert text(nothing, form, to_file=True)
    assert "There is no workload to report on." in page(nothing)


def test_no_spreadsheet_computes_a_name() -> None:
    """What begins as a formula is marked as text; numbers stay numbers."""
    names = ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\tx"]
    found = of(*(pod(name, "app") for name in names), images={"app": AMD64})
    rows = list(csv.reader(io.StringIO(text(found, "csv", to_file=True))))
    cells = [row[2] for row in rows[1:]]
    assert len(cells) == 5
    assert all(cell.startswith("'") for cell in cells)
    assert {row[6] for row in rows[1:]} == {"1.0"}


def test_no_name_steers_a_terminal() -> None:
    """Control characters and escapes are shown as question marks, whatever the form for people."""
    found = of(pod("a\x1b[31m\nb", "app"), images={"app": AMD64})
    for form in ("table", "wide", "markdown", "csv"):
        shown = text(found, form, to_file=True)
        assert "\x1b" not in shown
        assert "a?[31m?b" in shown.replace("\\", "")


def test_no_name_is_markdown() -> None:
    """No cell, link, image or markup of its own."""
    found = of(pod("|`x`|[l](http://e)![i](j)<b>*", "app"), images={"app": AMD64})
    [line] = [
        line
        for line in text(found, "markdown", to_file=True).splitlines()
        if line.startswith("| Blocked") and "http" in line
    ]
    unescaped = re.findall(r"(?<!\\)[`\[\]<>*]", line)
    assert unescaped == []
    assert len(re.findall(r"(?<!\\)\|", line)) == 13


def test_the_page_escapes_what_it_shows() -> None:
    """Once in text and in attributes; it has one script, and needs nothing from elsewhere."""
    shown = page(report(5, hostile=True))
    assert HOSTILE not in shown
    assert shown.count("<script>") == 1
    assert "<img" not in shown
    assert re.findall(r'(?:src|href)="(?!#|data:,")([^"]*)"', shown) == []
    assert "{{" not in shown.replace("{{7*7}}", "")


def test_a_page_is_the_same_each_time() -> None:
    """Reports can be compared."""
    assert page(report(40)) == page(report(40))


class Answers(BaseHTTPRequestHandler):
    """Answers as the HTTP API of Prometheus is documented, or as a test wants."""

    status = 200
    body: ClassVar[bytes | None] = None
    asked: ClassVar[list[str]] = []
    metrics: ClassVar[dict[str, list[tuple[dict[str, str], str]]]] = {
        prometheus.CPUS: [({"instance_type": "m6i.2xlarge"}, "8"), ({"instance_type": "m7g.2xlarge"}, "8")],
        prometheus.MEMORY: [
            ({"instance_type": "m6i.2xlarge"}, str(31 * 2**30)),
            ({"instance_type": "m7g.2xlarge"}, str(30 * 2**30)),
        ],
        prometheus.PRICES: [
            ({"instance_type": "m6i.2xlarge", "zone": "a", "capacity_type": "on-demand"}, "0.384"),
            ({"instance_type": "m7g.2xlarge", "zone": "a", "capacity_type": "on-demand"}, "0.3264"),
            ({"instance_type": "m7g.2xlarge", "zone": "a", "capacity_type": "spot"}, "0.1"),
            ({"instance_type": "mystery-8", "zone": "a", "capacity_type": "spot"}, "0.01"),
            *(({"instance_type": "m7g.2xlarge", "zone": "b"}, price) for price in ("+Inf", "NaN", "0", "-1")),
        ],
    }

    def do_GET(self) -> None:
        """Answer an instant query."""
        url = urlsplit(self.path)
        self.asked.append(url.path)
        [query] = parse_qs(url.query)["query"]
        result = [{"metric": labels, "value": [1.0, value]} for labels, value in self.metrics[query]]
        answer = {"status": "success", "data": {"resultType": "vector", "result": result}}
        body = json.dumps(answer).encode() if self.body is None else self.body
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """That of a server of metrics behind a path."""
    monkeypatch.setattr(Answers, "asked", [])
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/prometheus/"
        server.shutdown()
        thread.join()


def test_prices_of_karpenters_metrics(url: str) -> None:
    """With zones and ways of buying; what is no price, and types whose architecture nobody tells, are left out."""
    found = asyncio.run(prometheus.prices(url, nodes(2)))
    assert Answers.asked == ["/prometheus/api/v1/query"] * 3
    assert [(each.instance_type, each.architecture, each.price) for each in found.offerings] == [
        ("m7g.2xlarge", "arm64", 0.1),
        ("m7g.2xlarge", "arm64", 0.3264),
        ("m6i.2xlarge", "amd64", 0.384),
    ]
    other = found.equivalent(found.offerings[2], "arm64")
    assert other is not None
    assert other.price == 0.3264


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, None, "answers with status 404"),
        (200, b"<html>", "answers with what is no result of a query"),
        (200, b'{"data": {"result": [{"metric": 7}]}}', "answers with what is no result of a query"),
        (200, b'{"data": {"result": []}}', "has no prices"),
    ],
)
def test_a_server_that_has_no_prices_is_an_error(
    url: str, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes | None, said: str
) -> None:
    """With what to look at, and without the password that its URL has."""
    monkeypatch.setattr(Answers, "status", status)
    monkeypatch.setattr(Answers, "body", body)
    with pytest.raises(RightarchError, match=said) as raised:
        asyncio.run(prometheus.prices(url.replace("http://", "http://me:secret@"), Nodes()))
    assert "secret" not in str(raised.value)


def test_a_server_that_is_away_is_an_error() -> None:
    """That is told by its address."""
    with pytest.raises(RightarchError, match=r"--prometheus http://127\.0\.0\.1:9 can't be asked"):
        asyncio.run(prometheus.prices("http://127.0.0.1:9", Nodes()))


def test_the_lines_for_a_policy_are_shown_once() -> None:
    """Where all nodes of the architecture have a taint that stands for it, in every form for people and programs."""
    taint = {"key": "kubernetes.io/arch", "value": "arm64", "effect": "NoSchedule"}
    labels = {"kubernetes.io/arch": "arm64", "kubernetes.io/os": "linux"}
    node = Node.of({"metadata": {"name": "a", "labels": labels}, "spec": {"taints": [taint]}})
    inventory = Inventory(planned=True)
    manifests.fill(inventory, [pod("a", "good"), pod("b", "good")])
    found = make(inventory.workloads(), Question("arm64", {"good": BOTH}, Nodes([node])), Origin("c"))
    toleration = '{"key": "kubernetes.io/arch", "operator": "Equal", "value": "arm64", "effect": "NoSchedule"}'
    lines = f"tolerations:\n- architecture: arm64\n  toleration: {toleration}\n"
    assert data(found)["policyLines"] == [lines]
    for form in ("table", "markdown"):
        assert text(found, form, to_file=True).count("    - architecture: arm64") == 1
    assert page(found).count("- architecture: arm64") == 1
