"""A network of its own in which clouds have their real names and addresses: run by ``unshare --net --mount``.

There is an API server, which asks a webhook about pods of cloud images; the webhook is told of no endpoint, so it goes
to those that are fixed in it: the metadata addresses, and the services' names over TLS on port 443. What answers there
checks what it is sent. Prints, as JSON, what became of the pods and who was asked. Nothing can leave the network.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import sys
from base64 import b64encode
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rightarch.facts.fact import name_of
from tests.controlplane import CertificateAuthority, ControlPlane, fake_node, wait_for
from tests.images import RegistryServer, single
from tests.registry.clouds import ACR_USER, CLIENT, ENTRA, PODS, ROLE, STS, TENANT, Answer, Asked, Clouds
from tests.support.facts import COLLECTION, CRD, DEFINITION
from tests.support.name_server import NameServer
from tests.support.webhook import WebhookServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

INSTANCE, AGENT, HERE = "169.254.169.254", "169.254.170.23", "10.64.0.1"
REGISTRIES = {
    "ecr": "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
    "ecr-public": "public.ecr.aws",
    "gar": "europe-docker.pkg.dev",
    "acr": "rightarch.azurecr.io",
    "elsewhere": "registry.example",
}
SERVICES = (
    "api.ecr.eu-west-1.amazonaws.com",
    "api.ecr-public.us-east-1.amazonaws.com",
    "sts.eu-west-1.amazonaws.com",
    "login.microsoftonline.com",
)
GOOGLE = "metadata.google.internal"
USERS = {"ecr": "AWS", "ecr-public": "AWS", "gar": "oauth2accesstoken", "acr": ACR_USER}
CHALLENGES = {
    "ecr": 'Basic realm="https://{host}/",service="ecr.amazonaws.com"',
    "ecr-public": 'Bearer realm="https://{host}/token/",service="{host}",scope="aws"',
    "gar": 'Bearer realm="https://{host}/v2/token",service="{host}"',
    "acr": 'Bearer realm="https://{host}/oauth2/token",service="{host}"',
}
TOKENS = ("/token/", "/v2/token", "/oauth2/token")
DECISION = "rightarch.dev/decision"
Object = dict[str, Any]


@dataclass
class Internet(Clouds):
    """The clouds with their registries, each as its own challenges clients, told apart by the name that they ask for.

    Attributes:
        pulled: requests that the registries answered, as ``HOST METHOD PATH``.
    """

    pulled: list[str] = field(default_factory=list)
    _handed: dict[str, str] = field(default_factory=dict)
    _bearers: set[str] = field(default_factory=set)

    def forwards(self, asked: Asked) -> bool:
        """Whether a registry lets somebody in, who then sees what it has."""
        cloud = _cloud(asked)
        if cloud is None or not asked.path.startswith("/v2/") or asked.path.startswith(TOKENS):
            return False
        self.pulled.append(f"{asked.headers['host']} {asked.method} {asked.path}")
        shown = asked.headers.get("authorization", "")
        let_in = shown in self._bearers if cloud != "ecr" else self._handed.get(shown) == USERS[cloud]
        return cloud == "elsewhere" or let_in

    def answer(self, asked: Asked) -> tuple[Answer, dict[str, str]]:
        """What a registry says to who is not let in, or a token service, or else a service of the clouds."""
        cloud, host = _cloud(asked), asked.headers["host"]
        if cloud is None or asked.path == "/oauth2/exchange":
            answered = super().answer(asked)
            self._handed |= {_basic(user, password): user for user, password in self.passwords.items()}
            return answered
        if not asked.path.startswith(TOKENS):
            return (401, b"{}"), {"www-authenticate": CHALLENGES[cloud].format(host=host)}
        if self._handed.get(asked.headers.get("authorization", "")) != USERS[cloud]:
            return (401, b"{}"), {}
        self._bearers.add(f"Bearer {(token := secrets.token_urlsafe())}")
        return (200, json.dumps({"token": token, "expires_in": 300}).encode()), {}


@dataclass
class Stage:
    """The cluster, and what is asked of it."""

    plane: ControlPlane
    api: httpx.Client
    authority: CertificateAuthority
    internet: Internet
    store: RegistryServer

    @contextlib.contextmanager
    def webhook(self, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[WebhookServer]:
        """A replica that knows what the cluster does, and is asked about pods."""
        with WebhookServer(
            self.plane.kubeconfig,
            registry_ca=self.authority.certificate,
            options=["--lookup-budget=3", *options],
            log_level="debug",
            environment=environment,
        ) as webhook:
            self.plane.apply(webhook.configuration())
            wait_for(lambda: self._asks(webhook))
            yield webhook

    def push(self, cloud: str, tag: str) -> str:
        """Push an image for arm64; gives the name that it has in a cloud."""
        self.store.push(f"{cloud}/app", tag, single("linux/arm64", f"{cloud}-{tag}"))
        return f"{REGISTRIES[cloud]}/{cloud}/app:{tag}"

    def create(self, namespace: str, image: str) -> Object:
        """Create a pod, and another if its image was not known in time; gives the Reason, and who was asked for it."""
        del self.internet.asked[:], self.internet.pulled[:]
        reason = wait_for(lambda: self._in_time(namespace, image))
        return {"reason": reason, "services": list(self.internet.asked), "pulled": list(self.internet.pulled)}

    def _in_time(self, namespace: str, image: str) -> str | None:
        """The Reason of a pod that is created; None where its image was not known in time, and is looked up still."""
        spec = {"containers": [{"name": "main", "image": image}]}
        item = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "p-"}, "spec": spec}
        stored = self.api.post(f"/api/v1/namespaces/{namespace}/pods", json=item).raise_for_status().json()
        reason: str = stored["metadata"]["labels"][DECISION]
        return None if reason == "TimedOut" else reason

    def fact(self, scope: str, image: str) -> Object | None:
        """The object about an image in a scope, once there is one."""
        path = f"{COLLECTION}/{name_of((scope, image))}"
        return wait_for(lambda: found["spec"] if "spec" in (found := self.api.get(path).json()) else None)

    def _asks(self, webhook: WebhookServer) -> bool:
        spec = {"containers": [{"name": "probe", "image": "INVALID"}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "probe-"}, "spec": spec}
        before = _admissions(webhook)
        self.api.post("/api/v1/namespaces/default/pods", json=pod, params={"dryRun": "All"}).raise_for_status()
        return _admissions(webhook) > before


def on_machines(stage: Stage) -> Object:
    """Each cloud by the identity of the machine; then as a second replica knows it, and as one without clouds."""
    images = {cloud: stage.push(cloud, "machine") for cloud in REGISTRIES}
    seen: Object = {}
    with stage.webhook() as webhook:
        for cloud, image in images.items():
            first, second = (stage.create(namespace, image) for namespace in ("first", "second"))
            scope = "" if cloud == "elsewhere" else "cluster"
            seen[cloud] = {"first": first, "second": second, "fact": stage.fact(scope, image)}
        seen["metadata"] = stage.create("first", f"{INSTANCE}:80/latest/meta-data:1")
        log = webhook.log()
    with stage.webhook():
        seen["restarted"] = {cloud: stage.create("third", image) for cloud, image in images.items()}
    with stage.webhook("--cloud-credentials=none"):
        fresh = {cloud: stage.push(cloud, "off") for cloud in REGISTRIES}
        seen["off"] = {cloud: stage.create("first", image) for cloud, image in fresh.items()}
        seen["known, off"] = {cloud: stage.create("first", image) for cloud, image in images.items()}
    with stage.webhook("--identity-scope=namespace"):
        image = stage.push("ecr", "apart")
        seen["apart"] = [stage.create(namespace, image) for namespace in ("first", "second", "second")]
    handed = [password for password in stage.internet.passwords.values() if password in log]
    return seen | {"secrets in the log": len(handed)}


def with_tokens(stage: Stage, folder: Path) -> Object:
    """By the tokens of ServiceAccounts: IRSA, Pod Identity, workload identity."""
    for name, audience in {"sts": STS, "pods": PODS, "entra": ENTRA}.items():
        (folder / name).write_text(stage.internet.issuer.token(audience))
    azure = {"AZURE_CLIENT_ID": CLIENT, "AZURE_TENANT_ID": TENANT, "AZURE_FEDERATED_TOKEN_FILE": str(folder / "entra")}
    role = {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": str(folder / "sts"), "AWS_REGION": "eu-west-1"}
    agent = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{AGENT}/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(folder / "pods"),
    }
    seen: Object = {}
    with stage.webhook("--cloud-credentials=ecr,acr", environment=azure | role):
        seen["role"] = stage.create("first", stage.push("ecr", "role"))
        seen["workload"] = stage.create("first", stage.push("acr", "workload"))
        seen["google, off"] = stage.create("first", stage.push("gar", "switched-off"))
    with stage.webhook("--cloud-credentials=ecr", environment=agent):
        seen["agent"] = stage.create("first", stage.push("ecr", "agent"))
    return seen


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Start everything but a webhook."""
    addresses = dict.fromkeys((*REGISTRIES.values(), *SERVICES), HERE) | {GOOGLE: INSTANCE}
    authority = CertificateAuthority(folder / "pki")
    names = [*REGISTRIES.values(), *SERVICES]
    with contextlib.ExitStack() as stack:
        stack.enter_context(NameServer(addresses))
        store = stack.enter_context(RegistryServer(authority=authority, folder=folder / "registry"))
        everywhere = (("0.0.0.0", 443), ("0.0.0.0", 80))  # noqa: S104 - in a network of its own
        internet = Internet(authority, registry=store.port, listen=everywhere, names=names)
        stack.enter_context(internet)
        plane = stack.enter_context(ControlPlane(kwok=False))
        api = stack.enter_context(plane.client())
        plane.kubectl("apply", "-f", "-", input=DEFINITION)
        plane.kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=60s")
        plane.apply(*(fake_node(f"node-{architecture}", architecture) for architecture in ("amd64", "arm64")))
        for namespace in ("first", "second", "third"):
            plane.kubectl("create", "namespace", namespace)
            wait_for(partial(_has_account, api, namespace))
        yield Stage(plane, api, authority, internet, store)


def network_of_our_own(folder: Path) -> None:
    """Bring up loopback, give it all of the addresses, and make its name server ours."""
    resolver = folder / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\noptions timeout:10 attempts:3\n")
    commands = [f"addr add {address}/32 dev lo" for address in (INSTANCE, AGENT, HERE)]
    for command in ("link set lo up", *commands):
        subprocess.run(["ip", *command.split()], check=True)
    subprocess.run(["mount", "--bind", resolver, "/etc/resolv.conf"], check=True)


def _cloud(asked: Asked) -> str | None:
    """The registry that is asked, if it is one."""
    return next((cloud for cloud, host in REGISTRIES.items() if host == asked.headers["host"]), None)


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _has_account(api: httpx.Client, namespace: str) -> bool:
    return api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default").is_success


def _admissions(webhook: WebhookServer) -> float:
    return sum(value for name, value in webhook.metrics().items() if "admissions_total" in name)


def main(folder: Path) -> None:
    """Play everything, and print what was seen."""
    network_of_our_own(folder)
    with staged(folder) as stage:
        print(json.dumps({"machines": on_machines(stage), "tokens": with_tokens(stage, folder)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
