// How the frontend talks to the appliance: axios with the token on every request, and one refresh for many 401s.
import fs from 'node:fs';
import path from 'node:path';
import axios from 'axios';
import WebSocket from 'ws';
import { Event, Login } from './schemas.js';

export const API = process.env.API_URL;
export const PASSWORD = process.env.PASSWORD;
export const PEOPLE = {
  admin: process.env.ADMIN_EMAIL,
  manager: process.env.MANAGER_EMAIL,
  other: process.env.OTHER_MANAGER_EMAIL,
  analyst: process.env.ANALYST_EMAIL,
};
export const MANAGER_NAME = process.env.MANAGER_NAME;
export const SAMPLE = path.join(process.env.SAMPLES, 'ru-wrong-number.wav');

export class Session {
  constructor() {
    this.refreshes = 0;
    this.refreshing = null;
    this.http = axios.create({ baseURL: API, timeout: 60_000 });
    this.http.interceptors.request.use((config) => {
      if (this.token) config.headers.Authorization = `Bearer ${this.token}`;
      return config;
    });
    this.http.interceptors.response.use(undefined, async (error) => {
      const { config, response } = error;
      const own = config?.url?.startsWith('/api/auth/login') || config?.url?.startsWith('/api/auth/refresh');
      if (response?.status !== 401 || own || config.retried || !this.refreshToken) throw error;
      this.refreshing ??= this.refresh().finally(() => (this.refreshing = null));
      await this.refreshing;
      return this.http.request({ ...config, retried: true });
    });
  }

  async login(email, password = PASSWORD) {
    const { data } = await this.http.post('/api/auth/login', { email, password });
    return this.keep(data);
  }

  async refresh() {
    this.refreshes += 1;
    const { data } = await this.http.post('/api/auth/refresh', { refresh_token: this.refreshToken });
    return this.keep(data);
  }

  keep(data) {
    Login.parse(data);
    this.token = data.token;
    this.refreshToken = data.refresh_token;
    this.user = data.user;
    return data;
  }
}

export async function loggedIn(who) {
  const session = new Session();
  await session.login(PEOPLE[who]);
  return session;
}

// The answer of a request that is expected to fail.
export async function failure(request) {
  try {
    await request;
  } catch (error) {
    if (error.response) return error.response;
    throw error;
  }
  throw new Error('the request succeeded');
}

export function recording(fields = {}, file = SAMPLE) {
  const form = new FormData();
  form.append('audio', new Blob([fs.readFileSync(file)], { type: 'audio/wav' }), path.basename(file));
  const all = { type: 'incoming', managerName: MANAGER_NAME, phoneNumber: '+7 (495) 123-45-67', ...fields };
  for (const [name, value] of Object.entries(all)) form.append(name, value);
  return form;
}

export async function upload(session, fields) {
  return (await session.http.post('/api/calls', recording(fields))).data.id;
}

export async function processed(session, id, withinMs = 120_000) {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const { data } = await session.http.get(`/api/calls/${id}`);
    if (data.status !== 'in-progress') return data;
    if (Date.now() > deadline) throw new Error(`call ${id} was not processed`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

// A socket that keeps what it heard; every message is held against the schemas.
export class Listener {
  constructor(token, query = '') {
    this.heard = [];
    this.waiting = [];
    this.ws = new WebSocket(`${API.replace('http', 'ws')}/ws/calls${query}`, ['bearer', token]);
    this.opened = new Promise((resolve, reject) => {
      this.ws.on('open', resolve);
      this.ws.on('error', reject);
    });
    this.closed = new Promise((resolve) => this.ws.on('close', (code) => resolve(code)));
    this.ws.on('message', (text) => {
      const parsed = Event.safeParse(JSON.parse(text));
      this.heard.push(parsed.success ? parsed.data : { type: 'invalid', data: {}, problem: parsed.error, text });
      this.waiting.forEach((look) => look());
    });
  }

  of(id) {
    return this.heard.filter((event) => event.data.call_id === id || event.data.call?.id === id);
  }

  async until(id, type, withinMs = 120_000) {
    const found = () => this.of(id).some((event) => event.type === type);
    if (!found()) {
      await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no ${type} for ${id}`)), withinMs);
        this.waiting.push(() => found() && (clearTimeout(timer), resolve()));
      });
    }
    return this.of(id);
  }

  close() {
    this.ws.close();
  }
}

export async function listening(token, query) {
  const listener = new Listener(token, query);
  await listener.opened;
  return listener;
}
