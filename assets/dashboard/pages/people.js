// Everybody: searched, filtered and sorted by locum, fifty at a time. What is chosen stands in the address,
// so that a reload and the way back show the same.

import { html, useEffect, useRef, useState } from '../vendor/preact.js';
import { address, useEvents, useLoad, withQuery } from '../api.js';
import { ConnectLinkDialog } from '../connect-link.js';
import {
  Avatar, Empty, Failure, Icon, Loading, STATES, State, Time, count, number, personHash, replaceHash,
  stateWords, useReady,
} from '../ui.js';
import { OpenLinks } from '../open-links.js';

const PAGE = 50;
// A pause in typing.
const TYPING = 200;
const SETTLE = 1500;

const COLUMNS = [
  { key: 'name', title: 'Name' },
  { key: 'email', title: 'E-mail', rank: 'wide' },
  { key: 'state', title: 'State' },
  { key: 'connected_at', title: 'Connected', rank: 'wide' },
  { key: 'refreshed_at', title: 'Refreshed', rank: 'wide' },
];

export default function People({ query }) {
  const chosen = {
    q: query.get('q') ?? '',
    state: query.get('state') ?? '',
    client: query.get('client') ?? '',
    sort: query.get('sort') ?? 'name',
    page: Math.max(1, Number.parseInt(query.get('page') ?? '1', 10) || 1),
  };
  const hash = (changes) => {
    const next = { ...chosen, page: 1, ...changes };
    return withQuery('#/people', { ...next, sort: next.sort === 'name' ? '' : next.sort, page: next.page === 1
      ? '' : next.page });
  };
  const { q, state, client, sort, page } = chosen;
  const people = useLoad(address(['people'], { q, state, client, sort, offset: (page - 1) * PAGE,
    limit: PAGE }));
  const [inviting, setInviting] = useState(false);
  const [linksMade, setLinksMade] = useState(0);
  useReady(people.data || people.problem);

  const settling = useRef(0);
  useEvents((event) => {
    if (!event.user) return;
    clearTimeout(settling.current);
    settling.current = setTimeout(people.reload, SETTLE);
  }, []);
  useEffect(() => () => clearTimeout(settling.current), []);

  const found = people.data;
  return html`
    <header class="page-head">
      <h1>People</h1>
      <button type="button" class="primary" onClick=${() => setInviting(true)}>Invite</button>
    </header>
    <div class="toolbar">
      <${Search} value=${q} onChange=${(text) => replaceHash(hash({ q: text }))} />
      ${found && html`<${StateFilter} states=${found.states} state=${state} hash=${hash} />`}
      ${client && html`<a class="chip" aria-current="true" href=${hash({ client: '' })}>client ${client}
        <${Icon} name="close" /><span class="visually-hidden">any client</span></a>`}
    </div>
    <${Failure} problem=${people.problem} retry=${people.reload} />
    ${!found && !people.problem && html`<${Loading} lines=${8} />`}
    ${found && (found.people.length > 0
      ? html`<${Table} people=${found.people} ...${{ sort, hash, loading: people.loading }} />
        <${Pager} total=${found.total} ...${{ page, hash }} />`
      : html`<div class="card"><${NobodyHere} all=${found.all} ...${{ page, total: found.total, hash }} />
        </div>`)}
    ${found?.damaged > 0 && html`
      <p class="bad">${count(found.damaged, 'person', 'people')} cannot be shown: their rows in the vault are
        damaged. <code>locum user list</code> names
        those who can be told; a backup has them whole.</p>`}
    <${OpenLinks} key=${linksMade} />
    ${inviting && html`<${ConnectLinkDialog} onClose=${() => setInviting(false)}
      onMade=${() => setLinksMade((made) => made + 1)} />`}`;
}

function Search({ value, onChange }) {
  const [text, setText] = useState(value);
  const timer = useRef(0);
  useEffect(() => setText(value), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = (event) => {
    const typed = event.currentTarget.value;
    setText(typed);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onChange(typed), TYPING);
  };
  return html`
    <div class="search"><${Icon} name="search" />
      <input type="search" aria-label="Search people" placeholder="Name, e-mail or id" dir="auto"
        value=${text} onInput=${type} /></div>`;
}

