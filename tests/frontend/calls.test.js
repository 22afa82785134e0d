import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { failure, loggedIn, MANAGER_NAME, processed, recording, upload } from './client.js';
import { Analysis, BatchDeleted, Call, CallPage, Message, Problem, Uploaded } from './schemas.js';

let admin, manager, other, analyst, call;

before(async () => {
  [admin, manager, other, analyst] = await Promise.all(['admin', 'manager', 'other', 'analyst'].map(loggedIn));
  const id = await upload(manager, { clientName: 'Михаил Козлов', phoneNumber: '+7 (495) 987-65-43' });
  call = Call.parse(await processed(manager, id));
});

test('an uploaded recording becomes a transcript and an analysis', async () => {
  assert.equal(call.status, 'completed');
  assert.equal(call.clientName, 'Михаил Козлов');
  assert.equal(call.phoneNumber, '+7 (495) 987-65-43');
  assert.equal(call.managerName, MANAGER_NAME);
  assert.deepEqual(new Set(call.transcript.map((part) => part.speaker)), new Set(['A', 'B']));
  const { data } = await manager.http.get(`/api/calls/${call.id}/ai-analysis`);
  assert.deepEqual(Analysis.parse(data), call.aiAnalysis);
  assert.equal(data.processing_status, 'completed');
});

test('the answer to an upload is the guide\'s', async () => {
  const { data, status } = await manager.http.post('/api/calls', recording());
  assert.equal(status, 200);
  assert.equal(Uploaded.parse(data).message, 'Файл успешно загружен, начата обработка');
  await processed(manager, data.id);
});

test('the same Idempotency-Key makes one call', async () => {
  const headers = { 'Idempotency-Key': `key-${Date.now()}` };
  const answers = await Promise.all([1, 2].map(() => manager.http.post('/api/calls', recording(), { headers })));
  assert.equal(answers[0].data.id, answers[1].data.id);
});

test('every filter of the guide is taken, and pages are told', async () => {
  const params = {
    limit: 100,
    offset: 0,
    search: '4959876543',
    status: 'completed',
    type: 'incoming',
    sentiment: 'all',
    manager: MANAGER_NAME,
    dateFrom: '2020-01-01',
    dateTo: '2099-12-31',
    sort: 'date_desc',
  };
  const { data } = await manager.http.get('/api/calls', { params });
  assert.ok(CallPage.parse(data).calls.some((found) => found.id === call.id));
  assert.equal(data.has_prev, false);
  assert.equal((await manager.http.get('/api/calls', { params: { ...params, type: 'outgoing' } })).data.total, 0);
  const past = { ...params, dateTo: '2020-01-02' };
  assert.equal((await manager.http.get('/api/calls', { params: past })).data.total, 0);
});

test('the four orders and the pages are consistent', async () => {
  const sorts = {
    date_desc: (a, b) => Date.parse(a.date) >= Date.parse(b.date),
    date_asc: (a, b) => Date.parse(a.date) <= Date.parse(b.date),
    duration_desc: (a, b) => a.duration >= b.duration,
    duration_asc: (a, b) => a.duration <= b.duration,
  };
  for (const [sort, ordered] of Object.entries(sorts)) {
    const { data } = await admin.http.get('/api/calls', { params: { sort, limit: 100 } });
    const calls = CallPage.parse(data).calls;
    assert.ok(calls.slice(1).every((found, n) => ordered(calls[n], found)), sort);
  }
  const first = (await manager.http.get('/api/calls', { params: { limit: 1, sort: 'date_asc' } })).data;
  const second = (await manager.http.get('/api/calls', { params: { limit: 1, offset: 1, sort: 'date_asc' } })).data;
  assert.deepEqual([first.calls.length, first.has_next, first.has_prev], [1, true, false]);
  assert.deepEqual([second.calls.length, second.has_prev], [1, true]);
  assert.notEqual(first.calls[0].id, second.calls[0].id);
});

test('search finds a number, a name with a typing error, and words of the transcript', async () => {
  const find = async (params) => (await manager.http.get('/api/calls', { params })).data.calls.map((found) => found.id);
  for (const search of ['8 495 987', '987-65-43', 'козлов', 'Козлав', MANAGER_NAME]) {
    assert.ok((await find({ search, limit: 100 })).includes(call.id), search);
  }
  const word = call.transcript.flatMap((part) => part.text.match(/[а-яё]{7,}/gi) ?? [])[0];
  assert.ok((await find({ transcript: word, limit: 100 })).includes(call.id), word);
});

test('bad parameters are named', async () => {
  for (const params of [{ limit: 0 }, { limit: 101 }, { offset: -1 }, { status: 'lost' }, { dateFrom: '17.06.2025' }]) {
    const answer = await failure(manager.http.get('/api/calls', { params }));
    assert.equal(answer.status, 422);
    assert.match(answer.headers['content-type'], /^application\/problem\+json/);
    assert.deepEqual(Problem.parse(answer.data).errors.map((error) => error.field), Object.keys(params));
  }
});

