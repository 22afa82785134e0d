import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { failure, loggedIn, MANAGER_NAME, processed, upload } from './client.js';
import { Exported, Managers, Problem, SearchPage, Stats, Trends } from './schemas.js';

let admin, manager, other, call;

before(async () => {
  [admin, manager, other] = await Promise.all(['admin', 'manager', 'other'].map(loggedIn));
  call = await processed(manager, await upload(manager));
});

test('words of a transcript are found, marked, and where to jump to', async () => {
  const said = call.transcript.find((part) => /[а-яё]{7,}/i.test(part.text));
  const word = said.text.match(/[а-яё]{7,}/i)[0];
  const { data } = await manager.http.get('/api/search', { params: { q: word, speaker: said.speaker, limit: 100 } });
  const found = SearchPage.parse(data).results.find((result) => result.call.id === call.id);
  const hit = found.segments.find((segment) => segment.segment_id === said.id);
  assert.equal(hit.start_ms, said.start_ms);
  assert.match(hit.snippet, /<mark>/);
  const foreign = await other.http.get('/api/search', { params: { q: word, limit: 100 } });
  assert.ok(SearchPage.parse(foreign.data).results.every((result) => result.call.id !== call.id));
  assert.equal(Problem.parse((await failure(manager.http.get('/api/search'))).data).errors[0].field, 'q');
});

test('the dashboard counts', async () => {
  const stats = Stats.parse((await manager.http.get('/api/dashboard/stats')).data);
  assert.ok(stats.total_calls >= 1 && stats.today_calls >= 1);
  assert.deepEqual(stats.top_managers.map((row) => row.name), [MANAGER_NAME]);
  const params = { dateFrom: '1990-01-01', dateTo: '1990-01-02', manager: MANAGER_NAME };
  assert.equal(Stats.parse((await admin.http.get('/api/dashboard/stats', { params })).data).total_calls, 0);
  for (const period of ['day', 'week', 'month']) {
    const trends = Trends.parse((await manager.http.get('/api/dashboard/trends', { params: { period } })).data);
    assert.equal(trends.period, period);
    assert.equal(trends.points.reduce((sum, point) => sum + point.calls, 0), stats.total_calls);
  }
  const { managers } = Managers.parse((await admin.http.get('/api/dashboard/managers')).data);
  assert.ok(managers.find((row) => row.name === MANAGER_NAME).calls >= 1);
});

test('calls are exported to a file that needs no token', async () => {
  const body = {
    format: 'csv',
    calls: [call.id],
    filters: { dateFrom: '2020-01-01', dateTo: '2099-12-31', status: 'completed' },
  };
  const { data } = await manager.http.post('/api/calls/export', body);
  Exported.parse(data);
  assert.match(new URL(data.download_url).pathname, /^\/downloads\/export_[0-9a-f-]{36}\.csv$/);
  const file = await fetch(data.download_url);
  assert.match(file.headers.get('content-disposition'), /^attachment/);
  const bytes = new Uint8Array(await file.arrayBuffer());
  assert.deepEqual([...bytes.slice(0, 3)], [0xef, 0xbb, 0xbf]);
  assert.ok(new TextDecoder().decode(bytes).includes(call.id));
  const foreign = (await other.http.post('/api/calls/export', { format: 'csv', calls: [call.id] })).data;
  assert.ok(!(await (await fetch(foreign.download_url)).text()).includes(call.id));
  const workbook = (await manager.http.post('/api/calls/export', { ...body, format: 'xlsx' })).data;
  assert.equal(new TextDecoder().decode((await (await fetch(workbook.download_url)).arrayBuffer()).slice(0, 2)), 'PK');
  const wrong = await failure(manager.http.post('/api/calls/export', { format: 'pdf' }));
  assert.equal(Problem.parse(wrong.data).errors[0].field, 'format');
});
