"""The chart alone: what it renders, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from rightarch.reference import Reference
from rightarch.registry.configuration import Configuration
from rightarch.registry.hosts import Hosts
from tests.kind.stage import values
from tests.support.helm import CHART, Helm, HelmError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Object = dict[str, Any]

NAMESPACE = "somewhere"
MODES: dict[str, dict[str, object]] = {
    "self-managed": {},
    "self-managed by url": {"webhook": {"url": "https://127.0.0.1:1234"}},
    "cert-manager": {"certificates": {"mode": "certManager"}},
    "cert-manager with an issuer": {
        "certificates": {"mode": "certManager", "certManager": {"issuerRef": {"name": "mine", "kind": "ClusterIssuer"}}}
    },
    "secret": {"certificates": {"mode": "secret", "secretName": "mine", "caBundle": "bWluZQ=="}},
    "kind": values(),
}


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    """Helm without a cluster."""
    return Helm(tmp_path)


def rendered(helm: Helm, kind: str, **values: object) -> list[Object]:
    """The objects of a kind."""
    return [item for item in helm.template("trial", NAMESPACE, values) if item["kind"] == kind]


def containers(helm: Helm, **values: object) -> dict[str, Object]:
    """The containers of the Deployments, by name."""
    deployments = rendered(helm, "Deployment", **values)
    return {one["name"]: one for item in deployments for one in item["spec"]["template"]["spec"]["containers"]}


def options(container: Object) -> dict[str, str]:
    """The options of a container's command."""
    return dict(argument.split("=", 1) for argument in container["args"][1:])


def clients(helm: Helm, **values: object) -> list[Object]:
    """How the API server reaches each of the webhooks."""
    [configuration] = rendered(helm, "MutatingWebhookConfiguration", **values)
    return [webhook["clientConfig"] for webhook in configuration["webhooks"]]


@pytest.mark.parametrize("mode", MODES)
def test_lint_finds_nothing(helm: Helm, mode: str) -> None:
    """In any mode, strictly."""
    said = helm.run("lint", "--strict", str(CHART), values=MODES[mode])
    assert "0 chart(s) failed" in said
    assert "WARNING" not in said


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"webhook": {"replica": 3}}, "at '/webhook': additional properties 'replica' not allowed"),
        ({"webhook": {"replicas": 0}}, "at '/webhook/replicas': minimum: got 0, want 1"),
        ({"webhook": {"timeoutSeconds": 30}}, "at '/webhook/timeoutSeconds': maximum: got 30, want 5"),
        ({"webhook": {"url": "http://127.0.0.1"}}, "at '/webhook/url': 'http://127.0.0.1' does not match pattern"),
        ({"webhook": {"url": "https://h/path"}}, "at '/webhook/url': 'https://h/path' does not match pattern"),
        ({"webhook": {"lookupBudget": 3, "timeoutSeconds": 4}}, "webhook.lookupBudget is 3: it must be more than"),
        ({"webhook": {"healthPort": 8443}}, "webhook.port and webhook.healthPort are both 8443: give each its own"),
        ({"webhook": {"url": "https://h:65536"}}, "webhook.url is https://h:65536: its port must be 1 to 65535"),
        ({"webhook": {"url": "https://[::1]:0"}}, "webhook.url is https://[::1]:0: its port must be 1 to 65535"),
        ({"webhook": {"url": "https://h:"}}, "webhook.url is https://h:: its port must be 1 to 65535"),
        ({"pods": {"labels": {"app.kubernetes.io/name": "x"}}}, "invalid propertyName 'app.kubernetes.io/name'"),
        ({"commonLabels": {"helm.sh/chart": "x"}}, "invalid propertyName 'helm.sh/chart'"),
        ({"fullnameOverride": "1st"}, "at '/fullnameOverride': '1st' does not match pattern"),
        ({"image": {"digest": "sha256:1"}}, "at '/image/digest': 'sha256:1' does not match pattern"),
        ({"logLevel": "trace"}, "at '/logLevel': value must be one of 'debug', 'info', 'warning', 'error'"),
        ({"registries": {"configured": [{"mirrors": []}]}}, "at '/registries/configured/0': missing property 'host'"),
        ({"registries": {"configured": [{"host": "https://a.test"}]}}, "at '/registries/configured/0/host'"),
        ({"registries": {"hosts": {"a:1": "x"}}}, "'a:1' does not match pattern"),
        ({"secrets": {"access": "all"}}, "at '/secrets/access': value must be one of 'cluster', 'namespaces', 'none'"),
        (
            {"secrets": {"access": "namespaces"}},
            "secrets.access is namespaces: secrets.namespaces must name at least one",
        ),
        ({"secrets": {"namespaces": ["a"]}}, "secrets.namespaces is only for secrets.access namespaces; it is cluster"),
        ({"secrets": {"access": "namespaces", "namespaces": ["*"]}}, "at '/secrets/namespaces/0': '*' does not match"),
        (
            {"credentialProviders": {"config": "/a"}},
            "credentialProviders.config and credentialProviders.binDir go together",
        ),
        ({"identityScope": "pod"}, "at '/identityScope': value must be one of 'cluster', 'namespace'"),
        ({"factsRetention": 0}, "at '/factsRetention': minimum: got 0, want 1"),
        ({"certificates": {"mode": "none"}}, "value must be one of 'selfManaged', 'certManager', 'secret'"),
        ({"certificates": {"mode": "secret"}}, "certificates.secretName must name the Secret with tls.crt and tls.key"),
        (
            {"certificates": {"mode": "secret", "secretName": "x"}},
            "certificates.caBundle must be the CA that signed tls.crt",
        ),
        ({"certificates": {"caBundle": "eA=="}}, "certificates.caBundle is only for certificates.mode secret"),
        ({"certificates": {"mode": "certManager", "certManager": {"issuerRef": {"kind": "x"}}}}, "property 'name'"),
    ],
)
def test_wrong_values_are_refused(helm: Helm, values: dict[str, object], told: str) -> None:
    """The message says which value, and what is wrong with it."""
    with pytest.raises(HelmError) as caught:
        helm.template("trial", NAMESPACE, values)
    assert told in str(caught.value)


