"""``rightarch explain`` and ``rightarch mutate`` without a cluster, at a real registry."""

from __future__ import annotations

import difflib
import json
import os
import pty
import select
import subprocess
import sys
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from rightarch.cli import app
from tests.controlplane import free_port
from tests.images import RegistryServer, attested, single
from tests.registry.conftest import ALICE_PASSWORD

if TYPE_CHECKING:
    from tests.controlplane import CertificateAuthority

PROGRAM = Path(sys.executable).parent / "rightarch"
MULTI, AMD64, ARM64 = attested("linux/amd64", "linux/arm64"), single("linux/amd64"), single("linux/arm64")
REQUIREMENT = {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}


@pytest.fixture
def environment(authority: CertificateAuthority, tmp_path: Path) -> dict[str, str]:
    """That of a user without credentials and without a cluster, who trusts the tests' authority."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("RIGHTARCH_", "XDG_", "KUBE"))}
    home = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path / "docker")}
    return usual | home | {"COLUMNS": "200", "RIGHTARCH_REGISTRY_CA_FILE": str(authority.certificate)}


@pytest.fixture
def images(server: RegistryServer) -> dict[str, str]:
    """Names of images by what they are made for."""
    for name, image in (("multi", MULTI), ("amd64", AMD64), ("arm64", ARM64)):
        server.push(f"explain/{name}", "1", image)
    return {name: f"{server.host}/explain/{name}:1" for name in ("multi", "amd64", "arm64", "none")}


@dataclass
class Done:
    """A command that has ended."""

    returncode: int
    stdout: str
    stderr: str


def run(environment: dict[str, str], *arguments: str | Path, text: str | None = None) -> Done:
    """Run a command in this process, with a text as its standard input: a process for each takes a second."""
    unset = dict.fromkeys((name for name in os.environ if name not in environment), None)
    done = CliRunner().invoke(app, list(map(str, arguments)), input=text, env={**environment, **unset})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Done(done.exit_code, done.stdout, done.stderr)


def explained(environment: dict[str, str], text: str, *arguments: str | Path) -> list[dict[str, Any]]:
    """The workloads of some manifests, as JSON."""
    done = run(environment, "explain", "-f", "-", "--registry-only", "-o", "json", *arguments, text=text)
    assert done.stderr == ""
    found: list[dict[str, Any]] = json.loads(done.stdout)["workloads"]
    return found


def test_private_images_are_read_as_the_user(
    environment: dict[str, str], server: RegistryServer, tmp_path: Path
) -> None:
    """By docker login; without it, it is not known what they run on."""
    server.push("private/app", "explain", ARM64)
    text = yaml.safe_dump(deployment("web", f"{server.host}/private/app:explain"))
    assert run(environment, "explain", "-f", "-", "--registry-only", text=text).returncode == 1
    (tmp_path / "docker").mkdir()
    auth = b64encode(f"alice:{ALICE_PASSWORD}".encode()).decode()
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {server.host: {"auth": auth}}}))
    (web,) = explained(environment, text, "--token-realm", f"{server.host}=localhost")
    assert web["images"][0]["platforms"] == ["linux/arm64"]


def deployment(name: str, *images: str, **spec: object) -> dict[str, Any]:
    """A Deployment whose pods have some images."""
    containers = [{"name": f"c{index}", "image": image} for index, image in enumerate(images)]
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers, **spec}}
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"template": template}}


def test_for_people(environment: dict[str, str], images: dict[str, str]) -> None:
    """The policy, the images with their platforms and where that is known from, the decision, the patch as a diff."""
    text = yaml.safe_dump(deployment("web", images["multi"], images["amd64"]), sort_keys=False)
    done = run(environment, "explain", "-f", "-", "--registry-only", text=text)
    multi, amd64 = images["multi"], images["amd64"]
    record = (
        '{"reason":"Constrained","message":"its images run on amd64 (linux)","os":"linux","architectures":["amd64"],'
        f'"images":{{"{multi}":["linux/amd64","linux/arm64"],"{amd64}":["linux/amd64"]}},'
        '"wrote":{"created":true,"terms":{"0":[["kubernetes.io/arch","amd64"]]}}}'
    )
    expected = f"""\
Deployment shop/web  (<stdin>:1)
  Policy:      built-in: no policy matches; mode Enforce
  Images:      {multi}  linux/amd64, linux/arm64  registry (asked just now)
               {amd64}  linux/amd64               registry (asked just now)
  Constraint:  none of its own
  Decision:    Constrained: its images run on amd64 (linux)
  Patch:       of each of its pods, when it is created

