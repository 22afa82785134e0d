"""Years of calls: a generator that fills an installation's database by COPY with calls, segments and analyses.

Words are drawn by Zipf's law (exponent 1.07, as in spoken Russian and English) from what the sample calls say and,
behind that in rank, from made-up words; so there are common words, rare ones, and words that hardly anybody says.
"""

from __future__ import annotations

import multiprocessing
import random
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import LiteralString, cast
from uuid import UUID

import numpy as np
import psycopg
import yaml
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from appliance.models import CallTally
from appliance.store import db, pipelines, tallies
from benchmarks.report import ROOT

SEGMENTS_PER_CALL = 30
WORDS_PER_SEGMENT = 10
MANAGERS = 40
YEARS = 3
PORTION = 2000
"""Calls whose rows are made and sent at a time."""

DISTINCT_WORDS = 30_000
EXPONENT = 1.07

TOPICS = (
    "покупка автомобиля",
    "тест-драйв",
    "кредит",
    "трейд-ин",
    "сервис",
    "запчасти",
    "страхование",
    "жалоба",
    "цена",
)
FIRST_NAMES = (
    "Анна",
    "Борис",
    "Вера",
    "Глеб",
    "Дарья",
    "Егор",
    "Жанна",
    "Захар",
    "Ирина",
    "Кирилл",
    "Лариса",
    "Михаил",
)
LAST_NAMES = ("Смирнов", "Иванов", "Козлов", "Новиков", "Морозов", "Волков", "Зайцев", "Павлов", "Орлов", "Макаров")
SYLLABLES = {
    "ru": ("ба", "ве", "гор", "ди", "ке", "ло", "мар", "ни", "по", "ру", "сы", "та", "фе", "хо", "ча", "шу"),
    "en": ("ba", "ver", "gor", "di", "ken", "lo", "mar", "ni", "pos", "ru", "sy", "ta", "fen", "ho", "cha", "shu"),
}

COMMON, RARE, PHRASE, PREFIX = "здравствуйте", "чабашуба", '"тест драйв"', "автомоб*"
"""What is searched for: said in most calls, in almost none, as a phrase, by its beginning."""


@lru_cache
def vocabulary(language: str) -> np.ndarray:
    """Words by rank: what the sample calls say, most frequent first, then made-up ones."""
    said = " ".join(_texts(yaml.safe_load((ROOT / "samples" / "dialogues.yaml").read_text(encoding="utf-8"))))
    counted: dict[str, int] = {}
    for word in re.findall("[а-яё]+" if language == "ru" else "[a-z]+", said.lower()):
        counted[word] = counted.get(word, 0) + 1
    words = sorted(counted, key=lambda word: -counted[word])
    made = random.Random(language)
    while len(words) < DISTINCT_WORDS - 1:
        words.append("".join(made.choices(SYLLABLES[language], k=made.randint(2, 4))))
    return np.array([*words, RARE])


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(part)


@lru_cache
def shares(count: int) -> np.ndarray:
    """How often each rank is drawn, added up."""
    weights = 1 / np.arange(1, count + 1) ** EXPONENT
    return np.cumsum(weights / weights.sum())


