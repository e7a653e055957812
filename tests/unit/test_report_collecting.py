"""What a report reads of a cluster: servers beside the API server that fail, and names that strangers chose.

A real API server can't be made to fail for one collection alone; the client is the real one.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from rightarch import cluster as clusters
from rightarch.cli import app
from rightarch.cluster import Cluster
from rightarch.reference import Reference
from rightarch.registry import AnonymousKeychain, links
from rightarch.report.collecting import Selection, collect
from rightarch.report.pulling import Pulling
from rightarch.report.resources import Resources
from rightarch.report.workload import Owner, Puller
from tests.registry.faults import FaultServer, answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from tests.registry.faults import Asked

Object = dict[str, Any]

USAGE = "/apis/metrics.k8s.io/v1beta1"
HANGS = "hangs"
IMAGE = Reference.parse("registry.example/app:1")


@asynccontextmanager
async def served(folder: Path, answers: Mapping[str, int | str | Object]) -> AsyncIterator[tuple[Cluster, FaultServer]]:
    """A client of an API server that has these objects by path, or statuses; all other collections are empty."""

    async def handle(asked: Asked, writer: asyncio.StreamWriter) -> None:
        found = answers.get(asked.path.partition("?")[0], listed())
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
        (HANGS, ["what pods use can't be told, since the metrics API fails: TimeoutError"]),
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
        "1 pull secrets or ServiceAccounts may not be read: their images may stay unknown",
        "2 pull secrets or ServiceAccounts could not be read just now: their images may stay unknown",
    )


async def test_risk_that_can_not_be_told_is_not_passed_over(tmp_path: Path) -> None:
    """Whoever asks that a risk be found is told that none can be, with an error's status; nobody else is."""
    async with served(tmp_path, {"/api/v1/nodes": 403}):
        arguments = ["report", "--kubeconfig", str(tmp_path / "kubeconfig")]
        done = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--fail-on", "at-risk"])
        assert (done.exit_code, done.stdout) == (1, "")
        assert "--fail-on at-risk can't be told: you may not list nodes" in done.stderr
        done = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--fail-on", "blocked"])
        assert done.exit_code == 0
