"""Each part outside the program, tried for real: not whether it answers, but whether it does what is needed of it."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import redis
import urllib3
from minio.error import MinioException
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from appliance.config import settings
from appliance.engines import audio
from appliance.errors import ApplianceError, EngineError
from appliance.models import Call
from appliance.pipeline.equipment import Equipment
from appliance.services import language_models
from appliance.store import db, objects
from appliance.tasks import node

OLDEST_POSTGRES = 13
"""gen_random_uuid and the trigram operators that the list uses are there from this version on."""

RIGHTS = """
SELECT CASE WHEN to_regclass('calls') IS NULL THEN has_schema_privilege('public', 'CREATE')
            ELSE has_table_privilege(to_regclass('pipelines'), 'UPDATE') END"""

WORDS = b"0123456789"

SAMPLE_CALL = Path(__file__).parent.parent.parent / "samples" / "ru-wrong-number.wav"


Said = tuple[str, str]
"""The same in Russian and in English."""


class Unfit(Exception):
    """A part does not do what is needed; the texts say what."""

    def __init__(self, ru: str, en: str) -> None:
        super().__init__(en)
        self.texts: Said = ru, en


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    check: Callable[[], Said]
    remedy_ru: str
    remedy_en: str


@dataclass(frozen=True, slots=True)
class Finding:
    """`found` says what there is, or what is wrong; the remedy is empty where nothing is."""

    part: str
    ok: bool
    found: str
    remedy: str = ""


def examine(language: str, only: Collection[str] = ()) -> Iterator[Finding]:
    """Try every part that the settings name, or these alone, one after the other; remedies in `ru` or `en`."""
    for part in PARTS:
        if only and part.name not in only:
            continue
        remedy = part.remedy_ru if language == "ru" else part.remedy_en
        try:
            found = part.check()
        except (Unfit, ApplianceError, EngineError, SQLAlchemyError, redis.RedisError) as error:
            yield Finding(part.name, False, reason(error, language), remedy)
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            yield Finding(part.name, False, reason(error, language), remedy)
        else:
            yield Finding(part.name, True, _side(found, language))


def _side(texts: Said, language: str) -> str:
    return texts[0] if language == "ru" else texts[1]


def reason(error: Exception, language: str) -> str:
    """One line, without the passwords that addresses hold. What a library says is as the library says it."""
    if isinstance(error, Unfit):
        text = _side(error.texts, language)
    elif isinstance(error, ApplianceError | EngineError):
        text = error.message(language)
    else:
        text = str(error)
    said = text.strip().splitlines()[0][:300] if text.strip() else type(error).__name__
    if language == "ru" and not isinstance(error, Unfit | ApplianceError | EngineError):
        said = f"не отвечает как нужно: {said}"
    for secret in (settings().s3_secret_key, settings().local_llm_api_key, settings().openai_api_key):
        if value := secret.get_secret_value():
            said = said.replace(value, "***")
    return said


def postgres() -> Said:
    """Version, extension, the right to make tables; on a further machine whether its release fits them."""
    with db.unit_of_work() as session:
        version = int(session.scalar(text("SHOW server_version_num")) or 0) // 10_000
        if version < OLDEST_POSTGRES:
            raise Unfit(
                f"PostgreSQL {version}; нужен {OLDEST_POSTGRES} или новее",
                f"PostgreSQL {version}; {OLDEST_POSTGRES} or newer is needed",
            )
        if not session.scalar(text("SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'")):
            raise Unfit("нет расширения pg_trgm", "the extension pg_trgm is missing")
        if not session.scalar(text(RIGHTS)):
            raise Unfit(
                "нет права писать в таблицы или создать их",
                "no right to write into the tables, or to create them where there are none yet",
            )
    if settings().node_name:
        node.check_release()
    return f"PostgreSQL {version}, pg_trgm, права", f"PostgreSQL {version}, pg_trgm, rights"


def object_store() -> Said:
    """Put, get, a range, a signed link, delete: on an object of its own that is gone afterwards.

    The bucket is made where it is missing, as at every start. A further machine reads, and may do no more.
    """
    if settings().node_name:
        return _reads_recordings()
    objects.ensure_bucket()
    client, bucket, key = objects.client(), settings().s3_bucket, f"doctor/{uuid4()}"
    objects.put(key, io.BytesIO(WORDS), len(WORDS), "text/plain")
    try:
        if b"".join(objects.stream(key, 0, len(WORDS))) != WORDS:
            raise Unfit("читается не то, что записано", "get answers something else than what was put")
        if b"".join(objects.stream(key, 3, 4)) != WORDS[3:7]:
            raise Unfit(
                "отрезок не отдаётся: в записях нельзя перематывать",
                "a range is not honoured: recordings could not be sought in",
            )
        link = client.presigned_get_object(bucket, key, expires=timedelta(minutes=1))
        answer = urllib3.request("GET", link, timeout=10, retries=False)
        if answer.data != WORDS:
            raise Unfit(
                f"подписанная ссылка отвечает {answer.status}",
                f"a signed link answers {answer.status}",
            )
    finally:
        objects.delete(key)
    try:
        b"".join(objects.stream(key, 0, 1))
    except objects.ObjectMissing:
        return "запись, чтение, отрезок, подписанная ссылка, удаление", "put, get, range, signed link, delete"
    raise Unfit("удалённый объект остался", "a deleted object is still there")


def _reads_recordings() -> Said:
    objects.check()
    with db.unit_of_work() as session:
        recorded = select(Call.audio_key).where(Call.audio_key.is_not(None))
        key = session.scalar(recorded.order_by(Call.date.desc()).limit(1))
    if key is None:
        return "отвечает; записей ещё нет", "answers; there is no recording yet"
    b"".join(objects.stream(key, 0, 1))
    return "записи читаются", "reads recordings"


def queue() -> Said:
    """Redis, where the queue lives there."""
    if not settings().redis_url:
        return "в PostgreSQL", "in PostgreSQL"
    client = redis.Redis.from_url(settings().redis_url, socket_timeout=3, socket_connect_timeout=3)
    key = f"doctor-{uuid4()}"
    client.set(key, "x", ex=10)
    if client.get(key) != b"x":
        raise Unfit("записанное не читается", "what was written is not read back")
    client.delete(key)
    version = f"Redis {client.info('server')['redis_version']}"
    return version, version


def language_model() -> Said:
    """An analysis of an invented call by whoever is chosen, held to the schema as every analysis is."""
    if settings().node_name and "analysis" not in settings().node_workers:
        return "анализ на другой машине (NODE_WORKERS)", "calls are analysed elsewhere (NODE_WORKERS)"
    tried = language_models.try_out(None, None)
    if tried.error is not None:
        raise tried.error
    who = f"{tried.profile.name} / {tried.model}"
    return (
        f"{who}: годный анализ за {tried.latency_ms} мс",
        f"{who}: a valid analysis in {tried.latency_ms} ms",
    )


def speech() -> Said:
    """The weights load: by the processor, for on a card there is room for the worker's alone."""
    chosen = settings()
    engine = Equipment(chosen.model_copy(update={"speech_device": "cpu"})).speech
    found = f"{engine.name}: {engine.weights}"
    if chosen.speech_device == "cpu":
        return found, found
    return f"{found} (проверено на процессоре)", f"{found} (tried by the processor)"


