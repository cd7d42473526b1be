"""Pydantic models -> JSON Schema (2020-12). `Schemas` is given every model a document names, then asked for each by reference.

What a model alone does not say is added here: `type`, which every message carries; titles nobody reads are left out. Called by `openapi` and
`asyncapi`. The models are those that validate, so no schema is written twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from app.core.messages import Message
from app.core.wire import CLIENT_TYPES

REF = "#/components/schemas/{model}"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPE_OF = {kind: name for name, kind in CLIENT_TYPES.items()}

Wanted = tuple[Any, JsonSchemaMode]  # a model or dataclass; "validation": what we take, "serialization": what we give


class Schemas:
    """The components of one document."""

    def __init__(self, wanted: Iterable[Wanted]) -> None:
        unique = sorted(set(wanted), key=lambda pair: (pair[0].__name__, pair[1]))
        generator = _Generator(ref_template=REF)
        self._refs, self.components = generator.generate_definitions([(model, mode, _core(model)) for model, mode in unique])
        self.components = dict(sorted(self.components.items()))

    def of(self, model: Any, mode: JsonSchemaMode) -> dict[str, Any]:
        """A reference to one of the models asked for at the start."""
        return dict(self._refs[model, mode])

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema itself, where it is a reference to a component."""
        name = schema.get("$ref", "").rpartition("/")[2]
        return dict(self.components[name]) if name else schema


def without_unused(document: dict[str, Any]) -> dict[str, Any]:
    """A document less the components that nothing refers to: models of parameters are written out where they are used."""
    parts, components = {**document, "components": {}}, document["components"]["schemas"]
    used: set[str] = set()
    todo = list(references(parts)) + list(references({**document["components"], "schemas": {}}))
    while todo:
        name = todo.pop()
        if name not in used and name in components:
            used.add(name)
            todo += references(components[name])
    document["components"]["schemas"] = {name: schema for name, schema in components.items() if name in used}
    return document


def references(node: Any) -> Iterator[str]:
    """The names of all schemas a part of a document refers to."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str) and node["$ref"].startswith("#/components/schemas/"):
            yield node["$ref"].rpartition("/")[2]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def _core(model: Any) -> Any:
    return model.__pydantic_core_schema__ if isinstance(model, type) and issubclass(model, BaseModel) else TypeAdapter(model).core_schema


class _Generator(GenerateJsonSchema):
    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        written = super().model_schema(schema)
        kind = schema["cls"]
        name = kind.type if issubclass(kind, Message) and hasattr(kind, "type") else _TYPE_OF.get(kind)
        if name is not None:
            written["properties"] = {"type": {"const": name}, **written.get("properties", {})}
            always = ["type", "seq"] if issubclass(kind, Message) else ["type"]
            written["required"] = [*always, *(n for n in written.get("required", []) if n not in always)]
        return written

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False
