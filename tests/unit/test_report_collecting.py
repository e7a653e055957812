"""What a report reads of a cluster: servers beside the API server that fail, and names that strangers chose.

A real API server can't be made to fail for one collection alone; the client is the real one.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from rightarch import cluster as clusters
from rightarch.cli import app
from rightarch.cluster import Cluster
from rightarch.facts import PATH, Fact
from rightarch.facts.fact import manifest
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.reference import Reference
from rightarch.registry import ANONYMOUS, AnonymousKeychain, links
from rightarch.report.collecting import Selection, collect
from rightarch.report.prices import COLUMNS
from rightarch.report.pulling import Pulling
from rightarch.report.resources import Resources
from rightarch.report.workload import Owner, Puller
from rightarch.supply import NODE_POOLS
from tests.registry.faults import FaultServer, answer
from tests.support.ticks import Ticks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from typer.testing import Result

    from tests.registry.faults import Asked

Object = dict[str, Any]

USAGE = "/apis/metrics.k8s.io/v1beta1"
HANGS = "hangs"
EVERYTHING = "*"
"""The path of what no other answer is for."""
IMAGE = Reference.parse("registry.example/app:1")


@asynccontextmanager
async def served(folder: Path, answers: Mapping[str, int | str | Object]) -> AsyncIterator[tuple[Cluster, FaultServer]]:
    """A client of an API server that has these objects by path, or statuses; all other collections are empty."""

    async def handle(asked: Asked, writer: asyncio.StreamWriter) -> None:
        found = answers.get(asked.path.partition("?")[0], answers.get(EVERYTHING, listed()))
        if found == HANGS:
            await asyncio.sleep(60)
        body = {"message": "because"} if isinstance(found, int) else found
        status = found if isinstance(found, int) else 200
        writer.write(answer(status, json.dumps(body).encode(), content_type="application/json"))

    async with FaultServer(None, handle) as server:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"http://{server.host}"}}],
            "users": [{"name": "u", "user": {}}],
        }
        (folder / "kubeconfig").write_text(yaml.safe_dump(config))
        client = await Cluster.connect(folder / "kubeconfig")
        try:
            yield client, server
        finally:
            await client.aclose()


def called(folder: Path, *arguments: str) -> Result:
    """What a command says, given the kubeconfig of the server."""
    return CliRunner().invoke(app, [*arguments, "--kubeconfig", str(folder / "kubeconfig")])


def listed(*items: Object) -> Object:
    """A list of objects."""
    return {"items": list(items), "metadata": {"resourceVersion": "1"}}


def pod(name: str = "a", namespace: str = "team", **owner: str) -> Object:
    """A pod, with a controller where one is named."""
    owners = [{**owner, "name": "n", "uid": "o", "controller": True}] if owner else []
    metadata = {"name": name, "namespace": namespace, "uid": f"{namespace}/{name}", "ownerReferences": owners}
    return {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "x"}]}}


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("../healthz", "this is no version of an API"),
        ("apps/../healthz", "this is no version of an API"),
        ("v1/../../healthz", "this is no version of an API"),
        ("v1?watch=true", "this is no version of an API"),
        ("down.example/v1", "the API server answered 503: because"),
        ("odd.example/v1", "its answer can't be read"),
        ("gone.example/v1", ""),
    ],
)
async def test_an_owner_of_a_kind_that_can_not_be_read_is_the_top(tmp_path: Path, version: str, said: str) -> None:
    """A note tells it, unless there is no such kind any more. Nothing but an API is asked: authors of pods choose."""
    answers: dict[str, int | str | Object] = {
        "/api/v1/pods": listed(pod(apiVersion=version, kind="Rollout")),
        "/healthz": HANGS,
        "/apis/down.example/v1": 503,
        "/apis/odd.example/v1": {"resources": [None]},
        "/apis/gone.example/v1": 404,
    }
    async with served(tmp_path, answers) as (cluster, server):
        found = await collect(cluster, Selection())
        asked = {each.path for each in server.asked}
    assert [each.owner for each in found.workloads] == [Owner("team", "Rollout", "n")]
    assert len(found.notes) == bool(said)
    assert not said or f"Rollout of {version} (" in found.notes[0]
    assert said in "".join(found.notes)
    assert "/healthz" not in asked


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        (404, []),
        (403, ["what pods use may not be read, or not in all namespaces"]),
        (503, ["what pods use can't be told, since the metrics API fails: the API server answered 503: because"]),
        (HANGS, ["what pods use can't be told, since the metrics API fails: it does not answer in time"]),
        ({"items": [7]}, ["what pods use can't be told, since the metrics API fails: its answer can't be read"]),
    ],
)
async def test_a_server_of_metrics_that_fails_ends_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metrics: int | str | Object, said: list[str]
) -> None:
    """The workloads are told without what they use, and a note says so; that there is none is usual."""
    monkeypatch.setattr(clusters, "WRITE_SECONDS", 1)
    async with served(tmp_path, {"/api/v1/pods": listed(pod()), f"{USAGE}/pods": metrics}) as (cluster, _):
        found = await collect(cluster, Selection())
    assert [each.usage for each in found.workloads] == [None]
    assert list(found.notes) == said


async def test_usage_is_told_of_the_namespaces_where_it_may_be_read(tmp_path: Path) -> None:
    """The right to read one does not depend on the right to read those before it."""
    used = {"metadata": {"namespace": "b", "name": "a"}, "containers": [{"usage": {"cpu": "1", "memory": "1Ki"}}]}
    answers: dict[str, int | str | Object] = {
        **{f"/api/v1/namespaces/{name}/pods": listed(pod(namespace=name)) for name in ("a", "b")},
        f"{USAGE}/namespaces/a/pods": 403,
        f"{USAGE}/namespaces/b/pods": {"items": [used], "metadata": {}},
    }
    async with served(tmp_path, answers) as (cluster, _):
        found = await collect(cluster, Selection(namespaces=("a", "b")))
    assert [each.usage for each in found.workloads] == [None, Resources(1000, 1024)]


async def test_a_namespace_that_is_named_twice_counts_once(tmp_path: Path) -> None:
    """As every pod in it does."""
    async with served(tmp_path, {"/api/v1/namespaces/a/pods": listed(pod(namespace="a"))}) as (cluster, _):
        found = await collect(cluster, Selection(namespaces=("a", "a")))
    assert [each.pods for each in found.workloads] == [1]


async def test_names_of_pull_secrets_lead_nowhere_else(tmp_path: Path) -> None:
    """Neither those of pods nor those of ServiceAccounts, which strangers write: reports have an admin's rights."""
    elsewhere = "../../prod/secrets/pull"
    account = "/api/v1/namespaces/team/serviceaccounts/builder"
    answers: dict[str, int | str | Object] = {account: {"imagePullSecrets": [{"name": elsewhere}, {"name": "own"}]}}
    pullers = [
        Puller("team", (elsewhere, "good")),
        Puller("team", (), "../secrets/good"),
        Puller("team", (), "builder"),
        Puller("team", tuple(f"s{number}" for number in range(40))),
    ]
    async with served(tmp_path, answers) as (cluster, server):
        for link in links(Pulling(AnonymousKeychain(), cluster).keys(pullers), IMAGE):
            await link.credentials(IMAGE)
    secrets = "/api/v1/namespaces/team/secrets"
    many = {f"{secrets}/s{number}" for number in range(32)}
    assert {each.path for each in server.asked} == {f"{secrets}/good", account, f"{secrets}/own"} | many