def diarizer() -> Said:
    """The voices of a sample call are told apart."""
    with tempfile.TemporaryDirectory() as scratch, closing(Equipment(settings()).diarizer) as chosen:
        decoded = Path(scratch) / "samples.s16"
        samples = audio.samples_of(decoded, audio.decode(SAMPLE_CALL, decoded), 0)
        began = time.monotonic()
        voices = len({turn.speaker for turn in chosen.diarize(samples)})
        took = time.monotonic() - began
        return (
            f"{chosen.name}: голосов в образце: {voices}, за {took:.1f} с",
            f"{chosen.name}: {voices} voices in a sample call, in {took:.1f} s",
        )


PARTS = (
    Part(
        "postgresql",
        postgres,
        "Проверьте DATABASE_URL и что сервер запущен; администратор базы: CREATE EXTENSION pg_trgm; "
        "GRANT CREATE ON SCHEMA public",
        "Check DATABASE_URL and that the server runs; as the database's admin: CREATE EXTENSION pg_trgm; "
        "GRANT CREATE ON SCHEMA public",
    ),
    Part(
        "s3",
        object_store,
        "Проверьте S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY, S3_REGION и права на корзину S3_BUCKET; часы сервера",
        "Check S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY, S3_REGION, the rights on S3_BUCKET, and this machine's clock",
    ),
    Part(
        "queue",
        queue,
        "Проверьте REDIS_URL и что Redis запущен; пустой REDIS_URL: очередь в PostgreSQL",
        "Check REDIS_URL and that Redis runs; without REDIS_URL the queue lives in PostgreSQL",
    ),
    Part(
        "speech",
        speech,
        "Проверьте WHISPER_MODEL_PATH; установка весов: appliance weights fetch large-v3",
        "Check WHISPER_MODEL_PATH; to install weights: appliance weights fetch large-v3",
    ),
    Part(
        "diarizer",
        diarizer,
        "Проверьте PYANNOTE_WEIGHTS (папка с config.yaml), PYANNOTE_PYTHON и PYANNOTE_MEMORY_MB; "
        "без pyannote: пустой PYANNOTE_WEIGHTS",
        "Check PYANNOTE_WEIGHTS (a folder with config.yaml), PYANNOTE_PYTHON and PYANNOTE_MEMORY_MB; "
        "without pyannote: an empty PYANNOTE_WEIGHTS",
    ),
    Part(
        "llm",
        language_model,
        "Проверьте LLM_PROVIDER, LOCAL_LLM_URL, LOCAL_LLM_MODEL и что vLLM запущен; без модели: LLM_PROVIDER=builtin",
        "Check LLM_PROVIDER, LOCAL_LLM_URL, LOCAL_LLM_MODEL and that vLLM runs; without a model: LLM_PROVIDER=builtin",
    ),
)
