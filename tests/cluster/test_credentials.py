"""Private images: read with the pull secrets that pods name, for those pods alone, and without leaving a trace."""

from __future__ import annotations

import contextlib
import json
import stat
import time
from base64 import b64encode
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from rightarch.facts.fact import name_of
from rightarch.registry import CLUSTER, pull_scope
from tests.controlplane import CertificateAuthority, ControlPlane, Resources, fake_node, wait_for
from tests.images import RegistryServer, TokenServer, single
from tests.support.controller import ControllerServer, workloads_configuration
from tests.support.facts import COLLECTION, CRD, DEFINITION, object_of
from tests.support.webhook import WebhookServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import httpx

Object = dict[str, Any]

DECISION = "rightarch.dev/decision"
PASSWORDS = {"alice": "password-of-alice-2f7c", "bob": "password-of-bob-91d0"}
READERS = frozenset({"alice"})
REPOSITORY = "private/app"
ARM64 = [{"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}]}]


@dataclass
class World:
    """A cluster whose API server writes down who reads Secrets, a registry with private images, and a webhook."""

    plane: ControlPlane
    api: httpx.Client
    registry: RegistryServer
    tokens: TokenServer
    ca: Path
    audit: Path
    webhook: WebhookServer
    logs: list[Path] = field(default_factory=list)

    @contextlib.contextmanager
    def asked(self, *options: str) -> Iterator[WebhookServer]:
        """Another replica, which knows nothing of its own and is asked in place of the other."""
        with WebhookServer(self.plane.kubeconfig, registry_ca=self.ca, options=options, log_level="debug") as webhook:
            self.register(webhook)
            yield webhook
            self.logs.append(self._kept(webhook.process.log))
        self.register(self.webhook)

    @contextlib.contextmanager
    def controller(self, *options: str) -> Iterator[ControllerServer]:
        """A controller that leads."""
        quickly = ["--list-interval=1", *options]
        with ControllerServer(
            self.plane.kubeconfig, registry_ca=self.ca, options=quickly, log_level="debug"
        ) as controller:
            wait_for(lambda: controller.leads, seconds=30)
            yield controller
            self.logs.append(self._kept(controller.process.log))

    def push(self, tag: str, repository: str = REPOSITORY) -> str:
        """Push an image for arm64; gives its name. By the host's name, which the token service has too."""
        self.registry.push(repository, tag, single("linux/arm64", f"{repository}-{tag}"))
        return f"localhost:{self.registry.port}/{repository}:{tag}"

    def namespace(self, name: str) -> str:
        """Make a namespace, with its default ServiceAccount."""
        self.plane.kubectl("create", "namespace", name)
        path = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        wait_for(lambda: self.api.get(path).is_success, seconds=30)
        return name

    def secret(self, namespace: str, name: str, user: str, *, legacy: bool = False) -> None:
        """Make or change a user's pull secret."""
        auths = {f"localhost:{self.registry.port}": {"auth": encoded(f"{user}:{PASSWORDS[user]}")}}
        kind, content = ("dockercfg", auths) if legacy else ("dockerconfigjson", {"auths": auths})
        metadata = {"name": name, "namespace": namespace}
        data = {f".{kind}": encoded(json.dumps(content))}
        item = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": f"kubernetes.io/{kind}",
            "data": data,
        }
        self.plane.apply(item)

    def create(self, namespace: str, image: str, *secrets: str, **more: object) -> str:
        """Create a pod; gives its Reason."""
        names = {"imagePullSecrets": [{"name": name} for name in secrets]} if secrets else {}
        spec = {"containers": [{"name": "main", "image": image}], **names, **more}
        item = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "p-"}, "spec": spec}
        stored = self.api.post(f"/api/v1/namespaces/{namespace}/pods", json=item).raise_for_status().json()
        reason: str = stored["metadata"].get("labels", {}).get(DECISION, "")
        assert (terms(stored["spec"]) == ARM64) == (reason == "Constrained")
        return reason

    def fact(self, scope: str, image: str) -> Object | None:
        """The object about an image in a scope, if there is one."""
        response = self.api.get(f"{COLLECTION}/{name_of((scope, image))}")
        return response.json() if response.is_success else None

    def reads(self, mark: int = 0) -> list[str]:
        """What Rightarch read of Secrets and ServiceAccounts: verb and name."""
        events = (json.loads(line) for line in self.audit.read_text().splitlines() if line.endswith("}"))
        ours = [event for event in events if event.get("userAgent", "").startswith("rightarch/")]
        return [f"{e['verb']} {e['objectRef']['resource']} {e['objectRef'].get('name')}" for e in ours][mark:]

    def _kept(self, log: Path) -> Path:
        kept = self.audit.parent / f"log-{len(self.logs)}"
        kept.write_bytes(log.read_bytes())
        return kept

    def register(self, webhook: WebhookServer) -> None:
        """Have the API server ask a replica, and wait until it does."""
        self.plane.apply(webhook.configuration(), workloads_configuration(webhook))
        wait_for(lambda: self._asks(webhook), seconds=30)

    def _asks(self, webhook: WebhookServer) -> bool:
        """Whether the API server asks a replica now."""

        def asked() -> float:
            return sum(value for name, value in webhook.metrics().items() if "admissions_total" in name)

        before = asked()
        spec = {"containers": [{"name": "probe", "image": "INVALID"}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "probe-"}, "spec": spec}
        self.api.post("/api/v1/namespaces/default/pods", json=pod, params={"dryRun": "All"}).raise_for_status()
        return asked() > before


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Everything, shared: each test has namespaces and images of its own."""
    folder = tmp_path_factory.mktemp("credentials")
    authority = CertificateAuthority(folder / "pki")
    with contextlib.ExitStack() as stack:
        audit = folder / "audit.log"
        plane = stack.enter_context(ControlPlane(kwok=False, api_server_flags=audited(folder, audit)))
        plane.kubectl("apply", "-f", "-", input=DEFINITION)
        plane.kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=20s")
        plane.apply(*(fake_node(f"node-{architecture}", architecture) for architecture in ("amd64", "arm64")))
        readers = {REPOSITORY: READERS, "private/late": READERS}
        tokens = stack.enter_context(TokenServer(authority, users=PASSWORDS, readers=readers))
        registry = stack.enter_context(RegistryServer(authority=authority, tokens=tokens))
        ca = authority.certificate
        webhook = stack.enter_context(WebhookServer(plane.kubeconfig, registry_ca=ca, log_level="debug"))
        api = stack.enter_context(plane.client())
        made = World(plane, api, registry, tokens, ca, audit, webhook)
        made.register(webhook)
        yield made


def audited(folder: Path, log: Path) -> list[str]:
    """Flags that make the API server write down who reads Secrets and ServiceAccounts, before it answers."""
    resources = [{"group": "", "resources": ["secrets", "serviceaccounts"]}]
    rules = [
        {
            "level": "Metadata",
            "resources": resources,
            "verbs": ["get", "list", "watch"],
            "omitStages": ["RequestReceived"],
        },
        {"level": "None"},
    ]
    policy = folder / "audit.json"
    policy.write_text(json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}))
    log.touch()
    return [f"--audit-policy-file={policy}", f"--audit-log-path={log}", "--audit-log-mode=blocking"]


def encoded(text: str) -> str:
    """Base64, as Secrets have it."""
    return b64encode(text.encode()).decode()


def terms(spec: Object) -> object:
    """The required node selector terms of a pod; None where it has none."""
    affinity = spec.get("affinity", {}).get("nodeAffinity", {})
    return affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms")


def pulling(*secrets: str) -> Object:
    """The part of a template that names pull secrets."""
    return {"imagePullSecrets": [{"name": name} for name in secrets]}


def workload(kind: str, namespace: str, name: str, image: str, **spec: object) -> Object:
    """A Deployment without replicas, or a DaemonSet."""
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}], **spec}}
    body = {"selector": {"matchLabels": {"app": name}}, "template": template}
    body |= {"replicas": 0} if kind == "Deployment" else {}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": body}


def test_a_private_image_is_read_once_with_the_pods_secret(world: World) -> None:
    """Then it is known for the namespace's pods with that secret: no Secret is read, no registry asked."""
    team, image = world.namespace("warm"), world.push("warm")
    world.secret(team, "regcred", "alice")
    mark = len(world.reads())
    assert world.create(team, image, "regcred") == "Constrained"
    assert world.reads(mark) == ["get secrets regcred"]
    fact = wait_for(lambda: world.fact(pull_scope(team, ["regcred"]), image)) or {}
    assert fact["spec"] == {
        "scope": "Namespace",
        "namespace": team,
        "pullSecrets": ["regcred"],
        "reference": image,
    }
    world.registry.forget()
    world.tokens.requests.clear()
    mark = len(world.reads())
    for _ in range(20):
        assert world.create(team, image, "regcred") == "Constrained"
    with world.asked():  # one that has only the facts of the cluster
        assert world.create(team, image, "regcred") == "Constrained"
    assert world.reads(mark) == []
    assert world.registry.requests() == []
    assert world.tokens.requests == []


