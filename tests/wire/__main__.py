"""`python -m tests.wire` writes server.json: one message a line, so that a change can be read."""

import json

from tests.wire import HERE, server_cases


def text(cases: dict[str, object]) -> str:
    """JSON with one line for each message."""
    compact = {"separators": (",", ":")}

    def block(value: object, depth: int) -> str:
        pad = " " * depth
        if isinstance(value, list):
            return "[\n" + ",\n".join(pad + " " + block(item, depth + 1) for item in value) + "\n" + pad + "]"
        if isinstance(value, dict) and "type" not in value:
            return "{\n" + ",\n".join(f"{pad} {json.dumps(name)}: {block(item, depth + 1)}" for name, item in value.items()) + "\n" + pad + "}"
        return json.dumps(value, **compact)  # type: ignore[arg-type]

    return block(cases, 0) + "\n"


(HERE / "server.json").write_text(text(server_cases()), "utf-8")
