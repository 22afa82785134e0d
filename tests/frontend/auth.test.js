import assert from 'node:assert/strict';
import { test } from 'node:test';
import { API, failure, loggedIn, PASSWORD, PEOPLE, Session } from './client.js';
import { Login, Message, Problem, User } from './schemas.js';

test('logging in answers the user, a token and its life', async () => {
  const session = new Session();
  const data = Login.parse(await session.login(PEOPLE.admin));
  assert.equal(data.user.role, 'admin');
  assert.equal(data.user.email, PEOPLE.admin);
  assert.deepEqual(User.parse((await session.http.get('/api/auth/me')).data), data.user);
});

test('a wrong password and an unknown e-mail are the same 401', async () => {
  const wrong = await failure(new Session().login(PEOPLE.admin, 'not the password'));
  const unknown = await failure(new Session().login(`nobody-${Date.now()}@test.example`));
  for (const answer of [wrong, unknown]) assert.equal(answer.status, 401);
  assert.deepEqual(Problem.parse(wrong.data), Problem.parse(unknown.data));
});

test('a dead token is refreshed once for many requests at a time', async () => {
  const session = await loggedIn('manager');
  session.token = 'expired';
  const answers = await Promise.all(Array.from({ length: 5 }, () => session.http.get('/api/calls')));
  assert.ok(answers.every((answer) => answer.status === 200));
  assert.equal(session.refreshes, 1);
});

test('a refresh token works once; using it again ends the session', async () => {
  const session = await loggedIn('manager');
  const first = session.refreshToken;
  await session.refresh();
  assert.notEqual(session.refreshToken, first);
  const again = await failure(session.http.post('/api/auth/refresh', { refresh_token: first }));
  assert.equal(again.status, 401);
  assert.equal((await failure(session.http.get('/api/auth/me'))).status, 401);
});

test('after logging out neither token works', async () => {
  const session = await loggedIn('manager');
  const answer = await session.http.post('/api/auth/logout', {});
  assert.deepEqual(Message.parse(answer.data), { message: 'Successfully logged out' });
  assert.equal((await failure(session.http.get('/api/auth/me'))).status, 401);
  assert.equal((await failure(session.refresh())).status, 401);
});

test('the own password is changed with the old one', async () => {
  const admin = await loggedIn('admin');
  const email = `password-${Date.now()}@test.example`;
  await admin.http.post('/api/users', { name: 'Пароль', email, role: 'analyst', password: PASSWORD });
  const session = new Session();
  await session.login(email);
  const wrong = { current_password: 'not it', new_password: 'a new long one' };
  assert.equal((await failure(session.http.post('/api/auth/password', wrong))).status, 401);
  const answer = await session.http.post('/api/auth/password', { ...wrong, current_password: PASSWORD });
  Message.parse(answer.data);
  await new Session().login(email, 'a new long one');
  assert.equal((await failure(new Session().login(email, PASSWORD))).status, 401);
});

test('nothing is told to who is not logged in', async () => {
  const session = new Session();
  for (const path of ['/api/calls', '/api/auth/me', '/api/dashboard/stats', '/api/search?q=x', '/api/users']) {
    const answer = await failure(session.http.get(path));
    assert.equal(answer.status, 401, path);
    assert.equal(Problem.parse(answer.data).code, 'not_authenticated');
  }
});

test('CORS lets the frontend in and nobody else', async () => {
  const ask = (origin) =>
    fetch(`${API}/api/calls`, {
      method: 'OPTIONS',
      headers: {
        Origin: origin,
        'Access-Control-Request-Method': 'GET',
        'Access-Control-Request-Headers': 'authorization',
      },
    });
  const own = await ask(process.env.FRONTEND_ORIGIN);
  assert.equal(own.headers.get('access-control-allow-origin'), process.env.FRONTEND_ORIGIN);
  assert.match(own.headers.get('access-control-allow-headers'), /authorization/i);
  const foreign = await ask('https://evil.example');
  assert.equal(foreign.headers.get('access-control-allow-origin'), null);
});
