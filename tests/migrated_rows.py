"""What a dealership's database holds when a migration finds it: rows for every table, by the revision that made it."""

from __future__ import annotations

USERS = [f"00000000-0000-4000-8000-0000000000a{n}" for n in range(5)]
CALLS = [f"00000000-0000-4000-8000-0000000000c{n}" for n in range(8)]
FAMILY, REANALYSIS = "00000000-0000-4000-8000-0000000000f1", "00000000-0000-4000-8000-0000000000e1"

admin, anna, boris, analyst, nobody = (f"'{user}'" for user in USERS)
long_ago, midnight, new_year, missed, running, failed, waiting, later = (f"'{call}'" for call in CALLS)

ROWS = {
    "0001": f"""
INSERT INTO users (id, name, email, role, password_hash, avatar, is_active) VALUES
  ({admin}, 'Админ', 'admin@dealer.example', 'admin', '$argon2id$x', 'avatars/1', true),
  ({anna}, 'Анна Смирнова', 'Anna@dealer.example', 'manager', '$argon2id$y', NULL, true),
  ({boris}, 'Борис Ёлкин', 'boris@dealer.example', 'manager', '$argon2id$z', NULL, false),
  ({analyst}, 'Analyst', 'analyst@dealer.example', 'analyst', NULL, NULL, true),
  ({nobody}, 'Добавочный 101', NULL, 'manager', NULL, NULL, true);
INSERT INTO login_failures (key, failures, locked_until) VALUES
  ('a', 3, NULL), ('b', 9, '2025-03-01 10:00+00');
INSERT INTO object_deletions (key) VALUES ('recordings/gone');
INSERT INTO revoked_tokens (family, expires_at) VALUES (gen_random_uuid(), '2026-01-01 00:00+00');
INSERT INTO refresh_tokens (id, user_id, family, digest, expires_at, used_at, created_at) VALUES
  (gen_random_uuid(), {anna}, '{FAMILY}', 'one', '2026-01-01 00:00+00', '2025-03-02 08:00+00', '2025-03-01 08:00+00'),
  (gen_random_uuid(), {anna}, '{FAMILY}', 'two', '2026-01-02 00:00+00', NULL, '2025-03-02 08:00+00'),
  (gen_random_uuid(), {boris}, gen_random_uuid(), 'three', '2026-01-02 00:00+00', NULL, '2025-03-05 08:00+00');
INSERT INTO exports (id, user_id, format, object_key, expires_at) VALUES
  (gen_random_uuid(), {analyst}, 'xlsx', 'exports/1', '2026-01-01 00:00+00');
-- 21:30 in London's winter is the next day in Moscow, and the last of December is the next year.
INSERT INTO calls (id, type, status, phone, client_name, manager_id, uploaded_by_id, idempotency_key, duration_ms, date,
    audio_key, audio_type, audio_bytes, audio_codec, audio_channels, language, speakers_swapped, created_at) VALUES
  ({long_ago}, 'incoming', 'completed', '+74951234567', 'Иван', {anna}, {anna}, 'key-1', 61000, '2024-02-29 09:00+00',
    'recordings/1', 'audio/mpeg', 1000, 'mp3', 1, 'ru', false, '2024-02-29 09:05+00'),
  ({midnight}, 'outgoing', 'completed', '+79161234567', NULL, {anna}, {admin}, NULL, 125500, '2025-01-31 21:30+00',
    'recordings/2', 'audio/wav', 2000, 'pcm_s16le', 2, 'en', true, '2025-01-31 21:35+00'),
  ({new_year}, 'incoming', 'completed', NULL, 'Ольга', {boris}, NULL, NULL, 0, '2024-12-31 22:00+00',
    'recordings/3', 'audio/mp4', 3000, 'aac', 1, 'ru', false, '2025-01-01 09:00+00'),
  ({missed}, 'incoming', 'missed', '+74957654321', NULL, {nobody}, NULL, NULL, 0, '2025-02-01 10:00+00',
    NULL, NULL, NULL, NULL, NULL, NULL, false, '2025-02-01 10:01+00'),
  ({running}, 'incoming', 'in-progress', NULL, NULL, {anna}, {anna}, 'key-2', 30000, '2025-02-03 10:00+00',
    'recordings/4', 'audio/mpeg', 4000, 'mp3', 1, NULL, false, '2025-02-03 10:01+00'),
  ({failed}, 'outgoing', 'completed', NULL, NULL, {boris}, {boris}, 'key-1', 45000, '2025-02-03 11:00+00',
    'recordings/5', 'audio/mpeg', 5000, 'mp3', 1, NULL, false, '2025-02-03 11:01+00'),
  ({waiting}, 'incoming', 'in-progress', NULL, NULL, {anna}, {anna}, NULL, 90000, '2025-02-03 12:00+00',
    'recordings/6', 'audio/mpeg', 6000, 'mp3', 1, NULL, false, '2025-02-03 12:01+00');
INSERT INTO ai_analyses (id, call_id, processing_status, sentiment, sentiment_score, topics, intents, summary,
    action_items, language, provider, model) VALUES
  (gen_random_uuid(), {long_ago}, 'completed', 'positive', 0.7, '{{тест-драйв,кредит}}', '{{записаться}}',
    'Иван хочет.', '{{Позвонить}}', 'ru', 'builtin', 'rules'),
  (gen_random_uuid(), {midnight}, 'completed', 'negative', -0.4, '{{кредит}}', '{{}}', 'He complains.', '{{}}', 'en',
    'openai', 'gpt-4o'),
  (gen_random_uuid(), {new_year}, 'pending', 'neutral', 0, '{{}}', '{{}}', '', '{{}}', 'ru', NULL, NULL),
  (gen_random_uuid(), {failed}, 'failed', 'neutral', 0, '{{не считается}}', '{{}}', '', '{{}}', 'ru', NULL, NULL);
INSERT INTO events (type, call_id, data) VALUES
  ('call_created', {long_ago}, jsonb_build_object('id', {long_ago})),
  ('call_processed', {long_ago}, jsonb_build_object('id', {long_ago}));
INSERT INTO pipelines (call_id, state, stage, lease_owner, lease_until, error_code, error) VALUES
  ({long_ago}, 'completed', 'publish', NULL, NULL, NULL, NULL),
  ({running}, 'running', 'transcribe', 'host:1', '2025-02-03 10:02+00', NULL, NULL),
  ({failed}, 'failed', 'decode', NULL, NULL, 'no_audio', 'no sound'),
  ({waiting}, 'waiting', 'transcribe', NULL, NULL, NULL, NULL);
INSERT INTO segments (id, call_id, position, start_ms, end_ms, speaker, text, language, confidence, words) VALUES
  (gen_random_uuid(), {long_ago}, 0, 0, 2000, 'B', 'Автосалон, добрый день, чьё авто?', 'ru', 0.9, '[]'),
  (gen_random_uuid(), {long_ago}, 1, 2500, 6000, 'A', 'Хочу на тест-драйв', 'ru', 0.8, '[{{"word": "Хочу"}}]'),
  (gen_random_uuid(), {long_ago}, 2, 6000, 9000, 'B', 'Записала', 'ru', 1, '[]'),
  (gen_random_uuid(), {midnight}, 0, 100, 900, 'A', 'I want my money back', 'en', 0.5, '[]');
INSERT INTO stage_outputs (call_id, stage, output, elapsed_ms) VALUES ({long_ago}, 'decode', '{{"seconds": 61}}', 300);
""",
    "0004": """
INSERT INTO audit_log (at, action, details, previous, hash) VALUES
  ('2025-02-01 10:00+00', 'login', '{}', '', 'one'), ('2025-02-01 10:01+00', 'call_read', '{}', 'one', 'two');
""",
    "0005": f"""
INSERT INTO llm_profiles (name, definition, sealed_key) VALUES
  ('own', '{{"base_url": "http://10.0.0.5/v1"}}', 'sealed');
INSERT INTO llm_choice (id, profile, chosen_by_id) VALUES (1, 'own', {admin});
INSERT INTO llm_requests (profile, model, host, purpose, call_id, leaves, masked, bytes_sent, reserved_cost, cost)
VALUES
  ('openai', 'gpt-4o', 'api.openai.com', 'analyse', {midnight}, true, '{{"name": 2}}', 4000, 0.05, 0.03),
  ('openai', 'gpt-4o', 'api.openai.com', 'analyse', gen_random_uuid(), true, '{{}}', 4000, 0.05, NULL);
UPDATE ai_analyses SET stood_in_for = 'openai' WHERE call_id = {long_ago};
""",
    "0006": f"""
UPDATE calls SET removals = '[{{"start_ms": 1, "end_ms": 2, "reason": "silence", "text": "Спасибо"}}]'
WHERE id = {long_ago};
""",
    "0007": f"""
INSERT INTO arrivals (key, call_id) VALUES ('sha256:1', {new_year}), ('sha256:2', gen_random_uuid());
UPDATE users SET extension = '101' WHERE id = {nobody};
""",
    "0009": f"""
INSERT INTO site_vocabulary (id, names, changed_by_id) VALUES (1, '["Chery Tiggo"]', {admin});
UPDATE calls SET corrections = '[{{"heard": "чери", "text": "Chery"}}]' WHERE id = {long_ago};
""",
    "0010": f"UPDATE calls SET held_since = '2025-03-01 00:00+00' WHERE id = {long_ago};",
    "0011": f"UPDATE calls SET manager_channel = 'right', channels_apart = true WHERE id = {midnight};",
    "0012": """
INSERT INTO told_calls (key, type, phone, extension, date) VALUES
  ('mango:1', 'incoming', '+74951112233', '101', '2025-03-01 10:00+00');
INSERT INTO awaited_recordings (key, call_key, maker, location, state, error_code) VALUES
  ('mango:r1', 'mango:1', 'mango', 'r1', 'waiting', NULL),
  ('uis:r2', 'uis:2', 'uis', 'https://x.example/2', 'failed', 'gone');
""",
    "0013": f"UPDATE analysis_versions SET reason = 'reanalysed' WHERE call_id = {midnight};",
    "0014": f"UPDATE users SET must_change_password = true WHERE id = {boris};",
    "0015": f"""
INSERT INTO reanalyses (id, profile, state, filters, total, sample, started_by_id) VALUES
  ('{REANALYSIS}', 'own', 'running', '["date_from"]', 3, 2, {admin});
INSERT INTO reanalysis_tasks (reanalysis_id, call_id, position, sampled, state, lease_owner, lease_until, cost, result)
VALUES
  ('{REANALYSIS}', {midnight}, 0, true, 'done', NULL, NULL, 0.02, '{{"cost": 0.02, "summary": "x"}}'),
  ('{REANALYSIS}', {new_year}, 1, true, 'failed', NULL, NULL, 0, NULL),
  ('{REANALYSIS}', {long_ago}, 2, false, 'running', 'host:2', '2025-03-01 10:00+00', 0, '{{"summary": "no cost"}}');
UPDATE analysis_versions SET reanalysis_id = '{REANALYSIS}' WHERE call_id = {midnight};
""",
    "0016": f"""
INSERT INTO stage_steps (call_id, position, question, answer) VALUES ({running}, 0, '{{"from": 0}}', '{{"to": 15}}');
UPDATE pipelines SET spent_ms = 15000 WHERE call_id = {running};
""",
    "0017": f"UPDATE segments SET speaker_detail = 'B2' WHERE call_id = {long_ago} AND position = 2;",
    "0020": """
INSERT INTO nodes (name, address, version, speech_seen_at) VALUES
  ('second', '10.0.0.12', '0.1.0', '2025-03-01 10:00+00');
""",
    "0021": f"UPDATE analysis_versions SET reason = 'speakers_swapped' WHERE call_id = {long_ago};",
}

CALL_AFTER_THE_TALLIES = f"""
INSERT INTO calls (id, type, status, manager_id, duration_ms, date, client_ms, manager_ms) VALUES
  ({later}, 'incoming', 'completed', {anna}, 10000, '2025-02-10 12:00+00', 4000, 5000);
INSERT INTO ai_analyses (id, call_id, processing_status, sentiment, sentiment_score, topics, intents, summary,
    action_items, language) VALUES
  (gen_random_uuid(), {later}, 'completed', 'positive', 0.5, '{{кредит,сервис}}', '{{}}', 'x', '{{}}', 'ru');
"""
"""By triggers, into rows that are not merged."""

ROWS["0003"] = CALL_AFTER_THE_TALLIES