function StateFilter({ states, state, hash }) {
  const shown = STATES.filter((one) => states[one] > 0 || one === state);
  return html`
    <div class="chips" role="group" aria-label="State">
      <a class="chip" href=${hash({ state: '' })} aria-current=${state === '' ? 'true' : undefined}>Any
        state</a>
      ${shown.map((one) => html`
        <a key=${one} class=${`chip state-${one}`} href=${hash({ state: state === one ? '' : one })}
          aria-current=${state === one ? 'true' : undefined}>
          <i class="dot" />${stateWords(one)} <b>${number(states[one] ?? 0)}</b></a>`)}
    </div>`;
}

const latest = (grants, field) => grants.map((grant) => grant[field]).reduce((a, b) => (a > b ? a : b), null);

function Table({ people, sort, hash, loading }) {
  const descending = sort.startsWith('-');
  const by = descending ? sort.slice(1) : sort;
  return html`
    <div class="card flush" aria-busy=${loading}>
      <table class="people">
        <caption class="visually-hidden">People</caption>
        <thead><tr>
          ${COLUMNS.map(({ key, title, rank }) => html`
            <th key=${key} scope="col" class=${rank} aria-sort=${by === key
              ? (descending ? 'descending' : 'ascending') : undefined}>
              <a href=${hash({ sort: by === key && !descending ? `-${key}` : key })}>${title}
                <span class="sort" aria-hidden="true" /></a>
            </th>`)}
        </tr></thead>
        <tbody>
          ${people.map((person) => html`
            <tr key=${person.id}>
              <th scope="row"><div class="person">
                <${Avatar} ...${person} />
                <span class="names"><a class="stretched" href=${personHash(person.id)}><bdi>
                  ${person.name || person.email || person.id}</bdi></a>
                  <bdi class="quiet narrow-only">${person.email}</bdi></span>
              </div></th>
              <td class="wide"><bdi>${person.email ?? html`<span class="quiet">none</span>`}</bdi></td>
              <td><span class="badges">${person.grants.map((grant) => html`
                <span key=${grant.client_id} title=${grant.explanation}><${State} state=${grant.state} />
                  ${person.grants.length > 1
                  && html` <small class="quiet">${grant.client ?? 'a former client'}</small>`}</span>`)}
                ${person.grants.length === 0 && html`<span class="quiet">no grant</span>`}</span></td>
              <td class="wide"><${Time} at=${latest(person.grants, 'connected_at')} /></td>
              <td class="wide"><${Time} at=${latest(person.grants, 'refreshed_at')} /></td>
            </tr>`)}
        </tbody>
      </table>
    </div>`;
}

function Pager({ page, total, hash }) {
  const pages = Math.max(1, Math.ceil(total / PAGE));
  const first = (page - 1) * PAGE + 1;
  const link = (to, words) => (to < 1 || to > pages
    ? html`<span class="button small" aria-disabled="true">${words}</span>`
    : html`<a class="button small" href=${hash({ page: to })}>${words}</a>`);
  return html`
    <nav class="pager" aria-label="Pages of people">
      <span class="quiet">${number(first)}–${number(Math.min(total, page * PAGE))} of ${number(total)}</span>
      ${pages > 1 && html`<span class="buttons">${link(page - 1, 'Previous')}${link(page + 1, 'Next')}</span>`}
    </nav>`;
}

function NobodyHere({ all, page, total, hash }) {
  if (all === 0) {
    return html`<${Empty} title="Nobody has connected yet">
      Invite somebody, or let your app send a code to <code>/v1/exchange</code>.</${Empty}>`;
  }
  if (total > 0 && page > 1) return html`<${Empty} title="This page is empty"><a href=${hash({})}>Back to the
    first</a></${Empty}>`;
  return html`<${Empty} title="Nobody matches"><a href="#/people">Show all ${number(all)}</a></${Empty}>`;
}