--- deployment/web, each of its pods
+++ deployment/web, each of its pods, as it is stored
@@ -1,10 +1,22 @@
 metadata:
   labels:
     app: web
+    rightarch.dev/decision: Constrained
   namespace: shop
+  annotations:
+    rightarch.dev/decision: '{record}'
 spec:
   containers:
   - name: c0
     image: {multi}
   - name: c1
     image: {amd64}
+  affinity:
+    nodeAffinity:
+      requiredDuringSchedulingIgnoredDuringExecution:
+        nodeSelectorTerms:
+        - matchExpressions:
+          - key: kubernetes.io/arch
+            operator: In
+            values:
+            - amd64
"""
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")
    patch = run(environment, "explain", "-f", "-", "--registry-only", "-o", "patch", text=text)
    assert expected.endswith(f"\n\n{patch.stdout}")


def test_for_programs(environment: dict[str, str], images: dict[str, str]) -> None:
    """JSON and YAML hold the same: policy, images, decision, and the very operations of the patch."""
    text = yaml.safe_dump(deployment("web", images["amd64"]))
    (web,) = explained(environment, text)
    assert web["policy"] == {
        "name": "built-in",
        "why": "no policy matches",
        "mode": "Enforce",
        "ignored": False,
        "warnings": [],
    }
    assert web["images"] == [
        {
            "image": images["amd64"],
            "platforms": ["linux/amd64"],
            "digest": AMD64.digest,
            "source": {"kind": "registry", "detail": "asked just now", "name": None},
        }
    ]
    decision = web["decision"]
    assert (decision["reason"], decision["architectures"], decision["warnings"]) == ("Constrained", ["amd64"], [])
    assert (web["patched"], web["constraint"], web["nodes"]) == ("pod", None, None)
    term = {"matchExpressions": [REQUIREMENT]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    assert {"op": "add", "path": "/spec/affinity", "value": {"nodeAffinity": required}} in web["patch"]
    done = run(environment, "explain", "-f", "-", "--registry-only", "-o", "yaml", text=text)
    assert yaml.safe_load(done.stdout) == {"workloads": [web]}


def test_a_daemonset_is_written_in_its_template(environment: dict[str, str], images: dict[str, str]) -> None:
    """As at admission; a policy that says so has Deployments written there too."""
    agent = deployment("agent", images["amd64"]) | {"kind": "DaemonSet"}
    (found,) = explained(environment, json.dumps(agent))
    assert (found["patched"], found["patch"][0]["path"]) == ("template", "/spec/template/spec/affinity")


POLICY = """\
apiVersion: rightarch.dev/v1alpha1
kind: ClusterArchitecturePolicy
metadata: {name: all}
spec:
  namespaceSelector: {matchLabels: {team: a}}
  templates: [{kinds: [Deployment], when: OnAdmission}]
"""
SHOP = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "a"}}}


def test_policies_are_tried_before_they_are_applied(
    environment: dict[str, str], images: dict[str, str], tmp_path: Path
) -> None:
    """For namespaces whose manifests are among those given; a wrong one is refused, with each fault."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    text = yaml.safe_dump_all([deployment("web", images["amd64"]), SHOP])
    (web,) = explained(environment, text, "--policy", policy)
    assert (web["policy"]["name"], web["patched"]) == ("cap/all", "template")
    assert web["policy"]["why"] == "the first Default policy of the cluster that matches"
    (web,) = explained(environment, yaml.safe_dump(deployment("web", images["amd64"])), "--policy", policy)
    assert web["policy"]["name"] == "built-in"
    policy.write_text(POLICY.replace("OnAdmission", "Sometimes").replace("spec:", "spec:\n  mod: Off"))
    done = run(environment, "explain", "-f", "-", "--registry-only", "--policy", policy, text=text)
    assert (done.returncode, done.stdout) == (1, "")
    assert "policy.yaml: cap/all: spec.templates[0].when" in done.stderr
    assert "spec.mod" in done.stderr


