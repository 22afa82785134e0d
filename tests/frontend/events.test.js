import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Listener, listening, loggedIn, processed, upload } from './client.js';

let admin, manager, other;
const open = [];
const listen = async (session, query) => {
  const listener = await listening(session.token, query);
  open.push(listener);
  return listener;
};

before(async () => {
  [admin, manager, other] = await Promise.all(['admin', 'manager', 'other'].map(loggedIn));
});
after(() => open.forEach((listener) => listener.close()));

test('a call is followed from its creation to its result, in the guide\'s shapes', async () => {
  const listener = await listen(manager);
  const id = await upload(manager, { clientName: 'Событие' });
  const events = await listener.until(id, 'call_processed');
  assert.ok(!listener.heard.some((event) => event.type === 'invalid'), JSON.stringify(listener.heard.at(-1)));
  assert.equal(events[0].type, 'call_created');
  assert.equal(events[0].data.call.clientName, 'Событие');
  const done = { type: 'call_processed', data: { call_id: id, status: 'completed', has_analysis: true } };
  assert.deepEqual(events.at(-1), done);
  assert.ok(events.some((event) => event.type === 'call_processing_progress'));
});

test('nobody hears of others\' calls', async () => {
  const [foreign, all] = [await listen(other), await listen(admin)];
  const id = await upload(manager);
  await all.until(id, 'call_processed');
  assert.deepEqual(foreign.of(id), []);
});

test('what was missed is replayed once', async () => {
  const first = await listen(manager, '?last_event_id=0');
  const seen = await upload(manager);
  await first.until(seen, 'call_processed');
  first.close();
  const last = first.heard.findLast((event) => event.id !== undefined).id;
  const missed = await upload(manager);
  await processed(manager, missed);
  const second = await listen(manager, `?last_event_id=${last}`);
  await second.until(missed, 'call_processed');
  const numbered = second.heard.filter((event) => event.id !== undefined);
  assert.ok(numbered.every((event, n) => event.id > (n ? numbered[n - 1].id : last)));
  assert.deepEqual(second.of(seen), []);
  assert.deepEqual(second.of(missed).map((event) => event.type), ['call_created', 'call_processed']);
});

test('strangers are closed with 4401', async () => {
  const listener = new Listener('nonsense');
  assert.equal(await listener.closed, 4401);
});

test('logging out closes the socket with 4401', async () => {
  const session = await loggedIn('manager');
  const listener = await listening(session.token);
  await session.http.post('/api/auth/logout', {});
  assert.equal(await listener.closed, 4401);
});
