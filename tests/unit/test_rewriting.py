"""Files whose content is changed: only what differs is other than it was."""

from __future__ import annotations

import copy
import difflib
import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rightarch.manifests import load
from rightarch.rewriting import Unwritable, rewritten

TERM = {"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]}


def changed(text: str, change: Any) -> str:  # noqa: ANN401 - what changes the contents
    """The lines that differ after a change of the contents, as a diff without context tells them."""
    contents = [copy.deepcopy(document.content) for document in load(text, "file")]
    change(contents)
    after = rewritten(text, contents, "file")
    lines = difflib.unified_diff(text.splitlines(keepends=True), after.splitlines(keepends=True), n=0)
    return "".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


KUBECTL = """\
# Who made it.
apiVersion: v1
metadata:
    name:   "app"     # four blanks, and quotes
    labels: { a: "b",   c: 'd' }
spec:
  containers:
  - image: x:1   # the list is in the column of its key
    args: [ "--a",
            "--b" ]
  # the end

---
# an empty one
---
kind: Other
text: |
  as it is

"""


def test_comments_order_and_indentation_stay() -> None:
    """An entry is put below the last one of its mapping, in the text's own indentation."""

    def change(contents: list[Any]) -> None:
        contents[0]["spec"]["affinity"] = {"terms": [TERM]}
        contents[0]["metadata"]["labels"]["our"] = "own"
        contents[0]["metadata"]["annotations"] = {"why": '{"it\'s": 1}'}

    assert (
        changed(KUBECTL, change)
        == """\
-    labels: { a: "b",   c: 'd' }
+    labels: { a: "b",   c: 'd', "our": 'own' }
+    annotations:
+      why: '{"it''s": 1}'
+  affinity:
+    terms:
+    - matchExpressions:
+      - key: kubernetes.io/arch
+        operator: In
+        values:
+        - amd64
"""
    )


def test_lists_are_indented_as_the_text_has_them() -> None:
    """Deeper than their key, where the first list is."""
    text = "spec:\n  containers:\n    - image: x\n"
    assert changed(text, lambda c: c[0]["spec"].update(terms=[{"a": [1]}])) == ("+  terms:\n+    - a:\n+        - 1\n")


def test_an_item_is_appended() -> None:
    """Below the last item, whatever comments follow."""
    text = "values:\n- a # first\n- b # second\n# over\nmore: 1\n"
    assert changed(text, lambda c: c[0]["values"].append({"k": "v", "l": "w"})) == "+- k: v\n+  l: w\n"


def test_text_blocks_end_before_what_is_added() -> None:
    """Without taking it in, and without losing a line that belongs to them."""
    text = "a:\n  script: |\n    one\n\n    two\n\n\nb: 1\n"
    assert changed(text, lambda c: c[0]["a"].update(k="v")) == "+  k: v\n"
    kept = "a:\n  script: |+\n    one\n\n\nb: 1\n"
    assert changed(kept, lambda c: c[0]["a"].update(k="v")) == "+  k: v\n"


def test_a_file_without_a_last_line_feed() -> None:
    """Gets none."""
    contents = [{"a": {"b": 1, "c": 2}}]
    assert rewritten("a:\n  b: 1", contents, "f") == "a:\n  b: 1\n  c: 2"


def test_windows_line_ends_stay() -> None:
    """And what is added has them too; as a mark at the beginning stays."""
    contents = [{"a": {"b": 1, "c": {"d": 2}}, "e": 3}]
    assert rewritten("\ufeffa:\r\n  b: 1 # x\r\ne: 3\r\n", contents, "f") == (
        "\ufeffa:\r\n  b: 1 # x\r\n  c:\r\n    d: 2\r\ne: 3\r\n"
    )


@pytest.mark.parametrize("empty", ["{}", "", " ~", " null # none"])
def test_what_was_empty_is_filled(empty: str) -> None:
    """Whatever stood there for nothing."""
    text = f"metadata:\n  labels: {empty}\n  name: n\n"
    contents = [{"metadata": {"labels": {"a": "b"}, "name": "n"}}]
    assert yaml.safe_load(rewritten(text, contents, "f")) == contents[0]


def test_entries_are_removed_with_their_lines() -> None:
    """The first one after a dash too."""
    text = "- a: 1 # one\n  b: 2\n- c:\n    d: |\n      text\n  e: 5\n"

    def change(contents: list[Any]) -> None:
        del contents[0][0]["a"]
        del contents[0][1]["c"]

    assert changed(text, change) == "-- a: 1 # one\n-  b: 2\n-- c:\n-    d: |\n-      text\n-  e: 5\n+- b: 2\n+- e: 5\n"
    assert changed("a:\n  b: 1\n", lambda c: c[0]["a"].clear()) == "-a:\n-  b: 1\n+a: {}\n"


def test_values_are_replaced() -> None:
    """In their place, with the comments around them."""
    text = "terms: # ours\n- values:\n  - amd64\n  - arm64\nnote: '{\"a\": 1}' # theirs\n"

    def change(contents: list[Any]) -> None:
        contents[0]["terms"][0]["values"] = ["amd64"]
        contents[0]["note"] = '{"a": 2}'

    assert changed(text, change) == ("-  - arm64\n-note: '{\"a\": 1}' # theirs\n+note: '{\"a\": 2}' # theirs\n")


JSON = """\
{
    "kind": "Pod",
    "metadata": {
        "labels": {}
    },
    "spec": {
        "html": "\\u003cb\\u003e",
        "containers": [
            {
                "image": "x"
            }
        ]
    }
}
"""


def test_json_stays_json() -> None:
    """In the lines and with the escapes that it has."""

    def change(contents: list[Any]) -> None:
        contents[0]["spec"]["affinity"] = {"terms": [TERM]}

    assert (
        changed(JSON, change)
        == """\
-        ]
+        ],
+        "affinity": {
+            "terms": [
+                {
+                    "matchExpressions": [
+                        {
+                            "key": "kubernetes.io/arch",
+                            "operator": "In",
+                            "values": [
+                                "amd64"
+                            ]
+                        }
+                    ]
+                }
+            ]
+        }
"""
    )


def test_json_with_tabs() -> None:
    """Which are white space there as well."""
    text = '{\n\t"a": {\n\t\t"b": [\n\t\t\t1\n\t\t]\n\t}\n}\n'
    assert changed(text, lambda c: c[0]["a"].update(c=2)) == '-\t\t]\n+\t\t],\n+\t\t"c": 2\n'


def test_what_is_shared_is_refused() -> None:
    """An anchor or a merge whose other use must not change: with the file and what to do."""
    anchor = "a: &x {b: 1}\nc: *x\n"
    with pytest.raises(Unwritable, match=r"file: .* anchor or a merge .* write it out"):
        rewritten(anchor, [{"a": {"b": 1, "d": 2}, "c": {"b": 1}}], "file")
    merge = "base: &x\n  b: {e: 1}\nc:\n  <<: *x\n"
    with pytest.raises(Unwritable):
        rewritten(merge, [{"base": {"b": {"e": 1}}, "c": {"b": {"e": 1, "f": 2}}}], "file")


def test_what_is_shared_and_not_changed_is_no_matter() -> None:
    """An alias is a value like others, also as the last one."""
    assert changed("x: &x {a: 1}\nc:\n  d: *x\ne: 1\n", lambda c: c[0]["c"].update(f=2)) == "+  f: 2\n"


keys = st.text("abc", min_size=1, max_size=2)
leaves = st.none() | st.booleans() | st.integers(0, 9) | st.text("a: -#'\"\n|{[é", max_size=12)
contents = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=12
)
forms = st.sampled_from(["block", "flow", "mixed", "json", "pretty"])


