"""Settings: read once, at the edge, from the environment (and from the file that APPLIANCE_ENV_FILE names)."""

from __future__ import annotations

import os
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from appliance.errors import ApplianceError

CommaSeparated = Annotated[tuple[str, ...], NoDecode]
DaysByType = Annotated[dict[Literal["incoming", "outgoing"], Annotated[int, Field(gt=0, le=36_500)]], NoDecode]


class SettingsInvalid(ApplianceError):
    code = "settings_invalid"
    ru = "Настройки неверны: {problems}"
    en = "The settings are wrong: {problems}"


LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Hosts that are this machine, whichever machine reads the setting."""


class Settings(BaseSettings):
    """Every setting of the appliance; the environment variable is the field's name in capitals."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    database_url: str = Field(description="PostgreSQL, in the plain form postgresql://user:password@host:port/name.")
    database_owner_url: str = Field(
        "", description="The role that owns the tables, for migrations alone; empty: the role of DATABASE_URL."
    )
    s3_endpoint: str = Field(description="The S3 store, for example http://127.0.0.1:9305.")
    s3_access_key: str = Field(description="Access key of the S3 store.")
    s3_secret_key: SecretStr = Field(description="Secret key of the S3 store.")
    s3_bucket: str = Field("call-recordings", description="Bucket of the recordings; created when it is missing.")
    s3_region: str = Field("us-east-1", description="Region that requests to the S3 store are signed for.")
    s3_ca_file: str = Field("", description="Authority (PEM) of the S3 store's certificate; empty: the system's.")
    redis_url: str = Field("", description="When set, the queue lives in Redis; otherwise in PostgreSQL.")

    nodes_listen: str = Field(
        "", description="Address on which the bundled database and store serve further machines; empty: none."
    )
    node_name: str = Field("", description="On a further machine: the name that it was added by; empty on the first.")
    node_workers: CommaSeparated = Field(
        ("speech", "analysis"), description="On a further machine: which workers run, separated by commas."
    )
    seal_key: SecretStr = Field(
        SecretStr(""),
        description="On a further machine: opens the stored keys of language models; empty: made from JWT_SECRET.",
    )

    jwt_secret: SecretStr = Field(description="Key that tokens and signed links are made with; at least 32 characters.")
    jwt_expires_in: int = Field(3600, gt=0, description="Life of an access token in seconds.")
    session_days: int = Field(
        90, gt=0, le=3650, description="Days after which a session that is used ends all the same."
    )
    first_password: Literal["told", "enforced"] = Field(
        "told",
        description="A password that an admin chose: the log-in tells so, or nothing works before it is changed.",
    )
    password_words: CommaSeparated = Field(
        (), description="Words that make no password here (the dealership's name, brands), separated by commas."
    )
    cors_origins: CommaSeparated = Field((), description="Origins of web frontends, separated by commas.")
    host: str = Field("0.0.0.0", description="Address that the API listens on.")
    port: int = Field(8000, gt=0, lt=65536, description="Port that the API listens on.")
    api_processes: int = Field(1, gt=0, le=64, description="Processes that serve the API on its one port.")
    tls_cert_file: str = Field(
        "", description="Certificate with its chain (PEM); set with the key, the API speaks HTTPS."
    )
    tls_key_file: str = Field("", description="Key of the certificate (PEM).")
    public_url: str = Field(
        "", description="How browsers reach the API, for links in answers; empty means as the request came."
    )
    trusted_proxies: CommaSeparated = Field(
        ("127.0.0.1", "::1"),
        description="Addresses and networks of reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are "
        "believed, separated by commas; empty: nobody's.",
    )

    data_dir: Path = Field(Path("var"), description="Where the appliance keeps everything that changes.")
    models_dir: Path = Field(
        Path("/var/lib/call-analytics/models"), description="Where downloaded and carried-in weights lie."
    )
    whisper_model_path: str = Field(
        "", description="Speech weights: a folder (faster-whisper) or a ggml file (whisper.cpp); empty: demo weights."
    )
    speech_device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where speech is recognised.")
    gpu_device: str = Field(
        "",
        pattern=r"^[0-9]*$",
        description="Number of the card, as nvidia-smi counts, for speech, voices and the appliance's own vLLM; empty: "
        "all cards are seen.",
    )
    speech_threads: int = Field(0, ge=0, description="Threads of one recognition; 0: as many as there are cores.")
    speech_batch_size: int = Field(
        0,
        ge=0,
        le=64,
        description="Stretches of speech of up to 28 s that are recognised at once (faster-whisper); the memory plan "
        "says how many a card takes beside the language model; 0: 16 on a card, fewer where it runs out of memory, 1 "
        "on a processor.",
    )
    speech_workers: int = Field(1, gt=0, description="Calls that one speech worker works on at a time.")
    speech_slice_s: float = Field(
        15,
        ge=0,
        description="Seconds of recognition, or of telling voices apart, after which a call makes way for one whose "
        "turn is before it.",
    )
    transcribe_languages: CommaSeparated = Field(
        ("ru", "en", "kk"), description="Languages to choose from (ISO 639-1), separated by commas; empty: all."
    )
    vocabulary_file: str = Field(
        "", description="The site's own names, a YAML list; read for every call, besides what admins give."
    )
    stereo_manager_channel: Literal["left", "right", "auto"] = Field(
        "auto", description="Which channel of a stereo recording is the manager's."
    )

    pyannote_weights: str = Field(
        "", description="Folder of a pyannote.audio pipeline that tells voices apart; empty: the built-in diarizer."
    )
    pyannote_python: str = Field(
        "", description="Interpreter of pyannote's own environment; empty: .venv-pyannote beside the program."
    )
    pyannote_memory_mb: int = Field(
        2000,
        gt=0,
        description="Most that pyannote takes of the card's memory, or of the machine's without a card; MiB.",
    )

    llm_provider: str = Field(
        "builtin", description="Profile that analyses calls until an admin chooses another: builtin, local or openai."
    )
    data_residency: Literal["local-only", "cloud-masked", "cloud-allowed"] = Field(
        "local-only",
        description="local-only refuses every profile outside this building; cloud-masked allows them what is masked.",
    )
    mask_pii: Literal["cloud", "always", "never"] = Field(
        "cloud", description="For whom names, numbers and addresses are masked; never is refused by cloud-masked."
    )
    llm_when_down: Literal["wait", "builtin"] = Field(
        "wait",
        description="While a provider is down: calls wait, or are analysed without a model and anew when it is back.",
    )
    llm_parallel: int = Field(16, gt=0, le=1024, description="Requests in flight at a time, per worker and profile.")
    local_llm_url: str = Field("http://127.0.0.1:8100/v1", description="The local OpenAI-compatible endpoint (vLLM).")
    local_llm_model: str = Field("local", description="Model name that the local endpoint serves.")
    local_llm_api_key: SecretStr = Field(SecretStr("local"), description="Key of the local endpoint.")
    local_llm_context: int = Field(
        32768,
        ge=2048,
        le=2_000_000,
        description="Tokens of one request to it, answer included; its own vLLM: VLLM_CONTEXT.",
    )
    openai_api_key: SecretStr = Field(SecretStr(""), description="Key of OpenAI, for the profile openai.")
    openai_model: str = Field("gpt-4o", description="Model of the profile openai.")
    openai_base_url: str = Field("https://api.openai.com/v1", description="Endpoint of the profile openai.")
    openai_temperature: float | None = Field(
        0, ge=0, le=2, description="0: the same call, the same answer. Empty: not sent, as reasoning models ask for."
    )
    openai_answer_tokens: int = Field(
        3000, ge=500, le=200_000, description="Most tokens of one answer of OpenAI, a model's reasoning included."
    )
    openai_price_input: float = Field(2.5, ge=0, description="US dollars per million tokens sent to OpenAI.")
    openai_price_output: float = Field(10, ge=0, description="US dollars per million tokens received from OpenAI.")
    vllm_weights: str = Field(
        "", description="Folder of a language model; set, vLLM serves it under supervisor, and LOCAL_LLM_URL follows."
    )
    vllm_share: float = Field(
        0.5, gt=0, lt=1, description="vLLM's share of the card, as `appliance preflight` plans it."
    )
    vllm_context: int = Field(16384, gt=0, description="Longest prompt and answer of vLLM in tokens.")
    openai_daily_cost_cap: float | None = Field(
        None, ge=0, description="US dollars a day for OpenAI; at the cap calls wait for the next day. Empty: no cap."
    )
    llm_timeout_s: float = Field(
        120, gt=0, le=3600, description="Deadline of one answer of a language model, retries included, in seconds."
    )
    site_topics: CommaSeparated = Field(
        (), description="This site's own topics, separated by commas, preferred over the shipped ones."
    )
    analysis_workers: int = Field(8, gt=0, description="Calls that one analysis worker works on at a time.")

    upload_max_bytes: int = Field(100 * 1024 * 1024, gt=0, description="Largest recording that is accepted.")
    upload_max_minutes: int = Field(60, gt=0, description="Longest recording that is accepted.")
    disk_reserve_mb: int = Field(
        1024, ge=0, description="Free space below which no recording is taken or decoded, in MiB."
    )
    queue_limit: int = Field(5000, gt=0, description="Calls that may wait to be processed; more are refused.")
    site_timezone: str = Field("Europe/Moscow", description="Time zone of days in filters, statistics and exports.")
    retention_days: DaysByType = Field(
        {}, description="Days that calls are kept; `365,outgoing=90` for a type of its own. Empty: for ever."
    )
    retention_recording_days: DaysByType = Field(
        {}, description="The same for recordings alone: transcripts and analyses stay."
    )
    lease_s: float = Field(30, gt=0, description="How long a stage may be silent before another worker takes its call.")
    stage_attempts: int = Field(5, gt=0, description="How often a stage is tried before its call is failed.")
    worker_deaths: int = Field(3, gt=0, description="Workers that may die in a stage before its call is failed.")
    housekeeping_interval_s: float = Field(5, gt=0, description="Pause between two rounds of housekeeping.")
    link_expires_in: int = Field(3600, gt=0, description="Life of signed recording links in seconds.")
    watch_folder: str = Field(
        "",
        description="Folder whose recordings become calls by themselves; empty: none. Housekeeping writes there.",
    )
    watch_stable_s: float = Field(
        30, gt=0, description="How long a file in the watch folder must be unchanged before it is taken, in seconds."
    )
    watch_caller_channel: Literal["left", "right", "unknown"] = Field(
        "unknown", description="Channel of who called in stereo recordings of the watch folder; tells the manager's."
    )
    watch_cdr_file: str = Field(
        "", description="Asterisk's call detail records (Master.csv) for calls in the watch folder; empty: names only."
    )
    ingest_secret: SecretStr = Field(
        SecretStr(""), description="Key that senders of POST /api/ingest/generic sign with; empty: nothing is taken."
    )
    mango_api_key: SecretStr = Field(
        SecretStr(""),
        description="MANGO OFFICE's key of the exchange (vpbx_api_key); empty: none of its events are taken.",
    )
    mango_api_salt: SecretStr = Field(SecretStr(""), description="MANGO OFFICE's key for signatures (vpbx_api_salt).")
    uis_token: SecretStr = Field(
        SecretStr(""), description="Secret in the notifications of UIS or CoMagic; empty: none of them are taken."
    )
    bitrix24_token: SecretStr = Field(
        SecretStr(""), description="application_token of Bitrix24's outgoing webhook; empty: no events are taken."
    )
    bitrix24_extensions: Annotated[dict[str, str], NoDecode] = Field(
        {}, description="Which user of the portal has which extension: `12=101,15=102`."
    )
    recording_hosts: CommaSeparated = Field(
        (),
        description="Hosts that recordings named by exchanges are fetched from (`*.name` for all below); empty: none.",
    )
    recording_private_addresses: bool = Field(
        False, description="Let these hosts lie inside the house; otherwise a name that leads there is refused."
    )
    mango_api_url: str = Field(
        "https://app.mango-office.ru/vpbx/", description="MANGO OFFICE's API, which gives out recordings."
    )
    bitrix24_rest_url: SecretStr = Field(
        SecretStr(""),
        description="Bitrix24's incoming webhook (telephony, disk), which gives out recordings; empty: none.",
    )
    metrics_allow: CommaSeparated = Field(
        ("127.0.0.0/8", "::1"), description="Networks that may read /metrics, separated by commas."
    )
    demo: bool = Field(False, description="A demonstration: lets the demo users have the password everybody knows.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")

    @field_validator(
        "cors_origins",
        "transcribe_languages",
        "metrics_allow",
        "trusted_proxies",
        "site_topics",
        "recording_hosts",
        "password_words",
        "node_workers",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("bitrix24_extensions", mode="before")
    @classmethod
    def _by_user(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.split("=") for part in value.split(",") if part.strip()]
        if any(len(pair) != 2 for pair in pairs):
            raise ValueError("user=extension,user=extension")
        return {user.strip(): extension.strip() for user, extension in pairs}

    @field_validator("retention_days", "retention_recording_days", mode="before")
    @classmethod
    def _by_type(cls, value: object) -> object:
        """`365,outgoing=90`: a number for all types, and numbers of their own."""
        if not isinstance(value, str):
            return value
        parts = [part.strip().rpartition("=") for part in value.split(",") if part.strip()]
        every = [days for name, equals, days in parts if not equals]
        own = {name.strip(): days for name, equals, days in parts if equals}
        if len(every) > 1 or len(every) + len(own) != len(parts):
            raise ValueError("one number of days for all calls and one for a type, such as 365,outgoing=90")
        return (dict.fromkeys(("incoming", "outgoing"), every[0]) if every else {}) | own

    @field_validator("metrics_allow")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ip_network(network, strict=False)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _as_the_server_takes_them(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ip_network(network)  # a network with bits of a host would never match
        return value

    @field_validator("openai_daily_cost_cap", "openai_temperature", mode="before")
    @classmethod
    def _empty(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("openai_daily_cost_cap")
    @classmethod
    def _can_be_reached(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and not any(info.data.get(f"openai_price_{side}", 1) for side in ("input", "output")):
            raise ValueError("a cap needs OPENAI_PRICE_INPUT or OPENAI_PRICE_OUTPUT above 0; empty: no cap")
        return value

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 32:
            raise ValueError("at least 32 characters, for example from: openssl rand -hex 32")
        return value

    @classmethod
    def offline(cls, env_file: Path | str | None = None) -> Settings:
        """Settings for commands that need no database, store or tokens; everything else as the environment says.

        env_file: left out, the one that APPLIANCE_ENV_FILE names.
        """
        nowhere = {
            "database_url": "postgresql://",
            "s3_endpoint": "http://",
            "s3_access_key": "-",
            "s3_secret_key": "-",
        }
        file = env_file or os.environ.get("APPLIANCE_ENV_FILE") or None
        return cls(_env_file=file, jwt_secret="-" * 32, **nowhere)  # type: ignore[arg-type]


def card_environment(number: str) -> dict[str, str]:
    """What lets a process see one card alone, by GPU_DEVICE; empty: it sees all."""
    # CUDA would count by speed, nvidia-smi counts by slot.
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": number} if number else {}


def check_file(file: Path) -> None:
    """Raises SettingsInvalid that names every setting of a file that this release refuses."""
    try:
        Settings.offline(file)
    except ValidationError as error:
        raise _invalid(error) from None


@lru_cache
def settings() -> Settings:
    """The settings of this process. Raises SettingsInvalid that names every missing or wrong variable."""
    env_file = os.environ.get("APPLIANCE_ENV_FILE") or None
    try:
        return Settings(_env_file=env_file)
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> SettingsInvalid:
    problems = "; ".join(f"{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
    return SettingsInvalid(problems=problems)