async def test_a_pull_secret_that_can_not_be_read_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever went wrong is counted in a note, and nothing is raised; that there is none is no failure."""
    monkeypatch.setattr(clusters, "WRITE_SECONDS", 0.3)
    secrets = "/api/v1/namespaces/team/secrets"
    answers: dict[str, int | str | Object] = {
        f"{secrets}/slow": HANGS,
        f"{secrets}/broken": 500,
        f"{secrets}/secret": 403,
        f"{secrets}/absent": 404,
    }
    async with served(tmp_path, answers) as (cluster, _):
        pulling = Pulling(AnonymousKeychain(), cluster)
        assert await pulling.entries(Puller("team", ("slow", "broken", "secret", "absent"))) == []
    assert pulling.notes == (
        "pull secrets or ServiceAccounts may not be read (1): their images may stay unknown",
        "pull secrets or ServiceAccounts could not be read just now (2): their images may stay unknown",
    )


@pytest.mark.parametrize(
    "arguments", [["report"], ["report", "-n", "team"], ["explain", "web"], ["release", "--all"], ["release", "web"]]
)
async def test_credentials_that_are_not_accepted_are_no_lack_of_rights(tmp_path: Path, arguments: list[str]) -> None:
    """They have expired, or are of another cluster: no right would help, and the context is named."""
    async with served(tmp_path, {EVERYTHING: 401}):
        done = await asyncio.to_thread(called, tmp_path, *arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "rightarch: the API server does not accept your credentials of context c (have they expired?): "
        "log in again, or name another --context\n"
    )


@pytest.mark.parametrize(
    ("arguments", "refused", "said"),
    [
        (
            [],
            ["/api/v1/pods", "/api/v1/namespaces", "/api/v1/namespaces/default/pods"],
            "you may list neither the pods of all namespaces nor the namespaces: name yours by -n",
        ),
        (
            ["-n", "team"],
            ["/api/v1/namespaces/team", "/api/v1/namespaces/team/pods"],
            "you may not list pods in team: ask for the right to list pods, or name another -n",
        ),
    ],
)
async def test_whoever_may_list_no_pods_is_told_of_what_they_named(
    tmp_path: Path, arguments: list[str], refused: list[str], said: str
) -> None:
    """A namespace that they never named is nothing to them."""
    async with served(tmp_path, dict.fromkeys(refused, 403)):
        done = await asyncio.to_thread(called, tmp_path, "report", *arguments)
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"rightarch: {said}\n")


async def test_an_api_server_that_hangs_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not by the name of an error of Python's."""
    monkeypatch.setattr(clusters, "WRITE_SECONDS", 0.3)
    async with served(tmp_path, {"/api/v1/pods": HANGS}):
        done = await asyncio.to_thread(called, tmp_path, "report")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "rightarch: the API server can't be reached: it does not answer in time; check the kubeconfig and its context\n"
    )


