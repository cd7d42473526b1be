"""All settings, once: environment name (VOXPROOF_ + upper case), default, one sentence of help. Nothing else reads the environment.

`main` builds one frozen object and passes down the few values each part needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, IPvAnyNetwork, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import PydanticBaseSettingsSource as Source

# What the older contract of `POST /detect` calls some of these in the environment and in `.env`; the VOXPROOF_ name wins wherever it stands.
OLDER_NAMES = {
    "api_key": "API_KEY", "model": "MODEL_PATH", "models_dir": "MODEL_PATH", "log_level": "LOG_LEVEL", "scoring_workers": "MAX_WORKERS",
    "redis_url": "REDIS_URL", "database_url": "DATABASE_URL",
}  # fmt: skip


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="VOXPROOF_", env_file=".env", extra="ignore", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: Source, env_settings: Source, dotenv_settings: Source, file_secret_settings: Source
    ) -> tuple[Source, ...]:
        return init_settings, env_settings, dotenv_settings, OlderNames(settings_cls, env_settings, dotenv_settings)

    host: str = Field(default="127.0.0.1", description="Address the server listens on.")
    port: int = Field(default=8000, description="Port the server listens on; 0 takes a free one.", ge=0, le=65535)
    model: str = Field(default="standard", description="Name of a folder in models/, or a path to one.")
    log_level: str = Field(default="info", description="Logging level: debug, info, warning or error.")
    api_key: SecretStr | None = Field(
        default=None,
        description="One key for small set-ups, with the scopes detect, stream, tasks and enroll; `voxproof keys` makes better ones.",
        min_length=1,
    )
    allowed_origins: list[str] = Field(default=[], description="Origins, beside the server's own, whose pages may open a WebSocket (JSON list).")
    cors_origins: list[str] = Field(default=[], description="Origins whose pages may read the answers of /v1 (JSON list); by default none may.")
    trusted_proxies: list[IPvAnyNetwork] = Field(
        default=[], description="Addresses or networks of proxies whose X-Forwarded-For, -Proto and -Host are believed (JSON list)."
    )
    max_key_failures_per_minute: int = Field(default=30, description="Wrong keys one address may send in a minute before it has to wait.", ge=1)
    key_cache_seconds: float = Field(
        default=5.0, description="How long a verified key is believed before the database is asked again; a revoked one ends within it.", ge=0, le=60
    )
    key_check_seconds: float = Field(default=60.0, description="How often the key of a live session is checked again.", gt=0)
    token_timeout_seconds: float = Field(default=5.0, description="Time a socket opened without a key has to bring a token in its start.", gt=0)

    scoring_workers: int = Field(default=1, description="Threads that run the detector, one core each.", ge=1, le=64)
    scoring_max_batch: int = Field(default=8, description="Windows scored in one batch at most.", ge=1)
    scoring_max_queue: int = Field(default=2048, description="Windows waiting for the detector before callers wait in turn.", ge=1)

    log_format: Literal["auto", "text", "json"] = Field(
        default="auto", description="Log lines as text or as JSON; auto is text on a terminal and JSON elsewhere."
    )
    drain_seconds: float = Field(
        default=25.0, description="How long a server that was told to end goes on with live streams and uploads; without any it ends at once.", ge=0
    )
    check_timeout_seconds: float = Field(default=2.0, description="What one check of /readyz may take.", gt=0)
    stuck_seconds: float = Field(default=20.0, description="A batch that takes the detector longer makes the server not ready.", gt=0)
    metrics_public: bool = Field(default=False, description="Show /metrics to everybody, not only to keys with the scope admin.")
    metrics_dir: Path | None = Field(
        default=None, description="Folder through which servers on one machine share their metrics, so that each answers for all."
    )
    otlp_endpoint: str | None = Field(
        default=None, description="OpenTelemetry collector to send traces to, over HTTP (needs the extra otel); by default none."
    )

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
    snapshot_seconds: float = Field(
        default=1.0,
        description="With Redis: audio between two snapshots of a live session, so that another server can go on with it; 0 takes one only when its "
        "connection ends or the server shuts down.",
        ge=0,
    )
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
    compat_max_bytes: int = Field(default=10 << 20, description="Largest audio file on /detect, in decoded bytes.", ge=1)
    compat_max_seconds: float = Field(default=60.0, description="Longest audio file on /detect.", ge=1)
    decode_workers: int = Field(default=2, description="Decoder processes.", ge=1, le=64)
    decode_timeout_seconds: float = Field(default=60.0, description="Time decoding one file may take in all.", gt=0)
    decode_memory_bytes: int = Field(default=2 << 30, description="Address space one decoder process may use.", ge=1 << 28)

    twilio_auth_token: SecretStr | None = Field(
        default=None, description="Auth token of a Twilio account: calls on /v1/twilio must then carry its signature.", min_length=1
    )

    data_dir: Path = Field(
        default=Path("~/.local/share/voxproof"), description="Folder for the database and stored objects, made when something is first stored."
    )
    database_url: str | None = Field(
        default=None, repr=False, description="SQL database (sqlite: or postgresql:); by default voxproof.db in the data folder."
    )
    redis_url: str | None = Field(
        default=None, repr=False, description="Redis through which servers share limits, tokens and sessions; by default each its own."
    )
    migrate_on_start: bool = Field(
        default=True, description="Bring the database to this version's schema when it is first opened; else `voxproof db upgrade` must have done it."
    )
    database_pool_size: int = Field(default=10, description="Connections to the database a server opens at most.", ge=1)
    database_timeout_seconds: float = Field(default=10.0, description="What connecting to the database, or one statement, may take.", gt=0)
    blob_url: str | None = Field(
        default=None, description="Where objects are stored: s3://bucket/prefix (S3, MinIO) or file:///folder; by default blobs/ in the data folder."
    )
    blob_endpoint_url: str | None = Field(default=None, description="Address of the S3 service when it is not AWS, as in http://minio:9000.")
    blob_region: str | None = Field(default=None, description="Region of the bucket.")
    blob_access_key_id: str | None = Field(default=None, description="Who asks the S3 service; by default what AWS's own tools would find.")
    blob_secret_access_key: SecretStr | None = Field(default=None, description="The secret that goes with blob_access_key_id.")
    redis_timeout_seconds: float = Field(default=2.0, description="What connecting to Redis, or one command, may take.", gt=0)

    key_requests_per_minute: int = Field(default=600, description="Requests and new live streams a key may start in a minute; 0 is no limit.", ge=0)
    key_streams: int = Field(default=100, description="Live streams a key may have open at once; 0 is no limit.", ge=0)
    key_audio_seconds_per_day: int = Field(
        default=8_640_000, description="Audio a key may have judged in a day (UTC), files and streams; 0 is no limit.", ge=0
    )
    key_bytes_per_day: int = Field(default=1 << 40, description="Bytes of audio a key may send in a day; 0 is no limit.", ge=0)
    address_requests_per_minute: int = Field(
        default=1200, description="Requests an address may send in a minute, with whatever key or none; 0 is no limit.", ge=0
    )
    address_streams: int = Field(default=200, description="Live streams open at once from one address; 0 is no limit.", ge=0)
    address_audio_seconds_per_day: int = Field(default=17_280_000, description="Audio from one address in a day; 0 is no limit.", ge=0)
    address_bytes_per_day: int = Field(default=2 << 40, description="Bytes of audio from one address in a day; 0 is no limit.", ge=0)
    detect_requests_per_minute: int = Field(default=60, description="Requests a key may send to the older /detect in a minute; 0 is no limit.", ge=0)
    detect_requests_per_hour: int = Field(default=1000, description="Requests a key may send to the older /detect in an hour; 0 is no limit.", ge=0)
    limits_when_store_fails: Literal["allow", "refuse"] = Field(
        default="allow", description="While Redis does not answer: allow (each server counts by itself) or refuse (503)."
    )

    session_record_seconds: float = Field(
        default=86_400.0, description="How long the verdict of a session can be asked for after it; 0 keeps none.", ge=0
    )
    session_record_every_seconds: float = Field(default=2.0, description="How often the record of a running session is brought up to date.", gt=0)
    session_record_segments: int = Field(default=7200, description="Segments kept in one session's record; later ones are only counted.", ge=1)
    session_records_bytes: int = Field(
        default=128 << 20, description="Memory for session records where there is no Redis; the oldest go first.", ge=1 << 20
    )
    report_retention_days: float = Field(default=1827.0, description="How long a suspicious-activity report is kept.", gt=0)
    report_sweep_seconds: float = Field(default=3600.0, description="How often reports whose time is over are removed.", gt=0)
    max_report_bytes: int = Field(default=64 << 10, description="Largest suspicious-activity report, without its sound.", ge=1024)
    max_report_metadata_bytes: int = Field(default=16 << 10, description="Largest metadata of a report, as JSON.", ge=2)
    max_report_reason_chars: int = Field(default=4000, description="Longest reason of a report.", ge=1)

    max_webhooks: int = Field(default=10, description="Webhooks one owner may register.", ge=0)
    webhook_allow_http: bool = Field(default=False, description="Whether webhooks may go to http URLs too, where anybody on the way can read them.")
    webhook_allowed_networks: list[IPv4Network | IPv6Network] = Field(
        default=[], description="Networks webhooks may reach though they are not on the public internet (JSON list of CIDR blocks)."
    )
    webhook_timeout_seconds: float = Field(default=10.0, description="Time a webhook's receiver has to answer.", gt=0)
    webhook_retry_seconds: float = Field(default=5.0, description="Wait after a first failed delivery; each further one is four times as long.", gt=0)
    webhook_max_attempts: int = Field(default=10, description="Attempts after which a delivery is given up: ten take about a day.", ge=1)
    webhook_disable_days: float = Field(default=5.0, description="A webhook that has taken nothing for this long is switched off.", gt=0)
    webhook_max_queue: int = Field(default=1000, description="Events waiting to be written down; further ones are dropped and the log says so.", ge=1)
    webhook_poll_seconds: float = Field(default=5.0, description="How often a server looks for deliveries that another one left behind.", gt=0)

    models_dir: Path | None = Field(default=None, description="Folder that holds the models; by default the one that comes with the program.")


class OlderNames(Source):
    """Reads OLDER_NAMES, the environment before `.env`. MODEL_PATH is a folder of models, or the folder of one."""

    def __init__(self, settings_cls: type[BaseSettings], *named: Source) -> None:
        super().__init__(settings_cls)
        self._found: list[Mapping[str, str | None]] = [getattr(each, "env_vars", {}) for each in named]

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        older = OLDER_NAMES.get(field_name, "")
        value = next((found[older.lower()] for found in self._found if older and found.get(older.lower())), None)
        if older == "MODEL_PATH" and value is not None:
            one = (Path(value) / "card.json").is_file()
            value = value if one == (field_name == "model") else None
        return value, field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}
