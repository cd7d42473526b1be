"""Who a live stream talks to: its connection, and its observers. Small contracts that `live` and `streams` use and transports fulfil."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from app.core.errors import PeerError
from app.core.messages import Message, Warning

# A message, or what a transport that translates has to say in its place: a warning (its range was filled with silence), a mistake of the peer.
Received = str | bytes | Warning | PeerError


class Connection(Protocol):
    """A transport as a stream sees it. `abandoned`: the peer closed it on purpose, and will not be back."""

    abandoned: bool

    async def receive(self) -> Received | None:
        """The next message; None when the peer is gone. Raises FrameTooBig."""
        ...

    async def send(self, text: str) -> None:
        """Sends one text message; returns when there is room for more. Raises ConnectionError when the peer is gone."""
        ...


class Observer(Protocol):
    """Who hears a stream beside its peer (records, webhooks). Called on the event loop; returns at once."""

    def said(self, message: Message) -> None:
        """Each message of the session, complete, once and in order; when it was taken up, `ready` again, with `resume`.

        After another server was killed, what it said after its last snapshot comes again from here, with new numbers.
        """
        ...

    def ended(self) -> None:
        """This process is done with the session: it is over, was given up, waited too long to be resumed, or went elsewhere."""
        ...


@runtime_checkable
class Recalling(Protocol):
    """An observer that also wants what another process has said, as far as it came with the session: number and text of its last messages."""

    def recalled(self, said: Iterable[tuple[int, str]]) -> None: ...
