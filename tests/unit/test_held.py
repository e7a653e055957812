"""Held pods: what is kept of them, and since when they wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest

from rightarch.controller.held import Held, HeldPods
from rightarch.controller.workloads import Key, Wanted

KEY = Key("Pod", "shop", "web")


def pod(uid: str = "u", age: float = 0, *, gate: str = "rightarch.dev/platforms") -> dict[str, Any]:
    """A raw pod of the API server."""
    created = datetime.now(UTC) - timedelta(seconds=age)
    metadata = {"namespace": "shop", "name": "web", "uid": uid, "creationTimestamp": f"{created:%Y-%m-%dT%H:%M:%SZ}"}
    spec = {"containers": [{"name": "c", "image": "x:1"}], "schedulingGates": [{"name": gate}], "future": {"a": [1.5]}}
    return {"metadata": metadata | {"managedFields": [{"manager": "m"}]}, "spec": spec}


class Told:
    """A store, and what it tells."""

    def __init__(self) -> None:
        self.changed: list[str] = []
        self.gone: list[str] = []
        self.pods = HeldPods(lambda held: self.changed.append(held.uid), lambda held: self.gone.append(held.uid))


def test_all_of_a_pod_is_kept_but_its_managed_fields() -> None:
    """Also what this version of Kubernetes has never heard of: it is decided on, and changed, as it is."""
    raw = pod()
    held = Held.of(raw)
    del raw["metadata"]["managedFields"]
    assert held.pod() == raw
    assert (held.key, held.uid, held.gated) == (KEY, "u", True)
    assert [str(wanted) for wanted in held.wanted] == ["x:1 for shop"]
    assert isinstance(held.wanted[0], Wanted)
    assert Held.of(pod(gate="example.com/other")).gated is False


@pytest.mark.parametrize(("age", "least", "most"), [(90, 89, 92), (-90, 0, 1)])
def test_it_waits_since_its_creation(age: float, least: float, most: float) -> None:
    """A clock that is behind makes it no younger than now."""
    begun = monotonic()
    waited = Held.of(pod(age=age)).seconds()
    assert least <= waited <= most + (monotonic() - begun)


def test_a_clock_that_is_set_back_gives_no_more_time() -> None:
    """It waits since it was first seen, at the latest."""
    told = Told()
    told.pods.put(Held.of(pod(age=50)))
    told.pods.put(Held.of(pod(age=-500)))
    found = told.pods.get(KEY)
    assert found is not None
    assert found.seconds() >= 49
    told.pods.put(Held.of(pod("another", age=0)))
    found = told.pods.get(KEY)
    assert found is not None
    assert found.seconds() < 5


def test_what_a_watch_tells_of_a_released_pod_is_old() -> None:
    """Until it says that it is gone; a new pod of the same name is another one."""
    told, held = Told(), Held.of(pod())
    told.pods.put(held)
    told.pods.release(held)
    told.pods.put(held)
    told.pods.replace([held])
    assert (len(told.pods), told.changed, told.gone) == (0, ["u"], [])
    told.pods.put(Held.of(pod("v")))
    told.pods.remove(held)
    assert (len(told.pods), told.changed, told.gone) == (1, ["u", "v"], [])
    told.pods.remove(Held.of(pod("v")))
    assert (len(told.pods), told.gone) == (0, ["v"])


def test_a_list_stands_in_for_all_that_was_missed() -> None:
    """Those that are not in it are gone."""
    told = Told()
    listed = [told.pods.listed]
    told.pods.put(Held.of(pod()))
    told.pods.replace([])
    assert [*listed, told.pods.listed] == [False, True]
    assert (len(told.pods), told.gone) == (0, ["u"])


def test_only_pods_with_the_gate_are_counted() -> None:
    """A label can be put on by anybody."""
    told = Told()
    told.pods.put(Held.of(pod(gate="example.com/other")))
    assert len(told.pods) == 0
    assert [held.uid for held in told.pods] == ["u"]
