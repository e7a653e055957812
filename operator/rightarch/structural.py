"""Structural schemas: what Kubernetes takes of OpenAPI, made of pydantic models.

Pydantic writes JSON Schema with references, titles and ``anyOf null``; a CustomResourceDefinition has none of these.
Source: the Kubernetes documentation of CustomResourceDefinitions, on structural schemas and their pruning.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

from pydantic import BaseModel

Schema = dict[str, Any]

_REFERENCE: Final = "#/$defs/"
_FOREIGN: Final = frozenset({"title", "$defs", "additionalProperties", "patternProperties", "propertyNames", "default"})
"""Keywords that say nothing to Kubernetes, or that are written otherwise there."""


def rules(*pairs: tuple[str, str]) -> Schema:
    """CEL rules as a schema carries them: pairs of a rule and what is told where it is broken."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


def structural(model: type[BaseModel]) -> Schema:
    """The structural schema of a model, with its descriptions, bounds and ``x-kubernetes-`` extensions.

    Raises:
        ValueError: the model has a union of types, for which Kubernetes has no schema.
    """
    schema = model.model_json_schema(by_alias=True)
    return _plain(schema, schema.get("$defs", {}))


def _plain(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """A schema without references and without what Kubernetes does not know; the outer description wins."""
    merged = _resolved(schema, definitions)
    plain = {key: deepcopy(value) for key, value in merged.items() if key not in _FOREIGN}
    if "const" in plain:
        plain["enum"] = [plain.pop("const")]
    if "properties" in plain:
        properties = plain["properties"]
        plain["properties"] = {name: _plain(each, definitions) for name, each in properties.items()}
    elif values := _values(merged):
        plain["additionalProperties"] = _plain(values, definitions)
    if "items" in plain:
        plain["items"] = _plain(plain["items"], definitions)
    if "description" in plain:
        plain["description"] = _paragraphs(plain["description"])
    return plain | _default(plain, merged.get("default"))


def _values(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """The schema of a map's values. What its keys look like, a structural schema can't say."""
    patterned = list((schema.get("patternProperties") or {}).values())
    return patterned[0] if patterned else schema.get("additionalProperties")


def _default(plain: Schema, value: object) -> Schema:
    """What the API server writes where nothing was said; of an object, what its fields say. Nothing for nothing."""
    if plain.get("type") == "object":
        fields = plain.get("properties", {}).values()
        return {"default": {}} if value is not None and any("default" in each for each in fields) else {}
    return {} if value is None or value in ("", [], ()) else {"default": value}


def _paragraphs(text: str) -> str:
    """A docstring's text with its lines joined: whoever shows it breaks them anew."""
    return "\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """The schema with what it refers to, or with its one alternative to null, in the place of the pointer to it."""
    own = {key: value for key, value in schema.items() if key not in {"$ref", "anyOf"}}
    if "$ref" in schema:
        return _resolved(definitions[schema["$ref"].removeprefix(_REFERENCE)], definitions) | own
    if "anyOf" in schema:
        kinds = [kind for kind in schema["anyOf"] if kind != {"type": "null"}]
        if len(kinds) != 1:
            raise ValueError(f"a structural schema has no unions: {schema}")
        return _resolved(kinds[0], definitions) | own
    return own
