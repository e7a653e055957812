"""Whether pods tolerate taints, by each operator that the API has."""

from __future__ import annotations

from typing import Any

import pytest

from rightarch.taints import Taint, doubtful, untolerated

TAINT = Taint("sla", "950", "NoSchedule")


@pytest.mark.parametrize(
    ("toleration", "taint", "tolerated", "sure"),
    [
        ({"key": "sla", "value": "950"}, TAINT, True, True),
        ({"key": "sla", "operator": "Equal", "value": "900"}, TAINT, False, True),
        ({"key": "sla", "operator": "Exists"}, TAINT, True, True),
        ({"operator": "Exists"}, TAINT, True, True),
        ({"key": "sla", "operator": "Gt", "value": "900"}, TAINT, True, False),
        ({"key": "sla", "operator": "Gt", "value": "950"}, TAINT, False, True),
        ({"key": "sla", "operator": "Lt", "value": "1000"}, TAINT, True, False),
        ({"key": "sla", "operator": "Lt", "value": "950"}, TAINT, False, True),
        ({"key": "sla", "operator": "Gt", "value": "-1"}, TAINT, True, False),
        ({"key": "sla", "operator": "Gt", "value": "0900"}, TAINT, False, True),
        ({"key": "sla", "operator": "Gt", "value": "many"}, TAINT, False, True),
        ({"key": "sla", "operator": "Gt", "value": "900"}, Taint("sla", "", "NoSchedule"), False, True),
        ({"key": "sla", "operator": "Gt", "value": "900", "effect": "NoExecute"}, TAINT, False, True),
        ({"key": "other", "operator": "Gt", "value": "900"}, TAINT, False, True),
        ({"operator": "Gt", "value": "900"}, TAINT, False, True),
        ({"key": "sla", "operator": "Like", "value": "950"}, TAINT, False, True),
    ],
)
def test_a_taint_is_tolerated_as_its_operator_says(
    toleration: dict[str, Any], taint: Taint, tolerated: bool, sure: bool
) -> None:
    """Numbers are compared, which a scheduler may have turned off: what only that tolerates is in doubt."""
    assert (untolerated([taint], [toleration]) == ()) is tolerated
    assert doubtful([taint], [toleration]) is not sure


def test_what_is_tolerated_in_another_way_too_is_not_in_doubt() -> None:
    """One toleration is enough."""
    comparing = {"key": "sla", "operator": "Gt", "value": "900"}
    assert not doubtful([TAINT], [comparing, {"key": "sla", "operator": "Exists"}])
