"""JSON Schema -> the lists of fields that the documentation shows. Called by `docs_page`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape

DEEPEST = 4


@dataclass
class Field:
    """One property or parameter."""

    name: str
    kind: str
    required: bool = False
    text: Markup = field(default_factory=Markup)
    notes: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    children: list[Field] = field(default_factory=list)


def spans(text: str) -> Markup:
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def fields(schema: Mapping[str, Any], components: Mapping[str, Any], depth: int = 0) -> Iterator[Field]:
    """The properties of an object."""
    schema = resolved(schema, components)
    for name, property_ in schema.get("properties", {}).items():
        yield field_of(name, property_, name in schema.get("required", []), components, depth)


def field_of(name: str, schema: Mapping[str, Any], required: bool, components: Mapping[str, Any], depth: int) -> Field:
    inner: Mapping[str, Any] = schema
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1:
        inner = {**schema, **kinds[0]}
    items = resolved(inner, components)
    if items.get("type") == "array" and isinstance(items.get("items"), Mapping):
        items = resolved(items["items"], components)
    children = list(fields(items, components, depth + 1)) if depth < DEEPEST else []
    return Field(name, kind_of(schema, components), required, spans(str(schema.get("description", ""))), notes_of(inner), _values(inner), children)


def kind_of(schema: Mapping[str, Any], components: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return kind_of(resolved(schema, components), components)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind_of(kind, components) for kind in schema["anyOf"]))
    if "const" in schema:
        return json.dumps(schema["const"])
    if schema.get("type") == "array":
        inner = schema.get("items")
        return f"list of {kind_of(inner, components)}" if isinstance(inner, Mapping) else "list"
    if schema.get("format") == "binary":
        return "file"
    return str(schema.get("type", "string" if "enum" in schema else "anything"))


def notes_of(schema: Mapping[str, Any]) -> list[str]:
    """Bounds in words."""
    words = {
        "minimum": "at least {}", "exclusiveMinimum": "more than {}", "maximum": "at most {}", "exclusiveMaximum": "less than {}",
        "minLength": "{} characters or more", "maxLength": "{} characters at most", "minItems": "{} items or more", "maxItems": "{} items at most",
        "pattern": "matches {}", "format": "{}",
    }  # fmt: skip
    if schema.get("minLength") == 1:
        words["minLength"] = "not empty"
    notes = [text.format(schema[name]) for name, text in words.items() if name in schema and schema[name] != "binary"]
    if schema.get("default") not in (None, {}, []) and "const" not in schema:
        notes.append(f"default {json.dumps(schema['default'])}" if not isinstance(schema["default"], dict) else "")
    return [note for note in notes if note]


def _values(schema: Mapping[str, Any]) -> list[str]:
    return [str(value) for value in schema.get("enum", [])]


def resolved(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        found: Mapping[str, Any] = components[schema["$ref"].rpartition("/")[2]]
        return found
    return schema
