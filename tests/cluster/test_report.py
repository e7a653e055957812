"""``rightarch report`` as a process, on a real API server and a real registry, with a kubeconfig and nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from base64 import b64encode
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from rightarch.facts.fact import Fact, manifest
from rightarch.platforms import ImagePlatforms, Platform
from tests.controlplane import CertificateAuthority, ControlPlane, KubectlError, binary, fake_node, wait_for
from tests.generate import files
from tests.images import RegistryServer, TokenServer, attested, index, single
from tests.images.images import Entry
from tests.support.facts import DEFINITION
from tests.support.webhook import WebhookServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Object = dict[str, Any]

PROGRAMS = Path(sys.executable).parent
NAMESPACE, OTHER = "report-shop", "report-audit"
PASSWORD = "password-of-alice-77f1"  # noqa: S105 - of the tests
TAINT = {"key": "report", "value": "only", "effect": "NoSchedule"}
TOLERATION = {"key": "report", "operator": "Equal", "value": "only", "effect": "NoSchedule"}
HOSTNAME = "kubernetes.io/hostname"
USAGE = "pods.metrics.k8s.io"


@dataclass(frozen=True)
class Stage:
    """What the report is about."""

    plane: ControlPlane
    registry: RegistryServer
    environment: dict[str, str]
    folder: Path

    def run(
        self,
        *arguments: str,
        status: int = 0,
        env: Mapping[str, str] | None = None,
        input: str | None = None,  # noqa: A002 - as subprocess calls it
    ) -> subprocess.CompletedProcess[str]:
        """Run the command; it must end with a status."""
        done = subprocess.run(
            [PROGRAMS / "rightarch", "report", *arguments],
            env=self.environment | dict(env or {}),
            input=input,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert done.returncode == status, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done

    def report(self, *arguments: str, status: int = 0) -> Object:
        """What the command says, as data."""
        found: Object = json.loads(self.run(*arguments, "-o", "json", status=status).stdout)
        return found


@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    """One of its own: what is reported is all that is there."""
    with ControlPlane() as plane:
        yield plane


@pytest.fixture(scope="module")
def stage(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Two namespaces with workloads of every kind, and a registry with a private image."""
    folder = tmp_path_factory.mktemp("report")
    authority = CertificateAuthority(folder / "authority")
    with ExitStack() as stack:
        readers = {"private/app": frozenset({"alice"})}
        tokens = stack.enter_context(TokenServer(authority, users={"alice": PASSWORD}, readers=readers))
        registry = stack.enter_context(RegistryServer(authority=authority, tokens=tokens, folder=folder / "registry"))
        _push(registry)
        _create(control_plane, registry)
        usual = {name: value for name, value in os.environ.items() if not name.startswith(("RIGHTARCH_", "XDG_"))}
        environment = usual | {
            "HOME": str(folder),
            "DOCKER_CONFIG": str(folder),
            "KUBECONFIG": str(control_plane.kubeconfig),
            "RIGHTARCH_REGISTRY_CA_FILE": str(authority.certificate),
            "RIGHTARCH_TOKEN_REALM": f"{registry.host}=localhost",
        }
        yield Stage(control_plane, registry, environment, folder)
        for name in (NAMESPACE, OTHER):
            control_plane.kubectl("delete", "namespace", name, "--wait=false")
        control_plane.kubectl("delete", "node", "report-amd64", "report-arm64")


def _push(registry: RegistryServer) -> None:
    both = attested("linux/amd64", "linux/arm64", salt="report")
    registry.push("shop/web", "1", both)
    registry.push("shop/old", "1.2.0", index(Entry(single("linux/amd64", "old"), "linux/amd64")))
    registry.push("shop/old", "1.2.1", index(Entry(single("linux/amd64", "old-1"), "linux/amd64")))
    registry.push("shop/old", "1.3.0", attested("linux/amd64", "linux/arm64", salt="old-3"))
    registry.push("shop/old", "2.0.0", attested("linux/amd64", "linux/arm64", salt="old-4"))
    registry.push("shop/old", "1.3.0-debug", both)
    registry.push("mesh/proxy", "1", single("linux/amd64", "proxy"))
    registry.push("private/app", "1", attested("linux/amd64", "linux/arm64", salt="private"))