SHARE = """\
apiVersion: rightarch.dev/v1alpha1
kind: ClusterArchitecturePolicy
metadata: {name: move}
spec: {architectures: {share: [{architecture: arm64, percent: 20}]}}
"""


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet"])
def test_a_share_is_told_of_all_pods_and_the_patch_of_one(
    environment: dict[str, str], images: dict[str, str], tmp_path: Path, kind: str
) -> None:
    """Since others of the workload get another; also where the template itself is written, which has no share."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(SHARE)
    text = yaml.safe_dump(deployment("web", images["multi"]) | {"kind": kind})
    (web,) = explained(environment, text, "--policy", policy)
    assert web["shares"] == [
        {"share": "arm64", "percent": 20.0, "architectures": ["arm64"]},
        {"share": "others", "percent": 80.0, "architectures": ["amd64"]},
    ]
    shown = run(environment, "explain", "-f", "-", "--registry-only", "--policy", policy, text=text).stdout
    assert "20 % of its pods prefer arm64, the others amd64\n" in shown
    assert "its share is" not in shown
    if kind == "Deployment":
        assert (web["decision"]["share"], web["decision"]["preferences"]) == (
            "others",
            [{"weight": 100, "architectures": ["amd64"]}],
        )
        assert "Patch:       of one of its pods that prefer amd64, when it is created\n" in shown
        assert "\n--- deployment/web, one of its pods that prefer amd64\n" in shown


def test_a_share_that_labels_settle_is_that_of_each_pod(
    environment: dict[str, str], images: dict[str, str], tmp_path: Path
) -> None:
    """The template's own choice, and the label by which pods belong together: all pods of the workload have these."""
    kept, together = deployment("web", images["multi"]), deployment("web", images["multi"])
    kept["spec"]["template"]["metadata"]["labels"]["rightarch.dev/share"] = "arm64"
    same = tmp_path / "same.yaml"
    same.write_text(SHARE.replace("{share:", "{sameFor: app, share:"))
    policy = tmp_path / "policy.yaml"
    policy.write_text(SHARE)
    for thing, file in ((kept, policy), (together, same)):
        text = yaml.safe_dump(thing)
        (web,) = explained(environment, text, "--policy", file)
        assert (web["shares"], len(web["decision"]["preferences"])) == ([], 1)
        shown = run(environment, "explain", "-f", "-", "--registry-only", "--policy", file, text=text).stdout
        assert f"its share is {web['decision']['share']}\n" in shown
        assert "Patch:       of each of its pods, when it is created\n" in shown


def test_exit_statuses(environment: dict[str, str], images: dict[str, str]) -> None:
    """0 where all is well, 3 for what is wrong with a workload, 1 where it is not known."""

    def status(*pods: dict[str, Any]) -> int:
        done = run(environment, "explain", "-f", "-", "--registry-only", text=yaml.safe_dump_all(pods))
        return done.returncode

    well, apart = deployment("a", images["multi"]), deployment("b", images["amd64"], images["arm64"])
    conflict = deployment("c", images["amd64"], nodeSelector={"kubernetes.io/arch": "arm64"})
    away = deployment("d", f"127.0.0.1:{free_port()}/app:1")
    assert status(well) == 0
    assert status(well, apart) == 3
    assert status(conflict) == 3
    assert status(deployment("e", images["none"])) == 3
    assert status(deployment("f", "No//Name")) == 3
    assert status(well, apart, away) == 1


@pytest.mark.parametrize(
    ("arguments", "text", "status", "said"),
    [
        (["explain"], "", 2, "name workloads of the cluster, such as deployment/web, or give manifests by -f"),
        (["explain", "web", "--registry-only"], "", 2, "--registry-only is for manifests"),
        (["explain", "service/web"], "", 2, "the kinds are pod, "),
        (["explain", "-f", "-"], "", 2, "there is no kubeconfig: give --kubeconfig, or KUBECONFIG; or --registry-only"),
        (["explain", "-f", "-", "--registry-only"], "a: [", 1, "<stdin>:2:1: this is no YAML"),
        (["explain", "-f", "/nowhere", "--registry-only"], "", 1, "/nowhere: No such file or directory; name a file"),
        (["mutate"], "", 2, "give manifests by -f"),
        (["mutate", "-f", "-", "--in-place"], "", 2, "--in-place is for files"),
    ],
)
def test_wrong_usage(arguments: list[str], text: str, status: int, said: str, environment: dict[str, str]) -> None:
    """Says where, what, and what to do."""
    done = run(environment, *arguments, text=text)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr


def test_a_malformed_workload(environment: dict[str, str]) -> None:
    """Is told with its file, its line and the field."""
    text = yaml.safe_dump(deployment("web", 5))  # type: ignore[arg-type] # what YAML makes of a tag alone
    done = run(environment, "explain", "-f", "-", "--registry-only", text=text)
    problem = "deployment/web: spec.template.spec.containers[0].image is not a JSON string"
    assert (done.returncode, done.stderr) == (1, f"rightarch: <stdin>:1: {problem}\n")


