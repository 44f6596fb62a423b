// The configured OAuth clients: whether their set-up is right, what to register at Google, a test of each.

import { html, useState } from '../vendor/preact.js';
import { address, call, useLoad, withQuery } from '../api.js';
import { shortScope } from '../connect-link.js';
import { Copyable, useAction } from '../forms.js';
import { Empty, Failure, Icon, Loading, Prose, STATES, Time, number, stateWords, useReady } from '../ui.js';

export default function Clients() {
  const clients = useLoad(address(['clients']));
  useReady(clients.data || clients.problem);
  const list = clients.data?.clients ?? [];
  return html`
    <header class="page-head"><h1>Clients</h1></header>
    <${Failure} problem=${clients.problem} retry=${clients.reload} />
    ${!clients.data && !clients.problem && html`<${Loading} lines=${6} />`}
    ${clients.data && list.length === 0 && html`
      <div class="card"><${Empty} title="No client is configured">
        <code>locum init</code> leads through it: a client at Google and
          a <code>[[client]]</code> section.</${Empty}></div>`}
    ${list.map((client) => html`<${Client} key=${client.name} client=${client} />`)}`;
}

function Client({ client }) {
  const [live, setLive] = useState(null);
  const checking = useAction(() => call('POST', address(['clients', client.name, 'check'])));
  const check = async () => {
    setLive(null);
    const answer = await checking.run();
    if (answer) setLive(answer.checks);
  };
  return html`
    <section class="card" aria-labelledby=${`client-${client.name}`}>
      <header class="card-head">
        <h2 id=${`client-${client.name}`}>${client.name}</h2>
        ${client.paused ? html`<span class="badge state-dead">Paused</span>`
          : html`<span class="badge state-active">In use</span>`}
        <span class="buttons">
          <button type="button" class="small" disabled=${checking.busy} onClick=${check}>
            ${checking.busy ? 'Asking Google…' : 'Check with Google'}</button>
          ${client.sign_in_url && html`<a class="button small" href=${client.sign_in_url} target="_blank"
            rel="noopener">Test sign-in</a>`}
        </span>
      </header>
      ${client.paused && html`
        <p class="cause state-dead">${client.paused.explanation} Refreshes are paused
          since <${Time} at=${client.paused.since} />, the next is
          tried <${Time} at=${client.paused.next_probe} />. <code class="quiet">${client.paused.cause}</code>
            </p>`}
      ${!client.sign_in_url && client.sign_in_note && html`<p class="quiet">No test
        sign-in: <${Prose} text=${client.sign_in_note} /></p>`}
      <dl class="facts-list">
        <div><dt>Client id</dt><dd><${Copyable} text=${client.client_id} what="the client id" /></dd></div>
        <div><dt>Project</dt><dd><code>${client.project}</code></dd></div>
        <div><dt>Codes come from</dt><dd>${client.sources.map((source) => html`
          <code class="tag" key=${source}>${source}</code> `)}</dd></div>
        <div><dt>Asks for</dt><dd>${client.scopes.map((scope) => html`<code class="tag" key=${scope}>
          ${shortScope(scope)}</code> `)}</dd></div>
        <div><dt>Grants</dt><dd>${grantsWords(client)}</dd></div>
      </dl>
      <${Checks} title="Set-up" checks=${client.checks} />
      <${Failure} problem=${checking.problem} />
      ${live && html`<${Checks} title="Asked of Google just now" checks=${live} live />`}
      ${client.register.length > 0 && html`
        <h3>To register at Google</h3>
        <ul class="register">${client.register.map(({ source, what, where, value, note }, index) => html`
          <li key=${index}>
            <strong>${what}</strong>${source && html` <code class="tag">${source}</code>`}
            <span class="quiet block">${where}</span>
            <${Copyable} text=${value} what=${what} />
            ${note && html`<p class="quiet"><${Prose} text=${note} /></p>`}
          </li>`)}
        </ul>`}
    </section>`;
}

function grantsWords(client) {
  const some = STATES.filter((state) => client.grants[state] > 0);
  if (some.length === 0) return html`<span class="quiet">none yet</span>`;
  return html`
    <span class="links">${some.map((state) => html`
      <a key=${state} href=${withQuery('#/people', { client: client.name, state })}>
        ${number(client.grants[state])} ${stateWords(state).toLowerCase()}</a>`)}</span>`;
}

const MARKS = { ok: ['check', 'Fine'], warning: ['notice', 'Warning'], failed: ['warning', 'Failed'] };

const Checks = ({ title, checks, live = false }) => html`
  <h3>${title}</h3>
  <ul class="checklist" role=${live ? 'status' : undefined}>
    ${checks.map(({ id, state, title, detail }) => html`
      <li key=${id} class=${state}><${Icon} name=${MARKS[state][0]} /><div><strong>
        <span class="visually-hidden">${MARKS[state][1]}: </span>${title}</strong>
        ${detail && html`<p><${Prose} text=${detail} /></p>`}</div></li>`)}
  </ul>`;