def _create(plane: ControlPlane, registry: RegistryServer) -> None:
    for name in (NAMESPACE, OTHER):
        plane.kubectl("create", "namespace", name)
        wait_for(partial(_has_account, plane, name))
    plane.apply(
        fake_node("report-amd64", "amd64", taints=[TAINT], labels={"example.com/price": "0.40"}),
        fake_node("report-arm64", "arm64", taints=[TAINT], labels={"example.com/price": "0.30"}),
    )
    auth = b64encode(f"alice:{PASSWORD}".encode()).decode()
    config = json.dumps({"auths": {registry.host: {"auth": auth}}})
    plane.apply(_secret("pull", config), *_definitions(plane))
    plane.apply(*_workloads(registry.host))
    rollout = plane.apply(_custom("canary"))[0]
    owner = {"apiVersion": "example.com/v1", "kind": "Rollout", "name": "canary", "uid": rollout["metadata"]["uid"]}
    plane.apply(_replica_set("canary-1", f"{registry.host}/shop/web:1", {**owner, "controller": True}))
    for app, count in (("web", 2), ("legacy", 1), ("canary-1", 1), ("agent", 2)):
        _wait_pods(plane, app, count)
    wait_for(lambda: "not-ready" not in plane.kubectl("get", "nodes", "-o", "jsonpath={..taints}"))


def _has_account(plane: ControlPlane, namespace: str) -> bool:
    return "default" in plane.kubectl("get", "serviceaccounts", "-n", namespace, "-o", "name")


def _wait_pods(plane: ControlPlane, app: str, count: int) -> None:
    arguments = ("get", "pods", "-n", NAMESPACE, "-l", f"app={app}", "--field-selector=spec.nodeName!=", "-o", "name")
    wait_for(lambda: len(plane.kubectl(*arguments).split()) == count)


def _definitions(plane: ControlPlane) -> list[Object]:
    """An owner of a kind that nobody knows; what pods use, as a server of metrics tells it; and ImagePlatforms."""
    plane.kubectl("apply", "-f", "-", input=DEFINITION)
    made = plane.apply(_definition("example.com", "v1", "Rollout", "rollouts"))
    made += plane.apply(_definition("metrics.k8s.io", "v1beta1", "PodMetrics", "pods"))
    plane.kubectl("wait", "--for=condition=Established", "crd", USAGE, "rollouts.example.com", "--timeout=60s")
    return []


def _definition(group: str, version: str, kind: str, plural: str) -> Object:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }


def _workloads(host: str) -> list[Object]:
    web, old, proxy = f"{host}/shop/web:1", f"{host}/shop/old:1.2.0", f"{host}/mesh/proxy:1"
    return [
        _deployment("web", [web], replicas=2),
        _deployment("legacy", [old], nodeSelector={HOSTNAME: "report-amd64"}),
        _deployment("meshed", [web, proxy], replicas=0),
        _deployment("pinned", [web], replicas=0, nodeSelector={"kubernetes.io/arch": "amd64"}),
        _deployment("private", [f"{host}/private/app:1"], replicas=0, imagePullSecrets=[{"name": "pull"}]),
        _deployment("denied", [f"{host}/private/app:2"], replicas=0, namespace=OTHER),
        _workload("DaemonSet", "agent", {"template": _template("agent", [proxy])}),
        _pod("lost", old, "report-arm64"),
    ]


def _deployment(name: str, images: list[str], replicas: int = 1, namespace: str = NAMESPACE, **spec: object) -> Object:
    return _workload("Deployment", name, {"replicas": replicas, "template": _template(name, images, **spec)}, namespace)


def _workload(kind: str, name: str, spec: Object, namespace: str = NAMESPACE) -> Object:
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    spec = {"selector": {"matchLabels": {"app": name}}, **spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _template(name: str, images: list[str], **spec: object) -> Object:
    resources = {"requests": {"cpu": "250m", "memory": "64Mi"}}
    containers = [{"name": f"c{n}", "image": image, "resources": resources} for n, image in enumerate(images)]
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": containers, "tolerations": [TOLERATION], **spec},
    }


