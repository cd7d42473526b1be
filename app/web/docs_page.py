"""The two documents -> what `templates/docs.html` shows: plain values, no logic left for the template. Called by `docs`, once a process.

Pygments colours the examples; it is imported here, when the page is first asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from markupsafe import Markup

from app.core.errors import every_error
from app.status import STATUS
from app.web import about
from app.web.asyncapi import channel_name
from app.web.docs_fields import Field, field_of, fields, spans
from app.web.openapi import JSON, operation_id, samples, security
from app.web.snippets import BASE, LANGUAGES, Call, snippets, written
from app.web.table import Channel, Endpoint

LEXERS = {"sh": "bash", "py": "python", "mjs": "javascript", "json": "json"}
NAMES = {
    "detect": "Files", "sessions": "Sessions", "tokens": "Browser tokens", "reports": "Reports", "webhooks": "Webhooks", "older": "Older contracts",
    "operations": "Operations", "documentation": "Documents",
}  # fmt: skip


@dataclass
class Code:
    """A block of source, coloured."""

    language: str
    label: str
    html: Markup


@dataclass
class Refused:
    status: str
    code: str
    message: str


@dataclass
class Operation:
    id: str
    method: str
    path: str
    title: str
    text: Markup
    scope: str | None
    parameters: list[Field]
    bodies: list[tuple[str, list[Field]]]
    answers: list[tuple[str, str, list[Field]]]  # status, content type, fields
    refused: list[Refused]
    requests: list[Code]
    shown: Code | None


@dataclass
class SocketMessage:
    name: str
    id: str
    text: Markup
    fields: list[Field]


@dataclass
class Socket:
    id: str
    path: str
    title: str
    text: Markup
    scope: str
    parameters: list[Field]
    heard: list[SocketMessage]
    said: list[SocketMessage]
    examples: list[Code]
    shown: Code | None


@dataclass
class Group:
    id: str
    title: str
    text: Markup
    operations: list[Operation]
    events: list[SocketMessage] = field(default_factory=list)
    guide: Guide | None = None


@dataclass
class Guide:
    """Examples that are no single request."""

    title: str
    text: Markup
    examples: list[Code]


@dataclass
class Trouble:
    """A row of the errors table."""

    code: str
    http: int
    close: int
    retryable: bool
    message: str


def page(openapi: Mapping[str, Any], asyncapi: Mapping[str, Any], rows: Iterable[Endpoint], channels: Iterable[Channel]) -> dict[str, Any]:
    """The template's variables."""
    listed = list(rows)
    groups = [_group(openapi, tag, [row for row in listed if row.about and row.about.tag == tag["name"]]) for tag in openapi["tags"]]
    return {
        "version": openapi["info"]["version"],
        "summary": openapi["info"]["summary"],
        "introduction": rich(openapi["info"]["description"]),
        "groups": groups,
        "sockets": [_socket(asyncapi, channel) for channel in channels if channel.about is not None],
        "errors": [
            Trouble(error.code, STATUS[error.code].http, STATUS[error.code].close, STATUS[error.code].retryable, error.default_message)
            for error in every_error()
        ],
        "scopes": about.SCOPE_TEXTS,
        "first": next((operation.requests for group in groups for operation in group.operations if operation.path == "/v1/detect"), []),
    }


def _group(document: Mapping[str, Any], tag: Mapping[str, str], rows: list[Endpoint]) -> Group:
    name = tag["name"]
    guide = about.GUIDES.get(name)
    shown = Guide(guide[0], rich(guide[1]), [code(kind, text) for kind, text in written(guide[2]).items()]) if guide else None
    events = [_event(event, delivery["post"], document) for event, delivery in document["webhooks"].items() if delivery["post"]["tags"] == [name]]
    return Group(name, NAMES[name], rich(tag["description"]), [_operation(document, row) for row in rows], events, shown)


def _event(name: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> SocketMessage:
    body = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]
    components = document["components"]["schemas"]
    text = (
        spans(operation["summary"]) + Markup("; <code>data</code> is one of these.") if "oneOf" in body["data"] else spans(operation["summary"] + ".")
    )
    either = body["data"].get("oneOf", [body["data"]])
    shown = [field_of("data", schema, True, components, 0) for schema in either]
    return SocketMessage(name, f"event-{operation['operationId']}", text, [field_of("timestamp", body["timestamp"], True, components, 0), *shown])


def rich(text: str) -> Markup:
    """CommonMark's paragraphs, flat lists and code spans; nothing else is written here."""
    blocks = []
    for block in re.split(r"\n{2,}", text.strip()):
        lines = block.split("\n")
        if all(line.startswith("- ") for line in lines):
            blocks.append(Markup("<ul>") + Markup("").join(Markup("<li>") + spans(line[2:]) + Markup("</li>") for line in lines) + Markup("</ul>"))
        else:
            blocks.append(Markup("<p>") + spans(" ".join(lines)) + Markup("</p>"))
    return Markup("\n").join(blocks)