def test_a_ca_is_rendered_only_where_it_is_given(helm: Helm) -> None:
    """Whoever keeps it otherwise would lose it by each upgrade."""
    assert [client.get("caBundle") for client in clients(helm, **MODES["secret"])] == ["bWluZQ=="] * 3
    for mode in MODES.keys() - {"secret"}:
        assert [client.get("caBundle") for client in clients(helm, **MODES[mode])] == [None] * 3


def test_the_api_server_reaches_the_webhook_by_service_or_url(helm: Helm) -> None:
    """A path for pods, another for workloads, another for pods that are on a node."""
    service = {"name": "trial-rightarch-webhook", "namespace": NAMESPACE, "port": 443}
    paths = ["/mutate/pods", "/mutate/workloads", "/warn/pods"]
    assert clients(helm) == [{"service": service | {"path": path}} for path in paths]
    by_url = clients(helm, **MODES["self-managed by url"])
    assert by_url == [{"url": f"https://127.0.0.1:1234{path}"} for path in paths]


def test_excluded_namespaces_are_added_to_those_that_always_are(helm: Helm) -> None:
    """Each once, for all webhooks."""
    [configuration] = rendered(
        helm, "MutatingWebhookConfiguration", webhook={"excludedNamespaces": ["kube-system", "mine"]}
    )
    for webhook in configuration["webhooks"]:
        [expression] = webhook["namespaceSelector"]["matchExpressions"]
        assert expression["values"] == ["kube-system", NAMESPACE, "mine"]