def _replica_set(name: str, image: str, owner: Object) -> Object:
    made = _workload("ReplicaSet", name, {"replicas": 1, "template": _template(name, [image])})
    made["metadata"]["ownerReferences"] = [owner]
    return made


def _custom(name: str) -> Object:
    return {"apiVersion": "example.com/v1", "kind": "Rollout", "metadata": {"name": name, "namespace": NAMESPACE}}


def _pod(name: str, image: str, node: str) -> Object:
    spec = _template(name, [image])["spec"] | {"nodeName": node}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def _secret(name: str, config: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": {".dockerconfigjson": b64encode(config.encode()).decode()},
    }


@pytest.fixture(scope="module")
def found(stage: Stage) -> Object:
    """The report on the first namespace."""
    return stage.report("-n", NAMESPACE)


def verdicts(report: Object) -> dict[str, tuple[str, str | None, int]]:
    """Verdict, risk and pods of each workload."""
    rows = report["workloads"]
    return {f"{row['kind']}/{row['name']}": (row["verdict"], row["atRisk"], row["pods"]) for row in rows}


def test_every_workload_has_its_verdict(found: Object) -> None:
    """By its top owner, with its sidecars, from pods or from a template, with the pods' own pull secret."""
    assert verdicts(found) == {
        "DaemonSet/agent": ("Blocked", "misplaced", 2),
        "Deployment/legacy": ("Blocked", None, 1),
        "Pod/lost": ("Blocked", "misplaced", 1),
        "Deployment/meshed": ("Blocked", "exposed", 0),
        "Deployment/pinned": ("Pinned", None, 0),
        "Rollout/canary": ("Ready", None, 1),
        "Deployment/private": ("Ready", None, 0),
        "Deployment/web": ("Ready", None, 2),
    }
    first, *_ = found["workloads"]
    assert (first["kind"], first["holdsBackNodes"]) == ("DaemonSet", True)
    [pinned] = [row for row in found["workloads"] if row["name"] == "pinned"]
    assert pinned["fields"] == ['spec.nodeSelector["kubernetes.io/arch"]=amd64']


def test_requests_are_summed(found: Object) -> None:
    """Over pods, by verdict and in total: seven pods that ask for a quarter of a core."""
    assert (found["total"]["pods"], found["total"]["vcpu"]) == (7, 1.75)
    assert found["total"]["memoryBytes"] == 7 * 64 * 2**20
    assert {each["verdict"]: each["vcpu"] for each in found["verdicts"] if each["vcpu"]} == {
        "Ready": 0.75,
        "Blocked": 1.0,
    }
    assert found["ready"] == {"share": 0.4286, "of": "vcpu"}


def test_what_to_fix_first(stage: Stage, found: Object) -> None:
    """The image that holds back most, and which workload is but a sidecar away."""
    first, second = found["fixFirst"]
    assert (first["image"], first["workloads"], first["vcpu"]) == (f"{stage.registry.host}/mesh/proxy:1", 2, 0.5)
    assert [each["name"] for each in first["oneSidecarAway"]] == ["meshed"]
    assert [each["name"] for each in second["oneImageAway"]] == ["legacy", "lost"]
    assert second["oneSidecarAway"] == []


def test_each_image_is_asked_for_once(stage: Stage) -> None:
    """However many pods have it; sizes cost a request for each platform, and none without them."""
    stage.registry.forget()
    stage.run("-n", NAMESPACE, "--sizes=none")
    asked = [r.path for r in stage.registry.requests() if "/manifests/" in r.path and r.status == 200]
    assert sorted(asked) == sorted(set(asked))
    assert sum("/manifests/sha256" in path for path in asked) == 0
    stage.registry.forget()
    report = stage.report("-n", NAMESPACE)
    asked = [r.path for r in stage.registry.requests() if "/manifests/" in r.path and r.status == 200]
    assert sorted(asked) == sorted(set(asked))
    assert set(report["storage"]["platforms"]) == {"linux/amd64", "linux/arm64"}
    assert report["images"]["asked"] == 4 == report["storage"]["images"]


