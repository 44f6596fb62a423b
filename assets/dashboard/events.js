// Events, newest first: what was, what comes in, older ones when asked for.

import { html, useEffect, useId, useRef, useState } from './vendor/preact.js';
import { address, call, useEvents } from './api.js';
import { Empty, Failure, Icon, Loading, Time, Who, capital, exact, useReady } from './ui.js';

const PAGE = 100;
const SEVERITIES = ['info', 'notice', 'warning'];

// Whether an event of the live feed is one that the filter asks for; the query asks locum for the same.
export function matches(filter, event) {
  const { kind, severity, actor, user, client } = filter;
  return (!kind || event.kind === kind || event.kind.startsWith(`${kind}.`))
    && (!severity || SEVERITIES.indexOf(event.severity) >= SEVERITIES.indexOf(severity))
    && (!actor || event.actor.kind === actor)
    && (!user || event.user?.id === user || event.user?.email?.toLowerCase() === user.toLowerCase())
    && (!client || event.client === client);
}

export function EventList({ filter, paused = false }) {
  const query = JSON.stringify(filter);
  const [state, setState] = useState({ events: [], next: null, problem: null, loading: true });
  const [waiting, setWaiting] = useState([]);
  const turn = useRef(0);
  useReady(!state.loading);

  const load = async (before) => {
    const mine = turn.current;
    setState((known) => ({ ...known, loading: true, problem: null }));
    try {
      const page = await call('GET', address(['events'], { ...filter, limit: PAGE, before }));
      if (mine !== turn.current) return;
      setState((known) => ({
        events: before ? [...known.events, ...page.events] : page.events,
        next: page.next,
        problem: null,
        loading: false,
      }));
    } catch (problem) {
      if (mine === turn.current) setState((known) => ({ ...known, problem, loading: false }));
    }
  };
  useEffect(() => {
    turn.current += 1;
    setWaiting([]);
    load();
  }, [query]);

  const show = (events) => setState((known) => {
    const ids = new Set(known.events.map((event) => event.id));
    return { ...known, events: [...events.filter((event) => !ids.has(event.id)), ...known.events] };
  });
  useEvents((event) => {
    if (!matches(filter, event)) return;
    if (paused) setWaiting((all) => [event, ...all]);
    else show([event]);
  }, [query, paused]);
  useEffect(() => {
    if (paused || waiting.length === 0) return;
    show(waiting);
    setWaiting([]);
  }, [paused]);

  const { events, next, problem, loading } = state;
  return html`
    <section class="card flush" aria-label="Events" aria-busy=${loading}>
      <${Failure} problem=${problem} retry=${() => load()} />
      ${waiting.length > 0 && html`<p class="waiting" role="status">${waiting.length} new since you
        paused.</p>`}
      ${loading && events.length === 0 && html`<${Loading} lines=${8} />`}
      ${!loading && !problem && events.length === 0 && html`
        <${Empty} title="Nothing yet">What happens is shown here as it happens.</${Empty}>`}
      <ol class="events">${events.map((event) => html`<${EventRow} key=${event.id} event=${event} />`)}</ol>
      ${next && html`<div class="more"><button type="button" class="small" disabled=${loading}
        onClick=${() => load(next)}>${loading ? 'Loading…' : 'Load older'}</button></div>`}
    </section>`;
}

const WAYS = { dashboard: 'in the dashboard', socket: 'on the server', key: 'with a key' };

function actorWords(actor) {
  if (actor.kind === 'locum') return 'locum';
  if (actor.kind === 'user') return 'the person';
  if (actor.kind === 'key') return html`key <bdi>${actor.name ?? actor.key}</bdi>`;
  return html`${actor.name ? html`<bdi>${actor.name}</bdi>` : 'the owner'} ${WAYS[actor.via]}`;
}

function value(of) {
  if (of === null) return 'none';
  if (Array.isArray(of)) return of.join(', ');
  return typeof of === 'object' ? JSON.stringify(of) : String(of);
}

function EventRow({ event }) {
  const id = useId();
  const [open, setOpen] = useState(false);
  const details = Object.entries(event.details ?? {});
  return html`
    <li class=${event.severity}>
      <div class="event">
        <${Icon} name=${event.severity === 'info' ? 'dot' : event.severity} />
        <div class="grow">
          <button type="button" class="said" aria-expanded=${open} aria-controls=${id}
            onClick=${() => setOpen(!open)}>${event.summary}</button>
          <span class="facts quiet"><code>${event.kind}</code>
            ${event.user && html`<${Who} user=${event.user} />`}
            <span>by ${actorWords(event.actor)}</span>
            ${event.client && html`<span>client ${event.client}</span>`}</span>
        </div>
        <${Time} at=${event.at} />
        <${Icon} name="next" />
      </div>
      <dl class="facts-list" id=${id} hidden=${!open}>${open && html`
        <div><dt>When</dt><dd>${exact(event.at)}</dd></div>
        ${event.from && html`<div><dt>From</dt><dd><code>${event.from}</code></dd></div>`}
        ${event.actor.key && html`<div><dt>Key</dt><dd><code>${event.actor.key}</code></dd></div>`}
        ${details.map(([name, of]) => html`
          <div key=${name}><dt>${capital(name.replaceAll('_', ' '))}</dt><dd><bdi>${value(of)}</bdi></dd>
            </div>`)}
        <div><dt>Number</dt><dd><code>${event.id}</code></dd></div>`}
      </dl>
    </li>`;
}
