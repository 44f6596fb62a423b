// How everybody is: who needs attention first, people by state, what was done, how Google and the vault are.

import { html, useEffect, useId, useRef, useState } from '../vendor/preact.js';
import { address, useEvents, useLoad } from '../api.js';
import {
  Card, Choice, Countdown, Empty, Failure, Icon, Loading, Prose, STATES, Time, Who, bytes, count, exact, number,
  personHash, skewWords, stateWords, useReady,
} from '../ui.js';

// Counts grow without an event of their own, so they are asked for again now and then.
const REFRESH_EVERY = 30_000;
// Events come in bursts; one look after a burst is enough.
const SETTLE = 1500;

export default function Overview() {
  const [step, setStep] = useState('day');
  const overview = useLoad(address(['overview']));
  const counts = useLoad(address(['counts'], { span: step }));
  useReady((overview.data || overview.problem) && (counts.data || counts.problem));

  const reload = useRef();
  reload.current = () => {
    overview.reload();
    counts.reload();
  };
  const settling = useRef(0);
  useEvents(() => {
    clearTimeout(settling.current);
    settling.current = setTimeout(() => reload.current(), SETTLE);
  }, []);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || reload.current(), REFRESH_EVERY);
    return () => {
      clearInterval(timer);
      clearTimeout(settling.current);
    };
  }, []);

  const facts = overview.data;
  return html`
    <header class="page-head"><h1>Overview</h1></header>
    <${Failure} problem=${overview.problem} retry=${overview.reload} />
    ${facts ? html`
      <${People} facts=${facts} />
      <${Attention} facts=${facts} />` : overview.problem ? null : html`<${Loading} lines=${5} />`}
    <${Counts} answer=${counts} step=${step} onStep=${setStep} />
    ${facts && html`<${Facts} facts=${facts} />`}`;
}