test('others do not find a manager\'s call; an analyst reads it and changes nothing', async () => {
  assert.equal((await failure(other.http.get(`/api/calls/${call.id}`))).status, 404);
  assert.equal(Call.parse((await analyst.http.get(`/api/calls/${call.id}`)).data).id, call.id);
  for (const change of [
    () => analyst.http.patch(`/api/calls/${call.id}`, { clientName: 'Другой' }),
    () => analyst.http.delete(`/api/calls/${call.id}`),
    () => analyst.http.post('/api/calls', recording()),
  ]) {
    assert.equal(Problem.parse((await failure(change())).data).code, 'not_allowed');
  }
});

test('the recording plays and seeks without a token', async () => {
  const whole = await fetch(call.recordingUrl);
  assert.equal(whole.status, 200);
  assert.equal(whole.headers.get('accept-ranges'), 'bytes');
  assert.match(whole.headers.get('content-type'), /^audio\//);
  const bytes = new Uint8Array(await whole.arrayBuffer());
  const part = await fetch(call.recordingUrl, { headers: { Range: 'bytes=100-199' } });
  assert.equal(part.status, 206);
  assert.equal(part.headers.get('content-range'), `bytes 100-199/${bytes.length}`);
  assert.deepEqual(new Uint8Array(await part.arrayBuffer()), bytes.slice(100, 200));
  const beyond = await fetch(call.recordingUrl, { headers: { Range: `bytes=${bytes.length}-` } });
  assert.equal(beyond.status, 416);
  assert.equal(Problem.parse(await beyond.json()).code, 'range_not_satisfiable');
  assert.equal((await fetch(call.recordingUrl.replace('signature=', 'signature=0'))).status, 403);
});

test('client, direction and manager are corrected; speakers are exchanged', async () => {
  const id = await upload(manager);
  const before = await processed(manager, id);
  const change = { clientName: 'Ольга Белова', type: 'outgoing' };
  const changed = Call.parse((await manager.http.patch(`/api/calls/${id}`, change)).data);
  assert.deepEqual([changed.clientName, changed.type], ['Ольга Белова', 'outgoing']);
  const swapped = Call.parse((await manager.http.post(`/api/calls/${id}/swap-speakers`)).data);
  const turned = before.transcript.map((part) => (part.speaker === 'A' ? 'B' : 'A'));
  assert.deepEqual(swapped.transcript.map((part) => part.speaker), turned);
  const given = Call.parse((await admin.http.patch(`/api/calls/${id}`, { managerName: 'Кто-то Другой' })).data);
  assert.equal(given.managerName, 'Кто-то Другой');
  assert.equal((await failure(manager.http.get(`/api/calls/${id}`))).status, 404);
});

test('a call is processed anew', async () => {
  const id = await upload(manager);
  await processed(manager, id);
  const { data, status } = await manager.http.post(`/api/calls/${id}/reprocess`);
  assert.equal(status, 202);
  Uploaded.parse(data);
  assert.equal(Call.parse(await processed(manager, id)).status, 'completed');
});

test('calls are deleted, alone and together; foreign and missing ones are not counted', async () => {
  const [one, two, three] = await Promise.all([1, 2, 3].map(() => upload(manager)));
  assert.equal(Message.parse((await manager.http.delete(`/api/calls/${one}`)).data).message, 'Звонок успешно удален');
  assert.equal((await failure(manager.http.get(`/api/calls/${one}`))).status, 404);
  assert.equal((await failure(manager.http.delete(`/api/calls/${one}`))).status, 404);
  const ids = [one, two, three];
  const foreign = await other.http.post('/api/calls/batch-delete', { ids });
  assert.equal(BatchDeleted.parse(foreign.data).deleted_count, 0);
  const { data } = await manager.http.post('/api/calls/batch-delete', { ids });
  assert.deepEqual(BatchDeleted.parse(data), { deleted_count: 2, message: 'Звонки успешно удалены' });
});

test('what is no recording is refused, in the language that is asked for', async () => {
  const send = (content, name, headers) => {
    const form = recording();
    form.set('audio', new Blob([content]), name);
    return failure(manager.http.post('/api/calls', form, { headers }));
  };
  const text = await send('this is text', 'call.wav');
  assert.deepEqual([text.status, Problem.parse(text.data).code], [415, 'unsupported_audio']);
  assert.match(text.data.detail, /Формат файла не поддерживается/);
  const english = await send('this is text', 'call.wav', { 'Accept-Language': 'en' });
  assert.match(english.data.detail, /Unsupported audio format/);
  const empty = await send('', 'call.wav');
  assert.deepEqual([empty.status, Problem.parse(empty.data).code], [422, 'audio_empty']);
  const large = await send(new Uint8Array(101 * 2 ** 20), 'call.wav').catch((error) => ({ cut: error.code }));
  // A server that stops reading may close the connection before a client has read its answer.
  if (!large.cut) assert.deepEqual([large.status, large.data.code], [413, 'upload_too_large']);
  const missing = new FormData();
  missing.set('audio', new Blob(['x']), 'a.wav');
  const fields = await failure(manager.http.post('/api/calls', missing));
  assert.deepEqual(new Set(Problem.parse(fields.data).errors.map((error) => error.field)), new Set(['type', 'managerName']));
});

test('unknown addresses answer in the one format', async () => {
  const answer = await failure(manager.http.get('/api/nowhere'));
  assert.deepEqual([answer.status, Problem.parse(answer.data).code], [404, 'route_not_found']);
  const method = await failure(manager.http.put('/api/calls'));
  assert.deepEqual([method.status, Problem.parse(method.data).code], [405, 'method_not_allowed']);
});
