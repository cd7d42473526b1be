"""Base64 as clients really send it: whatever is tolerated gives the same bytes, whatever is not gives `BadBase64`."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.b64 import decode_base64, strip_data_url
from app.core.errors import BadBase64


@given(st.binary(max_size=300), st.booleans(), st.booleans(), st.sampled_from(["", "data:audio/webm;codecs=opus;base64,", "DATA:audio/wav;base64,"]))
def test_every_usual_spelling_gives_the_bytes(data: bytes, url_safe: bool, padded: bool, prefix: str) -> None:
    text = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    if not padded:
        text = text.rstrip("=")
    lines = "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    assert decode_base64(f" {prefix}{lines}\n", field="audio_data") == data


@pytest.mark.parametrize("text", ["abc!", "A", "AAAAA", "AA=A", "é", "data:audio/wav;base64", "data:audio/wav;base64,%%%", "<html>"])
def test_rubbish_is_refused_with_the_fields_name(text: str) -> None:
    with pytest.raises(BadBase64) as caught:
        decode_base64(text, field="audio_data")
    assert caught.value.field == "audio_data"
    assert "audio_data" in caught.value.message


@given(st.text())
def test_any_text_gives_bytes_or_the_one_error(text: str) -> None:
    with contextlib.suppress(BadBase64):
        decode_base64(text, field="data")


def test_a_data_url_loses_its_head_only() -> None:
    assert strip_data_url("data:audio/mp4;base64,AAAA,BBBB") == "AAAA,BBBB"
    assert strip_data_url("AAAA") == "AAAA"
    assert decode_base64("", field="data") == b""
