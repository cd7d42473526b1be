"""The same request in curl, Python and JavaScript, made from a route's own row and sample; `tests/integration/test_examples.py` runs every one.

Examples that need more than one request are files in `templates/examples`. Called by `docs_page`, and by `pages` for the recording page.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from app.assets import asset_dir

BASE = "http://127.0.0.1:8000"
LANGUAGES = {"sh": "Shell", "py": "Python", "mjs": "JavaScript"}  # by the ending of a file, which is Pygments' name of the lexer too, nearly
LONG = 40  # characters of JSON that stand in one line
SAVED = "saved"  # the name of a file that is answered
FILE = "@"  # a form's value that begins so is the name of a file


@dataclass(frozen=True)
class Call:
    """One request to show. `sample` is a JSON body, or with `form` the fields of a form; The answer is printed, or saved if it is a file."""

    method: str
    path: str
    keyed: bool
    sample: Any = None
    form: bool = False
    answer: Literal["json", "text", "file"] = "json"


def snippets(call: Call) -> dict[str, str]:
    """Language (an ending of LANGUAGES) -> source text."""
    return {"sh": _curl(call), "py": _python(call), "mjs": _javascript(call)}


def written(name: str) -> dict[str, str]:
    """The files of one example, by language."""
    folder = asset_dir("templates") / "examples"
    return {kind: path.read_text("utf-8").strip() for kind in LANGUAGES if (path := folder / f"{name}.{kind}").is_file()}


@cache
def repeats() -> dict[str, dict[str, str]]:
    """What the recording page fills in to show how a check is repeated: a file in one request, without a key and with one, and a live stream."""

    def file(keyed: bool) -> dict[str, str]:
        return snippets(Call("POST", "/v1/detect?profile=balanced", keyed, {"file": FILE + "call.wav"}, form=True))

    return {"file": file(keyed=False), "file_keyed": file(keyed=True), "stream": written("stream")}


def literal(value: Any, indent: str, *, python: bool = False) -> str:
    """JSON, or the same in Python's words, over several lines where one would be long."""
    text = json.dumps(value)
    if python and re.search(r"\b(true|false|null)\b", text):
        text = repr(value)
    inner = indent + ("    " if python else "  ")
    if isinstance(value, dict) and len(text) > LONG:
        lines = [f"{json.dumps(name)}: {literal(item, inner, python=python)}" for name, item in value.items()]
        return "{\n" + "".join(f"{inner}{line},\n" for line in lines[:-1]) + f"{inner}{lines[-1]}\n{indent}}}"
    return text


def _curl(call: Call) -> str:
    lines = [f"curl {'' if call.method == 'GET' or call.sample is not None else f'-X {call.method} '}'{BASE}{call.path}'"]
    if call.keyed:
        lines.append('-H "Authorization: Bearer $VOXPROOF_API_KEY"')
    if call.form:
        lines += [f"-F {name}='{value}'" if not value.startswith(FILE) else f"-F {name}={value}" for name, value in call.sample.items()]
    elif call.sample is not None:
        lines += ["-H 'Content-Type: application/json'", f"-d '{literal(call.sample, '  ')}'"]
    if call.answer == "file":
        lines.append(f"-o {SAVED}")
    return " \\\n  ".join(lines)


def _python(call: Call) -> str:
    arguments = [f'"{BASE}{call.path}"']
    if call.keyed:
        arguments.append('headers={"Authorization": f"Bearer {os.environ[\'VOXPROOF_API_KEY\']}"}')
    if call.form:
        files = {name: value[1:] for name, value in call.sample.items() if value.startswith(FILE)}
        fields = {name: value for name, value in call.sample.items() if name not in files}
        arguments += [f"data={literal(fields, '    ', python=True)}"] if fields else []
        arguments.append("files={" + ", ".join(f'"{name}": open("{path}", "rb")' for name, path in files.items()) + "}")
    elif call.sample is not None:
        arguments.append(f"json={literal(call.sample, '    ', python=True)}")
    imports = "import os\n\nimport requests" if call.keyed else "import requests"
    if len(arguments) > 1:
        inside = "\n    " + ",\n    ".join(arguments) + ",\n"
    else:
        inside = arguments[0]
    does = {
        "json": "print(answer.json())",
        "text": "print(answer.text)",
        "file": f'with open("{SAVED}", "wb") as file:\n    file.write(answer.content)',
    }
    return f"{imports}\n\nanswer = requests.{call.method.lower()}({inside})\nanswer.raise_for_status()\n{does[call.answer]}"


def _javascript(call: Call) -> str:
    head, options = "", []
    if call.method != "GET":
        options.append(f'method: "{call.method}"')
    headers = ["Authorization: `Bearer ${process.env.VOXPROOF_API_KEY}`"] if call.keyed else []
    if call.form:
        head = 'import { openAsBlob } from "node:fs";\n\nconst form = new FormData();\n'
        for name, value in call.sample.items():
            said = f'await openAsBlob("{value[1:]}"), "{value[1:]}"' if value.startswith(FILE) else json.dumps(value)
            head += f'form.append("{name}", {said});\n'
        options.append("body: form")
    elif call.sample is not None:
        headers.append('"Content-Type": "application/json"')
        options.append(f"body: JSON.stringify({literal(call.sample, '  ')})")
    if headers:
        options.insert(1 if call.method != "GET" else 0, "headers: { " + ", ".join(headers) + " }")
    inside = f'"{BASE}{call.path}"' + (", {\n  " + ",\n  ".join(options) + ",\n}" if options else "")
    if call.answer == "file":
        head = 'import { writeFile } from "node:fs/promises";\n\n' + head
        does = f'await writeFile("{SAVED}", Buffer.from(await answer.arrayBuffer()));'
    else:
        does = f"console.log(await answer.{call.answer}());"
    return f"{head}const answer = await fetch({inside});\nif (!answer.ok) throw new Error(await answer.text());\n{does}"