def test_what_the_cluster_knows_is_not_asked_for(stage: Stage) -> None:
    """An ImagePlatforms is believed, of an image that its registry does not have."""
    reference = f"{stage.registry.host}/shop/gone:1"
    image = ImagePlatforms(f"sha256:{'0' * 64}", (Platform("linux", "arm64"),), indexed=True)
    fact = Fact(("", reference), image, stage.registry.host, 1_700_000_000, datetime.now(UTC).date())
    stage.plane.apply(manifest(fact), _deployment("gone", [reference], replicas=0))
    try:
        report = stage.report("-n", NAMESPACE)
    finally:
        stage.plane.kubectl(
            "delete", "-n", NAMESPACE, "deployment/gone", f"imageplatforms/{manifest(fact)['metadata']['name']}"
        )
    assert verdicts(report)["Deployment/gone"] == ("Ready", "exposed", 0)
    assert report["images"]["known"] == 1


def test_newer_tags_are_suggested(stage: Stage) -> None:
    """The next version of the same flavour that has it, found in a list of tags and few looks."""
    stage.registry.forget()
    report = stage.report("-n", NAMESPACE, "--suggest-updates", "--sizes=none")
    asked = [
        request.path for request in stage.registry.requests() if "shop/old" in request.path and request.status == 200
    ]
    assert len([path for path in asked if "/tags/list" in path]) == 1
    assert len([path for path in asked if "/manifests/1." in path]) == 3
    host = stage.registry.host
    [row] = [row for row in report["workloads"] if row["name"] == "legacy"]
    assert row["verdict"] == "ReadyWithUpdate"
    assert row["updates"] == {f"{host}/shop/old:1.2.0": f"{host}/shop/old:1.3.0"}


def test_an_image_without_access_is_unknown(stage: Stage) -> None:
    """In a namespace without the pull secret; the cause is named, and --fail-on finds it."""
    report = stage.report("-n", OTHER, "--fail-on=unknown", status=3)
    [row] = report["workloads"]
    assert row["verdict"] == "Unknown"
    assert row["unknown"] == [{"image": f"{stage.registry.host}/private/app:2", "reason": "AccessDenied"}]


def test_findings_and_statuses(stage: Stage) -> None:
    """3 for what was asked about alone."""
    stage.run("-n", OTHER, "--fail-on=blocked,at-risk")
    stage.run("-n", NAMESPACE, "--fail-on=unknown,at-risk", status=3)


def test_labels_select(stage: Stage) -> None:
    """Pods by theirs, and what has no pods by its own; a selector that is none is wrong usage."""
    assert set(verdicts(stage.report("-n", NAMESPACE, "-l", "app in (web,pinned)"))) == {
        "Deployment/web",
        "Deployment/pinned",
    }
    assert "-l app in" in stage.run("-l", "app in", status=2).stderr


def test_a_user_sees_what_they_may(stage: Stage) -> None:
    """One namespace of several, no nodes, no secrets: a report of that, and notes that say so."""
    kubeconfig = _user(stage, "report-user", NAMESPACE)
    done = stage.run("-o", "json", env={"KUBECONFIG": str(kubeconfig)})
    report = json.loads(done.stdout)
    assert {row["namespace"] for row in report["workloads"]} == {NAMESPACE}
    notes = " ".join(report["source"]["notes"])
    assert "namespaces may not be read and are left out" in notes
    assert OTHER in notes
    assert "Nodes may not be read" in notes
    assert "pull secrets or ServiceAccounts may not be read" in notes
    assert "Nodes may not be read" in done.stderr
    assert verdicts(report)["Deployment/private"] == ("Unknown", None, 0)
    assert report["atRisk"] == {"misplaced": None, "exposed": None}
    assert report["total"]["there"] is None


def test_a_user_who_may_nothing_is_told(stage: Stage) -> None:
    """That is an error, and says which right is missing."""
    kubeconfig = _user(stage, "report-nobody", None)
    done = stage.run("-n", NAMESPACE, status=1, env={"KUBECONFIG": str(kubeconfig)})
    assert f"you may not list pods in {NAMESPACE}" in done.stderr
    assert done.stdout == ""