def test_other_kinds_are_told_of(environment: dict[str, str]) -> None:
    """Those with containers; what has none passes, and nothing is left to explain."""
    rollout = deployment("web", "app") | {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}
    done = run(environment, "explain", "-f", "-", "--registry-only", text=yaml.safe_dump(rollout))
    assert (done.returncode, done.stdout) == (0, "")
    assert "Rollout web (argoproj.io/v1alpha1) is passed over" in done.stderr
    assert "there is no workload in what was given" in done.stderr


def on_a_terminal(environment: dict[str, str], *arguments: str | Path) -> str:
    """What a command shows on a terminal."""
    ours, theirs = pty.openpty()
    command = [str(PROGRAM), *map(str, arguments)]
    with subprocess.Popen(command, env=environment, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL):
        os.close(theirs)
        shown = b""
        while select.select([ours], [], [], 60)[0]:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # how a terminal says that nobody writes to it any more
                break
    os.close(ours)
    return shown.decode()


def test_colours_are_for_terminals(environment: dict[str, str], images: dict[str, str], tmp_path: Path) -> None:
    """And for those who have not said that they want none."""
    file = tmp_path / "web.yaml"
    file.write_text(yaml.safe_dump(deployment("web", images["amd64"])))
    arguments = ("explain", "-f", file, "--registry-only", "-o", "patch")
    usual = {name: value for name, value in environment.items() if name != "NO_COLOR"} | {"TERM": "xterm"}
    assert "\x1b[32m+  affinity:" in on_a_terminal(usual, *arguments)
    assert "\x1b" not in on_a_terminal(usual | {"NO_COLOR": "1"}, *arguments)
    assert "\x1b" not in run(usual, *arguments).stdout


CHART = """\
# Source: web/templates/web.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name:  web   # two blanks
spec:
  template:
    spec:
        containers:
        - {name: a, image: "MULTI"}
        - name: b
          image:   AMD64
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {"a":   'b'}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  jobTemplate:
    spec:
      template:
        spec:
          affinity:
            nodeAffinity:
              requiredDuringSchedulingIgnoredDuringExecution:
                nodeSelectorTerms:
                - matchExpressions:
                  - {key: zone, operator: In, values: [a]}   # ours
          containers:
          - {name: a, image: AMD64}
"""


def test_mutate_adds_lines_and_leaves_all_others(environment: dict[str, str], images: dict[str, str]) -> None:
    """Of every kind of template, with the user's own terms narrowed; a second run finds nothing to do."""
    text = CHART.replace("MULTI", images["multi"]).replace("AMD64", images["amd64"])
    done = run(environment, "mutate", "-f", "-", text=text)
    assert (done.returncode, done.stderr) == (0, "")
    compared = difflib.ndiff(text.splitlines(), done.stdout.splitlines())
    assert [line for line in compared if line.startswith("- ")] == ["- metadata: {name: nightly}"]  # in one line
    web, config, nightly = yaml.safe_load_all(done.stdout)
    assert config == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}}
    assert terms(web["spec"]["template"]) == [{"matchExpressions": [REQUIREMENT]}]
    zone = {"key": "zone", "operator": "In", "values": ["a"]}
    assert terms(nightly["spec"]["jobTemplate"]["spec"]["template"]) == [{"matchExpressions": [zone, REQUIREMENT]}]
    assert run(environment, "mutate", "-f", "-", text=done.stdout).stdout == done.stdout


