// What pages are made of: words for numbers and times, and the small components that every page shares.
//
// Whatever comes from people (names, addresses, file names) is put into the page as text, in a <bdi> so that
// its direction stays its own.

import { createContext, html, useContext, useEffect, useState } from './vendor/preact.js';
import { now, reachable, useSignal } from './api.js';

// ---- words

const plural = new Intl.PluralRules('en');
const wholeNumber = new Intl.NumberFormat('en');
const relative = new Intl.RelativeTimeFormat('en');
const exactTime = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' });

export const number = (value) => wholeNumber.format(value);

// "1 person", "3 people"
export const count = (value, one, many = `${one}s`) => `${number(value)} ${plural.select(value) === 'one'
  ? one : many}`;

export function bytes(value) {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let size = value;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return unit === 0 ? count(value, 'byte') : `${size.toFixed(size < 10 ? 1 : 0)} ${units[unit]}`;
}

const SPANS = [['year', 31_536_000], ['month', 2_592_000], ['day', 86_400], ['hour', 3600], ['minute', 60]];

export function span(seconds) {
  const [unit, length] = SPANS.find(([, length]) => seconds >= length) ?? ['second', 1];
  return count(Math.floor(seconds / length), unit);
}

function ago(at, present) {
  const seconds = (at - present) / 1000;
  // What was made for a day a second ago ends in a day, not in 23 hours.
  const [unit, length] = SPANS.find(([, length]) => Math.abs(seconds) >= length * 0.99) ?? ['second', 1];
  if (unit === 'second') return seconds > 0 ? 'in a moment' : 'just now';
  return relative.format(Math.round(seconds / length), unit);
}

export const exact = (at) => exactTime.format(new Date(at));

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// `seconds` is Google's time less ours.
export function skewWords(seconds) {
  if (seconds === null) return 'not compared with Google’s yet';
  if (Math.abs(seconds) < 2) return 'in step with Google';
  return `${span(Math.abs(seconds))} ${seconds > 0 ? 'behind' : 'ahead of'} Google`;
}

// A sentence of locum's, in which `backticks` stand around what is typed.
export const Prose = ({ text }) => text.split('`').map((part, index) => (index % 2 === 0 ? part
  : html`<code>${part}</code>`));

// ---- states of a grant

export const STATES = ['active', 'needs_consent', 'dead', 'blocked', 'suspended', 'revoking'];

const STATE_WORDS = {
  active: 'Active',
  needs_consent: 'Needs consent',
  dead: 'Dead',
  blocked: 'Blocked',
  suspended: 'Suspended',
  revoking: 'Being forgotten',
};

export const stateWords = (state) => STATE_WORDS[state] ?? capital(state.replaceAll('_', ' '));

export const State = ({ state }) => html`<span class=${`badge state-${state}`}>${stateWords(state)}</span>`;

// ---- time

// One clock for all times on the page.
const TICK = 15_000;
const ticking = new Set();
setInterval(() => ticking.forEach((tick) => tick(now())), TICK);

export function useNow() {
  const [time, setTime] = useState(now());
  useEffect(() => {
    ticking.add(setTime);
    return () => ticking.delete(setTime);
  }, []);
  return time;
}

export function Time({ at, none = 'never' }) {
  const present = useNow();
  if (at === null || at === undefined) return html`<span class="quiet">${none}</span>`;
  return html`<time datetime=${at} title=${exact(at)}>${ago(Date.parse(at), present)}</time>`;
}

// What is left until `at`, in the two largest units: "2 days 4 hours left".
export function Countdown({ at }) {
  const left = Math.floor((Date.parse(at) - useNow()) / 1000);
  if (left <= 0) return html`<time datetime=${at} title=${exact(at)} class="urgent">over</time>`;
  const first = SPANS.findIndex(([, length]) => left >= length);
  const words = first < 0 ? 'less than a minute' : span(left);
  const rest = first < 0 ? 0 : left % SPANS[first][1];
  const next = SPANS[first + 1];
  const more = next && rest >= next[1] ? ` ${span(rest)}` : '';
  return html`<time datetime=${at} title=${exact(at)} class=${left < 86_400 ? 'urgent' : ''}>${words}
    ${more} left</time>`;
}

// ---- icons, drawn with the colour of their text