async def test_a_namespace_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A slip in a name must not pass a pipeline as a namespace without findings."""
    async with served(tmp_path, {"/api/v1/namespaces/nosuch": 404}):
        done = await asyncio.to_thread(called, tmp_path, "report", "-n", "team", "-n", "nosuch", "--fail-on", "blocked")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "rightarch: there is no namespace nosuch in this cluster: name another -n\n"


async def test_what_may_not_be_read_is_told_once_with_what_that_means(tmp_path: Path) -> None:
    """A line for each meaning, whatever the number of kinds and namespaces; the answer might be the opposite."""
    scopes = ("a", "b")
    kinds = (
        ("apps/v1", ("deployments", "statefulsets", "daemonsets", "replicasets")),
        ("batch/v1", ("cronjobs", "jobs")),
    )
    lists = [f"/apis/{group}/namespaces/{scope}/{kind}" for group, each in kinds for kind in each for scope in scopes]
    own = [f"/apis/rightarch.dev/v1alpha1/namespaces/{scope}/architecturepolicies" for scope in scopes]
    own += [f"/apis/rightarch.dev/v1alpha1/{kind}" for kind in ("clusterarchitecturepolicies", "imageplatforms")]
    others = ["/api/v1/nodes", *(f"/apis/karpenter.sh/v1/{kind}" for kind in ("nodepools", "nodeclaims"))]
    async with served(tmp_path, dict.fromkeys([*lists, *own, *others], 403)) as (cluster, _):
        found = await collect(cluster, Selection(namespaces=scopes))
    assert found.notes == (
        (
            "ArchitecturePolicies and ClusterArchitecturePolicies may not be read: "
            "workloads are judged as if there were no policy"
        ),
        (
            "CronJobs, DaemonSets, Deployments, Jobs, ReplicaSets and StatefulSets may not be read: "
            "those without pods are left out, and owners of pods may be"
        ),
        "ImagePlatforms may not be read: what the cluster knows of images is asked of their registries again",
        "NodeClaims and NodePools may not be read: machines that Karpenter would buy are not reckoned with",
        "Nodes may not be read: which pods are misplaced or exposed, taints and prices can't be told",
    )


async def test_kinds_that_the_cluster_lacks_are_not_told_of(tmp_path: Path) -> None:
    """Neither where they are asked for, nor where the API server refuses what is not there."""
    groups = ("karpenter.sh/v1", "rightarch.dev/v1alpha1", "metrics.k8s.io/v1beta1")
    plurals = (
        "nodepools",
        "nodeclaims",
        "imageplatforms",
        "clusterarchitecturepolicies",
        "architecturepolicies",
        "pods",
    )
    refused = dict.fromkeys((f"/apis/{group}/{plural}" for group in groups for plural in plurals), 403)
    async with served(tmp_path, {**refused, **dict.fromkeys((f"/apis/{group}" for group in groups), 404)}) as (one, _):
        assert (await collect(one, Selection())).notes == ()
    async with served(tmp_path, dict.fromkeys(refused, 404)) as (one, _):
        assert (await collect(one, Selection())).notes == ()


@pytest.mark.parametrize(("nodes", "told"), [(listed(), True), (403, False)])
async def test_whether_new_pods_are_guarded_is_told_where_it_matters(
    tmp_path: Path, nodes: int | Object, told: bool
) -> None:
    """Their risk depends on it; without Nodes there is none to tell."""
    hooks = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    async with served(tmp_path, {hooks: 403, "/api/v1/nodes": nodes}) as (cluster, _):
        found = await collect(cluster, Selection())
    assert any(note.startswith("MutatingWebhookConfigurations may not be read") for note in found.notes) is told


def machine(architecture: str) -> Object:
    """A Node."""
    labels = {"kubernetes.io/arch": architecture, "kubernetes.io/os": "linux"}
    return {"metadata": {"name": architecture, "labels": labels}}


async def test_an_architecture_that_nothing_has_is_told(tmp_path: Path) -> None:
    """Of the option and of prices: it may be a slip, and all workloads would be told as blocked."""
    requirement = {"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}
    pool: Object = {"metadata": {"name": "p"}, "spec": {"template": {"spec": {"requirements": [requirement]}}}}
    csv = tmp_path / "p.csv"
    csv.write_text(f"{','.join(COLUMNS)}\na,amd64,2,8,0.1\nb,sparc,2,8,0.1\nc,s390x,2,8,0.1\n")
    answers = {"/api/v1/nodes": listed(machine("amd64")), NODE_POOLS: listed(pool)}
    async with served(tmp_path, answers):
        odd = await asyncio.to_thread(called, tmp_path, "report", "--arch", "s390x", "--prices", str(csv))
        usual = await asyncio.to_thread(called, tmp_path, "report", "--arch", "arm64")
    assert odd.exit_code == usual.exit_code == 0
    assert odd.stderr.splitlines()[:2] == [
        (
            "rightarch: no Node, NodePool or image is known to have the architecture s390x; "
            "those that are there are amd64, arm64"
        ),
        (
            f"rightarch: {csv} has prices of sparc, which no Node, NodePool or image has; "
            "those that are there are amd64, arm64"
        ),
    ]
    assert "architecture" not in usual.stderr


async def test_what_is_found_is_told_beside_a_file(tmp_path: Path) -> None:
    """A pipeline that ends for it shows why, though the report is elsewhere."""
    image = ImagePlatforms(f"sha256:{'0' * 64}", (Platform("linux", "amd64"),), indexed=True)
    fact = Fact((ANONYMOUS, Reference.parse("x").canonical), image, "docker.io", 1_700_000_000, date(2026, 11, 1))
    answers = {"/api/v1/pods": listed(pod("a"), pod("b")), PATH: listed(manifest(fact))}
    file = tmp_path / "r.html"
    async with served(tmp_path, answers):
        arguments = ["report", "--fail-on", "blocked,unknown,at-risk", "--output-file", str(file)]
        done = await asyncio.to_thread(called, tmp_path, *arguments)
    assert (done.exit_code, done.stdout, file.is_file()) == (3, "", True)
    assert done.stderr.splitlines()[-1] == "rightarch: 2 workloads are blocked"


async def test_a_server_of_prices_that_hangs_is_waited_for_as_long_as_is_said(tmp_path: Path) -> None:
    """By the option that bounds every wait; what is told names it."""
    async with served(tmp_path, {"/api/v1/query": HANGS}) as (_, server):
        url = f"http://{server.host}"
        with Ticks() as ticks:
            done = await asyncio.to_thread(called, tmp_path, "report", "--prometheus", url, "--timeout", "0.3")
    assert (done.exit_code, done.stdout) == (1, "")
    assert (
        done.stderr == f"rightarch: --prometheus {url} has not answered within 0.3 s; --timeout lets it take longer\n"
    )
    assert ticks.seconds < 10


async def test_risk_that_can_not_be_told_is_not_passed_over(tmp_path: Path) -> None:
    """Whoever asks that a risk be found is told that none can be, with an error's status; nobody else is."""
    async with served(tmp_path, {"/api/v1/nodes": 403}):
        done = await asyncio.to_thread(called, tmp_path, "report", "--fail-on", "at-risk")
        assert (done.exit_code, done.stdout) == (1, "")
        assert "--fail-on at-risk can't be told: you may not list nodes" in done.stderr
        done = await asyncio.to_thread(called, tmp_path, "report", "--fail-on", "blocked")
        assert done.exit_code == 0
