"""What `make kind` uses, as far as it can be told without docker: its files fit each other."""

from __future__ import annotations

from typing import Any

import yaml

from tests.demo.scene import WITH, WITHOUT
from tests.kind.docker import CONFIG
from tests.kind.stage import values

Object = dict[str, Any]


def worker() -> Object:
    """The node that Rightarch is to run on."""
    [node] = [node for node in yaml.safe_load(CONFIG.read_text())["nodes"] if node["role"] == "worker"]
    found: Object = node
    return found


def test_rightarch_may_run_on_the_real_node_and_is_drawn_there() -> None:
    """The others are simulated, and run nothing."""
    [patch] = [yaml.safe_load(text) for text in worker()["kubeadmConfigPatches"]]
    [taint] = patch["nodeRegistration"]["taints"]
    assert values()["pods"]["nodeSelector"].items() <= worker()["labels"].items()
    assert {"key": taint["key"], "operator": "Exists", "effect": taint["effect"]} in values()["pods"]["tolerations"]


def test_the_workloads_are_created_with_rightarch_and_without() -> None:
    """One of the namespaces is left alone."""
    excluded = values()["webhook"]["excludedNamespaces"]
    assert WITHOUT in excluded
    assert WITH not in excluded