def fill(dsn: str, calls: int, *, begin: int = 0) -> None:
    """Write calls up to so many, `begin` of which are there, in two processes, and index what is said."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        again = _unguarded(connection, "segments")
        for n in range(0 if begin else MANAGERS):
            name = f"{FIRST_NAMES[n % 12]} {LAST_NAMES[n % 10]}{'а' if n % 12 % 2 == 0 else ''} {n}"
            connection.execute("INSERT INTO users (id, name, role) VALUES (gen_random_uuid(), %s, 'manager')", [name])
    portions = [(dsn, start, min(PORTION, calls - start)) for start in range(begin, calls, PORTION)]
    # Not forked: a speech model that this process has loaded cannot be freed in a copy of it, which waits for ever.
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_write, portions))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '1GB'")
        for statement in again:
            connection.execute(statement)
    settle(dsn)


def _unguarded(connection: psycopg.Connection, table: str) -> list[LiteralString]:
    """Drop a table's indexes and keys, which cost more row by row than made at once; returns what makes them again."""
    keys = connection.execute(
        "SELECT conname, pg_get_constraintdef(oid), contype = 'f' FROM pg_constraint"
        " WHERE conrelid = %s::regclass AND contype IN ('p', 'u', 'f')",
        [table],
    ).fetchall()
    names = [key[0] for key in keys]
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexname <> ALL(%s)", [table, names]
    ).fetchall()
    for name, _, _ in keys:
        connection.execute(cast("LiteralString", f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
    for name, _ in indexes:
        connection.execute(cast("LiteralString", f"DROP INDEX {name}"))
    own = [f"ALTER TABLE {table} ADD CONSTRAINT {name} {rule}" for name, rule, is_foreign in keys if not is_foreign]
    others = [f"ALTER TABLE {table} ADD CONSTRAINT {name} {rule}" for name, rule, is_foreign in keys if is_foreign]
    return [cast("LiteralString", statement) for statement in [*own, *(index[1] for index in indexes), *others]]


def settle(dsn: str) -> None:
    """What a running archive has behind it: merged tallies, statistics for the planner, and hint bits."""
    with Session(db.engine(dsn)) as session:
        while session.scalar(select(exists().where(~CallTally.merged))):
            if pipelines.lock_housekeeping(session):  # it merges as well, a portion at a time
                tallies.merge(session)
            session.commit()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


def _write(portion: tuple[str, int, int]) -> None:
    dsn, seed, count = portion
    made = np.random.default_rng(seed)
    with psycopg.connect(dsn) as connection:
        managers = [row[0] for row in connection.execute("SELECT id FROM users WHERE role = 'manager' ORDER BY name")]
        ids = [UUID(bytes=made.bytes(16), version=4) for _ in range(count)]
        languages = ["ru" if share < 0.9 else "en" for share in made.random(count)]
        moments = [_moment(share) for share in made.random(count)]
        missed = made.random(count) < 0.06
        _copy_calls(connection, made, ids, managers, languages, moments, missed)
        talked = [n for n in range(count) if not missed[n]]
        _copy_segments(connection, made, [(ids[n], languages[n]) for n in talked])
        _copy_analyses(connection, made, [(ids[n], languages[n]) for n in talked])


def _moment(share: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=365 * YEARS * share)


def _copy_calls(
    connection: psycopg.Connection,
    made: np.random.Generator,
    ids: Sequence[UUID],
    managers: Sequence[UUID],
    languages: Sequence[str],
    moments: Sequence[datetime],
    missed: np.ndarray,
) -> None:
    columns = "id, type, status, phone, client_name, manager_id, duration_ms, date, audio_key, audio_type, language"
    with connection.cursor().copy(f"COPY calls ({columns}) FROM STDIN") as copy:
        for n, call_id in enumerate(ids):
            name = f"{FIRST_NAMES[made.integers(12)]} {LAST_NAMES[made.integers(10)]} {made.integers(100_000)}"
            copy.write_row(
                (
                    *(
                        call_id,
                        "incoming" if made.random() < 0.6 else "outgoing",
                        "missed" if missed[n] else "completed",
                    ),
                    *(f"+7{made.integers(9_000_000_000, 9_999_999_999)}", name, managers[made.integers(MANAGERS)]),
                    *(0 if missed[n] else int(made.gamma(2, 120_000)), moments[n]),
                    *((None, None) if missed[n] else (f"recordings/{call_id}.mp3", "audio/mpeg")),
                    languages[n],
                )
            )


def _copy_segments(
    connection: psycopg.Connection, made: np.random.Generator, calls: Sequence[tuple[UUID, str]]
) -> None:
    columns = "id, call_id, position, start_ms, end_ms, speaker, text, language, confidence, words"
    with connection.cursor().copy(f"COPY segments ({columns}) FROM STDIN") as copy:
        for call_id, language in calls:
            words = vocabulary(language)
            drawn = np.searchsorted(shares(len(words)), made.random(SEGMENTS_PER_CALL * WORDS_PER_SEGMENT))
            said = words[np.minimum(drawn, len(words) - 1)].reshape(SEGMENTS_PER_CALL, WORDS_PER_SEGMENT)
            for n in range(SEGMENTS_PER_CALL):
                key = UUID(bytes=made.bytes(16), version=4)
                row = (key, call_id, n, n * 5000, n * 5000 + 4500, "BA"[n % 2], " ".join(said[n]), language, 0.9, "[]")
                copy.write_row(row)


def _copy_analyses(
    connection: psycopg.Connection, made: np.random.Generator, calls: Sequence[tuple[UUID, str]]
) -> None:
    columns = (
        "id, call_id, processing_status, sentiment, sentiment_score, topics, intents, summary, action_items, language"
    )
    with connection.cursor().copy(f"COPY ai_analyses ({columns}) FROM STDIN") as copy:
        for call_id, language in calls:
            score = round(float(np.clip(made.normal(0.15, 0.4), -1, 1)), 2)
            label = "positive" if score > 0.2 else "negative" if score < -0.2 else "neutral"
            topics = list(made.choice(TOPICS, size=made.integers(1, 4), replace=False))
            summary = " ".join(vocabulary(language)[made.integers(0, 2000, 40)])
            key = UUID(bytes=made.bytes(16), version=4)
            copy.write_row(
                (key, call_id, "completed", label, score, topics, topics[:1], summary, ["Перезвонить"], language)
            )
