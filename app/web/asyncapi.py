"""The sockets of the route table -> AsyncAPI 3. Payloads are the models that parse and make the messages. Built once a process, by `docs`.

Seen from the server, as AsyncAPI is: it receives what clients send. Schemas are draft 07 there, which has no `prefixItems`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app import __version__
from app.web import about
from app.web.openapi import tune, without_null
from app.web.schemas import Schemas, Wanted, without_unused
from app.web.table import Channel, Talk


def asyncapi(channels: Iterable[Channel], tuned: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The document."""
    shown = [(channel, channel.about) for channel in channels if channel.about is not None]
    schemas = Schemas(wanted for _, talk in shown for wanted in _models(talk))
    tune(schemas.components.values(), tuned)
    messages: dict[str, Any] = {}
    written: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for channel, talk in shown:
        name = channel_name(channel)
        ways = {"receive": [(kind, "validation") for kind in talk.hears], "send": [(kind, "serialization") for kind in talk.says]}
        for models in ways.values():
            for kind, mode in models:
                messages[kind.__name__] = _message(kind, schemas, mode)
        if talk.binary:
            messages[f"{name}Audio"] = {
                "name": "audio samples", "title": "Samples", "summary": talk.binary, "contentType": "application/octet-stream",
                "payload": {"type": "string", "format": "binary"},
            }  # fmt: skip
        heard = [kind.__name__ for kind in talk.hears] + ([f"{name}Audio"] if talk.binary else [])
        said = [kind.__name__ for kind in talk.says]
        written[name] = {
            "address": channel.path,
            "title": talk.summary,
            "description": talk.description,
            "messages": {each: {"$ref": f"#/components/messages/{each}"} for each in dict.fromkeys([*heard, *said])},
            "bindings": {"ws": {"method": "GET", **_query(talk, schemas), "bindingVersion": "0.1.0"}},
        }
        for action, names in (("receive", heard), ("send", said)):
            operations[f"{name}.{action}"] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{name}"},
                "messages": [{"$ref": f"#/channels/{name}/messages/{each}"} for each in names],
                "security": [{"$ref": f"#/components/securitySchemes/{scheme}"} for scheme in SECURITY],
                "description": f"Needs the scope `{channel.scope}`.",
            }
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Voxproof, live",
            "version": __version__,
            "description": f"{about.SUMMARY} The HTTP routes are in `/openapi.json`.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "this": {
                "host": "{host}",
                "protocol": "ws",
                "variables": {"host": {"default": "127.0.0.1:8000", "description": "Host and port, `wss` behind TLS."}},
            }
        },
        "channels": written,
        "operations": operations,
        "components": {"schemas": schemas.components, "messages": messages, "securitySchemes": SECURITY},
    }
    converted = _draft_07(without_unused(document))
    assert isinstance(converted, dict)
    return converted


SECURITY: dict[str, Any] = {
    "bearer": about.SECURITY["bearer"],
    "apiKey": {"type": "httpApiKey", "in": "header", "name": "X-API-Key", "description": about.SECURITY["apiKey"]["description"]},
    "token": {
        "type": "httpApiKey",
        "in": "query",
        "name": "token",
        "description": "A browser token; better as the subprotocol pair `voxproof.v1`, `token.<base64url of it>`, which stays out of logs.",
    },
}


def channel_name(channel: Channel) -> str:
    """What the document calls it: `stream`, `ws`."""
    return re.sub(r"\W+", "_", channel.path.removeprefix("/v1")).strip("_")


def _models(talk: Talk) -> Iterator[Wanted]:
    yield from ((kind, "validation") for kind in (*talk.hears, *([talk.query] if talk.query else [])))
    yield from ((kind, "serialization") for kind in talk.says)


def _message(kind: type, schemas: Schemas, mode: Any) -> dict[str, Any]:
    schema = schemas.resolved(schemas.of(kind, mode))
    name = schema.get("properties", {}).get("type", {}).get("const", kind.__name__)
    summary = schema.get("description", "").split("\n")[0]
    return {
        "name": name,
        "title": name,
        **({"summary": summary} if summary else {}),
        "contentType": "application/json",
        "payload": schemas.of(kind, mode),
    }


def _query(talk: Talk, schemas: Schemas) -> dict[str, Any]:
    if talk.query is None:
        return {}
    properties = schemas.resolved(schemas.of(talk.query, "validation"))["properties"]
    return {"query": {"type": "object", "properties": {name: without_null(schema) for name, schema in properties.items()}}}


def _draft_07(node: Any) -> Any:
    if isinstance(node, list):
        return [_draft_07(item) for item in node]
    if isinstance(node, dict):
        return {("items" if name == "prefixItems" else name): _draft_07(value) for name, value in node.items()}
    return node