@pytest.mark.parametrize(
    ("mode", "secret", "keeper"),
    [
        ("self-managed", "trial-rightarch-certificate", "self-managed"),
        ("cert-manager", "trial-rightarch-tls", "external"),
        ("secret", "mine", "external"),
    ],
)
def test_the_processes_know_who_keeps_the_certificate(helm: Helm, mode: str, secret: str, keeper: str) -> None:
    """The webhook reads it in any mode; the controller is told of it, and may touch it, only where it is the keeper."""
    found = {name: options(container) for name, container in containers(helm, **MODES[mode]).items()}
    assert found["webhook"]["--certificate-secret"] == secret
    assert found["controller"]["--certificates"] == keeper
    assert found["controller"].get("--certificate-secret") == (secret if keeper == "self-managed" else None)
    secrets = [item["metadata"]["name"] for item in rendered(helm, "Secret", **MODES[mode])]
    assert secrets == ([secret] if keeper == "self-managed" else [])
    allowed = {
        name
        for item in rendered(helm, "Role", **MODES[mode])
        for rule in item["rules"]
        if rule["resources"] == ["secrets"]
        for name in rule["resourceNames"]
    }
    assert allowed == {secret}
    [controller] = [r for r in rendered(helm, "Role", **MODES[mode]) if r["metadata"]["name"].endswith("-controller")]
    assert ("secrets" in str(controller["rules"])) == (keeper == "self-managed")


def test_the_controller_is_told_the_host_of_the_url(helm: Helm) -> None:
    """The certificate that it makes must be valid for it."""
    assert options(containers(helm, **MODES["self-managed by url"])["controller"])["--webhook-host"] == "127.0.0.1"
    ipv6 = containers(helm, webhook={"url": "https://[::1]:1234"})["controller"]
    assert options(ipv6)["--webhook-host"] == "::1"
    assert "--webhook-host" not in options(containers(helm)["controller"])


def test_a_digest_goes_before_the_tag(helm: Helm) -> None:
    """And the tag is the chart's appVersion unless given."""
    digest = f"sha256:{'0' * 64}"
    for image, expected in [
        ({}, ":0.1.0"),
        ({"tag": "2"}, ":2"),
        ({"tag": "2", "digest": digest}, f"@{digest}"),
    ]:
        found = {one["image"] for one in containers(helm, image=image).values()}
        assert found == {f"ghcr.io/rightarch/rightarch{expected}"}


def test_further_authorities_are_mounted_and_named(helm: Helm) -> None:
    """From the ConfigMap that the values name."""
    for container in containers(helm, registries={"caConfigMap": "authorities"}).values():
        [mount] = container["volumeMounts"]
        assert options(container)["--registry-ca-file"] == f"{mount['mountPath']}/ca.crt"
    for container in containers(helm).values():
        assert "volumeMounts" not in container


def test_clouds_are_named_to_both_processes(helm: Helm) -> None:
    """An empty list is none of them."""
    for clouds, expected in [(["ecr", "acr"], "ecr,acr"), ([], "none"), (["ecr", "gar", "acr"], "ecr,gar,acr")]:
        for container in containers(helm, cloudCredentials=clouds).values():
            assert options(container)["--cloud-credentials"] == expected
    assert {options(each)["--cloud-credentials"] for each in containers(helm).values()} == {"ecr,gar,acr"}