@pytest.mark.parametrize(
    ("name", "secrets", "reason"),
    [
        ("legacy", [("legacy", "alice", True)], "Constrained"),
        ("two", [("wrong", "bob", False), ("right", "alice", False)], "Constrained"),
        ("mixed", [("right", "alice", True), ("wrong", "bob", False)], "Constrained"),
        ("wrong", [("wrong", "bob", False)], "AccessDenied"),
        ("none", [], "AccessDenied"),
    ],
)
def test_secrets_of_both_types_are_tried_in_turn(
    world: World, name: str, secrets: Sequence[tuple[str, str, bool]], reason: str
) -> None:
    """Whichever of them may read the image; none that may is a denial."""
    team, image = world.namespace(f"types-{name}"), world.push(f"types-{name}")
    for secret, user, legacy in secrets:
        world.secret(team, secret, user, legacy=legacy)
    assert world.create(team, image, *(secret for secret, _, _ in secrets)) == reason


def test_what_is_missing_or_damaged_is_left_out(world: World) -> None:
    """The others are tried; names that no Secret can have are not asked for."""
    team, image = world.namespace("damaged"), world.push("damaged")
    world.secret(team, "right", "alice")
    data = {".dockerconfigjson": encoded('{"auths": {"localhost": 5}, "auths2": []}')}
    damaged = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "damaged", "namespace": team}, "data": data}
    opaque = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "opaque", "namespace": team}}
    world.plane.apply(damaged | {"type": "kubernetes.io/dockerconfigjson"}, opaque)
    mark = len(world.reads())
    assert world.create(team, image, "missing", "damaged", "opaque", "right") == "Constrained"
    assert sorted(world.reads(mark)) == [f"get secrets {name}" for name in ("damaged", "missing", "opaque", "right")]


