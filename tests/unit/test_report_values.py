"""The values of the report: amounts, prices, money, tags, storage; and the files that they are read from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from rightarch.errors import SettingsError
from rightarch.report import manifests, prices, tags
from rightarch.report.inventory import Inventory
from rightarch.report.money import Cost, Purse
from rightarch.report.nodes import Node, Nodes
from rightarch.report.prices import Offering, PriceList
from rightarch.report.prometheus import architecture_of
from rightarch.report.resources import Resources
from rightarch.report.storage import Shelf
from rightarch.report.workload import Owner, Placed, Shape, Workload

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 2**63 - 1
HEADER = "instance_type,architecture,vcpu,memory_gib,price_per_hour\n"
PRICES = f"""{HEADER}m6i.large,x86_64,2,8,0.096
m7g.large,arm64,2,8,0.0816
m6g.large,arm64,2,8,0.077
r7g.large,arm64,2,16,0.107
"""


def node(name: str, machine: str, architecture: str, **labels: str) -> Node:
    """A node of two vCPUs and 8 GiB."""
    usual = {
        "kubernetes.io/arch": architecture,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": machine,
    }
    amounts = {"cpu": "2", "memory": "8Gi"}
    return Node.of(
        {
            "metadata": {"name": name, "labels": usual | labels},
            "status": {"allocatable": amounts, "capacity": amounts},
        },
        "price",
    )


def workload(*placed: tuple[str, int, Resources]) -> Workload:
    """A workload with pods on nodes."""
    pods = tuple(Placed(0, name, count, requests) for name, count, requests in placed)
    return Workload(Owner("a", "Deployment", "b"), (Shape({"metadata": {}, "spec": {}}),), pods)


@given(st.integers(0, 10**9), st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "Ti"]))
def test_amounts_are_what_kubernetes_reads(number: int, suffix: str) -> None:
    """By the official client's own reading; CPU in thousandths and memory in bytes, rounded up, in 64 bits."""
    text = f"{number}{suffix}"
    exact = parse_quantity(text)  # type: ignore[no-untyped-call] # the client's own gap
    found = Resources.of({"cpu": text, "memory": text})
    assert found.cpu - 1 < min(exact * 1000, MOST) <= found.cpu
    assert found.memory - 1 < min(exact, MOST) <= found.memory


@pytest.mark.parametrize("amounts", [None, {}, {"cpu": "much"}, {"cpu": None}, [], "1"])
def test_what_is_no_amount_counts_as_nothing(amounts: object) -> None:
    """Whoever wrote a manifest may have written anything."""
    assert Resources.of(amounts) == Resources()


@pytest.mark.parametrize("amount", ["9E", "1e30", 10**30])
def test_amounts_are_no_larger_than_kubernetes_counts(amount: object) -> None:
    """Nor are their sums: whoever makes a pod chooses what it asks for, and forms of output end at 64 bits."""
    one = Resources.of({"cpu": amount, "memory": amount})
    assert (one + one, one * 1000) == (Resources(MOST, MOST),) * 2
    assert one.memory <= MOST


def test_prices_are_read_from_a_file() -> None:
    """By columns that are named; architectures in any spelling; empty lines don't matter."""
    found = prices.of_csv("\ufeff" + PRICES + "\n  \n", "p.csv")
    assert [each.instance_type for each in found.offerings] == ["m6g.large", "m7g.large", "m6i.large", "r7g.large"]
    assert found.offerings[2] == Offering(0.096, "m6i.large", "amd64", 2, 8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "p.csv, line 1: the columns must be instance_type,architecture,vcpu,memory_gib,price_per_hour"),
        ("type,price\n", "p.csv, line 1: the columns must be"),
        (HEADER, "p.csv: it has no price"),
        (f"{HEADER}m6i.large,amd64,2,8\n", "p.csv, line 2: it has 4 columns in place of 5"),
        (f"{HEADER}m6i.large,amd64,2,8,cheap\n", "p.csv, line 2: price_per_hour is 'cheap'"),
        (f"{HEADER}m6i.large,amd64,2,8,-1\n", "p.csv, line 2: price_per_hour is '-1'"),
        (f"{HEADER}m6i.large,amd64,2,8,nan\n", "p.csv, line 2: price_per_hour is 'nan'"),
        (f"{HEADER}m6i.large,amd64,two,8,1\n", "p.csv, line 2: vcpu is 'two'"),
        (f"{HEADER},amd64,2,8,1\n", "p.csv, line 2: it names no instance type"),
        (f"{HEADER}a,amd64,2,8,1\na,amd64,2,8,2\n", "p.csv, line 3: a has another price above"),
        (f'{HEADER}"a', "p.csv, line 2: "),
    ],
)
def test_a_file_that_is_wrong_is_told_by_line(text: str, said: str) -> None:
    """With what it should be; nothing is guessed."""
    with pytest.raises(SettingsError, match=r"^p\.csv") as raised:
        prices.of_csv(text, "p.csv")
    assert str(raised.value).startswith(said)


