"""The report as text: what it says, and what nobody can make it do."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from rightarch.capacity import NodePool
from rightarch.cli.report_data import data
from rightarch.cli.report_page import page
from rightarch.cli.report_text import text
from rightarch.cli.report_words import footer, headline, memory, percent, worth
from rightarch.errors import RightarchError
from rightarch.report import manifests, prometheus
from rightarch.report.case import Question
from rightarch.report.inventory import Inventory
from rightarch.report.nodes import Node, Nodes
from rightarch.report.prices import Offering, PriceList, of_labels
from rightarch.report.report import Origin, Report, make
from rightarch.report.resources import Resources
from rightarch.report.storage import Passed, Shelf
from tests.support.reports import AMD64, BOTH, HOSTILE, nodes, report
from tests.unit import test_report_cases as golden

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rightarch.placement import Failure
    from rightarch.platforms import ImagePlatforms
    from rightarch.report.workload import Workload

Object = dict[str, Any]
TAINT = {"key": "team", "value": "ml", "effect": "NoSchedule"}


def of(*objects: Object, images: dict[str, ImagePlatforms | Failure]) -> Report:
    """A report on some objects of a file."""
    inventory = Inventory(planned=True)
    manifests.fill(inventory, objects)
    return make(inventory.workloads(), Question("arm64", images), Origin("f", cluster=False))


def of_cluster(machines: dict[str, str], price: dict[str, str] | None = None) -> tuple[Sequence[Workload], Question]:
    """A pod of an image for amd64 and one for both on the first of some machines, and what is asked of them."""
    inventory = Inventory()
    for name, image in (("old", "app"), ("web", "good")):
        thing = pod(name, image, cpu="1")
        thing["spec"]["nodeName"] = next(iter(machines))
        inventory.add_pod(thing)
    found = [machine(name, said, (price or {}).get(name, "")) for name, said in machines.items()]
    return inventory.workloads(), Question("arm64", {"app": AMD64, "good": BOTH}, Nodes(found))


def machine(name: str, said: str, price: str) -> Node:
    """A Node of two vCPUs and 8 GiB, given its architecture and its instance type if it tells one."""
    architecture, _, kind = said.partition(" ")
    labels = {"kubernetes.io/arch": architecture, "kubernetes.io/os": "linux", "price": price}
    labels |= {"node.kubernetes.io/instance-type": kind} if kind else {}
    amounts = {"cpu": "2", "memory": "8Gi"}
    metadata = {"name": name, "labels": labels}
    return Node.of({"metadata": metadata, "status": {"allocatable": amounts, "capacity": amounts}}, "price")


MACHINES = {"amd": "amd64 m6i.large", "arm": "arm64 m7g.large"}
LISTED = [Offering(0.2, "m6i.large", "amd64", 2, 8), Offering(0.1, "m7g.large", "arm64", 2, 8)]


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
    assert not any("VERDICT" in text(nothing, form, to_file=True) for form in ("table", "wide", "markdown"))
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


def test_prices_of_other_machines_are_no_costs() -> None:
    """Where no node has a price, nothing costs nothing: a dash or null, the types that are missing, and a warning."""
    other = PriceList.of("p.csv", [Offering(1, "x", "arm64", 2, 8)])
    found = make(*of_cluster(MACHINES), Origin("c"), other)
    shown = text(found, "table", to_file=True)
    assert next(line for line in shown.splitlines() if line.startswith("Blocked ")).split()[6:8] == ["-", "-"]
    assert "What moving saves is not known" in shown
    assert "The source has no price, or several, of the instance types m6i.large, m7g.large." in shown
    assert "P.csv has no price of any of the 2 nodes: nothing is known of costs." in shown
    told = data(found)
    assert (told["total"]["costPerHour"], told["total"]["savedPerHour"]) == (None, None)
    assert (told["prices"]["nodesPerHour"], told["prices"]["missingTypes"]) == (None, ["m6i.large", "m7g.large"])
    assert "<dd>?</dd><dd>prices are missing</dd>" in page(found)
    assert "0.00" not in page(found).split("</style>")[1].split("<script>")[0]
    row = next(csv.DictReader(io.StringIO(text(found, "csv", to_file=True))))
    assert (row["cost_per_hour"], row["saved_per_hour"]) == ("", "")


def test_costs_of_some_pods_are_at_least_that() -> None:
    """A sum that lacks the pods of a node without a price is told as what it is; how many those are, beside it."""
    workloads, asked = of_cluster(MACHINES | {"other": "amd64"})
    [placed] = workloads[1].placed
    more = replace(workloads[1], placed=(placed, replace(placed, node="other")))
    found = make([workloads[0], more], asked, Origin("c"), PriceList.of("p.csv", LISTED))
    shown = text(found, "table", to_file=True)
    assert next(line for line in shown.splitlines() if line.startswith("Ready ")).split()[6:10] == [
        *("≥", "0.0500"),
        *("≥", "0.0250"),
    ]
    assert "Moving what is Ready saves at least 0.0250 an hour, about 18 a month; fixing" in shown
    assert "Nodes without a label of their instance type have no price: other." in shown
    assert "No cost is known of 1 pod:" in shown
    assert data(found)["total"]["unpricedPods"] == 1


def test_what_moving_saves_is_in_the_headline() -> None:
    """Of what, in a month, and what fixing the images adds; in every form for people, with a line of sums."""
    found = make(*of_cluster(MACHINES), Origin("c"), PriceList.of("p.csv", LISTED))
    told = (
        "Moving what is Ready saves 0.0250 of 0.10 an hour (25 %), about 18 a month; "
        "fixing the images adds 0.0250 an hour."
    )
    table = text(found, "table", to_file=True)
    assert told in table
    assert next(line.split() for line in table.splitlines() if line.startswith("Total ")) == [
        *("Total", "2", "2", "2.0", "0", "MiB", "0.10", "0.0500"),
    ]
    assert told in text(found, "markdown", to_file=True)
    assert told in page(found)
    dearer = PriceList.of("p.csv", [LISTED[0], replace(LISTED[1], price=0.4)])
    assert worth(make(*of_cluster(MACHINES), Origin("c"), dearer)) == "moving what is Ready costs 0.0500 an hour more"


def test_a_node_that_tells_its_own_price_is_believed() -> None:
    """Machines of one type may differ in price; what is no price is named, and never taken from others of the type."""
    machines = {"amd": "amd64 m6i.large", "spot": "amd64 m6i.large", "bad": "amd64 m6i.large", "bare": "amd64"}
    price = {"amd": "0.3264", "spot": "0.1", "bad": "0.30usd", "bare": "0.2"}
    workloads, asked = of_cluster(machines, price)
    found = make(workloads, asked, Origin("c"), of_labels(asked.nodes, "price"))
    assert found.fleet.priced == 3
    assert found.fleet.cost == pytest.approx(0.3264 + 0.1 + 0.2)
    assert "What nodes say in the place of a price is no number above zero: bad (0.30usd)." in footer(found)
    assert found.total.cost.now == pytest.approx(0.3264 / 2)


def test_where_nodes_are_not_known_nothing_is_said_of_them() -> None:
    """Of files, and where nodes may not be read: null for programs, a question mark for people, no half a sentence."""
    workloads, asked = of_cluster(MACHINES)
    for origin in (Origin("f", cluster=False), Origin("c", sighted=False)):
        found = make(workloads, replace(asked, nodes=Nodes()), origin)
        told = data(found)
        assert told["atRisk"] == {"misplaced": None, "exposed": None}
        assert [each["there"] for each in (told["total"], *told["workloads"], *told["verdicts"])] == [None] * 9
        assert "nodes now" not in headline(found)
        wide = text(found, "wide", to_file=True)
        assert [line.split()[1] for line in wide.splitlines() if "  Pod  " in line] == ["?", "?"]
        assert "it is not known which nodes there are" in page(found)
        assert "<td>?</td>" in page(found)
    known = make(workloads, asked, Origin("c"))
    assert data(known)["total"]["there"] == {"vcpu": 0.0, "memoryBytes": 0}
    assert "0 % is on arm64 nodes now" in headline(known)


def test_files_are_not_asked_for_prices() -> None:
    """No option could state any."""
    assert (
        "No prices: manifests tell of no machine"
        in footer(make([], Question("arm64", {}), Origin("f", cluster=False)))[0]
    )
    assert "(--prices, --price-label or --prometheus)" in footer(make([], Question("arm64", {}), Origin("c")))[0]


def test_images_that_are_not_measured_have_no_size() -> None:
    """No bytes are told of them, but why they were not; each number has its noun."""
    shelf = Shelf()
    shelf.leave(Passed.KNOWN, 7)
    found = make([], Question("arm64", {}), Origin("c", images=1, known=1), storage=shelf.total())
    shown = text(found, "table", to_file=True)
    assert "Image storage: not measured (7 images that the cluster knows; --sizes=all asks for them)." in shown
    assert "1 image was asked of registries, 1 was known to the cluster." in shown
    told = json.loads(text(found, "json", to_file=True))["storage"]
    assert (told["bytes"], told["passedOver"]) == (None, {"Known": 7})


@pytest.mark.parametrize(
    ("nodes", "pools", "said"),
    [
        ({"a": {"arch": "amd64"}}, {}, "no Node has arm64 now"),
        ({"a": {"arch": "arm64", "cordoned": True}}, {}, "all Nodes of arm64 are cordoned"),
        ({"a": {"arch": "amd64"}, "b": {"arch": "arm64", "taints": [TAINT]}}, {}, ""),
        ({"a": {"arch": "amd64"}}, {"p": 0}, "no Node has arm64 now; NodePool p is at its limit of 0 for cpu"),
        ({"a": {"arch": "amd64"}}, {"p": 0, "q": 8}, ""),
        ({}, {"p": 0}, ""),
    ],
)
def test_an_architecture_that_cannot_be_had_is_told(nodes: Object, pools: dict[str, int], said: str) -> None:
    """What keeps it: no Node, a cordon, a limit; not a taint, which a pod may tolerate, nor where nothing is known."""
    case = {"nodes": nodes, "pools": {name: {"limits": {"cpu": limit}} for name, limit in pools.items()}}
    there = Nodes(map(Node.of, golden.nodes(case)), map(NodePool.of, golden.pools(case)))
    found = make(of_cluster(MACHINES)[0], Question("arm64", {"app": AMD64, "good": BOTH}, there), Origin("c"))
    assert found.shortage == said
    shown = text(found, "table", to_file=True).splitlines()
    assert shown[2] == (f"{said[:1].upper()}{said[1:]}." if said else "")
    assert data(found)["shortage"] == (said or None)


def test_pods_that_request_nothing_are_counted() -> None:
    """They count as nothing in sums of CPU; where all do, the workload of more pods goes first."""
    small, large = (
        {
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"replicas": count, "template": pod("", "app", cpu="0")},
        }
        for name, count in (("a", 1), ("b", 3))
    )
    found = of(small, large, images={"app": AMD64})
    assert [row.workload.owner.name for row in found.rows] == ["b", "a"]
    assert "4 of 4 pods request no CPU and count as 0 of it: workloads are ranked by their pods." in footer(found)
    mixed = of(small, pod("c", "app"), images={"app": AMD64})
    assert "1 of 2 pods request no CPU and count as 0 of it." in footer(mixed)


@pytest.mark.parametrize(
    ("amount", "told"), [("0", "0 MiB"), ("1", "1 MiB"), ("128Mi", "128 MiB"), ("1Gi", "1.0 GiB"), ("200Gi", "200 GiB")]
)
def test_little_memory_is_told_in_mebibytes(amount: str, told: str) -> None:
    """What is less than a tenth of a GiB is not nothing."""
    assert memory(Resources.of({"memory": amount})) == told
