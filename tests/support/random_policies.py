"""Random policies: what an administrator may write, valid and in every combination."""

from random import Random
from typing import Any

from rightarch.policy import Effective, Kind, Policies, Policy
from tests.support.random_pods import ARCHITECTURES, GENERATION, ZONE

EMULATING = {GENERATION: "7"}
"""What some of the random Nodes have."""


def policy(random: Random, *, shares: bool = True, audits: bool = True) -> Effective:
    """What applies to a pod where there is one policy.

    Args:
        random: the source.
        shares: whether it may share pods out, so that what is decided depends on counts.
        audits: whether it may be one that does nothing.
    """
    modes = ["Enforce"] * 8 + ["Audit", "Off"] * audits
    allowed = sorted(random.sample(ARCHITECTURES, random.choice([1, 2, 3, 4]))) if random.random() < 0.5 else []
    named = allowed or list(ARCHITECTURES)
    spec: dict[str, Any] = {
        "mode": random.choice(modes),
        "architectures": {"allowed": allowed},
        "onConflict": random.choice(["Warn", "Enforce", "Deny"]),
        "onNotAllowed": random.choice(["Warn", "Enforce", "Deny"]),
        "onNoCommonArchitecture": random.choice(["Warn", "Deny"]),
        "onUnreadable": random.choice(["Allow", "Fallback", "Deny"]),
        "onUnresolved": {
            "action": random.choice(["Gate", "Gate", "Allow", "Fallback", "Deny"]),
            "afterGate": random.choice(["Allow", "Fallback"]),
            "fallback": sorted(random.sample(named, random.randint(1, len(named)))),
        },
        "operatingSystems": random.choice([["linux"], ["linux", "windows"], ["linux", "windows"]]),
    }
    if shares and random.random() < 0.3:
        spec["architectures"]["share"] = [{"architecture": random.choice(named), "percent": random.randint(0, 100)}]
    elif random.random() < 0.5:
        chosen = random.sample(named, random.randint(1, len(named)))
        preferred = [{"architecture": each, "weight": random.randint(1, 100)} for each in chosen]
        spec["architectures"]["preferred"] = preferred
    return _effective(spec | _facts(random))


def _facts(random: Random) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if random.random() < 0.4:
        facts["tolerations"] = [_toleration(random) for _ in range(random.randint(1, 3))]
    if random.random() < 0.5:
        selector = random.choice([EMULATING, {ZONE: "a"}, {**EMULATING, ZONE: "b"}])
        chosen = random.sample(ARCHITECTURES, 2)
        facts["emulation"] = [{"architecture": each, "nodeSelector": selector} for each in chosen]
    if random.random() < 0.2:
        facts["imageOverrides"] = [{"pattern": "example.com/i0", "platforms": ["linux/amd64", "linux/arm64"]}]
    return facts


def _toleration(random: Random) -> dict[str, Any]:
    architecture = random.choice(ARCHITECTURES)
    key = random.choice(["kubernetes.io/arch", "dedicated"])
    matched: dict[str, Any] = random.choice([{"operator": "Exists"}, {"operator": "Equal", "value": architecture}])
    effects: list[dict[str, Any]] = [{}, {"effect": "NoSchedule"}, {"effect": "NoExecute", "tolerationSeconds": 30}]
    effect = random.choice(effects)
    return {"architecture": architecture, "toleration": {"key": key, **matched, **effect}}


def _effective(spec: dict[str, Any]) -> Effective:
    made = Policy.of(Kind.CLUSTER, {"metadata": {"name": "random", "uid": "0123456789"}, "spec": spec})
    assert not made.problem, made.problem
    return Policies.of([made]).effective("default", {}, {}, {"metadata": {}, "spec": {}})
