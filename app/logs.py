"""Log lines: JSON for machines or text for people, with what is known of the request, and without secrets. `voxproof serve` sets it up.

Everybody logs with the standard library; `extra=` and `bind` become fields. uvicorn's lines come the same way. structlog renders them; it is
loaded with the first line, for the server starts sooner without it.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from contextvars import ContextVar
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from structlog.stdlib import ProcessorFormatter

Form = Literal["auto", "text", "json"]
GONE = "[redacted]"

NOTHING: Mapping[str, Any] = MappingProxyType({})
_bound: ContextVar[Mapping[str, Any]] = ContextVar("log_context", default=NOTHING)

QUIET = ("uvicorn.error", "httpx2", "httpcore2", "alembic", "aiosqlite", "websockets", "asyncio", "multipart", "python_multipart")
FIRST_FIELDS = ("time", "level", "logger", "message")


def configure(level: str, form: Form = "auto", secrets: Iterable[str] = ()) -> Lines:
    """Sends every line of this process to stderr. `secrets` are texts that no line may hold, whatever they look like."""
    lines = Lines("json" if form == "json" or (form == "auto" and not sys.stderr.isatty()) else "text", secrets)
    handler = logging.StreamHandler()
    handler.setFormatter(lines)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in QUIET:  # at info they tell the life of their sockets, and the addresses they ask
        logging.getLogger(name).setLevel(logging.NOTSET if level == "debug" and name == "uvicorn.error" else _at_least_warning(level))
    return lines


def bind(**facts: Any) -> None:
    """Adds facts to all further lines of the request or stream that this task serves."""
    _bound.set({**_bound.get(), **facts})


class Lines(logging.Formatter):
    """One line a record."""

    def __init__(self, form: Literal["text", "json"], secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._form, self._secrets = form, tuple(each for each in secrets if each)
        self._made: ProcessorFormatter | None = None

    def format(self, record: logging.LogRecord) -> str:
        return self._formatter().format(record)

    def warm(self) -> None:
        """Loads what the first line would load."""
        self._formatter()

    def _formatter(self) -> ProcessorFormatter:
        if self._made is None:
            from structlog import processors, stdlib

            before: list[Any] = [
                stdlib.ExtraAdder(),
                _with_bound,
                stdlib.add_log_level,
                stdlib.add_logger_name,
                processors.TimeStamper(fmt="iso", utc=True, key="time"),
                processors.StackInfoRenderer(),
                processors.format_exc_info,
                processors.EventRenamer("message"),
            ]
            render = processors.JSONRenderer(ensure_ascii=False) if self._form == "json" else _as_text
            self._made = stdlib.ProcessorFormatter(
                processors=[stdlib.ProcessorFormatter.remove_processors_meta, self._cleaned, render], foreign_pre_chain=before
            )
        return self._made

    def _cleaned(self, logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        clean = {field: redacted(event[field], self._secrets) for field in FIRST_FIELDS if field in event}
        event.pop("color_message", None)
        for field, value in event.items():
            if field not in clean:
                clean[field] = GONE if value is not None and is_secret_name(field) else redacted(value, self._secrets)
        return clean


def _with_bound(logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for field, value in _bound.get().items():
        event.setdefault(field, value)
    return event


def _as_text(logger: Any, name: str, event: MutableMapping[str, Any]) -> str:
    trace = event.pop("exception", None)
    stack = event.pop("stack", None)
    head = f"{event.pop('time')} {str(event.pop('level')).upper()} {event.pop('logger')}: {event.pop('message')}"
    facts = "".join(f" {field}={value}" for field, value in event.items() if value is not None)
    return "\n".join(part for part in ((head + facts).translate(_CONTROLS), trace, stack) if part)


# A line of the log is one of ours: nobody starts another with what they send.
_CONTROLS = {number: f"\\x{number:02x}" for number in (*range(32), *range(127, 160), 0x2028, 0x2029)}


def _at_least_warning(level: str) -> int:
    return max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()])


# --- secrets ------------------------------------------------------------------------------------------------

_WORDS = r"authori[sz]ation|api[-_ ]?key|secret|passw(?:or)?d|passphrase|token|credential|signature"
_SECRET_NAME = re.compile(rf"(?i){_WORDS}|cookie")
_PATTERNS = (
    (re.compile(r"(?i)\b(bearer|basic)[ \t]+[^\s\"',;]+"), rf"\1 {GONE}"),
    (re.compile(r"(?<=://)[^\s/?#\"'@]*(?:@[^\s/?#\"'@]*)*@"), f"{GONE}@"),  # user:password@host
    (re.compile(r"\?[^\s\"'<>?]*=[^\s\"'<>]*"), f"?{GONE}"),  # a query
    (re.compile(r"(?i)(cookie[\"']?\s*[:=]\s*)[^\r\n]+"), rf"\1{GONE}"),
    (re.compile(r"\btoken\.[\w.-]{8,}"), GONE),  # the subprotocol
    (
        re.compile(
            rf"(?i)((?:{_WORDS})[\w-]{{,64}}[\"']?\s*[:=]\s*[\"']?)(?!\[redacted\])(?!(?:bearer|basic) \[redacted\])[^\s\"'&;}})\]]+"
        ),
        rf"\1{GONE}",
    ),
    (re.compile(r"\bvp[a-z]*_[\w.~+/=-]{6,}"), GONE),  # ours
)
# Every pattern needs one of these, and most texts have none: one look instead of eight.
_SUSPECT = re.compile(rf"[bB][eEaA][aAsS]|://|\?|[vV][pP]|[A-Za-z0-9_\-]{{24}}|(?i:cookie|{_WORDS})")
_LONG = re.compile(r"[A-Za-z0-9_\-]{24,}")
_ID = re.compile(r"[0-9a-f-]+|[0-9A-F-]+")  # ids and hashes: 16 to 64 hexadecimal digits


@lru_cache(1000)
def is_secret_name(name: str) -> bool:
    return bool(_SECRET_NAME.search(name))


def redacted(value: Any, secrets: Iterable[str] = ()) -> Any:
    """The value without anything that is, or looks like, a key or a token. Numbers stay; what is no plain value becomes text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): GONE if is_secret_name(str(name)) else redacted(each, secrets) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(each, secrets) for each in value]
    text = value if isinstance(value, str) else str(value)
    for secret in secrets:
        text = text.replace(secret, GONE)
    if not _SUSPECT.search(text):
        return text
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return _LONG.sub(lambda found: GONE if _looks_random(found[0]) else found[0], text)


def _looks_random(text: str) -> bool:
    """Whether a long word is none: case and digits change at nearly every third letter, as they do in no name."""
    if _ID.fullmatch(text):
        return False
    kinds = ["d" if each.isdigit() else "u" if each.isupper() else "l" for each in text if each not in "_-"]
    return sum(one != other for one, other in pairwise(kinds)) * 10 >= 3 * len(kinds) > 0
