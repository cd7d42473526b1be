"""What a live session says -> events for webhooks. One observer a session, made by `Webhooks.observe`; pure but for what it calls.

An event's id follows from the session and what happened, so that what a second server says again, having taken a session up from a snapshot, is the
same event to its receiver.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from app.core.hooks import Event
from app.core.messages import Done, Error, Message, Ready, Verdict
from app.core.session import Session

LAST_FACTS = ("duration_ms", "speech_ms", "verdict", "score", "llr", "channels", "spoof_ranges", "segments_total", "dropped_ms", "model")


class Publish(Protocol):
    def __call__(self, event: Event, data: Mapping[str, Any], event_id: str) -> None: ...


class SessionEvents:
    """`broken` is called when this server lets go of a session that has not ended; whether another one has it, the caller finds out."""

    def __init__(self, session: Session, publish: Publish, broken: Callable[[SessionEvents], None]) -> None:
        self.session_id, self._token = session.id, session.resume_token
        self._publish, self._broken = publish, broken
        self._began = self._over = False
        self._error: dict[str, Any] | None = None

    def said(self, message: Message) -> None:
        if isinstance(message, Ready):
            self._began = True
        elif isinstance(message, Verdict) and message.changed:
            facts = {name: value for name, value in message.content().items() if name not in ("type", "seq", "changed")}
            self._tell("session.verdict_changed", facts, message.channel, message.as_of_ms)
        elif isinstance(message, Error) and message.fatal and message.seq:  # seq 0: only the connection ended
            self._error = {"code": message.code, "message": message.message}
        elif isinstance(message, Done):
            self.finished("failed" if self._error else "done", message.content())

    def ended(self) -> None:
        if self._over or not self._began:
            return
        if self._error:
            self.finished("failed", {})
        else:
            self._broken(self)

    def finished(self, state: str, facts: Mapping[str, Any]) -> None:
        """`facts` is `done`, or what a record says; only its verdict and times are told."""
        self._over = True
        told = {name: facts[name] for name in LAST_FACTS if name in facts}
        self._tell("session.finished", {"state": state, **({"error": self._error} if self._error else {}), **told}, state)

    def _tell(self, event: Event, data: Mapping[str, Any], *what: str | int) -> None:
        event_id = "msg_" + hashlib.sha256(json.dumps([self._token, self.session_id, event, *what]).encode()).hexdigest()[:32]
        self._publish(event, {"session_id": self.session_id, **data}, event_id)