def _user(stage: Stage, name: str, namespace: str | None) -> Path:
    """A kubeconfig of an account that may read workloads in one namespace, and the names of all."""
    plane = stage.plane
    plane.kubectl("create", "serviceaccount", name, "-n", OTHER)
    names = ["create", "clusterrole", name, "--verb=list", "--resource=namespaces"]
    plane.kubectl(*names)
    plane.kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", f"--serviceaccount={OTHER}:{name}")
    if namespace:
        kinds = "pods,deployments.apps,statefulsets.apps,daemonsets.apps,replicasets.apps,cronjobs.batch,jobs.batch"
        plane.kubectl("create", "role", name, "-n", namespace, "--verb=get,list", f"--resource={kinds}")
        plane.kubectl(
            "create", "rolebinding", name, "-n", namespace, f"--role={name}", f"--serviceaccount={OTHER}:{name}"
        )
    token = plane.kubectl("create", "token", name, "-n", OTHER).strip()
    config = yaml.safe_load(plane.kubeconfig.read_text())
    config["users"] = [{"name": "user", "user": {"token": token}}]
    config["contexts"] = [{"name": "c", "context": {"cluster": config["clusters"][0]["name"], "user": "user"}}]
    config["current-context"] = "c"
    path = stage.folder / f"{name}.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    wait_for(partial(_may_list, plane, path, "namespaces"))  # a right takes a moment to be known
    if namespace:
        wait_for(partial(_may_list, plane, path, "pods", namespace))
    return path


def _may_list(plane: ControlPlane, kubeconfig: Path, kind: str, namespace: str = "default") -> bool:
    """Whether the account of a kubeconfig may."""
    try:
        plane.kubectl("auth", "can-i", "list", kind, f"--kubeconfig={kubeconfig}", f"--namespace={namespace}")
    except KubectlError:
        return False
    return True


def test_what_pods_use_is_a_column_of_its_own(stage: Stage, found: Object) -> None:
    """As a server of metrics tells it; without one there is none."""
    assert all(row["usage"] is None for row in found["workloads"])
    used = [{"name": "c0", "usage": {"cpu": "123456789n", "memory": "32Mi"}}]
    metadata = {"name": "lost", "namespace": NAMESPACE}
    stage.plane.apply(
        {"apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics", "metadata": metadata, "containers": used}
    )
    report = stage.report("-n", NAMESPACE)
    usage = {row["name"]: row["usage"] for row in report["workloads"] if row["usage"]}
    assert usage == {"lost": {"vcpu": 0.124, "memoryBytes": 32 * 2**20}}


def test_people_and_programs_are_told_the_same(stage: Stage, found: Object) -> None:
    """A table for people has the names, verdicts and notes; YAML has the data of JSON."""
    again = yaml.safe_load(stage.run("-n", NAMESPACE, "-o", "yaml").stdout)
    assert verdicts(again) == verdicts(found)
    assert again.keys() == found.keys()
    shown = stage.run("-n", NAMESPACE).stdout
    assert all(word in shown for word in ("canary", "misplaced", "No prices", "Image storage", "sidecar away"))


def test_a_file_is_written_as_a_whole_or_not_at_all(stage: Stage, tmp_path: Path) -> None:
    """Its name tells the form; what cannot be told leaves what was there; nothing else is left beside it."""
    file = tmp_path / "report.html"
    done = stage.run("-n", NAMESPACE, "--output-file", str(file))
    assert done.stdout == ""
    before = file.read_text()
    assert before.startswith("<!doctype html>")
    stage.run("--output-file", str(file), status=1, env={"KUBECONFIG": str(_dead(stage))})
    assert file.read_text() == before
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    missing = tmp_path / "none" / "report.json"
    assert "can't be written" in stage.run("-n", OTHER, "--output-file", str(missing), status=1).stderr


