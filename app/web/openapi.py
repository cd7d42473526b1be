"""The route table -> OpenAPI 3.1. Schemas come from the models that validate, statuses and shapes of refusals from the functions that refuse:
each row's `refuse` is asked what it would answer. Built once a process, by `docs`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request

from app import __version__
from app.core import errors
from app.core.errors import VoxproofError
from app.service.quotas import ALLOWANCES
from app.web import about
from app.web.contract import EVENTS
from app.web.errors import Problem
from app.web.schemas import DIALECT, Schemas, Wanted, without_unused
from app.web.table import About, Endpoint

JSON, FORM = "application/json", "multipart/form-data"
# What reading a body can come to, beside what the row names.
BODY_ERRORS = (errors.BadMessage, errors.UploadTooLarge, errors.UploadTooSlow)
JSON_ERRORS = (errors.BadJson, errors.BadUtf8, errors.BadField)

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


def openapi(app: Starlette, rows: Iterable[Endpoint], tuned: Mapping[str, Mapping[str, Any]], limits: Mapping[str, str]) -> dict[str, Any]:
    """The document of an application that runs. `tuned` narrows fields by name to what this server's model takes, `limits` are sentences about it."""
    shown = [(row, row.about) for row in rows if row.about is not None]
    events: list[Wanted] = [(model, "serialization") for models in EVENTS.values() for model in models]
    schemas = Schemas([*(wanted for _, text in shown for wanted in _models(text)), *events])
    tune(schemas.components.values(), tuned)
    paths: dict[str, Any] = {}
    for row, text in shown:
        paths.setdefault(_PARAMETER.sub(r"{\1}", row.path), {})[row.method.lower()] = _operation(app, row, text, schemas)
    used = {text.tag for _, text in shown}
    document = {
        "openapi": "3.1.0",
        "jsonSchemaDialect": DIALECT,
        "info": {
            "title": "Voxproof",
            "version": __version__,
            "summary": about.SUMMARY,
            "description": about.introduction(limits),
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This server."}],
        "tags": [{"name": name, "description": text} for name, text in about.TAGS.items() if name in used],
        "paths": paths,
        "webhooks": {event: _delivery(event, [schemas.of(model, "serialization") for model in models]) for event, models in EVENTS.items()},
        "components": {"schemas": schemas.components, "securitySchemes": about.SECURITY, "headers": about.HEADERS},
    }
    return without_unused(document)


def _delivery(event: str, data: list[dict[str, Any]]) -> dict[str, Any]:
    body = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": event},
            "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
            "data": data[0] if len(data) == 1 else {"oneOf": data},
        },
    }
    parameters = [
        {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}} for name, text in about.DELIVERY.items()
    ]
    operation = {
        "summary": about.EVENT_TEXTS[event],
        "operationId": "on" + "".join(word.capitalize() for word in re.findall("[a-z]+", event)),
        "tags": ["webhooks"],
        "security": [],
        "parameters": parameters,
        "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
        "responses": {"2XX": {"description": "Taken."}, "410": {"description": "Gone: send no more."}},
    }
    return {"post": operation}


def operation_id(row: Endpoint) -> str:
    """What generated clients call it."""
    words = [row.method.lower(), *re.findall(r"[a-z0-9]+", row.path)]
    return str(words[0]) + "".join(word.capitalize() for word in words[1:] or ["home"])


def samples(text: About) -> dict[str, Any]:
    """Content type -> a body to show. One that is given without a type is JSON."""
    if text.sample is None:
        return {}
    return dict(text.sample) if set(text.sample) <= set(_by_kind(text.body)) else {JSON: text.sample}


def security(row: Endpoint) -> list[dict[str, list[str]]]:
    """Either of the two ways to send a key of this scope; `any` asks for a key, whatever its scopes."""
    if row.scope is None:
        return []
    scopes: list[str] = [] if row.scope == "any" else [row.scope]
    return [{"bearer": scopes}, {"apiKey": scopes}]


def raised(row: Endpoint, text: About) -> list[type[VoxproofError]]:
    """Every error of a row: its own, and those of what stands before its handler."""
    found: list[type[VoxproofError]] = [*text.errors]
    if row.scope is not None:
        found += about.GUARDED
    if row.allowance:
        found += (errors.RateLimited, errors.LimitsUnavailable)
    if text.query is not None:
        found.append(errors.BadField)
    if text.body is not None:
        kinds = set(_by_kind(text.body))
        found += BODY_ERRORS
        found += JSON_ERRORS if JSON in kinds else ()
        found += (errors.WrongContentType,) if bytes not in _by_kind(text.body).values() else ()  # else anything is a file
    return list(dict.fromkeys([*found, errors.Internal]))


def _models(text: About) -> Iterator[Wanted]:
    for model in (text.path, text.query, text.headers, *_by_kind(text.body).values()):
        if _is_model(model):
            yield model, "validation"
    for answer in (text.answer, *text.answers.values(), text.refusal or Problem):
        for model in _by_kind(answer).values():
            if _is_model(model):
                yield model, "serialization"