function People({ facts }) {
  const grants = STATES.reduce((sum, state) => sum + (facts.states[state] ?? 0), 0);
  return html`
    <section class="card" aria-labelledby="people-by-state">
      <header class="card-head">
        <h2 id="people-by-state"><a href="#/people">${count(facts.people, 'person', 'people')}</a></h2>
        <span class="quiet">${count(grants, 'grant')} by state</span>
      </header>
      ${grants > 0 ? html`
        <div class="parts" aria-hidden="true">
          ${STATES.filter((state) => facts.states[state] > 0).map((state) => html`
            <span key=${state} class=${`part state-${state}`} style=${{ flexGrow: facts.states[state] }} />`)}
        </div>
        <ul class="tiles">
          ${STATES.map((state) => html`
            <li key=${state}>
              <a class=${`tile state-${state} ${facts.states[state] ? '' : 'none'}`}
                href=${`#/people?state=${state}`}>
                <b>${number(facts.states[state] ?? 0)}</b><span><i class="dot" />${stateWords(state)}</span>
              </a>
            </li>`)}
        </ul>` : html`
        <${Empty} title="Nobody has connected yet">
          An app sends a Google code to <code>/v1/exchange</code>, or you invite somebody
          from <a href="#/people">People</a>.
        </${Empty}>`}
    </section>`;
}

// Where what is said can be looked into.
function cureHash({ kind, user }) {
  if (kind.startsWith('mirror_')) return user ? `${personHash(user.id)}/mirror` : '#/activity?kind=mirror';
  if (user) return personHash(user.id);
  if (kind === 'client_paused') return '#/clients';
  if (kind === 'person_damaged') return '#/people';
  if (kind.startsWith('api_key_')) return '#/keys';
  return '#/system';
}

// The most urgent few are enough to begin with.
const FIRST = 4;

const ENDED = new Set(['grant_dead', 'grant_needs_consent', 'grant_expires']);

function Attention({ facts }) {
  const { attention, attention_total: total } = facts;
  const [invited, setInvited] = useState(null);
  const [all, setAll] = useState(false);
  const shown = all ? attention : attention.slice(0, FIRST);
  return html`
    <${Card} id="attention" title="Needs attention" actions=${total > 0 &&
      html`<span class="badge plain">${number(total)}</span>`}>
      ${attention.length === 0 && html`
        <p class="calm"><${Icon} name="check" /> Nothing needs
          you.${facts.people > 0 && ' Every grant works.'}</p>`}
      <ul class="attention">
        ${shown.map((item) => html`
          <li key=${`${item.kind} ${item.user?.id} ${item.client}`} class=${item.severity}>
            <${Icon} name=${item.severity === 'warning' ? 'warning' : 'notice'} />
            <div class="grow">
              <strong>${item.title}</strong>
              <span class="facts">
                ${item.user && html`<${Who} user=${item.user} />`}
                ${item.client && html`<span>client <code>${item.client}</code></span>`}
                ${item.since && html`<span>since <${Time} at=${item.since} /></span>`}
              </span>
              <p><${Prose} text=${item.detail} /></p>
            </div>
            <div class="row-end">
              ${item.ends_at && html`<${Countdown} at=${item.ends_at} />`}
              <span class="buttons">
                ${item.user && ENDED.has(item.kind) && html`
                  <button type="button" class="small" onClick=${() => setInvited(item)}>Connect link</button>`}
                <a class="button small" href=${cureHash(item)}>Open<span
                  class="visually-hidden"> at: ${item.title}</span></a>
              </span>
            </div>
          </li>`)}
      </ul>
      ${attention.length > FIRST && html`
        <div class="more">
          <button type="button" class="small" aria-expanded=${all} onClick=${() => setAll(!all)}>
            ${all ? 'Show fewer' : `Show ${number(attention.length - FIRST)} more`}</button>
          ${all && total > attention.length && html`
            <p class="quiet">These are the ${number(attention.length)} most urgent of ${number(total)}.</p>`}
        </div>`}
      ${invited && html`<${Invitation} user=${invited.user} client=${invited.client}
        onClose=${() => setInvited(null)} />`}
    </${Card}>`;
}

// The dialog is fetched when it is first opened.
function Invitation(props) {
  const [Dialog, setDialog] = useState(null);
  useEffect(() => {
    import('../connect-link.js').then((module) => setDialog(() => module.ConnectLinkDialog));
  }, []);
  return Dialog && html`<${Dialog} ...${props} />`;
}

// ---- charts

const SERIES = [
  { title: 'Codes exchanged', done: 'exchanges', failed: 'exchanges_failed', failedTitle: 'Exchanges failed' },
  { title: 'Tokens refreshed', done: 'refreshes', failed: 'refreshes_failed', failedTitle: 'Refreshes failed' },
  { title: 'Tokens handed out', done: 'tokens' },
];

const hour = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
// Days are counted in UTC.
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });

const sum = (values) => values.reduce((total, value) => total + value, 0);

function Counts({ answer, step, onStep }) {
  const [asTable, setAsTable] = useState(false);
  const counts = answer.data;
  return html`
    <${Card} id="counts" title="Activity" actions=${html`
      <span class="buttons">
        <${Choice} label="Chart or table" value=${asTable} onChange=${setAsTable}
          options=${[[false, 'Chart'], [true, 'Table']]} />
        <${Choice} label="Span" value=${step} onChange=${onStep}
          options=${[['day', 'Day'], ['month', 'Month']]} />
      </span>`}>
      <${Failure} problem=${answer.problem} retry=${answer.reload} />
      ${!counts && !answer.problem && html`<${Loading} />`}
      ${counts && (asTable ? html`<${CountsTable} counts=${counts} />` : html`
        <div class="charts">
          ${SERIES.map((series) => html`<${Chart} key=${series.done} counts=${counts} series=${series} />`)}
        </div>`)}
    </${Card}>`;
}

const startOf = (counts, index) => Date.parse(counts.from) + index * counts.step * 1000;

function label(counts, index) {
  const at = startOf(counts, index);
  return counts.span === 'day' ? hour.format(at) : day.format(at);
}

// Bars with failures on top. The SVG is stretched, so words stand beside it and not in it.
function Chart({ counts, series }) {
  const id = useId();
  const [pointed, setPointed] = useState(null);
  const done = counts.series[series.done];
  const failed = series.failed ? counts.series[series.failed] : done.map(() => 0);
  const highest = Math.max(1, ...done.map((value, index) => value + failed[index]));
  const height = (value) => (value === 0 ? 0 : Math.max(1.5, (value / highest) * 100));
  const shown = pointed === null
    ? { done: sum(done), failed: sum(failed), when: counts.span === 'day' ? 'last 24 hours' : 'last 30 days' }
    : { done: done[pointed], failed: failed[pointed], when: `${counts.span === 'day' ? 'from '
      : ''}${label(counts, pointed)}` };
  return html`
    <figure class="chart" aria-labelledby=${id}>
      <figcaption id=${id}>
        <span class="quiet">${series.title}</span>
        <b>${number(shown.done)}</b>
        <span class="small">
          ${series.failed && html`<span class=${shown.failed > 0 ? 'bad' : 'quiet'}>
            ${number(shown.failed)} failed</span> `}
          <span class="quiet">${shown.when}</span>
        </span>
      </figcaption>
      <svg viewBox=${`0 0 ${done.length * 10} 100`} preserveAspectRatio="none" aria-hidden="true"
        onPointerLeave=${() => setPointed(null)}>
        ${done.map((value, index) => {
          const good = height(value);
          const bad = height(failed[index]);
          return html`
            <g key=${index} class=${pointed === index ? 'pointed' : ''}
              onPointerEnter=${() => setPointed(index)}>
              <rect class="field" x=${index * 10} y="0" width="10" height="100" />
              <rect class="bar" x=${index * 10 + 1.5} y=${100 - good} width="7" height=${good} />
              <rect class="bar failed" x=${index * 10 + 1.5} y=${100 - good - bad} width="7" height=${bad} />
            </g>`;
        })}
      </svg>
      <div class="axis quiet" aria-hidden="true">
        <span>${label(counts, 0)}</span><span>${label(counts, Math.floor(done.length / 2))}</span>
        <span>${counts.span === 'day' ? 'now' : 'today'}</span>
      </div>
    </figure>`;
}

function CountsTable({ counts }) {
  const columns = SERIES.flatMap(({ title, done, failed, failedTitle }) => [[title, done],
    ...(failed ? [[failedTitle, failed]] : [])]);
  const rows = counts.series.exchanges.map((_, index) => index).reverse();
  return html`
    <div class="scroll" tabIndex="0" role="region" aria-label="Counts">
      <table class="numbers">
        <thead><tr><th scope="col">${counts.span === 'day' ? 'Hour from' : 'Day (UTC)'}</th>
          ${columns.map(([title, key]) => html`<th scope="col" key=${key}>${title}</th>`)}</tr></thead>
        <tbody>${rows.map((index) => html`
          <tr key=${index}><th scope="row" title=${exact(startOf(counts, index))}>${label(counts, index)}</th>
            ${columns.map(([, key]) => html`<td key=${key}>${number(counts.series[key][index])}</td>`)}
              </tr>`)}</tbody>
      </table>
    </div>`;
}

// ---- Google, the vault, the keys

function Facts({ facts }) {
  const { google, vault, api_keys: keys, clients } = facts;
  const paused = clients.filter((client) => client.paused);
  const skewed = Math.abs(google.clock_skew_seconds ?? 0) >= 30;
  return html`
    <section aria-label="Facts">
      <dl class="fact-grid">
        <div><dt>Clock</dt><dd class=${skewed ? 'bad' : ''}>${skewWords(google.clock_skew_seconds)}</dd></div>
        <div><dt>Google’s keys</dt>
          <dd class=${google.keys_loaded ? '' : 'bad'}>${google.keys_loaded
            ? html`fetched <${Time} at=${google.keys_fetched_at} />` : 'not loaded'}</dd></div>
        <div><dt>Clients</dt><dd><a href="#/clients">${paused.length > 0
          ? html`<span class="bad">${number(paused.length)} of ${number(clients.length)} paused</span>`
          : `${number(clients.length)} configured`}</a></dd></div>
        <div><dt>API keys</dt><dd><a href="#/keys">${number(keys.active)} active</a>${keys.next_expiry
          && html`<span class="quiet">, next ends <${Time} at=${keys.next_expiry} /></span>`}</dd></div>
        <div><dt>Vault</dt><dd><a href="#/system">${bytes(vault.size)}</a><span class="quiet">, backup
          ${' '}<${Time} at=${vault.last_backup} /></span></dd></div>
        <div><dt>locum ${facts.version}</dt><dd>started <${Time} at=${facts.started_at} /></dd></div>
      </dl>
    </section>`;
}