def _dead(stage: Stage) -> Path:
    """A kubeconfig of an API server that is not there."""
    config = yaml.safe_load(stage.plane.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    path = stage.folder / "dead.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def test_prices_by_a_label_of_nodes(stage: Stage) -> None:
    """What a pod costs is its share of its node; what it saves, that of the difference to the other machine."""
    for name, machine in (("report-amd64", "m6i.2xlarge"), ("report-arm64", "m7g.2xlarge")):
        stage.plane.kubectl("label", "node", name, f"node.kubernetes.io/instance-type={machine}")
    report = stage.report("-n", NAMESPACE, "--price-label=example.com/price")
    assert report["prices"]["source"] == "the label example.com/price of nodes"
    assert report["prices"]["nodesPerHour"] == 0.7
    [legacy] = [row for row in report["workloads"] if row["name"] == "legacy"]
    share = (250 / 8000 + 64 / (32 * 1024)) / 2
    assert legacy["costPerHour"] == pytest.approx(0.4 * share, abs=1e-6)
    assert legacy["savedPerHour"] == pytest.approx(0.1 * share, abs=1e-6)


def test_kubectl_knows_it(stage: Stage, found: Object) -> None:
    """As a plugin: kubectl finds the program on PATH and hands it what it was told."""
    environment = stage.environment | {"PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    command: list[str | Path] = [binary("kubectl"), "rightarch", "report", "-n", NAMESPACE, "-o", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=180)
    assert verdicts(json.loads(done.stdout)) == verdicts(found)


def test_manifests_need_no_cluster(stage: Stage, tmp_path: Path) -> None:
    """From standard input, as a chart prints them; the user's own credentials are all there is."""
    documents = yaml.safe_dump_all([_deployment("web", [f"{stage.registry.host}/shop/web:1"], replicas=3)])
    done = stage.run("-f", "-", "-o", "json", input=documents, env={"KUBECONFIG": str(tmp_path / "none")})
    report = json.loads(done.stdout)
    assert verdicts(report) == {"Deployment/web": ("Ready", None, 3)}
    assert report["source"]["name"] == "standard input"
    assert report["total"]["vcpu"] == 0.75


PAGES = Path(__file__).parents[2] / "docs"
GRAVITON = "report-graviton"
STEPS = (20, 50, 100, 0)
POLICIES = "clusterarchitecturepolicies.rightarch.dev"
PROBE = {"app": "probe"}
"""Labels of pods that are not really created."""


def blocks(page: str) -> list[str]:
    """The blocks of shell commands of a page."""
    return re.findall(r"^```sh\n(.*?)^```", (PAGES / page).read_text(), re.DOTALL | re.MULTILINE)


def shell(stage: Stage, script: str, namespace: str, folder: Path) -> str:
    """What some commands of a page print; each must succeed."""
    path = f"{PROGRAMS}:{Path(binary('kubectl')).parent}:{Path(binary('helm')).parent}:{os.environ['PATH']}"
    script = script.replace("--namespace shop", f"--namespace {namespace}").replace("name: shop", f"name: {namespace}")
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(
        command,
        cwd=folder,
        env=stage.environment | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, f"{script}\n{done.stderr}"
    return done.stdout


def test_the_commands_of_the_report_page(stage: Stage, tmp_path: Path) -> None:
    """All of them end well, in the order of the page, on workloads that it does not know."""
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 1.0.0\n")
    manifest = yaml.safe_dump(_deployment("web", [f"{stage.registry.host}/shop/web:1"]))
    for file in (chart / "templates" / "web.yaml", tmp_path / "deployment.yaml"):
        file.write_text(manifest)
    scripts = blocks("report.md")
    assert len(scripts) == 5
    for script in scripts:
        shell(stage, script, OTHER, tmp_path)
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / "report.json").read_text())["architecture"] == "arm64"
    assert (tmp_path / "report.csv").read_text().startswith("namespace,kind,name,verdict")


@pytest.fixture
def guarded(stage: Stage) -> Iterator[None]:
    """A namespace whose pods a webhook is asked about, with a workload of ten pods that run on both."""
    plane = stage.plane
    for path, text in files().items():
        if path.parent.name == "crds" and "files" not in path.parts:
            plane.kubectl("apply", "-f", "-", input=text)
    plane.kubectl("wait", "--for=condition=Established", "crd", POLICIES, "--timeout=60s")
    plane.kubectl("create", "namespace", GRAVITON)
    wait_for(partial(_has_account, plane, GRAVITON))
    authority, image = Path(stage.environment["RIGHTARCH_REGISTRY_CA_FILE"]), f"{stage.registry.host}/shop/web:1"
    with WebhookServer(plane.kubeconfig, registry_ca=authority) as webhook:
        registration = webhook.configuration(name="report-graviton")
        registration["webhooks"][0]["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": GRAVITON}}
        plane.apply(registration)
        try:
            wait_for(lambda: _architectures(stage, image) == ["amd64", "arm64"])
            plane.apply(_deployment("web", [image], replicas=10, namespace=GRAVITON))
            plane.kubectl("rollout", "status", "deployment/web", "-n", GRAVITON, "--timeout=120s")
            yield
        finally:
            plane.kubectl("delete", "mutatingwebhookconfiguration", "report-graviton")
            plane.kubectl("delete", "namespace", GRAVITON, "--wait=false")


