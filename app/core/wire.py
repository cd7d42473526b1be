"""Messages of `voxproof.v1` <-> JSON text. Clients' messages are validated here, once; the server's are in `messages`.

`parse` takes a text frame and gives a message or raises a `PeerError`; `start_from_query` does the same for a query string;
`encode` gives the JSON of any message. Called by `session`, the transports and the client.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from app.core.errors import BadConfig, BadJson, BadMessage, UnknownType
from app.core.messages import Message
from app.core.pcm import Encoding

PROTOCOL = "voxproof.v1"
METADATA_BYTES = 4096
MIN_RATE, MAX_RATE = 8000, 96000

Profile = Literal["fast", "balanced", "strict"]
Overflow = Literal["block", "drop_oldest", "close"]


class Part(BaseModel):
    """Base of everything a client sends: unknown fields are kept aside and reported, never an error."""

    model_config = ConfigDict(extra="allow", frozen=True)

    def unknown(self, prefix: str = "") -> list[str]:
        """Dotted names of the fields nobody knows, own and nested."""
        names = [prefix + name for name in self.model_extra or {}]
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Part):
                names += value.unknown(f"{prefix}{name}.")
        return names


class Audio(Part):
    encoding: Encoding = Field(description="Sample format; floats in -1 to 1.")
    sample_rate: Annotated[StrictInt, Field(ge=MIN_RATE, le=MAX_RATE)] = Field(description="Samples a second.")
    channels: Annotated[StrictInt, Field(ge=1, le=2)] = Field(default=1, description="Interleaved channels.")
    channel_labels: list[Annotated[str, Field(max_length=64)]] | None = Field(default=None, description="A name for each channel.")


class Config(Part):
    language: Annotated[str, Field(max_length=35)] | None = Field(default=None, description="Language spoken, as a BCP 47 tag; noted, not needed.")
    threshold: Annotated[float, Field(gt=0, lt=1, strict=True)] | None = Field(
        default=None, description="Score from which a window is spoof; replaces the profile's thresholds."
    )
    profile: Profile | None = Field(default=None, description="Operating point: `fast` decides early, `strict` accuses rarely.")
    hop_seconds: Annotated[float, Field(gt=0, le=60, strict=True)] | None = Field(
        default=None, description="New audio between two judgements; by default the model's."
    )
    interim: StrictBool = Field(default=True, description="Send segments, not only verdicts.")
    detail: Literal["basic", "full"] = Field(default="basic", description="`full` adds the sound's quality to each segment.")
    enrollment_id: Annotated[str, Field(max_length=128)] | None = Field(default=None, description="Enrolled speaker to compare with.")
    on_overflow: Overflow = Field(default="block", description="What to do when audio comes faster than it can be judged.")
    channel_mode: Literal["separate", "mix"] = Field(default="separate", description="Judge channels one by one, or their mix.")

    UPDATABLE: ClassVar[frozenset[str]] = frozenset({"profile", "threshold", "interim", "detail"})


class Resume(Part):
    session_id: Annotated[str, Field(max_length=64)] = Field(description="From `ready`.")
    resume_token: Annotated[str, Field(max_length=128)] = Field(description="From `ready`.")
    last_seq: Annotated[StrictInt, Field(ge=0)] = Field(default=0, description="Number of the last message you have; what followed it is sent again.")


class Start(Part):
    """Opens a session, or takes one up again."""

    protocol: str = Field(default=PROTOCOL, description="Must be `voxproof.v1`.")
    session_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = Field(
        default=None, description="Your own name for the session; by default one is made."
    )
    token: Annotated[str, Field(max_length=4096)] | None = Field(default=None, description="A browser token, where the address carried none.")
    audio: Audio | None = Field(default=None, description="Format of the binary messages; may stand in the query instead.")
    config: Config = Field(default=Config(), description="What to judge by.")
    metadata: dict[str, Any] = Field(default={}, description="Anything of yours, 4 KiB at most.")
    resume: Resume | None = Field(default=None, description="Goes on with a broken session.")


class AudioData(Part):
    """Samples, for clients that can only send text."""

    data: str = Field(description="Samples in base64.")
    seq: StrictInt | None = Field(default=None, description="Your own count; not used.")


class Keepalive(Part):
    """Resets the idle timer."""


class Finalize(Part):
    """Asks for a verdict on what is there now."""

    id: Annotated[str, Field(max_length=128)] | Annotated[StrictInt, Field(ge=-(2**53), le=2**53)] | None = Field(
        default=None, description="Comes back in `finalized`."
    )  # it is kept as well


class Update(Part):
    """Changes the configuration from the next window on."""

    config: dict[str, Any] = Field(description="Any of `profile`, `threshold`, `interim`, `detail`.")


class Stop(Part):
    """Ends the session."""


ClientMessage = Start | AudioData | Keepalive | Finalize | Update | Stop
CLIENT_TYPES: dict[str, type[ClientMessage]] = {
    "start": Start, "audio": AudioData, "keepalive": Keepalive, "finalize": Finalize, "update": Update, "stop": Stop,
}  # fmt: skip
STOP_ALIASES = frozenset({"close", "CloseStream", "Terminate"})


def parse(text: str) -> ClientMessage:
    """One text frame of a client. Raises BadJson, BadMessage, UnknownType or BadConfig (with the field's dotted name)."""
    if not text.strip():
        return Stop()
    try:
        content = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise BadJson() from None
    if not isinstance(content, dict):
        raise BadMessage("A message must be a JSON object.")
    if content.get("eof") == 1 and "type" not in content:
        return Stop()
    name = content.pop("type", None)
    if not isinstance(name, str):
        raise BadMessage("A message needs a string field 'type'.", field="type")
    if name in STOP_ALIASES:
        return Stop()
    if name not in CLIENT_TYPES:
        raise UnknownType(f"The message type {name[:40]!r} is not known; there are {', '.join(CLIENT_TYPES)}.", field="type")
    return _checked(CLIENT_TYPES[name], content)


def start_from_query(query: Mapping[str, str]) -> Start | None:
    """A `Start` from query parameters, or None when they do not name the audio format. Raises BadConfig."""
    config = {name: _from_text(name, query[name]) for name in Config.model_fields if name in query}
    audio: dict[str, Any] = {name: query[name] for name in ("encoding",) if name in query}
    for name in ("sample_rate", "channels"):
        if name in query:
            # Nine digits: int() refuses thousands of them with an error of its own.
            audio[name] = int(query[name]) if re.fullmatch("[0-9]{1,9}", query[name]) else query[name]
    if "channel_labels" in query:
        audio["channel_labels"] = query["channel_labels"].split(",")
    named = {name: query[name] for name in ("session_id", "token", "protocol") if name in query}
    others = {name: value for name, value in query.items() if name not in {*config, *audio, *named}}
    if not audio:
        return None
    return _checked(Start, {**others, **named, "config": config, "audio": audio})


def config_from_query(query: Mapping[str, str]) -> Config:
    """A `Config` from the query of an upload; unknown parameters are kept aside. Raises BadConfig."""
    return _checked(Config, {name: _from_text(name, value) for name, value in query.items()}, prefix="config.")


def update_config(config: Config, changes: Mapping[str, Any]) -> Config:
    """`config` with the updatable fields changed. Raises BadConfig; the caller has refused other fields."""
    return _checked(Config, {**config.model_dump(exclude_unset=True), **changes}, prefix="config.")


def _no_number(literal: str) -> Any:
    """NaN and Infinity are Python's idea of JSON, nobody else's."""
    raise ValueError(f"{literal} is not JSON")


def _from_text(name: str, value: str) -> Any:
    if name in ("threshold", "hop_seconds"):
        try:
            return float(value)
        except ValueError:
            return value
    if name == "interim":
        return {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value)
    return value


P = TypeVar("P", bound=Part)


def _checked(kind: type[P], content: dict[str, Any], prefix: str = "") -> P:
    try:
        message = kind.model_validate(content)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        field = prefix + ".".join(str(part) for part in first["loc"])
        error = BadConfig if kind in (Start, Config) else BadMessage
        raise error(f"{field or 'the message'}: {first['msg']}.", field=field or None) from None
    if isinstance(message, Start):
        if message.protocol != PROTOCOL:
            raise BadConfig(f"The protocol must be {PROTOCOL}.", field="protocol")
        packed = json.dumps(message.metadata, ensure_ascii=False, separators=(",", ":"))
        if len(packed.encode("utf-8", "surrogatepass")) > METADATA_BYTES:
            raise BadConfig(f"metadata may hold {METADATA_BYTES} bytes of JSON.", field="metadata")
    return message


def encode(message: Message | Part | Mapping[str, Any]) -> str:
    """JSON text of one message, compact; never NaN or Infinity."""
    if isinstance(message, Part):
        name = next(name for name, kind in CLIENT_TYPES.items() if type(message) is kind)
        return json.dumps({"type": name, **message.model_dump(exclude_unset=True)}, separators=(",", ":"), allow_nan=False)
    content = message.content() if isinstance(message, Message) else message
    return json.dumps(content, separators=(",", ":"), allow_nan=False)