def test_the_equivalent_is_the_cheapest_of_the_same_shape() -> None:
    """As many vCPUs, as much memory, sold in the same way; another one is no comparison."""
    found = prices.of_csv(PRICES, "p.csv")
    bought = found.of_node(node("n", "m6i.large", "amd64"))
    assert bought is not None
    other = found.equivalent(bought, "arm64")
    assert other is not None
    assert other.instance_type == "m6g.large"
    assert found.equivalent(Offering(1, "x", "amd64", 4, 8), "arm64") is None
    assert found.equivalent(Offering(1, "x", "amd64", 2, 8, capacity_type="spot"), "arm64") is None


def test_a_price_that_is_not_one_is_none() -> None:
    """A machine type that is sold in several ways, on a node that does not tell which; or one that is not known."""
    spot, demand = (
        Offering(p, "m6i.large", "amd64", 2, 8, "", kind) for p, kind in ((0.04, "spot"), (0.1, "on-demand"))
    )
    found = PriceList.of("s", [spot, demand])
    assert found.of_node(node("n", "m6i.large", "amd64", **{"karpenter.sh/capacity-type": "spot"})) == spot
    assert found.of_node(node("n", "m6i.large", "amd64")) is None
    assert found.of_node(node("n", "c6i.large", "amd64")) is None


def test_a_pod_costs_its_share_of_its_node() -> None:
    """The mean of its shares of CPU and memory; it saves that share of the difference."""
    nodes = Nodes([node("a", "m6i.large", "amd64"), node("b", "m7g.large", "arm64"), node("c", "x", "amd64")])
    purse = Purse(prices.of_csv(PRICES, "p.csv"), nodes, "arm64")
    half = Resources(500, 6 * 2**30)
    cost = purse.cost(workload(("a", 1, half)))
    assert [cost.now, cost.saved] == pytest.approx([0.048, 0.0095])
    assert purse.cost(workload(("b", 1, half))).saved == 0
    assert purse.cost(workload(("c", 2, half), ("", 1, half))) == Cost(unpriced=3)
    fleet = purse.fleet()
    assert (fleet.nodes, fleet.priced, fleet.missing) == (3, 2, ("x",))
    assert fleet.cost == pytest.approx(0.096 + 0.0816)


def test_without_an_equivalent_nothing_is_saved() -> None:
    """The pods are counted, and no saving is made up; a dearer machine saves less than nothing."""
    nodes = Nodes([node("a", "m6i.large", "amd64")])
    alone = Purse(PriceList.of("s", [Offering(0.1, "m6i.large", "amd64", 2, 8)]), nodes, "arm64")
    whole = Resources(2000, 8 * 2**30)
    assert alone.cost(workload(("a", 4, whole))) == Cost(0.1, 0.0, priced=4, unmatched=4)
    dearer = [Offering(0.1, "m6i.large", "amd64", 2, 8), Offering(0.12, "m7g.large", "arm64", 2, 8)]
    assert Purse(PriceList.of("s", dearer), nodes, "arm64").cost(workload(("a", 1, whole))).saved == pytest.approx(
        -0.02
    )


def test_prices_of_labels() -> None:
    """What a label says, unless that is no price."""
    nodes = [node("a", "m6i.large", "amd64", price="0.1"), node("b", "m7g.large", "arm64", price="free")]
    found = prices.of_labels(nodes, "price")
    assert found.offerings == (Offering(0.1, "m6i.large", "amd64", 2, 8),)


