// How the dashboard talks to locum: requests, what goes wrong with them, and the live feed of events.
//
// Every request carries the cookie of this origin and `X-Requested-With`, without which locum changes
// nothing. Nothing is kept in the browser but the choice of colours.

import { useEffect, useState } from './vendor/preact.js';

// What a request that failed says: locum's problem (RFC 9457), or that locum could not be reached.
export class Problem extends Error {
  constructor(members) {
    super(members.title);
    Object.assign(this, members);
  }
}

// A value that components can follow.
class Signal {
  #value;
  #followers = new Set();

  constructor(value) {
    this.#value = value;
  }

  get value() {
    return this.#value;
  }

  set value(value) {
    if (value === this.#value) return;
    this.#value = value;
    for (const follower of [...this.#followers]) follower(value);
  }

  follow(follower) {
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }
}

export function useSignal(signal) {
  const [value, setValue] = useState(signal.value);
  useEffect(() => {
    setValue(signal.value);
    return signal.follow(setValue);
  }, [signal]);
  return value;
}

// Whether the last request reached locum.
export const reachable = new Signal(true);

// Milliseconds by which locum's clock is ahead of this browser's. Times are shown by locum's.
let clockOffset = 0;

export const now = () => Date.now() + clockOffset;

const PROBE_EVERY = 3000;
// The Date header has whole seconds and is some time under way; less than this is no difference.
const OFFSET_NOTICED = 5000;

let probing = null;

const isAlive = () => fetch('/healthz', { cache: 'no-store' }).then((answer) => answer.ok, () => false);

function lost() {
  reachable.value = false;
  probing ??= setInterval(async () => {
    if (!await isAlive()) return;
    clearInterval(probing);
    probing = null;
    reachable.value = true;
  }, PROBE_EVERY);
}

// For what failed without saying why: `wasReachable` where locum answers, else `back` once it does again.
export async function whenReachable(back, wasReachable) {
  if (await isAlive()) return wasReachable();
  lost();
  return reachable.follow(back);
}

function readClock(response) {
  const date = Date.parse(response.headers.get('date'));
  if (Number.isNaN(date)) return;
  const offset = date - Date.now();
  clockOffset = Math.abs(offset) > OFFSET_NOTICED ? offset : 0;
}

// `path` with a query; absent values are left out.
export function withQuery(path, query) {
  const set = Object.entries(query).filter(([, value]) => (value ?? '') !== '');
  const text = new URLSearchParams(set).toString();
  return text === '' ? path : `${path}?${text}`;
}

// The address of a call: path segments and query, each encoded once.
export function address(segments, query = {}) {
  const path = `/v1/${segments.map(encodeURIComponent).join('/')}`;
  return withQuery(path, query);
}

async function problemOf(response) {
  const members = await response.json().catch(() => ({}));
  return new Problem({
    title: 'locum gave an answer that cannot be understood',
    detail: 'Something between this browser and locum may have answered in its place. Try again.',
    request_id: response.headers.get('x-request-id'),
    ...members,
    status: response.status,
    // In seconds; locum gives no dates here.
    retry_after: Number(response.headers.get('retry-after')) || null,
  });
}

export const unreachable = () => new Problem({
  title: 'locum cannot be reached',
  detail: 'The connection is lost, or locum is being restarted. This page goes on as soon as it is back.',
  code: 'unreachable',
  status: 0,
});

// Where the owner is no longer signed in, the way in is the page at `/`.
export const leave = () => location.assign('/');

// Whether somebody is at this page. What it asks for by itself must not keep the session alive.
const ATTENDED_FOR = 60_000;
let touched = performance.now();
for (const kind of ['pointerdown', 'pointermove', 'keydown', 'wheel']) {
  addEventListener(kind, () => { touched = performance.now(); }, { capture: true, passive: true });
}
const isAttended = () => performance.now() - touched < ATTENDED_FOR;

// The answer's response, or a thrown Problem.
export async function send(method, target, { json, headers = {}, signal } = {}) {
  const options = {
    method,
    signal,
    credentials: 'same-origin',
    cache: 'no-store',
    headers: { 'X-Requested-With': isAttended() ? 'locum' : 'locum-unattended', ...headers },
  };
  if (json !== undefined) {
    options.headers['Content-Type'] = 'application/json';
    options.body = JSON.stringify(json);
  }
  const response = await fetch(target, options).catch((error) => {
    if (signal?.aborted) throw error;
    lost();
    throw unreachable();
  });
  reachable.value = true;
  readClock(response);
  if (response.status === 401) leave();
  if (!response.ok) throw await problemOf(response);
  return response;
}

// As `send`, with the JSON of the answer; null where it has no body.
export async function call(method, target, options) {
  const response = await send(method, target, options);
  return response.status === 204 ? null : response.json();
}

// What GET of `target` says: `{data, problem, loading, reload}`. What was there stays until it is replaced,
// and is asked for again once locum is back. A null target asks for nothing.
export function useLoad(target) {
  const [answer, setAnswer] = useState({ target, data: null, problem: null, loading: true });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (target === null) return undefined;
    const aborter = new AbortController();
    setAnswer((before) => ({ ...before, loading: true }));
    call('GET', target, { signal: aborter.signal }).then(
      (data) => setAnswer({ target, data, problem: null, loading: false }),
      (problem) => {
        if (aborter.signal.aborted) return;
        setAnswer((before) => ({ ...before, target, problem, loading: false }));
      },
    );
    return () => aborter.abort();
  }, [target, turn]);
  const reload = () => setTurn((turn) => turn + 1);
  useEffect(() => reachable.follow((is) => is && reload()), []);
  return { ...answer, reload };
}

// ---- the live feed

// `connecting`, `live`, `reconnecting`, or `polling` where a stream cannot be had.
export const feedState = new Signal('connecting');

const POLL_EVERY = 10_000;
const REOPEN_AFTER = 30_000;

const listeners = new Set();
let source = null;
let lastId = null;
let poll = null;
let reopen = null;

function deliver(event) {
  lastId = event.id;
  for (const listener of [...listeners]) listener(event);
}

function openStream() {
  clearTimeout(reopen);
  source?.close();
  source = new EventSource(address(['events'], { after: lastId }));
  source.addEventListener('event', (message) => deliver(JSON.parse(message.data)));
  source.addEventListener('open', () => {
    clearInterval(poll);
    poll = null;
    feedState.value = 'live';
  });
  source.addEventListener('error', () => {
    if (source.readyState === EventSource.CONNECTING) {
      feedState.value = 'reconnecting';
      return;
    }
    // Refused: too many streams, or something on the way does not let them through. Ask now and then instead.
    reopen = setTimeout(openStream, REOPEN_AFTER);
    poll ??= setInterval(pollOnce, POLL_EVERY);
    pollOnce();
  });
}

async function pollOnce() {
  try {
    if (lastId === null) {
      const { events } = await call('GET', address(['events'], { limit: 1 }));
      lastId = events[0]?.id ?? '0';
    } else {
      const { events } = await call('GET', address(['events'], { after: lastId, limit: 500 }));
      events.reverse().forEach(deliver);
    }
    feedState.value = 'polling';
  } catch {
    feedState.value = 'reconnecting';
  }
}

function closeStream() {
  source?.close();
  source = null;
  clearTimeout(reopen);
  clearInterval(poll);
  poll = null;
}

// Begins to follow. A hidden page holds no stream: browsers allow an origin only six connections, and locum
// only so many streams; on return it resumes behind the last event.
export function startFeed() {
  const toggle = () => (document.hidden ? closeStream() : openStream());
  document.addEventListener('visibilitychange', toggle);
  toggle();
}

// Calls `listener` with each new event as long as the component is there.
export function useEvents(listener, inputs) {
  useEffect(() => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, inputs);
}