def text_of(content: object, form: str) -> str:
    """A text that holds something."""
    if form in {"json", "pretty"}:
        return json.dumps(content, indent=2 if form == "pretty" else None) + "\n"
    flow = {"block": False, "flow": True, "mixed": None}[form]
    dumped: str = yaml.safe_dump(content, default_flow_style=flow, allow_unicode=True, sort_keys=False)
    return dumped


@given(
    before=st.dictionaries(keys, contents, min_size=1, max_size=3),
    after=st.dictionaries(keys, contents, min_size=1, max_size=3),
    form=forms,
)
def test_any_content_can_become_any_other(before: object, after: object, form: str) -> None:
    """Whatever is in the text and in whichever form; what is read from it is what was wanted."""
    text = text_of(before, form)
    assert [document.content for document in load(rewritten(text, [after], "f"), "f")] == [after]


@given(
    before=st.dictionaries(keys, contents, min_size=1, max_size=3),
    added=contents,
    form=st.sampled_from(["block", "mixed"]),
)
def test_what_is_added_moves_no_other_line(before: dict[str, Any], added: object, form: str) -> None:
    """All lines of a text in blocks are there afterwards, in their order."""
    text = text_of({"in": before} | before, form)
    after = rewritten(text, [{"in": before} | before | {"added": added}], "f").splitlines()
    remaining = iter(after)
    assert all(line in remaining for line in text.splitlines())