@pytest.mark.parametrize(
    ("machine", "architecture"),
    [
        ("m6i.large", "amd64"),
        ("m7g.2xlarge", "arm64"),
        ("c6gn.medium", "arm64"),
        ("x2gd.metal", "arm64"),
        ("g5.xlarge", "amd64"),
        ("g5g.xlarge", "arm64"),
        ("a1.large", "arm64"),
        ("m7i-flex.large", "amd64"),
        ("u-6tb1.metal", ""),
        ("Standard_D4ps_v5", ""),
        ("n2-standard-4", ""),
    ],
)
def test_the_architecture_of_a_machine_type(machine: str, architecture: str) -> None:
    """By AWS's way to name them; of names of another form nothing is said."""
    assert architecture_of(machine) == architecture


TAGS = (
    "latest", "1", "1.26", "1.27", "1.27.1", "1.27.2", "1.28.0", "1.28.0-rc1", "2", "2.0", "2.0.0", "1.27.2-alpine",
    "1.27.3-alpine", "1.28.1-alpine3.20", "1.28.1-alpine", "v1.4.0", "v1.5.0", "20240101", "20250101", "3fa1b2c",
    "release-1.4", "release-1.5", "22-bookworm-slim", "22-alpine", "1.27.2-r1", "1.27.2-r2", "1.27.3-beta.1",
)  # fmt: skip


@pytest.mark.parametrize(
    ("tag", "candidates"),
    [
        ("1.27.1", ["1.27.2", "1.28.0", "2.0.0"]),
        ("1.26", ["1.27", "2.0"]),
        ("1", ["2"]),
        ("1.27.2-alpine", ["1.27.3-alpine", "1.28.1-alpine"]),
        ("1.27.0-alpine3.19", ["1.28.1-alpine3.20"]),
        ("v1.4.0", ["v1.5.0"]),
        ("1.27.2-r1", ["1.27.2-r2"]),
        ("20240101", ["20250101"]),
        ("20-bookworm-slim", ["22-bookworm-slim"]),
        ("release-1.4", ["release-1.5"]),
        ("2.0.0", []),
        ("latest", []),
        ("3fa1b2c", []),
        ("1.27.3-alpha.9", []),
    ],
)
def test_which_tags_are_newer(tag: str, candidates: Sequence[str]) -> None:
    """Of the same flavour and as many numbers, no early versions; the smallest step first, and few."""
    assert tags.newer(tag, TAGS) == candidates


@given(st.text(max_size=128), st.lists(st.text(max_size=128), max_size=20))
def test_tags_may_be_anything(tag: str, others: list[str]) -> None:
    """Who pushes an image chooses them; what is suggested is among them, and not what there is already."""
    found = tags.newer(tag, others)
    assert len(found) <= 3
    assert set(found) <= set(others) - {tag}