def _architectures(stage: Stage, image: str) -> list[str]:
    """What the webhook decides of a pod that is not really created; nothing where it does not know the image yet."""
    spec = {"containers": [{"name": "c", "image": image}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "labels": PROBE}, "spec": spec}
    with stage.plane.client() as client:
        answer = client.post(f"/api/v1/namespaces/{GRAVITON}/pods", params={"dryRun": "All"}, json=pod)
    annotations = answer.raise_for_status().json()["metadata"].get("annotations", {})
    found: list[str] = json.loads(annotations.get("rightarch.dev/decision", "{}")).get("architectures", [])
    return found


def _await_policies(stage: Stage, name: str) -> None:
    """Wait until the webhook obeys the policies of now: one that is made last is heard of last."""
    repository = f"127.0.0.1:9/{name}"
    overrides = [{"pattern": f"{repository}/*", "platforms": ["linux/s390x"]}]
    spec = {"podSelector": {"matchLabels": PROBE}, "imageOverrides": overrides}
    kind = {"apiVersion": "rightarch.dev/v1alpha1", "kind": "ClusterArchitecturePolicy"}
    stage.plane.apply({**kind, "metadata": {"name": name}, "spec": spec})
    wait_for(lambda: _architectures(stage, f"{repository}/app:1") == ["s390x"])
    stage.plane.kubectl("delete", POLICIES, name)


@pytest.mark.usefixtures("guarded")
def test_the_way_to_graviton(stage: Stage, tmp_path: Path) -> None:
    """Every command of the page, in order: after each step that part of the pods prefers arm64, and at last none."""
    reached: list[int] = []
    for script in blocks("moving-to-graviton.md"):
        before, restart, after = script.partition("kubectl rollout restart")
        shell(stage, before, GRAVITON, tmp_path)
        if restart:
            _await_policies(stage, f"seen-{len(reached)}")
            wait_for(partial(_may_restart, stage))
            shell(stage, restart + after, GRAVITON, tmp_path)
            reached.append(_share(stage))
    assert reached == [percent // 10 for percent in STEPS]
    assert {"before.html", "after.html"} <= {each.name for each in tmp_path.iterdir()}


def _may_restart(stage: Stage) -> bool:
    """Whether the second of the last restart is over: kubectl refuses another within it."""
    annotations = r"{.spec.template.metadata.annotations.kubectl\.kubernetes\.io/restartedAt}"
    last = stage.plane.kubectl("get", "deployment", "web", "-n", GRAVITON, "-o", f"jsonpath={annotations}")
    return not last or datetime.now(UTC) - datetime.fromisoformat(last) >= timedelta(seconds=1)


def _share(stage: Stage) -> int:
    """How many of the ten pods prefer arm64, once those of the last rollout alone are left."""
    arguments = ("get", "pods", "-n", GRAVITON, "-o", "json")

    def settled() -> list[Object] | None:
        pods: list[Object] = json.loads(stage.plane.kubectl(*arguments))["items"]
        there = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        return there if len(there) == 10 else None

    pods = wait_for(settled)
    assert pods is not None
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    affinities = [pod["spec"].get("affinity", {}).get("nodeAffinity", {}) for pod in pods]
    assert all(affinities), "each pod was to be decided"
    terms = [affinity.get(preferred, []) for affinity in affinities]
    values = [term[0]["preference"]["matchExpressions"][0]["values"] for term in terms if term]
    return sum(value == ["arm64"] for value in values)