def test_what_one_namespace_reads_answers_no_other(world: World) -> None:
    """Neither from memory nor from the cluster's facts, in whatever replica: also not under the same names."""
    team, other, image = world.namespace("ours"), world.namespace("theirs"), world.push("ours")
    world.secret(team, "regcred", "alice")
    world.secret(other, "regcred", "bob")
    assert world.create(team, image, "regcred") == "Constrained"
    wait_for(lambda: world.fact(pull_scope(team, ["regcred"]), image))
    with world.asked():
        for _ in range(2):
            assert world.create(other, image, "regcred") == "AccessDenied"
            assert world.create(other, image) == "AccessDenied"
            assert world.create(team, image) == "AccessDenied"
            assert world.create(team, image, "regcred") == "Constrained"
    assert world.create(other, image, "regcred") == "AccessDenied"
    assert world.fact(pull_scope(other, ["regcred"]), image) is None
    world.secret(other, "regcred", "alice")
    assert wait_for(lambda: world.create(other, image, "regcred") == "Constrained", seconds=20)


@pytest.mark.parametrize("change", ["rotated", "deleted"])
def test_a_secret_that_reads_no_more_ends_what_it_revealed(world: World, change: str) -> None:
    """Once what is known is confirmed: for a tag in the background, when it is used after its time."""
    team, image = world.namespace(change), world.push(change)
    digest = single("linux/arm64", f"{REPOSITORY}-{change}").digest
    world.plane.apply(object_of(image, digest, ["linux/arm64"], 48, puller=(team, ["regcred"])))
    if change == "rotated":
        world.secret(team, "regcred", "bob")
    with world.asked():
        assert world.create(team, image, "regcred") == "Constrained"
        assert wait_for(lambda: world.create(team, image, "regcred") == "AccessDenied")
        fact = wait_for(lambda: failing(world.fact(pull_scope(team, ["regcred"]), image))) or {}
    assert fact["status"]["lastFailure"] == "AccessDenied"
    with world.asked():
        assert world.create(team, image, "regcred") == "AccessDenied"
        world.secret(team, "regcred", "alice")
        assert wait_for(lambda: world.create(team, image, "regcred") == "Constrained", seconds=20)
        wait_for(lambda: not failing(world.fact(pull_scope(team, ["regcred"]), image)))


