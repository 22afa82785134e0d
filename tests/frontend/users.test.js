import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { failure, loggedIn, PASSWORD, Session } from './client.js';
import { Account, AccountPage, Problem } from './schemas.js';

let admin;

before(async () => {
  admin = await loggedIn('admin');
});

const fresh = () => ({
  name: `Новый ${Math.random()}`,
  email: `${Math.random()}@test.example`,
  role: 'analyst',
  password: PASSWORD,
});

test('an admin creates, finds, changes and removes users', async () => {
  const body = fresh();
  const { data, status } = await admin.http.post('/api/users', body);
  assert.equal(status, 201);
  assert.deepEqual([Account.parse(data).name, data.is_active], [body.name, true]);
  const page = AccountPage.parse((await admin.http.get('/api/users', { params: { search: body.name } })).data);
  assert.deepEqual(page.users, [data]);
  assert.deepEqual((await admin.http.get(`/api/users/${data.id}`)).data, data);
  const changed = Account.parse((await admin.http.patch(`/api/users/${data.id}`, { role: 'manager' })).data);
  assert.equal(changed.role, 'manager');
  const twice = await failure(admin.http.post('/api/users', body));
  assert.deepEqual([twice.status, Problem.parse(twice.data).code], [409, 'email_taken']);
  assert.equal((await admin.http.delete(`/api/users/${data.id}`)).status, 204);
  assert.equal((await failure(admin.http.get(`/api/users/${data.id}`))).status, 404);
});

test('who is deactivated is out at once', async () => {
  const body = fresh();
  const { id } = (await admin.http.post('/api/users', body)).data;
  const session = new Session();
  await session.login(body.email);
  await admin.http.patch(`/api/users/${id}`, { is_active: false });
  assert.equal((await failure(session.http.get('/api/auth/me'))).status, 401);
  assert.equal((await failure(new Session().login(body.email))).status, 401);
});

test('an avatar is a link that a page can show', async () => {
  const body = fresh();
  const { id } = (await admin.http.post('/api/users', body)).data;
  const session = new Session();
  await session.login(body.email);
  const png = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    'base64',
  );
  const form = new FormData();
  form.append('image', new Blob([png], { type: 'image/png' }), 'me.png');
  const { avatar } = Account.parse((await session.http.put(`/api/users/${id}/avatar`, form)).data);
  assert.equal((await fetch(avatar)).headers.get('content-type'), 'image/webp');
  assert.equal(Account.parse((await session.http.delete(`/api/users/${id}/avatar`)).data).avatar, undefined);
});

test('nobody else manages users', async () => {
  for (const who of ['manager', 'analyst']) {
    const { http } = await loggedIn(who);
    for (const request of [() => http.get('/api/users'), () => http.post('/api/users', fresh())]) {
      assert.equal(Problem.parse((await failure(request())).data).code, 'not_allowed');
    }
  }
});
