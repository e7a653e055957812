"""The algebra of label values: its laws, and agreement with plain membership."""

from hypothesis import given
from hypothesis import strategies as st

from rightarch.affinity import Constraints, Preference, Requirement, Values, Writing

NAMES = ("amd64", "arm64", "arm", "s390x")
operators = st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"])
sets = st.builds(Values.of, operators, st.lists(st.sampled_from(NAMES), max_size=3))


def members(values: Values) -> set[str | None]:
    """The set as plain members; None stands for a node without the label, 'other' for any other value."""
    return {name for name in (*NAMES, "other") if name in values} | ({None} if values.absent else set())


@given(sets, sets)
def test_intersection_is_that_of_the_members(a: Values, b: Values) -> None:
    """A node passes two requirements iff it passes each."""
    assert members(a & b) == members(a) & members(b)


@given(sets, sets, sets)
def test_intersection_is_a_meet(a: Values, b: Values, c: Values) -> None:
    """ANDing is associative, commutative and idempotent, whatever the order of expressions in a term."""
    assert (a & b) & c == a & (b & c)
    assert a & b == b & a
    assert a & a == a


@given(sets, st.frozensets(st.sampled_from(NAMES)))
def test_within_means_that_every_passing_node_has_an_allowed_value(a: Values, allowed: frozenset[str]) -> None:
    """Only then nothing has to be appended."""
    assert a.within(allowed) == (members(a) <= allowed)


@given(sets)
def test_empty_means_that_no_node_passes(a: Values) -> None:
    """Emptiness agrees with membership."""
    assert a.empty == (not members(a))


def test_not_in_and_does_not_exist_pass_nodes_without_the_label() -> None:
    """As the API reference has it; all other operators need the label."""
    assert [Values.of(o, ["x"]).absent for o in ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")] == [
        False, True, False, True, False, False,
    ]  # fmt: skip


def test_what_is_appended_is_taken_away_again() -> None:
    """A second invocation sees the constraints as the user wrote them."""
    own = Constraints({}, [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}, {}])
    writing = own.narrowed([Requirement("kubernetes.io/arch", ("amd64",))])
    written = Constraints({}, own.with_(writing))
    assert written.terms == [
        {
            "matchExpressions": [
                {"key": "zone", "operator": "In", "values": ["a"]},
                {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
            ]
        },
        {},
    ]
    assert written.without(Writing.read(writing.raw()) or Writing()) == own


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_a_forged_record_is_no_error(raw: object) -> None:
    """Whoever makes a pod can write any annotation."""
    writing = Writing.read(raw)
    assert writing is None or Writing.read(writing.raw()) == writing


def test_forged_shapes_that_look_right_are_no_error() -> None:
    """Records that have the right members with wrong values inside, whatever labels of nodes may be ours."""
    shapes: tuple[object, ...] = (
        {"x": []}, {"0": 1}, {"0": [[]]}, {"0": [1]}, {"0": None}, [], 1, None, {"0": [["zone", "b"]]},
        {"0": [["zone", ["a"]]]}, {"0": [["kubernetes.io/arch"]]}, {"0": [["kubernetes.io/arch", [["deep"]]]]},
        {"0": [["kubernetes.io/arch", {}]]}, {"0": [[["zone"], "a"]]}, {"9" * 5000: []},
    )  # fmt: skip
    for terms in shapes:
        for labels in ((), {("zone", "a")}):
            assert Writing.read({"created": True, "terms": terms}, labels) is None
    preferences: tuple[object, ...] = (
        1,
        [1],
        [[]],
        [[1]],
        [[0, "arm64"]],
        [[101, "arm64"]],
        [["1", "arm64"]],
        [[1, []]],
    )
    for forged in preferences:
        assert Writing.read({"created": False, "terms": {}, "preferred": forged}) is None
    for forged in (1, {}, [1], [[]], [{"key": ["deep"]}], [{"key": {}}], [{"key": None}], [{"key": 1.5}]):
        assert Writing.read({"created": False, "terms": {}, "tolerations": forged}) is None


def test_all_that_is_written_is_read_again() -> None:
    """Requirements of labels that may be ours, preferences and tolerations too."""
    writing = Writing(
        {0: (Requirement("kubernetes.io/arch", ("arm64",)), Requirement("zone", ("a",)))},
        created=True,
        preferences=(Preference(80, ("amd64", "arm64")),),
        tolerations=({"key": "arm", "operator": "Exists", "tolerationSeconds": 60},),
    )
    assert Writing.read(writing.raw(), {("zone", "a")}) == writing
    assert Writing.read(writing.raw()) is None
