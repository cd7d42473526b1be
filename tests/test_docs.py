"""The README tells the truth: its tables are rendered from the code, and its addresses and commands exist.

`python -m tests.test_docs` writes the tables again.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import OwnError, every_error
from app.core.messages import Message
from app.core.wire import CLIENT_TYPES, STOP_ALIASES, Config
from app.settings import OLDER_NAMES, Settings
from app.status import STATUS
from app.web.openapi import security
from app.web.routes import CHANNELS, ENDPOINTS
from app.web.table import Endpoint

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
CARDS = [ROOT / "models" / name / "card.json" for name in ("standard", "light", "accurate", "classic")]


def errors_table() -> str:
    rows = ["| code | HTTP | close | gRPC | retry | message |", "|---|---|---|---|---|---|"]
    for error in every_error():
        status = STATUS[error.code]
        again = "yes" if status.retryable else "no"
        rows.append(f"| `{error.code}` | {status.http} | {status.close} | {status.grpc} | {again} | {error.default_message} |")
    return "\n".join(rows)


def settings_table() -> str:
    rows = ["| variable | default | what |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        older = f" or `{OLDER_NAMES[name]}`" if name in OLDER_NAMES else ""
        rows.append(f"| `VOXPROOF_{name.upper()}`{older} | {default} | {field.description} |")
    return "\n".join(rows)


def addresses_table() -> str:
    rows = ["| address | what | key |", "|---|---|---|"]
    for channel in CHANNELS:
        assert channel.about
        rows.append(f"| `WS {channel.path}` | {channel.about.summary} | `{channel.scope}` |")
    for row in ENDPOINTS:
        assert row.about
        wanted = next((scope for scopes in security_of(row)[:1] for scope in scopes.get("bearer", [])), "")
        key = f"`{wanted}`" if wanted else "any" if row.scope == "any" else ""
        rows.append(f"| `{row.method} {row.path}` | {row.about.summary} | {key} |")
    return "\n".join(rows)


def security_of(row: Endpoint) -> list[dict[str, list[str]]]:
    found: list[dict[str, list[str]]] = (row.about.extra if row.about else {}).get("security", security(row))
    return found


def figures_table() -> str:
    """The bundled detectors, the default first, and the published ones: each pair of figures from a card."""
    cards = [json.loads(path.read_text("utf-8")) for path in CARDS]
    of = cards[0]["figures"]
    counts = ", ".join(f"`{split}` {of[split]['n_bonafide']} bona fide and {of[split]['n_spoof']} spoofed" for split in ("dev", "eval"))
    rows = [f"The default is `{cards[0]['name']}` {cards[0]['version']}. Clips: {counts}; 95 % intervals over clips.", ""]
    rows += ["| detector | `dev` EER | `eval` EER | `eval` AUC |", "|---|---|---|---|"]
    for card in cards:
        dev, held = card["figures"]["dev"], card["figures"]["eval"]
        rows.append(f"| **{card['name']}** | {_share('eer', dev)} | {_share('eer', held)} | {_share('auc', held)} |")
    for name, found in of["eval"]["peers"].items():
        rows.append(f"| {name} | {_share('eer', of['dev']['peers'][name])} | {_share('eer', found)} | {_share('auc', found)} |")
    return "\n".join(rows)


def _share(name: str, found: dict[str, Any]) -> str:
    low, high = found[f"{name}_ci95"]
    if name == "eer":
        return f"{100 * found[name]:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
    return f"{found[name]:.3f} ({low:.3f} to {high:.3f})"


TABLES = {"addresses": addresses_table, "errors": errors_table, "settings": settings_table, "figures": figures_table}


EXAMPLES = {"stream": "python"}  # files of templates/examples, which the page /docs shows as well; their test runs them


def example(name: str) -> str:
    return (ROOT / "templates" / "examples" / f"{name}.py").read_text("utf-8").strip()


def _block(name: str, text: str) -> str:
    found = re.search(rf"<!-- table: {name} -->\n(.*?)<!-- end -->", text, re.S)
    assert found, f"README.md has no table {name}"
    return found[1].strip()


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_those_of_the_code(name: str) -> None:
    assert _block(name, README.read_text("utf-8")) == TABLES[name](), "run: python -m tests.test_docs"


def test_every_error_has_a_row_and_every_row_an_error() -> None:
    assert {error.code for error in every_error()} == set(STATUS)
    assert not issubclass(OwnError, tuple(error for error in every_error() if error.code == "bad_request"))


def test_examples_are_those_of_the_documentation() -> None:
    text = README.read_text("utf-8")
    for name, language in EXAMPLES.items():
        assert f"<!-- example: {name} -->\n```{language}\n{example(name)}\n```\n" in text, "run: python -m tests.test_docs"


def test_protocol_words_stand_in_the_readme() -> None:
    text = README.read_text("utf-8")
    live = text[text.index("## Stream a call") : text.index("## Check a file")]
    said = {kind.type for kind in Message.__subclasses__()} - {"warning", "error", "finalized", "updated"}
    for word in (said | set(CLIENT_TYPES) | STOP_ALIASES | set(Config.model_fields)) - {"language", "enrollment_id"}:
        assert word in live, word


def test_named_files_exist() -> None:
    for path in re.findall(r"`((?:app|static|templates|models|bench|tests)/[\w./]*)`", README.read_text("utf-8")):
        assert (ROOT / path).exists(), path


def test_makefile_targets_named_exist() -> None:
    known = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    for target in re.findall(r"make ([a-z][\w-]*)", README.read_text("utf-8")):
        assert target in known, target


def test_cli_commands_named_exist() -> None:
    for command in sorted(set(re.findall(r"voxproof (check|stream|serve|lab)\b", README.read_text("utf-8"))) - {"lab"}):
        shown = subprocess.run([sys.executable, "-m", "app.cli.main", command, "--help"], capture_output=True, text=True, check=True)
        assert shown.stdout


def main() -> None:
    text = README.read_text("utf-8")
    for name, table in TABLES.items():
        text = re.sub(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", lambda m, t=table: m[1] + t() + "\n" + m[2], text, flags=re.S)
    for name, language in EXAMPLES.items():
        text = re.sub(rf"(<!-- example: {name} -->\n```{language}\n).*?(\n```\n)", lambda m, e=example(name): m[1] + e + m[2], text, flags=re.S)
    README.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