def test_what_images_share_is_stored_once() -> None:
    """Within a platform, and in the total over platforms."""
    shelf = Shelf()
    shelf.put([("linux/amd64", {"a": 100, "b": 10}), ("linux/arm64", {"c": 90, "b": 10})])
    shelf.put([("linux/amd64", {"a": 100, "d": 1})])
    shelf.leave("of Docker Hub", 2)
    found = shelf.total()
    assert (dict(found.sizes), found.total, found.images) == ({"linux/amd64": 111, "linux/arm64": 100}, 201, 2)
    assert found.passed == {"of Docker Hub": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [b", "f.yaml:2:1: this is no YAML"),
        ("just text", "f.yaml:1: this is no object of Kubernetes: it has no kind"),
        ("kind: Pod\n---\n[1]", "f.yaml:3: this is no object"),
        ("kind: List\nitems: [{kind: Pod, spec: 7}]", "f.yaml:1 (Pod): spec must be an object"),
        ("kind: Pod", "f.yaml:1 (Pod): spec must be an object"),
        ("kind: Pod\nspec: {}\nstatus: {phase: [a]}", "f.yaml:1 (Pod): status.phase must be text"),
        ("kind: Pod\nspec: {resources: {limits: 7}}", "f.yaml:1 (Pod): spec.resources.limits must be an object"),
        ('{"kind": "\\ud800", "apiVersion": "v1"}', "f.yaml (\ud800): the API takes nothing like this: "),
        (
            '{"kind": "A", "a": {"\\ud800": {"containers": [{"image": "x"}]}}}',
            "f.yaml: the API takes nothing like this: ",
        ),
        ('{"kind": "Pod", "spec": {"nodeName": "\\ud800"}}', "f.yaml:1 (Pod): the API takes nothing like this: "),
        ("kind: Pod\nspec: {containers: [{image: x, env: !!binary aGk=}]}", "f.yaml:1 (Pod): the API takes nothing"),
        ("kind: Pod\nspec: {containers: [x]}", "f.yaml:1 (Pod): spec.containers must be a list of objects"),
        (
            "kind: Pod\nspec: {containers: [{image: 7}]}",
            "f.yaml:1 (Pod), spec.containers: image must be text",
        ),
        *(
            (
                f"kind: Pod\nspec: {{containers: [{{resources: {{requests: {{{name}: {amount}}}}}}}]}}",
                f"f.yaml:1 (Pod), spec.containers: resources.requests[{name!r}] must be a quantity of at least 0",
            )
            for name, amount in (
                ("cpu", "abc"),
                ("cpu", "-1"),
                ("memory", "1GB"),
                ("memory", "true"),
                ("nvidia.com/gpu", "[1]"),
            )
        ),
        ("kind: Pod\nspec: {overhead: {cpu: much}}", "f.yaml:1 (Pod): spec.overhead['cpu'] must be a quantity"),
        ("kind: Pod\nspec: {nodeSelector: {a: true}}", "f.yaml:1 (Pod): spec.nodeSelector['a'] must be text"),
        (
            "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: [{}], tolerations: all}}}",
            "f.yaml:1 (Deployment), spec.template: spec.tolerations must be a list of objects",
        ),
    ],
)
def test_a_manifest_that_is_wrong_is_told_by_place(text: str, said: str) -> None:
    """The document, and the field."""
    with pytest.raises(SettingsError) as raised:
        manifests.read(text, "f.yaml")
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize("amount", ["1", "0.5", "'250m'", "2Gi", "1e3", "null", "0", "100000000000n"])
def test_amounts_that_kubernetes_takes_are_read(amount: str) -> None:
    """In every form that its API has."""
    assert manifests.read(
        f"kind: Pod\nspec: {{containers: [{{resources: {{limits: {{cpu: {amount}}}}}}}]}}", "f"
    ).objects


def test_lists_and_empty_documents_are_read() -> None:
    """As kubectl and helm print them."""
    items = "\n".join(f"- {{metadata: {{name: {name}}}, spec: {{}}}}" for name in "ab")
    text = f"---\n# a comment\n---\nkind: PodList\nitems:\n{items}\n"
    kinds: list[Any] = [(thing["kind"], thing["metadata"]["name"]) for thing in manifests.read(text, "f").objects]
    assert kinds == [("Pod", "a"), ("Pod", "b")]


DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec: {replicas: 1, template: {metadata: {}, spec: {containers: [{name: c, image: x}]}}}
status: {}
"""
JOB = DEPLOYMENT.replace("apps/v1", "batch/v1").replace("Deployment", "Job").replace("replicas", "parallelism")
TEMPLATE, TEXT = "f.yaml:1 (Deployment), spec.template: ", "must be text"
LAST = "spec: {containers"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("status: {}", "status: x", "f.yaml:1 (Deployment): status must be an object"),
        ("name: a}", "name: a, ownerReferences: x}", "f.yaml:1 (Deployment): metadata.ownerReferences must be a list"),
        (
            "name: a}",
            "name: a, ownerReferences: [{controller: true}]}",
            "f.yaml:1 (Deployment): metadata.ownerReferences must be a list of objects with apiVersion, kind, name",
        ),
        ("name: a}", "name: 7}", f"f.yaml:1 (Deployment): metadata.name {TEXT}"),
        ("name: a}", "name: a, namespace: 7}", f"f.yaml:1 (Deployment): metadata.namespace {TEXT}"),
        ("name: a}", "name: a, annotations: 7}", "f.yaml:1 (Deployment): metadata.annotations must be an object"),
        ("name: a}", "name: a, uid: [a]}", f"f.yaml:1 (Deployment): metadata.uid {TEXT}"),
        ("metadata: {},", "metadata: x,", f"{TEMPLATE}metadata must be an object"),
        (LAST, "spec: {runtimeClassName: [a], containers", f"{TEMPLATE}spec.runtimeClassName {TEXT}"),
        (LAST, "spec: {os: {name: 5}, containers", f"{TEMPLATE}spec.os.name {TEXT}"),
        (LAST, "spec: {serviceAccountName: [a], containers", f"{TEMPLATE}spec.serviceAccountName {TEXT}"),
        (LAST, "spec: {nodeName: [a], containers", f"{TEMPLATE}spec.nodeName {TEXT}"),
        (
            LAST,
            "spec: {tolerations: [{key: a, value: true}], containers",
            f"f.yaml:1 (Deployment), spec.template, spec.tolerations: value {TEXT}",
        ),
        *(
            (
                "replicas: 1",
                f"replicas: {count}",
                "f.yaml:1 (Deployment): spec.replicas must be a whole number from 0 to 2147483647",
            )
            for count in (10**30, 10**400, 2**31, -1, "many", "true")
        ),
    ],
)
def test_a_workload_that_is_wrong_is_told_by_place(before: str, after: str, said: str) -> None:
    """What an API server would refuse is nothing that later steps could meet; as it was, the same file is read."""
    assert manifests.read(DEPLOYMENT, "f.yaml").objects
    with pytest.raises(SettingsError) as raised:
        manifests.read(DEPLOYMENT.replace(before, after), "f.yaml")
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ("[1]", "f.yaml:1 (Job): status.conditions must be a list of objects"),
        ("[{type: [a]}]", "f.yaml:1 (Job), status.conditions: type must be text"),
    ],
)
def test_the_status_of_a_job_that_is_wrong_is_told(conditions: str, said: str) -> None:
    """By it a job is known that has ended."""
    assert manifests.read(JOB, "f.yaml").objects
    with pytest.raises(SettingsError) as raised:
        manifests.read(JOB.replace("status: {}", f"status: {{conditions: {conditions}}}"), "f.yaml")
    assert str(raised.value) == said


def test_objects_without_a_namespace_are_in_the_one_that_is_asked_about() -> None:
    """As kubectl would put them there; those that name another are left out, which is told."""
    named = DEPLOYMENT.replace("name: a}", "name: b, namespace: audit}")
    objects = manifests.read(f"{DEPLOYMENT}---\n{named}", "f").objects
    for namespaces, owners, left in (
        ((), ["Deployment audit/b", "Deployment default/a"], set()),
        (("shop",), ["Deployment shop/a"], {"audit"}),
        (("audit", "shop"), ["Deployment audit/a", "Deployment audit/b"], set()),
    ):
        inventory = Inventory(planned=True)
        assert manifests.fill(inventory, objects, namespaces) == left
        assert [str(each.owner) for each in inventory.workloads()] == owners


def test_a_template_that_is_none_of_pods_need_have_no_spec() -> None:
    """What other kinds have in that place is no matter of a report."""
    sealed = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nspec: {template: {type: Opaque}}\n"
    content = manifests.read(sealed, "f.yaml")
    assert (len(content.objects), content.notes) == (1, ())


def test_what_is_no_workload_and_has_containers_is_told() -> None:
    """It makes pods all the same; an object that has its template where controllers have it counts, of any kind."""
    templates = "{templates: [{containerSet: {containers: [{name: c, image: x}]}}]}"
    workflow = f"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {{name: w}}\nspec: {templates}\n"
    rollout = DEPLOYMENT.replace("apps/v1", "argoproj.io/v1alpha1").replace("Deployment", "Rollout")
    [note] = manifests.read(f"{workflow}---\n{rollout}---\nkind: Service\n", "f.yaml").notes
    assert note.startswith(
        "f.yaml: Workflow w (argoproj.io/v1alpha1) is passed over: spec.templates[0].containerSet has"
    )
