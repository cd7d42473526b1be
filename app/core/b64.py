"""Base64 text from JSON -> bytes. In: what browsers and older clients put into `audio_data`, `audio_base64` or `data`,
often a data-URL. Out: the bytes, or `BadBase64`. Called by the wire layer and by every transport that takes JSON audio.
"""

from __future__ import annotations

import base64
import binascii

from app.core.errors import BadBase64

_WHITE = b" \t\r\n\v\f"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def decode_base64(text: str, *, field: str) -> bytes:
    """The bytes `text` stands for; `field` names the input in the error.

    Tolerated: a data-URL prefix, white space, missing padding, the URL-safe alphabet. Everything else that is not
    base64 raises `BadBase64`. Empty text gives empty bytes: whether that is an error is the caller's to say.
    """
    try:
        packed = strip_data_url(text).encode("ascii").translate(_URL_SAFE, delete=_WHITE)
    except UnicodeEncodeError:
        raise BadBase64(f"{field} holds characters that are not base64.", field=field) from None
    packed = packed.rstrip(b"=")
    if len(packed) % 4 == 1:
        raise BadBase64(f"{field} is base64 that was cut off.", field=field)
    try:
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except binascii.Error:
        raise BadBase64(f"{field} is not valid base64.", field=field) from None


def strip_data_url(text: str) -> str:
    """`text` without a leading `data:…,`; other text unchanged. The declared type is dropped: it is often wrong."""
    text = text.lstrip()
    if text[:5].lower() != "data:":
        return text
    _, comma, body = text.partition(",")
    return body if comma else text
