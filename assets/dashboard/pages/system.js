// locum itself: which version, since when, the vault, the configuration in force with where each value is from.

import { html, useState } from '../vendor/preact.js';
import { address, call, leave, useLoad } from '../api.js';
import { ConfirmDialog } from '../forms.js';
import {
  Card, Empty, Failure, Icon, Loading, Prose, Time, bytes, capital, exact, skewWords, span, useNow, useReady,
} from '../ui.js';

export default function System() {
  const status = useLoad(address(['status']));
  const session = useLoad(address(['dashboard']));
  const configuration = useLoad(address(['configuration']));
  useReady((status.data || status.problem) && (configuration.data || configuration.problem) &&
    (session.data || session.problem));
  return html`
    <header class="page-head"><h1>System</h1></header>
    <${Failure} problem=${status.problem} retry=${status.reload} />
    ${!status.data && !status.problem && html`<${Loading} lines=${5} />`}
    ${status.data && html`
      <div class="columns">
        <${Running} status=${status.data} />
        <${Vault} vault=${status.data.vault} />
      </div>`}
    ${session.data && html`<${Session} session=${session.data} />`}
    <${Failure} problem=${session.problem} retry=${session.reload} />
    <${Failure} problem=${configuration.problem} retry=${configuration.reload} />
    ${configuration.data && html`<${Configuration} configuration=${configuration.data} />`}`;
}

function Running({ status }) {
  const { google } = status;
  const uptime = (useNow() - Date.parse(status.started_at)) / 1000;
  return html`
    <${Card} id="running" title=${`locum ${status.version}`}>
      <dl class="facts-list">
        <div><dt>Running for</dt><dd title=${exact(status.started_at)}>${span(Math.max(0, uptime))}</dd></div>
        <div><dt>Google’s keys</dt><dd class=${google.keys_loaded ? '' : 'bad'}>${google.keys_loaded
          ? html`fetched <${Time} at=${google.keys_fetched_at} />, fresh
            until <${Time} at=${google.keys_fresh_until} />`
          : 'not loaded: nobody can sign in'}</dd></div>
        <div><dt>Clock</dt><dd>${capital(skewWords(google.clock_skew_seconds))}</dd></div>
        ${google.last_error && html`<div><dt>Last trouble</dt><dd class="bad">${google.last_error}</dd></div>`}
      </dl>
    </${Card}>`;
}

const Vault = ({ vault }) => html`
  <${Card} id="vault" title="Vault">
    ${vault.failed && html`<p class="cause state-dead">The disk has failed and nothing is written any more.
      Look at the log, make room or replace the disk,
      then start locum again.</p>`}
    <dl class="facts-list">
      <div><dt>Size</dt><dd>${bytes(vault.size)}</dd></div>
      <div><dt>Root key</dt><dd><code>${vault.root_id}</code></dd></div>
      <div><dt>Data key</dt><dd>term ${vault.data_key_term}, made <${Time} at=${vault.data_key_made_at} /></dd></div>
      <div><dt>Schema</dt><dd>${vault.schema}</dd></div>
      <div><dt>Last backup</dt><dd><${Time} at=${vault.last_backup} /></dd></div>
    </dl>
  </${Card}>`;

function Session({ session }) {
  const [ending, setEnding] = useState(false);
  return html`
    <${Card} id="session" title="This session" actions=${html`
      <button type="button" class="small" onClick=${() => setEnding(true)}>Sign out everywhere…</button>`}>
      <dl class="facts-list">
        <div><dt>Signed in</dt>
          <dd>${session.signed_in_as === 'link' ? 'by a one-time link'
            : html`as <bdi>${session.signed_in_as}</bdi>`}
            ${', '}<${Time} at=${session.signed_in_at} /></dd></div>
        <div><dt>Ends</dt>
          <dd><${Time} at=${session.ends_at} />, or when idle <${Time} at=${session.idle_ends_at} /></dd></div>
      </dl>
      ${ending && html`
        <${ConfirmDialog} title="Sign out everywhere?" words="Sign out everywhere"
          action=${() => call('DELETE', address(['dashboard', 'sessions']))} onClose=${() => setEnding(false)}
            onDone=${leave}>
          <p>Every browser that is signed in to the dashboard is signed out, this one too, and links that
            nobody followed
            yet open nothing. <code>locum admin link</code> makes another.</p>
        </${ConfirmDialog}>`}
    </${Card}>`;
}

const shownValue = (value) => (value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value));

function Configuration({ configuration }) {
  const [text, setText] = useState('');
  const [changed, setChanged] = useState(false);
  const { file, values, warnings } = configuration;
  const shown = values.filter(({ key, source }) => key.includes(text.trim()) &&
    (!changed || source !== 'default'));
  return html`
    ${warnings.length > 0 && html`
      <${Card} id="warnings" title="Warnings">
        <ul class="checklist">${warnings.map((warning) => html`<li key=${warning} class="warning">
          <${Icon} name="notice" /><div><${Prose} text=${warning} /></div></li>`)}</ul>
      </${Card}>`}
    <section class="card flush" aria-labelledby="configuration">
      <header class="card-head">
        <h2 id="configuration">Configuration</h2>
        <span class="quiet">${file ? html`<code dir="ltr">${file}</code>` : 'no file'}</span>
        <span class="buttons">
          <label class="check"><input type="checkbox" checked=${changed}
            onChange=${(event) => setChanged(event.currentTarget.checked)} />
            <span>Only what was set</span></label>
          <input type="search" aria-label="Search the configuration" placeholder="Key" dir="ltr" value=${text}
            onInput=${(event) => setText(event.currentTarget.value)} />
        </span>
      </header>
      ${shown.length === 0 ? html`<${Empty} title="No such value" />` : html`
        <table class="configuration">
          <caption class="visually-hidden">Values in force</caption>
          <thead><tr><th scope="col">Key</th><th scope="col">Value</th><th scope="col">From</th></tr></thead>
          <tbody>${shown.map(({ key, value, source, place, secret }) => html`
            <tr key=${key}>
              <th scope="row"><code>${key}</code></th>
              <td>${secret ? html`<span class="quiet">${shownValue(value)}</span>`
                : html`<code dir="auto">${shownValue(value)}</code>`}</td>
              <td class=${source === 'default' ? 'quiet' : ''} title=${place}>${source}</td>
            </tr>`)}
          </tbody>
        </table>`}
    </section>`;
}
