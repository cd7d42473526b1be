"""Reading the documents as a client would: which operation a request is, and whether an answer or a message is what they say. For tests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator


def problems(document: Mapping[str, Any], schema: Mapping[str, Any], content: Any) -> list[str]:
    """What is wrong with `content`; references are looked up in the document."""
    kind = Draft202012Validator if "openapi" in document else Draft7Validator
    validator = kind({"components": document["components"], "allOf": [schema]}, format_checker=kind.FORMAT_CHECKER)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(content)]


def operation_of(document: Mapping[str, Any], method: str, path: str) -> tuple[str, Mapping[str, Any]]:
    """The template and operation a request goes to: the one with the fewest parameters that fits."""
    fitting = [
        template
        for template, methods in document["paths"].items()
        if method.lower() in methods and re.fullmatch(re.sub(r"\\\{\w+\\\}|\{\w+\}", "[^/]+", template), path)
    ]
    template = min(fitting, key=lambda each: each.count("{"))
    return template, document["paths"][template][method.lower()]


def answer_problems(
    document: Mapping[str, Any], operation: Mapping[str, Any], status: int, headers: Mapping[str, str], text: str, content: Any
) -> list[str]:
    """What the document does not say of an answer."""
    said = operation["responses"].get(str(status))
    if said is None:
        return [f"status {status} is not documented: {text[:200]}"]
    kind = headers.get("content-type", "").partition(";")[0]
    if "content" not in said:
        return [f"a body is not documented: {text[:200]}"] if text else []
    if kind not in said["content"]:
        return [f"content type {kind!r} is not documented for {status}"]
    found = problems(document, said["content"][kind]["schema"], content if kind.endswith("json") else text)
    if kind.endswith("json") and status >= 400 and isinstance(content, dict) and "code" in content:
        known = said["content"][kind].get("examples", {})
        found += [] if content["code"] in known else [f"code {content['code']} is not documented for {status}"]
    return found