def _operation(app: Starlette, row: Endpoint, text: About, schemas: Schemas) -> dict[str, Any]:
    written: dict[str, Any] = {
        "operationId": operation_id(row),
        "summary": text.summary,
        "description": text.description or text.summary,
        "tags": [text.tag],
        "security": [] if row.scope is None else [{name: [row.scope] if row.scope != "any" else []} for name in ("bearer", "apiKey")],
    }
    if parameters := list(_parameters(row, text, schemas)):
        written["parameters"] = parameters
    if text.body is not None:
        found = samples(text)
        content = {
            kind: _media(kind, model, schemas, "validation", found.get(kind) if kind == JSON else None) for kind, model in _by_kind(text.body).items()
        }
        written["requestBody"] = {"required": True, "content": content}
    written["responses"] = dict(sorted(_responses(app, row, text, schemas).items()))
    if text.deprecated:
        written["deprecated"] = True
    return {**written, **text.extra}


def _responses(app: Starlette, row: Endpoint, text: About, schemas: Schemas) -> dict[str, Any]:
    names = (*about.COUNTED, *(about.COUNTED_IETF if row.allowance and ALLOWANCES[row.allowance].ietf else ())) if row.allowance else ()
    counted = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    found: dict[str, Any] = {}
    for status, answer in {text.status: text.answer, **text.answers}.items():
        shown = text.shown if status == text.status else None
        content = {kind: _media(kind, model, schemas, "serialization", shown) for kind, model in _by_kind(answer).items()}
        found[str(status)] = {"description": f"{HTTPStatus(status).phrase}.", **({"headers": counted} if counted else {})}
        if content:
            found[str(status)]["content"] = content
        if links := about.LINKS.get(operation_id(row)):
            found[str(status)]["links"] = {name: {"operationId": to, "parameters": given} for name, (to, given) in links.items()}
    for error in raised(row, text):
        status, kind, headers, body = refused(app, row, error)
        entry = found.setdefault(str(status), {"description": ""})
        if "content" not in entry:
            entry["content"] = {}
        media = entry["content"].setdefault(kind, _media(kind, text.refusal or Problem, schemas, "serialization", None))
        media.setdefault("examples", {})[error.code] = {"summary": error.default_message, "value": body}
        entry["description"] = f"{entry['description']} `{error.code}`: {error.default_message}".strip()
        for name in headers:
            entry.setdefault("headers", {})[name] = {"$ref": f"#/components/headers/{name}"}
    return found


def refused(app: Starlette, row: Endpoint, error: type[VoxproofError]) -> tuple[int, str, list[str], Any]:
    """Status, content type, documented headers and body of what a row answers to an error."""
    waiting = about.WAIT_MS if error in about.WAITING else None
    scope: dict[str, Any] = {"type": "http", "method": row.method, "path": row.path, "root_path": "", "headers": [], "query_string": b"", "app": app}
    scope["state"] = {"request_id": about.REQUEST_ID}
    response = row.refuse(Request(scope), error(retry_after_ms=waiting))
    headers = [name for name in about.HEADERS if name in response.headers and name not in about.COUNTED]
    kind = response.headers["content-type"].partition(";")[0]
    return response.status_code, kind, headers, json.loads(bytes(response.body))


def _parameters(row: Endpoint, text: About, schemas: Schemas) -> Iterator[dict[str, Any]]:
    in_path = _PARAMETER.findall(row.path)
    for place, model in (("path", text.path), ("query", text.query), ("header", text.headers)):
        if model is None:
            continue
        schema = schemas.resolved(schemas.of(model, "validation"))
        for name, property_ in schema.get("properties", {}).items():
            if name in text.omit:
                continue
            property_ = without_null(property_)
            described = property_.pop("description", "")
            required = place == "path" or name in schema.get("required", [])
            yield {"name": name, "in": place, "required": required, **({"description": described} if described else {}), "schema": property_}
            in_path = [other for other in in_path if other != name] if place == "path" else in_path
    for name in in_path:
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter is there or absent; `null` is a word of JSON."""
    written = dict(schema)
    if written.get("default", 0) is None:
        del written["default"]
    kinds = [kind for kind in written.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del written["anyOf"]
        written = {**kinds[0], **written}
    elif kinds:
        written["anyOf"] = kinds
    return written


def _media(kind: str, model: Any, schemas: Schemas, mode: Any, sample: Any) -> dict[str, Any]:
    if model is bytes:
        return {"schema": {"type": "string", "format": "binary"}}
    if model is str:
        return {"schema": {"type": "string"}}
    schema = dict(model) if isinstance(model, Mapping) else schemas.of(model, mode)
    if kind == FORM:  # as of parameters, so of a form's fields: they are there or absent
        whole = schemas.resolved(schema)
        schema = {**whole, "properties": {name: without_null(property_) for name, property_ in whole["properties"].items()}}
    return {"schema": schema, **({"example": sample} if sample is not None else {})}


def _by_kind(model: Any) -> dict[str, Any]:
    """Content type -> model."""
    if model is None:
        return {}
    return dict(model) if isinstance(model, Mapping) else {JSON: model}


def _is_model(model: Any) -> bool:
    return isinstance(model, type) and (issubclass(model, BaseModel) or is_dataclass(model))


def tune(components: Iterable[Any], tuned: Mapping[str, Mapping[str, Any]]) -> None:
    """Narrows every property of a tuned name."""
    for component in components:
        for name, property_ in component.get("properties", {}).items():
            if name in tuned and component["title"] in ("Config", "StreamQuery"):
                for kind in property_.get("anyOf", [property_]):
                    if kind != {"type": "null"}:
                        kind.update(tuned[name])
