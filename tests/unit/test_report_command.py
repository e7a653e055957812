"""The command ``rightarch report``: what is wrong with how it is called is told before anything is asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from rightarch.cli import app

if TYPE_CHECKING:
    from pathlib import Path

MANIFESTS = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: c, image: "!no image"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: other, namespace: audit}
spec: {containers: [{name: c, image: "!no image"}]}
---
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: w}
spec: {templates: [{containerSet: {containers: [{name: c, image: "!no image"}]}}]}
"""
PRICES = "instance_type,architecture,vcpu,memory_gib,price_per_hour\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-A", "-n", "shop"], "-A and -n contradict each other"),
        (["-f", "a.yaml", "-A"], "-f is read without a cluster"),
        (["-f", "a.yaml", "--prometheus", "http://127.0.0.1:9"], "-f is read without a cluster"),
        (["-f", "a.yaml", "--prices", __file__], "-f is read without a cluster"),
        (["--price-label", "a", "--prometheus", "b"], "give one of them, since sources are never mixed"),
        (["--prometheus", "http://["], "--prometheus: this is no URL such as http://prometheus.example:9090"),
        (["--prometheus", "prometheus:9090"], "--prometheus: this is no URL such as"),
        (["--fail-on", "blocked,everything"], "--fail-on: 'everything' is none of blocked, unknown, at-risk"),
        (["--arch", "AVR 8"], "--arch: 'AVR 8' is no architecture of nodes"),
        (["--token-realm", "x"], "'x' is not REGISTRY=HOST"),
        (["-f", "/none/a.yaml"], "-f /none/a.yaml: No such file or directory; name a file of manifests"),
        (["-o", "pdf"], "'pdf' is not one of"),
        (["--prices", "/none/p.csv"], "does not exist"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], said: str) -> None:
    """With status 2, and what to do."""
    result = CliRunner().invoke(app, ["report", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_without_a_kubeconfig_files_are_named(tmp_path: Path) -> None:
    """That is the way to do without a cluster."""
    environment = {"HOME": str(tmp_path), "KUBECONFIG": ""}
    result = CliRunner().invoke(app, ["report"], env=environment)
    assert result.exit_code == 2
    assert "there is no kubeconfig" in result.stderr
    assert "-f FILE, which needs no cluster" in result.stderr


def test_bad_prices_are_told_before_anything_is_asked(tmp_path: Path) -> None:
    """With the line; no cluster is talked to."""
    prices = tmp_path / "p.csv"
    prices.write_text(f"{PRICES}m6i.large,amd64,2,8,free\n")
    result = CliRunner().invoke(app, ["report", "--prices", str(prices)], env={"KUBECONFIG": "/none"})
    assert result.exit_code == 2
    assert "line 2: price_per_hour is 'free'" in result.stderr


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("r.json", "{"),
        ("r.yml", "architecture:"),
        ("r.csv", "namespace,"),
        ("r.md", "# "),
        ("r.HTML", "<!doctype html>"),
    ],
)
def test_the_name_of_a_file_tells_its_form(tmp_path: Path, name: str, begins: str) -> None:
    """Unless the form is given; whoever reads it may read what they could before."""
    (tmp_path / "a.yaml").write_text("kind: Service\napiVersion: v1\nmetadata: {name: a}\n")
    file = tmp_path / name
    file.touch(mode=0o640)
    result = CliRunner().invoke(app, ["report", "-f", str(tmp_path / "a.yaml"), "--output-file", str(file)])
    assert (result.exit_code, result.stdout) == (0, "")
    assert file.read_text().startswith(begins)
    assert file.stat().st_mode & 0o777 == 0o640


def test_manifests_without_a_namespace_are_found_by_any(tmp_path: Path) -> None:
    """They are in the namespace that is asked about; what is left out or passed over is told beside the report."""
    (tmp_path / "a.yaml").write_text(MANIFESTS)
    arguments = ["report", "-f", str(tmp_path / "a.yaml"), "--fail-on", "unknown", "-o", "json"]
    done = CliRunner().invoke(app, [*arguments, "-n", "shop"])
    assert done.exit_code == 3
    report = json.loads(done.stdout)
    assert [(row["namespace"], row["name"]) for row in report["workloads"]] == [("shop", "web")]
    passed, left = report["source"]["notes"]
    assert "Workflow w (argoproj.io/v1alpha1) is passed over" in passed
    assert left == "workloads of namespaces that -n does not name are left out: audit"
    assert f"rightarch: {passed}\nrightarch: {left}\nrightarch: 1 workload is unknown\n" == done.stderr


@pytest.mark.parametrize("text", ["", "---\n# nothing\n---\n", "kind: List\nitems: []\n"])
def test_an_input_without_objects_is_an_error(text: str) -> None:
    """What should have written it has failed, and a pipeline must not go on as if nothing had been found."""
    done = CliRunner().invoke(app, ["report", "-f", "-", "--fail-on", "blocked,unknown"], input=text)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == ("rightarch: there is no object in standard input: has what should have written it failed?\n")


def test_that_there_is_no_workload_is_told_beside_the_report(tmp_path: Path) -> None:
    """In every form of output, and also where it is written to a file; objects of other kinds are no error."""
    (tmp_path / "a.yaml").write_text("kind: Service\napiVersion: v1\nmetadata: {name: a}\n")
    done = CliRunner().invoke(app, ["report", "-f", str(tmp_path / "a.yaml"), "-o", "json", "--fail-on", "blocked"])
    assert (done.exit_code, done.stderr) == (0, "rightarch: there is no workload to report on\n")


def test_a_folder_stands_for_the_manifests_in_it(tmp_path: Path) -> None:
    """As for kubectl, and as in rightarch explain: by what their names end in, and in no folder below it."""
    for name in ("a.yaml", "b.yml", "c.json", "d.txt"):
        (tmp_path / name).write_text(f'{{"kind": "Pod", "metadata": {{"name": "{name}"}}, "spec": {{}}}}')
    (tmp_path / "e.yaml").mkdir()
    done = CliRunner().invoke(app, ["report", "-f", str(tmp_path), "-o", "json"])
    assert done.exit_code == 0
    assert {row["name"] for row in json.loads(done.stdout)["workloads"]} == {"a.yaml", "b.yml", "c.json"}
    done = CliRunner().invoke(app, ["report", "-f", str(tmp_path / "e.yaml")])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "there is no file of manifests in this folder" in done.stderr


def test_prices_in_another_encoding_are_told(tmp_path: Path) -> None:
    """As spreadsheets may write them: with what to do, and not in the words of Python."""
    (tmp_path / "p.csv").write_text(PRICES, encoding="utf-16")
    done = CliRunner().invoke(app, ["report", "--prices", str(tmp_path / "p.csv")])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"rightarch: --prices {tmp_path}/p.csv is no text in UTF-8: save it as CSV in UTF-8\n"


def test_the_columns_of_prices_are_whole_in_a_narrow_help() -> None:
    """Eighty columns are what a terminal has: a name that is cut off can't be written."""
    done = CliRunner().invoke(app, ["report", "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    words = done.stdout.replace(",", " ").replace("│", " ").split()
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert set(PRICES.strip().split(",")) <= {word.strip(".") for word in words}