def test_templates_are_looked_up_with_their_service_accounts_secrets(world: World) -> None:
    """Before their pods come, which then have these secrets: their admission reads none, and asks nobody."""
    team, image = world.namespace("templates"), world.push("templates")
    world.secret(team, "regcred", "alice")
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "builder", "namespace": team}}
    world.plane.apply(account | pulling("regcred"))
    world.plane.apply(workload("Deployment", team, "later", image, serviceAccountName="builder"))
    mark = len(world.reads())
    with world.controller():
        wait_for(lambda: world.fact(pull_scope(team, ["regcred"]), image), seconds=30)
    assert set(world.reads(mark)) == {"get serviceaccounts builder", "get secrets regcred"}
    time.sleep(0.5)  # until the webhook has seen it
    world.registry.forget()
    mark = len(world.reads())
    world.plane.kubectl("scale", "deployment", "later", "--replicas=2", f"--namespace={team}")
    path = f"/api/v1/namespaces/{team}/pods"
    pods = wait_for(lambda: found if len(found := world.api.get(path).json()["items"]) == 2 else None, seconds=30) or []
    assert [pod["metadata"]["labels"][DECISION] for pod in pods] == ["Constrained"] * 2
    assert [pod["spec"]["imagePullSecrets"] for pod in pods] == [[{"name": "regcred"}]] * 2
    assert world.reads(mark) == []
    assert world.registry.requests() == []


def test_held_pods_are_released_by_what_their_own_secrets_read(world: World) -> None:
    """One look-up with them; without, the registry gives no access, which is no reason to wait."""
    image, pods = world.push("held"), "/api/v1/namespaces/kube-system/pods"  # no webhook is asked there
    world.secret("kube-system", "regcred", "alice")
    for name, more in (("held-right", pulling("regcred")), ("held-none", {})):
        gate = {"schedulingGates": [{"name": "rightarch.dev/platforms"}]}
        spec = {"containers": [{"name": "main", "image": image}], **gate, **more}
        metadata = {"name": name, "labels": {"rightarch.dev/gated": "true"}}
        item = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        world.api.post(pods, json=item).raise_for_status()
    mark = len(world.reads())
    with world.controller():
        for name, reason, expected in (("held-right", "Constrained", ARM64), ("held-none", "AccessDenied", None)):
            path = f"{pods}/{name}"
            wait_for(partial(_is_released, world, path), seconds=20)
            pod = world.api.get(path).json()
            assert (pod["metadata"]["labels"][DECISION], terms(pod["spec"])) == (reason, expected)
        assert [read for read in world.reads(mark) if "regcred" in read] == ["get secrets regcred"]
    for name in ("held-right", "held-none"):
        world.api.delete(f"{pods}/{name}", params={"gracePeriodSeconds": 0}).raise_for_status()
    world.plane.kubectl("delete", "secret", "regcred", "--namespace=kube-system")


def _is_released(world: World, path: str) -> bool:
    return "schedulingGates" not in world.api.get(path).raise_for_status().json()["spec"]


def test_daemon_sets_are_admitted_with_their_service_accounts_secrets(world: World) -> None:
    """The template has none of them; where all is known, or it names its own, the ServiceAccount is not read."""
    team, image, own = world.namespace("daemons"), world.push("daemons"), world.push("daemons-own")
    world.secret(team, "regcred", "alice")
    world.plane.kubectl(
        "patch", "serviceaccount", "default", f"--namespace={team}", "-p", json.dumps(pulling("regcred"))
    )
    mark = len(world.reads())
    assert template_terms(world, workload("DaemonSet", team, "agent", image)) == ARM64
    assert world.reads(mark) == ["get serviceaccounts default", "get secrets regcred"]
    mark = len(world.reads())
    assert template_terms(world, workload("DaemonSet", team, "own", own, **pulling("regcred"))) == ARM64
    assert world.reads(mark) == ["get secrets regcred"]
    public = world.push("daemons", "public/app")
    assert world.create("default", public) == "Constrained"
    mark = len(world.reads())
    assert template_terms(world, workload("DaemonSet", team, "public", public)) == ARM64
    assert world.reads(mark) == []