def test_mutate_names_the_policy_and_claims_for_no_cluster_that_it_was_applied(
    environment: dict[str, str], images: dict[str, str], tmp_path: Path
) -> None:
    """The record has its name; the label that tells policies of a cluster apart is the webhook's to write."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    spec = {"containers": [{"name": "a", "image": images["amd64"]}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"}, "spec": spec}
    done = run(environment, "mutate", "-f", "-", "--policy", policy, text=yaml.safe_dump_all([pod, SHOP]))
    metadata = next(yaml.safe_load_all(done.stdout))["metadata"]
    assert metadata["labels"] == {"rightarch.dev/decision": "Constrained"}
    assert '"policy":"cap/all"' in metadata["annotations"]["rightarch.dev/decision"]


def test_mutate_replaces_what_it_wrote(environment: dict[str, str], images: dict[str, str], tmp_path: Path) -> None:
    """For another image, in place; back again it is what it was."""
    file = tmp_path / "web.yaml"
    file.write_text(CHART.replace("MULTI", images["multi"]).replace("AMD64", images["amd64"]))
    assert run(environment, "mutate", "-f", file, "--in-place").stderr == f"rightarch: {file}: written\n"
    first = file.read_text()
    file.write_text(first.replace(f"image:   {images['amd64']}", f"image:   {images['multi']}"))
    assert run(environment, "mutate", "-f", tmp_path, "--in-place").returncode == 0
    (wider,) = terms(next(yaml.safe_load_all(file.read_text()))["spec"]["template"])
    assert wider["matchExpressions"][0]["values"] == ["amd64", "arm64"]
    file.write_text(file.read_text().replace(f"image:   {images['multi']}", f"image:   {images['amd64']}"))
    assert run(environment, "mutate", "-f", file, "--in-place").returncode == 0
    assert file.read_text() == first


def test_mutate_writes_nothing_where_something_is_not_known(
    environment: dict[str, str], images: dict[str, str], tmp_path: Path
) -> None:
    """A registry that is away must not decide what comes into a repository."""
    file = tmp_path / "web.yaml"
    away = deployment("away", f"127.0.0.1:{free_port()}/app:1")
    file.write_text(yaml.safe_dump_all([deployment("web", images["amd64"]), away]))
    before = file.read_text()
    done = run(environment, "mutate", "-f", file, "--in-place")
    assert (done.returncode, file.read_text()) == (1, before)
    assert f"{file}:16: deployment/away: Unresolved: RegistryUnreachable" in done.stderr


def test_mutate_every_kind(environment: dict[str, str], images: dict[str, str]) -> None:
    """Wherever its template is; JSON stays JSON."""
    thing = deployment("web", images["amd64"])
    template = thing["spec"]["template"]
    batch, core = {"apiVersion": "batch/v1"}, {"apiVersion": "v1"}
    things = [
        thing | {"kind": "StatefulSet"},
        thing | {"kind": "ReplicaSet"},
        thing | {"kind": "Job"} | batch,
        thing | {"kind": "ReplicationController"} | core,
        {**core, "kind": "PodTemplate", "metadata": {"name": "web"}, "template": template},
        {**core, "kind": "Pod", "metadata": {"name": "web"}, "spec": template["spec"]},
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": things}, indent=4)
    done = run(environment, "mutate", "-f", "-", text=text)
    *workloads, pod_template, pod = json.loads(done.stdout)["items"]
    for written in (*(each["spec"]["template"] for each in workloads), pod_template["template"], pod):
        assert terms(written) == [{"matchExpressions": [REQUIREMENT]}]
    assert pod["metadata"]["labels"] == {"rightarch.dev/decision": "Constrained"}
    after = (line.rstrip(",") for line in done.stdout.splitlines())
    assert all(line.rstrip(",") in after for line in text.splitlines())


def terms(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """The required terms of a pod or a template."""
    required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    found: list[dict[str, Any]] = required["nodeSelectorTerms"]
    return found


def test_cases_of_ones_own(environment: dict[str, str], tmp_path: Path) -> None:
    """Are decided under the policies that are given, without a cluster; what differs is shown, with status 3."""
    (tmp_path / "cases").mkdir()
    case = tmp_path / "cases" / "mine.yaml"
    case.write_text(
        "- name: Everything is written\n  spec: {containers: [{image: app}]}\n  images: {app: linux/amd64}\n"
        "  namespace: {name: shop, labels: {team: a}}\n  reason: Constrained\n  architectures: [amd64]\n"
        "  policy: cap/all\n  terms: [{matchExpressions: [{key: kubernetes.io/arch, operator: In, values: [amd64]}]}]\n"
    )
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    done = run(environment, "policy", "test", case.parent, "--policy", policy)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 cases, all right\n", "")
    done = run(environment, "policy", "test", case.parent)
    expected = f"""\
{case}:1: Everything is written
--- what the case says
+++ what is decided
@@ -1 +1 @@
-policy: cap/all
+policy: built-in

1 cases, 1 of them not as they say
"""
    assert (done.returncode, done.stdout, done.stderr) == (3, expected, "")
    case.write_text("- name: x\n")
    done = run(environment, "policy", "test", case.parent)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{case}:1: x: a case has the spec of a pod" in done.stderr


def test_what_a_manifest_says_does_not_steer_the_terminal(environment: dict[str, str], images: dict[str, str]) -> None:
    """Names with control characters are shown without them, on both streams."""
    thing = deployment("web", images["amd64"], images["arm64"])
    thing["metadata"]["name"] = "w\x1b[31meb"
    rollout = thing | {"kind": "Roll\x1bout", "apiVersion": "example.com/v1"}
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [thing, rollout]})
    done = run(environment, "explain", "-f", "-", "--registry-only", text=text)
    assert done.returncode == 3
    assert "w?[31meb" in done.stdout
    assert "Roll?out" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    done = run(environment, "mutate", "-f", "-", text=text)
    assert (done.returncode, "\x1b" in done.stderr) == (3, False)
