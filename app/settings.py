"""All settings, once: environment name (VOXPROOF_ + upper case), default, one sentence of help. Nothing else reads the environment.

`main` builds one frozen object and passes down the few values each part needs.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="VOXPROOF_", env_file=".env", extra="ignore", frozen=True)

    host: str = Field(default="127.0.0.1", description="Address the server listens on.")
    port: int = Field(default=8000, description="Port the server listens on; 0 takes a free one.", ge=0, le=65535)
    model: str = Field(default="light", description="Name of a folder in models/, or a path to one.")
    log_level: str = Field(default="info", description="Logging level: debug, info, warning or error.")
    allowed_origins: list[str] = Field(default=[], description="Origins, beside the server's own, whose pages may open a WebSocket (JSON list).")

    scoring_workers: int = Field(default=1, description="Threads that run the detector, one core each.", ge=1, le=64)
    scoring_max_batch: int = Field(default=8, description="Windows scored in one batch at most.", ge=1)
    scoring_max_queue: int = Field(default=2048, description="Windows waiting for the detector before callers wait in turn.", ge=1)

    head_timeout_seconds: float = Field(default=15.0, description="Time a connection has to send the head of a request.", gt=0)
    max_streams: int = Field(default=150, description="Live streams held at once; a further one is refused with server_full.", ge=0)
    max_busy: float = Field(default=0.9, description="Share of time the scoring workers may be busy before new streams are refused.", gt=0, le=1)
    max_lag_ms: int = Field(default=250, description="While a window, or the event loop, is late by more than this, new streams are refused.", ge=1)
    lagging_ms: int = Field(default=2000, description="A live session whose segments come later than this is told so.", ge=1)
    retry_after_ms: int = Field(default=5000, description="What a refused stream is told to wait before it tries again.", ge=0)
    max_session_seconds: int = Field(default=7200, description="Audio one live session may carry.", ge=1)
    idle_timeout_seconds: float = Field(default=30.0, description="A live session silent for this long is closed; it can be resumed.", gt=0)
    handshake_timeout_seconds: float = Field(default=10.0, description="Time a client has to send start.", gt=0)
    send_timeout_seconds: float = Field(default=20.0, description="A client that does not read its messages for this long is cut off.", gt=0)
    resume_window_seconds: float = Field(default=60.0, description="How long a broken session waits to be resumed.", ge=0)
    max_parked: int = Field(default=200, description="Broken sessions kept for resuming; the oldest goes first.", ge=0)
    max_frame_bytes: int = Field(default=1 << 20, description="Largest message on /v1/stream.", ge=1024)
    max_message_bytes: int = Field(default=16 << 20, description="Largest WebSocket message of any route (/ws takes files in base64).", ge=1024)
    max_buffer_seconds: float = Field(default=10.0, description="Audio a live session buffers unscored before back-pressure sets in.", gt=0)
    max_bad_messages: int = Field(default=20, description="Bad messages after which a session is closed.", ge=1)

    max_upload_bytes: int = Field(default=50 << 20, description="Largest upload in bytes.", ge=1)
    max_upload_seconds: float = Field(default=120.0, description="Time an upload may take to arrive.", gt=0)
    max_older_sockets: int = Field(default=1000, description="Sockets open on /ws at once; a further one is refused.", ge=1)
    older_idle_timeout_seconds: float = Field(default=600.0, description="A socket on /ws without any message for this long is closed.", gt=0)
    max_uploads: int = Field(default=16, description="Uploads handled at once; a further one is refused with server_full.", ge=1)
    max_audio_seconds: float = Field(default=1800.0, description="Longest audio file, in decoded seconds.", gt=0)
    max_audio_channels: int = Field(default=8, description="Most channels an audio file may have.", ge=1)
    decode_workers: int = Field(default=2, description="Decoder processes.", ge=1, le=64)
    decode_timeout_seconds: float = Field(default=60.0, description="Time decoding one file may take in all.", gt=0)
    decode_memory_bytes: int = Field(default=2 << 30, description="Address space one decoder process may use.", ge=1 << 28)

    data_dir: Path = Field(
        default=Path("~/.local/share/voxproof"), description="Folder for the database and stored objects, made when something is first stored."
    )
    database_url: str | None = Field(default=None, description="SQL database (sqlite: or postgresql:); by default voxproof.db in the data folder.")
    redis_url: str | None = Field(default=None, description="Redis through which servers share limits, tokens and sessions; by default each its own.")

    models_dir: Path | None = Field(default=None, description="Folder that holds the models; by default the one that comes with the program.")