def test_a_daemon_sets_private_image_may_be_pushed_late(world: World) -> None:
    """The controller writes the template, with the credentials that its pods will have."""
    team = world.namespace("late")
    world.secret(team, "regcred", "alice")
    world.plane.kubectl(
        "patch", "serviceaccount", "default", f"--namespace={team}", "-p", json.dumps(pulling("regcred"))
    )
    image = f"localhost:{world.registry.port}/private/late:1"
    item = workload("DaemonSet", team, "late", image)
    assert template_terms(world, item) is None
    with world.controller():
        world.push("1", "private/late")
        path = f"/apis/apps/v1/namespaces/{team}/daemonsets/late"
        wait_for(lambda: terms(world.api.get(path).json()["spec"]["template"]["spec"]) == ARM64, seconds=30)


def test_the_controller_finds_out_that_a_right_was_lost(world: World) -> None:
    """Although nobody asks: what was found with a credential is checked again, and a loss ends all answers."""
    team, image = world.namespace("rechecked"), world.push("rechecked")
    digest = single("linux/arm64", f"{REPOSITORY}-rechecked").digest
    by_digest = f"{image.rpartition(':')[0]}@{digest}"
    world.secret(team, "regcred", "alice")
    for reference in (image, by_digest):
        world.plane.apply(object_of(reference, digest, ["linux/arm64"], 48, puller=(team, ["regcred"])))
    scope = pull_scope(team, ["regcred"])
    with world.controller("--recheck-interval=2") as controller:
        wait_for(lambda: controller.metrics()["rightarch_rechecks_total"] >= 4, seconds=30)
        for reference in (image, by_digest):
            assert not failing(world.fact(scope, reference))
        world.plane.kubectl("delete", "secret", "regcred", f"--namespace={team}")
        for reference in (image, by_digest):
            wait_for(partial(lost, world, scope, reference), seconds=30)
    used = (world.fact(scope, by_digest) or {})["status"]["lastUsed"]
    assert used == time.strftime("%Y-%m-%d", time.gmtime())
    wait_for(lambda: world.create(team, by_digest, "regcred") == "AccessDenied", seconds=20)


def test_facts_that_nobody_needs_are_deleted(world: World) -> None:
    """Not used for two weeks, or superseded by what all may read; what is used stays, and what answers few."""
    digest = "sha256:" + "1" * 64
    puller = ("team", ["regcred"])
    names = {name: f"registry.example/collected/{name}:1" for name in ("unused", "used", "public", "private")}
    kept = [
        object_of(names["used"], digest, ["linux/arm64"], days_unused=14),
        object_of(names["public"], digest, ["linux/arm64"], 1),
        object_of(names["private"], digest, ["linux/arm64"], 48, puller=puller, days_unused=10),
    ]
    gone = [
        object_of(names["unused"], digest, ["linux/arm64"], days_unused=15),
        object_of(names["unused"], digest, ["linux/arm64"], puller=puller, days_unused=15),
        object_of(names["public"], digest, ["linux/arm64"], 2, puller=puller),
    ]
    world.plane.apply(*kept, *gone)
    with world.controller() as controller:
        wait_for(lambda: not set(map(name, gone)) & stored(world), seconds=30)
        metrics = controller.metrics()
        assert metrics['rightarch_image_facts_deleted_total{why="unused"}'] == 2
        assert metrics['rightarch_image_facts_deleted_total{why="superseded"}'] == 1
    assert set(map(name, kept)) <= stored(world)