def code(language: str, text: str, label: str = "") -> Code:
    from pygments import highlight  # type: ignore[import-untyped]
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]

    coloured = highlight(text, get_lexer_by_name(LEXERS[language]), HtmlFormatter(nowrap=True))
    return Code(language, label or LANGUAGES.get(language, language), Markup(coloured.rstrip("\n")))


def _operation(document: Mapping[str, Any], row: Endpoint) -> Operation:
    components = document["components"]["schemas"]
    path = re.sub(r"\{(\w+):\w+\}", r"{\1}", row.path)
    written_here = document["paths"][path][row.method.lower()]
    body = written_here.get("requestBody", {}).get("content", {})
    answers, refused, shown = [], [], None
    for status, answer in written_here["responses"].items():
        for kind, media in answer.get("content", {}).items():
            refused += [Refused(status, each, example["summary"]) for each, example in media.get("examples", {}).items()]
            if status < "4":
                answers.append((status, kind, list(fields(media["schema"], components))))
                if "example" in media and shown is None:
                    shown = code("json", json.dumps(media["example"], indent=2), f"{status} {kind}")
        if status < "4" and not answer.get("content"):
            answers.append((status, "no body", []))
    return Operation(
        id=operation_id(row),
        method=row.method,
        path=path,
        title=written_here["summary"],
        text=rich(written_here["description"]) if written_here["description"] != written_here["summary"] else Markup(),
        scope=_scope(written_here["security"]),
        parameters=[_parameter(each, components) for each in written_here.get("parameters", [])],
        bodies=[(kind, list(fields(media["schema"], components))) for kind, media in body.items()],
        answers=answers,
        refused=refused,
        requests=[code(kind, text) for kind, text in requests(row).items()],
        shown=shown,
    )


def _scope(security: list[dict[str, list[str]]]) -> str | None:
    """None: no key is needed. "": any key will do."""
    if not security or {} in security:
        return None
    return next((scope for scopes in security[0].values() for scope in scopes), "")


def requests(row: Endpoint) -> dict[str, str]:
    """The examples of a row: the files it names, or made from its sample."""
    text = row.about
    assert text is not None
    found = {kind: source for name in text.examples for kind, source in written(name).items()}
    if found:
        return found
    found_samples = samples(text)
    form = "multipart/form-data" in found_samples
    sample = found_samples.get("multipart/form-data" if form else "application/json")
    if text.body is not None and sample is None:
        return {}
    path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: about.PATH_SAMPLES[found[1]], row.path) + text.sample_query
    keyed = _scope(text.extra.get("security", security(row))) is not None
    kinds: dict[str, Any] = dict(text.answer) if isinstance(text.answer, Mapping) else {JSON: text.answer}
    shape: Literal["json", "text", "file"] = "json" if kinds.get(JSON) is not None else "file" if bytes in kinds.values() else "text"
    return snippets(Call(row.method, path, keyed, sample, form, shape))


def _parameter(parameter: Mapping[str, Any], components: Mapping[str, Any]) -> Field:
    found = field_of(parameter["name"], parameter["schema"], parameter.get("required", False), components, 0)
    found.text = spans(parameter.get("description", ""))
    found.notes.insert(0, f"in the {parameter['in']}")
    return found


def _socket(document: Mapping[str, Any], channel: Channel) -> Socket:
    name, components = channel_name(channel), document["components"]["schemas"]
    query = document["channels"][name]["bindings"]["ws"].get("query", {"properties": {}})
    talk = channel.about
    assert talk is not None
    found = {kind: text for each in talk.examples for kind, text in written(each).items()}

    def gathered(action: str) -> list[SocketMessage]:
        names = [reference["$ref"].rpartition("/")[2] for reference in document["operations"][f"{name}.{action}"]["messages"]]
        return [_message(each, name, document["components"]["messages"][each], components) for each in names]

    return Socket(
        id=f"socket-{name}",
        path=channel.path,
        title=talk.summary,
        text=rich(talk.description),
        scope=channel.scope,
        parameters=[field_of(each, schema, False, components, 0) for each, schema in query["properties"].items()],
        heard=gathered("receive"),
        said=gathered("send"),
        examples=[code(kind, text) for kind, text in found.items()],
        shown=code("json", "\n".join(_said(way, each) for way, each in talk.shown), "a session, \u2192 yours, \u2190 the server's")
        if talk.shown
        else None,
    )


def _said(way: str, message: Any) -> str:
    """A line of a conversation, long ones over several."""
    if isinstance(message, bytes):
        return f"{way} ({message.decode()})"
    text = json.dumps(message, ensure_ascii=False)
    return f"{way} {text if len(text) < 60 else json.dumps(message, indent=2, ensure_ascii=False)}"


def _message(name: str, socket: str, message: Mapping[str, Any], components: Mapping[str, Any]) -> SocketMessage:
    shown = [each for each in fields(message["payload"], components) if each.name != "type"]
    return SocketMessage(message["name"], f"{socket}-{name}", spans(message.get("summary", "")), shown)


def at(html: str, base: str) -> str:
    """The page with this server's own address in its examples."""
    return html.replace(BASE, base).replace(BASE.replace("http", "ws", 1), base.replace("http", "ws", 1))