def test_registries_are_configured_by_values(helm: Helm, tmp_path: Path) -> None:
    """What is mounted is what the processes read: by the same names, with the content that was given."""
    mirror = {"url": "https://mirror.test", "capabilities": ["pull"], "sendCredentials": True}
    configured = [{"host": "docker.io", "mirrors": [mirror], "tokenRealms": ["auth.test"]}, {"host": "*"}]
    hosts = {"registry.test_5000_": 'server = "https://other.test"\n', "_default": "skip_verify = true\n"}
    values = {"registries": {"configured": configured, "hosts": hosts, "filesSecret": "mine"}}
    [content] = [one["data"] for one in rendered(helm, "ConfigMap", **values)]
    for deployment in rendered(helm, "Deployment", **values):
        pod = deployment["spec"]["template"]
        [container] = pod["spec"]["containers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert volumes["registry-files"]["secret"] == {"secretName": "mine"}
        assert mounts["registry-files"] == "/etc/rightarch/registry-files"
        at = mounts["registry-configuration"]
        assert options(container)["--registries-config"] == f"{at}/registries.yaml"
        assert options(container)["--registry-hosts-dir"] == f"{at}/hosts"
        assert "rightarch.dev/registries" in pod["metadata"]["annotations"]
        for item in volumes["registry-configuration"]["configMap"]["items"]:
            path = tmp_path / deployment["metadata"]["name"] / item["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content[item["key"]])
        folder = tmp_path / deployment["metadata"]["name"]
        read = Configuration.load(folder / "registries.yaml")
        found = Hosts(read.endpoints(), folder / "hosts")
        asked = {
            name: [str(each.url) for each in found.of(Reference.parse(name))] for name in ("a", "registry.test:5000/a")
        }
        assert asked == {
            "a": ["https://mirror.test/v2", "https://registry-1.docker.io/v2"],
            "registry.test:5000/a": ["https://other.test/v2"],
        }
        assert read.realms() == {"registry-1.docker.io": frozenset({"auth.test"})}


def test_no_service_names_a_setting(helm: Helm) -> None:
    """The variables of a Service called rightarch would be read as options."""
    for item in rendered(helm, "Deployment"):
        assert item["spec"]["template"]["spec"]["enableServiceLinks"] is False


@pytest.mark.parametrize(
    ("secrets", "told", "everywhere", "namespaces"),
    [
        ({}, "*", True, set()),
        ({"access": "namespaces", "namespaces": ["a", "b"]}, "a,b", False, {"a", "b"}),
        ({"access": "none"}, "none", False, set()),
    ],
)
def test_pull_secrets_may_be_read_where_the_processes_are_told(
    helm: Helm, secrets: Object, told: str, everywhere: bool, namespaces: set[str]
) -> None:
    """What is granted is what is used: by name, for both processes, and never listed."""
    for container in containers(helm, secrets=secrets).values():
        assert options(container)["--pull-secrets"] == told
    processes = {f"trial-rightarch-{component}" for component in ("webhook", "controller")}
    roles = [each for each in rendered(helm, "ClusterRole", secrets=secrets) if each["metadata"]["name"] in processes]
    assert len(roles) == 2
    for role in roles:
        rules = [rule["verbs"] for rule in role["rules"] if "secrets" in rule["resources"]]
        assert rules == ([["get"]] if everywhere else [])
    roles = [item for item in rendered(helm, "Role", secrets=secrets) if item["metadata"]["namespace"] != NAMESPACE]
    bindings = rendered(helm, "RoleBinding", secrets=secrets)
    assert [rule["verbs"] for role in roles for rule in role["rules"]] == [["get"]] * 4 * len(namespaces)
    for component in ("webhook", "controller"):
        name = f"trial-rightarch-{component}-pull-secrets"
        assert {role["metadata"]["namespace"] for role in roles if role["metadata"]["name"] == name} == namespaces
        bound = [item for item in bindings if item["metadata"]["name"] == name]
        assert {item["metadata"]["namespace"] for item in bound} == namespaces
        account = {"kind": "ServiceAccount", "name": f"trial-rightarch-{component}", "namespace": NAMESPACE}
        assert all(item["subjects"] == [account] and item["roleRef"]["name"] == name for item in bound)


def test_credential_providers_come_from_volumes(helm: Helm) -> None:
    """Which the administrator mounts, beside those of the chart."""
    pods = {
        "volumes": [{"name": "providers", "image": {"reference": "registry.example/providers:1"}}],
        "volumeMounts": [{"name": "providers", "mountPath": "/providers", "readOnly": True}],
    }
    providers = {"config": "/providers/config.yaml", "binDir": "/providers/bin"}
    values: Object = {"pods": pods, "credentialProviders": providers, "registries": {"caConfigMap": "authorities"}}
    for container in containers(helm, **values, identityScope="namespace").values():
        assert options(container)["--image-credential-provider-config"] == "/providers/config.yaml"
        assert options(container)["--image-credential-provider-bin-dir"] == "/providers/bin"
        assert options(container)["--identity-scope"] == "namespace"
        assert [mount["name"] for mount in container["volumeMounts"]] == ["registries", "providers"]
    for deployment in rendered(helm, "Deployment", **values):
        assert [one["name"] for one in deployment["spec"]["template"]["spec"]["volumes"]] == ["registries", "providers"]
    for container in containers(helm).values():
        assert not [option for option in options(container) if "provider" in option]
        assert options(container)["--identity-scope"] == "cluster"


def test_values_for_pods_reach_both_deployments(helm: Helm) -> None:
    """Scheduling, labels, annotations and environment."""
    pods = {
        "priorityClassName": "mine",
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy.test"}],
    }
    for deployment in rendered(helm, "Deployment", pods=pods):
        template = deployment["spec"]["template"]
        assert template["spec"]["priorityClassName"] == "mine"
        assert template["spec"]["nodeSelector"] == {"pool": "system", "kubernetes.io/os": "linux"}
        assert template["spec"]["tolerations"] == pods["tolerations"]
        assert template["metadata"]["labels"]["a"] == "b"
        assert template["metadata"]["annotations"] == {"c": "d"}
        assert template["spec"]["containers"][0]["env"] == pods["env"]
        assert not {"a", "helm.sh/chart"} & deployment["spec"]["selector"]["matchLabels"].keys()


def test_a_release_of_another_name_shares_no_object(helm: Helm) -> None:
    """Names begin with the release's; one that says rightarch already does not say it twice."""
    names = {release: set(_names(helm.template(release, NAMESPACE, {}))) for release in ("trial", "rightarch")}
    assert {name for name in names["rightarch"] if not name.startswith("CustomResource")}.isdisjoint(names["trial"])
    assert all(name.split("/")[1].startswith("rightarch") for name in names["rightarch"] if "Custom" not in name)
    assert not [name for name in names["rightarch"] if "rightarch-rightarch" in name]


@pytest.mark.parametrize(("release", "namespace"), [("1234", "5678"), ("true", "null"), ("my.release", "1e3")])
@pytest.mark.parametrize("mode", MODES)
def test_a_name_is_a_name_whatever_yaml_would_take_it_for(helm: Helm, mode: str, release: str, namespace: str) -> None:
    """Numbers, truths and dots: each is text where another release has text, and a Service may be called so."""
    values = MODES[mode] | {"nameOverride": "1e3", "imagePullSecrets": [{"name": "1"}]}
    items, plain = (helm.template(*names, values) for names in ((release, namespace), ("trial", "somewhere")))
    assert list(map(shape, items)) == list(map(shape, plain))
    for item in items:
        assert "." not in item["metadata"]["name"] or item["kind"] == "CustomResourceDefinition"
        assert item["kind"] != "Service" or item["metadata"]["name"][0].isalpha()
        assert item["metadata"]["labels"]["app.kubernetes.io/instance"] == release


def shape(value: object) -> object:
    """A value without its texts and numbers: what is left is what the API server takes it for."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(inner) for inner in value] if isinstance(value, list) else type(value)


def test_labels_of_pods_go_before_those_of_all_objects(helm: Helm) -> None:
    """A key is there once, or the API server would refuse it."""
    for deployment in rendered(helm, "Deployment", pods={"labels": {"a": "pod"}}, commonLabels={"a": "all", "b": "c"}):
        assert deployment["spec"]["template"]["metadata"]["labels"].items() >= {"a": "pod", "b": "c"}.items()


def test_definitions_are_those_of_the_project_and_are_kept(helm: Helm) -> None:
    """Unless the administrator brings them."""
    files = {path.name: yaml.safe_load(path.read_text()) for path in (CHART / "files" / "crds").glob("*.yaml")}
    assert files
    definitions = rendered(helm, "CustomResourceDefinition")
    assert [one["metadata"]["annotations"]["helm.sh/resource-policy"] for one in definitions] == ["keep"] * len(files)
    plain = [item | {"metadata": {"name": item["metadata"]["name"]}} for item in definitions]
    assert sorted(plain, key=str) == sorted(files.values(), key=str)
    assert rendered(helm, "CustomResourceDefinition", crds={"install": False}) == []


def test_every_object_has_the_usual_labels(helm: Helm) -> None:
    """And those that all are to have."""
    usual = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"}
    for item in helm.template("trial", NAMESPACE, {"commonLabels": {"team": "platform"}}):
        labels = item["metadata"]["labels"]
        assert usual <= labels.keys(), item["kind"]
        assert labels["team"] == "platform", item["kind"]


def _names(items: list[Object]) -> Iterator[str]:
    for item in items:
        yield f"{item['kind']}/{item['metadata']['name']}"