def test_pull_secrets_are_read_only_where_that_is_allowed(world: World) -> None:
    """By the settings, which say what the chart grants."""
    team, other, image = world.namespace("allowed"), world.namespace("forbidden"), world.push("allowed")
    for namespace in (team, other):
        world.secret(namespace, "regcred", "alice")
    mark = len(world.reads())
    with world.asked(f"--pull-secrets={team}"):
        assert world.create(other, image, "regcred") == "AccessDenied"
        assert world.reads(mark) == []
        assert world.create(team, image, "regcred") == "Constrained"
    with world.asked("--pull-secrets=none"):
        mark = len(world.reads())
        assert world.create(team, image, "regcred") == "AccessDenied"
        assert template_terms(world, workload("DaemonSet", team, "forbidden", image)) is None
        assert world.reads(mark) == []


@pytest.mark.parametrize("scope", ["cluster", "namespace"])
def test_credential_providers_read_for_the_cluster_or_for_each_namespace(
    world: World, scope: str, tmp_path: Path
) -> None:
    """As the nodes' own plugins do for all of a node's pods; a pod's own secret comes first."""
    first, second, third = (world.namespace(f"{each}-plugged-{scope}") for each in ("first", "second", "third"))
    image = world.push(f"plugins-{scope}")
    host = f"localhost:{world.registry.port}"
    options = provider(tmp_path, host)
    world.secret(third, "regcred", "alice")
    with world.asked(*options, f"--identity-scope={scope}"):
        assert world.create(third, image, "regcred") == "Constrained"
        assert not (tmp_path / "asked").exists()
        assert world.create(first, image) == "Constrained"
        world.tokens.requests.clear()
        assert world.create(second, image) == "Constrained"
        assert len(world.tokens.requests) == 0  # the token is remembered; the registry was asked
        scopes = {"cluster": [CLUSTER], "namespace": [pull_scope(first, ()), pull_scope(second, ())]}[scope]
        for each in scopes:
            wait_for(partial(world.fact, each, image))
    assert (tmp_path / "asked").read_text().count("CredentialProviderRequest") == 1
    with world.asked("--cloud-credentials=none"):  # and no plugins: without an identity
        assert world.create(first, image) == "AccessDenied"


def test_no_log_has_a_secret(world: World) -> None:
    """At level debug, of all replicas and controllers of this module: no password, in no form."""
    logs = [path.read_text() for path in world.logs] + [world.webhook.log()]
    assert len(logs) > 5
    assert "looked up localhost" in "".join(logs)
    for user, password in PASSWORDS.items():
        for form in (password, encoded(password), encoded(f"{user}:{password}")):
            assert not any(form.rstrip("=") in log for log in logs)


def provider(folder: Path, host: str) -> list[str]:
    """A credential provider that knows alice; gives the options that name it."""
    auth = {host: {"username": "alice", "password": PASSWORDS["alice"]}}
    api = "credentialprovider.kubelet.k8s.io/v1"
    answer = {"apiVersion": api, "kind": "CredentialProviderResponse", "cacheKeyType": "Registry", "auth": auth}
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "alice"
    program.write_text(f"#!/bin/sh\ncat >> {folder}/asked\ncat <<'END'\n{json.dumps(answer)}\nEND\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    one = {"name": "alice", "matchImages": [host], "defaultCacheDuration": "1h", "apiVersion": api}
    config = folder / "config.json"
    kind = {"apiVersion": "kubelet.config.k8s.io/v1", "kind": "CredentialProviderConfig"}
    config.write_text(json.dumps(kind | {"providers": [one]}))
    return [f"--image-credential-provider-config={config}", f"--image-credential-provider-bin-dir={programs}"]


def template_terms(world: World, item: Object) -> object:
    """The terms of a workload's template as it is stored when it is created."""
    response = world.api.post(Resources(world.api).path(item), json=item)
    return terms(response.raise_for_status().json()["spec"]["template"]["spec"])


def failing(fact: Object | None) -> Object | None:
    """A fact, if it tells of a failure."""
    return fact if fact and "lastFailure" in fact["status"] else None


def lost(world: World, scope: str, image: str) -> bool:
    """Whether the object about an image tells of a failure."""
    return failing(world.fact(scope, image)) is not None


def name(item: Object) -> str:
    """The name of an object."""
    found: str = item["metadata"]["name"]
    return found


def stored(world: World) -> set[str]:
    """The names of all facts."""
    return set(map(name, world.api.get(COLLECTION).raise_for_status().json()["items"]))