const ICONS = {
  overview: 'M3 12l9-8 9 8M6 10v10h12V10',
  people: 'M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM2 21c0-4 3-6 7-6s7 2 7 6M16 3.5a4 4 0 0 1 0 7M18 15c2.4.6 4 2.6 4 6',
  clients: 'M4 4h16v6H4zM4 14h16v6H4zM8 7h.01M8 17h.01',
  keys: 'M8 12a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM11 13L20 4M16 8l3 3M13.5 10.5l2 2',
  activity: 'M3 12h4l3 8 4-16 3 8h4',
  system: 'M4 6h10M18 6h2M4 12h2M10 12h10M4 18h8M16 18h4M14 4v4M6 10v4M12 16v4',
  theme: 'M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18',
  out: 'M14 4h5v16h-5M10 8l-4 4 4 4M6 12h10',
  folder: 'M3 6h6l2 2h10v11H3z',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  check: 'M5 13l4 4L19 7',
  warning: 'M12 4l9 16H3zM12 10v4M12 17h.01',
  notice: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5M12 8h.01',
  dot: 'M12 10a2 2 0 1 0 0 4 2 2 0 0 0 0-4z',
  close: 'M6 6l12 12M18 6L6 18',
  search: 'M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l4 4',
  next: 'M9 6l6 6-6 6',
};

export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${ICONS[name]} /></svg>`;

// ---- people

// A letter stands for the picture: Google's pictures would be requests to somebody else.
export function Avatar({ name, email }) {
  const letter = [...(name || email || '?').trim()][0] ?? '?';
  return html`<span class="avatar" aria-hidden="true">${letter.toUpperCase()}</span>`;
}

export const personHash = (id) => `#/people/${encodeURIComponent(id)}`;

// A person as an event or a list names them.
export function Who({ user }) {
  if (!user) return null;
  if (user.forgotten) return html`<span class="quiet">a forgotten person</span>`;
  if (user.damaged) return html`<span class="quiet">a person whose row is damaged</span>`;
  return html`<a href=${personHash(user.id)}><bdi>${user.email ?? user.id}</bdi></a>`;
}

// ---- how a page stands

const Readiness = createContext(() => {});
export const ReadinessProvider = Readiness.Provider;

// Says that the page shows what it is there to show (or why it cannot).
export function useReady(ready) {
  const setReady = useContext(Readiness);
  useEffect(() => {
    if (ready) setReady();
  }, [ready, setReady]);
}

const RENDER_FAILED = 'Reload the page. If that does not help, tell the authors of locum what you did.';

// A problem as locum words it: what happened, what to do, and the id under which the log has the rest.
export function Failure({ problem, retry }) {
  if (!problem) return null;
  return html`
    <div class="failure" role="alert">
      <${Icon} name="warning" />
      <div>
        <strong>${problem.title ?? 'This page failed'}</strong>
        <p><${Prose} text=${problem.detail ?? RENDER_FAILED} /></p>
        ${problem.retry_after && html`<p>It is worth another try in ${span(problem.retry_after)}.</p>`}
        ${problem.request_id && html`<p class="quiet small">Request <code>${problem.request_id}</code></p>`}
      </div>
      ${retry && html`<button type="button" class="small" onClick=${retry}>Try again</button>`}
    </div>`;
}

export const Empty = ({ title, children }) => html`
  <div class="empty"><strong>${title}</strong>${children && html`<p>${children}</p>`}</div>`;

export const Loading = ({ lines = 3 }) => html`
  <div class="loading" role="status">
    <span class="visually-hidden">Loading…</span>
    ${Array.from({ length: lines }, () => html`<span class="bone" />`)}
  </div>`;

export const Card = ({ title, actions, children, id }) => html`
  <section class="card" aria-labelledby=${id}>
    <header class="card-head"><h2 id=${id}>${title}</h2>${actions}</header>
    ${children}
  </section>`;

// ---- choosing one of a few

export const Choice = ({ label, options, value, onChange }) => html`
  <div class="choice" role="group" aria-label=${label}>
    ${options.map(([key, words]) => html`
      <button type="button" key=${key} aria-pressed=${key === value} onClick=${() => onChange(key)}>${words}
        </button>`)}
  </div>`;

export function Banner() {
  return useSignal(reachable)
    ? null
    : html`<div class="banner" role="status">locum cannot be reached. Trying again…</div>`;
}

// ---- going elsewhere

// Shows `hash` in place of the present one, without a step back to it: for filters that are being typed.
export function replaceHash(hash) {
  if (hash === location.hash) return;
  history.replaceState(null, '', hash);
  dispatchEvent(new HashChangeEvent('hashchange'));
}
