// How a person's mirror stands: the last run, a run now, what waits to be accepted, the kept versions.

import { html, useEffect, useState } from '../vendor/preact.js';
import { address, call, useLoad, withQuery } from '../api.js';
import { ConfirmDialog, Field, useAction } from '../forms.js';
import {
  Choice, Empty, Failure, Loading, Time, bytes, capital, count, number, personHash, span, useReady,
} from '../ui.js';
import { Report, actionWords, doneWords } from './report.js';

const DIRECTIONS = { pull: 'Drive to folder', push: 'folder to Drive', both: 'both ways' };
const HELD = {
  first_sync: 'The first run in both directions is looked at before it is done.',
  deletes: 'The next run would delete many files on one side.',
  empties: 'The next run would leave one side empty.',
};
const RUNNING_POLL = 1000;

// Which mirrors there are is asked first: most people have none, and to ask for it would be an error.
export function Mirror({ person, query }) {
  const mirrors = useLoad(address(['mirrors']));
  const isTheirs = ({ user }) => user === person.id || user?.toLowerCase() === person.email?.toLowerCase();
  const clients = (mirrors.data?.mirrors ?? []).filter(isTheirs).map((mirror) => mirror.client);
  const client = clients.includes(query.get('client')) ? query.get('client') : clients[0];
  useReady(mirrors.problem || (mirrors.data && !client));
  return html`
    <${Failure} problem=${mirrors.problem} retry=${mirrors.reload} />
    ${!mirrors.data && !mirrors.problem && html`<${Loading} lines=${4} />`}
    ${clients.length > 1 && html`
      <div class="toolbar"><${Choice} label="Client" value=${client}
        options=${clients.map((name) => [name, name])}
        onChange=${(name) => location.assign(withQuery(`${personHash(person.id)}/mirror`, { client: name }))} />
          </div>`}
    ${mirrors.data && (client ? html`<${OneMirror} key=${client} ...${{ person, client }} />` : html`
      <div class="card"><${Empty} title="No mirror">
        A mirror keeps this person’s app data and a folder on the server alike. The owner sets one up with a
        ${' '}<code>[[mirror]]</code> section in the configuration.</${Empty}></div>`)}`;
}

function OneMirror({ person, client }) {
  const mirror = useLoad(address(['users', person.id, 'mirror'], { client }));
  const running = mirror.data?.running;
  useReady(mirror.data || mirror.problem);
  useEffect(() => {
    if (!running) return undefined;
    const timer = setTimeout(mirror.reload, RUNNING_POLL);
    return () => clearTimeout(timer);
  }, [mirror.data]);
  return html`
    <${Failure} problem=${mirror.problem} retry=${mirror.reload} />
    ${mirror.loading && !mirror.data && html`<${Loading} lines=${4} />`}
    ${mirror.data && html`<${Standing} ...${{ person, mirror }} />`}`;
}

function Standing({ person, mirror }) {
  const state = mirror.data;
  const [report, setReport] = useState(null);
  const [accepting, setAccepting] = useState(false);
  const run = (options) => call('POST', address(['users', person.id, 'mirror'], { client: state.client,
    ...options }));
  const running = useAction(async (options) => {
    setReport(null);
    try {
      setReport(await run(options));
    } catch (problem) {
      // What is held back is shown like what was done: it is there to be looked at.
      if (problem.code !== 'mirror_held') throw problem;
      setReport(problem.report);
    } finally {
      mirror.reload();
    }
  });
  const held = state.held ?? report?.held;
  // What a run says of it has the numbers.
  const heldWords = report?.held_because ? `${capital(report.held_because)}.` : HELD[held];
  const last = state.last_run;
  return html`
    <section class="card" aria-labelledby="mirror">
      <header class="card-head">
        <h2 id="mirror"><code dir="auto">${state.folder}</code></h2>
        ${held ? html`<span class="badge state-needs_consent">Waits for you</span>`
          : state.running ? html`<span class="badge state-active">Running</span>`
            : last?.failed || last?.stopped ? html`<span class="badge state-dead">Stopped</span>`
              : html`<span class="badge state-active">In order</span>`}
        <span class="buttons">
          <button type="button" class="small" disabled=${running.busy || state.running}
            onClick=${() => running.run({ dry_run: true })}>Dry run</button>
          <button type="button" class="small primary" disabled=${running.busy || state.running}
            onClick=${() => running.run({})}>Run now</button>
        </span>
      </header>
      ${held && html`
        <p class="cause state-needs_consent">${heldWords} Look at a dry run, then accept
          it. <button type="button" class="small" disabled=${running.busy}
            onClick=${() => setAccepting(true)}>Accept and run…</button></p>`}
      ${(last?.failed ?? last?.stopped) && html`<p class="cause state-dead">${last.failed ?? last.stopped}</p>`}
      ${state.running && html`<${Progress} running=${state.running} />`}
      <${Failure} problem=${running.problem} />
      <dl class="fact-columns">
        <div><dt>Direction</dt><dd>${capital(DIRECTIONS[state.direction] ?? state.direction)},
          every ${span(state.interval)}</dd></div>
        <div><dt>Client</dt><dd>${state.client}</dd></div>
        <div><dt>Last run</dt><dd><${Time} at=${state.last_run_at} /></dd></div>
        <div><dt>Both sides alike</dt><dd><${Time} at=${state.last_ok_at} /></dd></div>
        ${last && html`
          <div><dt>Files in the folder</dt><dd>${number(last.files)}</dd></div>
          <div><dt>Problems</dt><dd class=${last.problems > 0 ? 'bad' : ''}>${number(last.problems)}</dd></div>
          <div class="whole"><dt>The last run did</dt><dd>${capital(doneWords(last.done))}</dd></div>`}
      </dl>
      ${report && html`<${Report} report=${report} />`}
    </section>
    ${state.last_run_at && html`
      <${Versions} key=${state.last_run_at} person=${person} client=${state.client} />`}
    ${accepting && html`
      <${ConfirmDialog} title="Accept what the run would do?" words="Accept and run"
        action=${() => run({ accept: true })} onClose=${() => setAccepting(false)}
        onDone=${(outcome) => { setAccepting(false); setReport(outcome); mirror.reload(); }}>
        <p>${heldWords}</p>
        ${report && html`<p>${count(report.planned_total, 'action')} are planned${report.planned_total > 0
          ? html`, the first: ${actionWords(report.planned[0])}` : ''}.</p>`}
        <p>What is deleted or replaced in the folder or at Drive is kept as a version.</p>
      </${ConfirmDialog}>`}`;
}

const Progress = ({ running }) => html`
  <div class="row" role="status">
    <progress max=${running.of_bytes || 1} value=${running.of_bytes ? running.bytes : undefined}
      aria-label="Run of the mirror" />
    <span class="quiet">${running.of_files
      ? `${number(running.files)} of ${count(running.of_files,
        'file')}, ${bytes(running.bytes)} of ${bytes(running.of_bytes)}`
      : 'Both sides are compared…'}</span>
  </div>`;

function Versions({ person, client }) {
  const versions = useLoad(address(['users', person.id, 'mirror', 'versions'], { client }));
  const [chosen, setChosen] = useState(null);
  const kept = versions.data ? [...versions.data.versions].reverse() : [];
  return html`
    <section class="card flush" aria-labelledby="versions">
      <header class="card-head"><h2 id="versions">Kept versions</h2></header>
      <${Failure} problem=${versions.problem} retry=${versions.reload} />
      ${versions.data && kept.length === 0 && html`<${Empty} title="None yet">
        Before a run replaces or deletes a file, its content is kept here.</${Empty}>`}
      ${kept.length > 0 && html`
        <table>
          <caption class="visually-hidden">Kept versions, newest first</caption>
          <thead><tr><th scope="col">File</th><th scope="col" class="number wide">Size</th>
            <th scope="col">Kept</th><th scope="col" class="wide">Why</th>
            <th scope="col"><span class="visually-hidden">Actions</span></th></tr></thead>
          <tbody>${kept.map((version) => html`
            <tr key=${version.id}><th scope="row"><bdi>${version.path}</bdi></th><td class="number wide">
              ${bytes(version.size)}</td>
              <td><${Time} at=${version.kept_at} /></td><td class="wide">${version.why.replaceAll('_', ' ')}
                </td>
              <td class="row-actions"><button type="button" class="small"
                aria-label=${`Restore ${version.path}`}
                onClick=${() => setChosen(version)}>Restore…</button></td></tr>`)}</tbody>
        </table>`}
      ${chosen && html`
        <${RestoreDialog} ...${{ person, client }} version=${chosen} onClose=${() => setChosen(null)}
          onDone=${versions.reload} />`}
    </section>`;
}

function RestoreDialog({ person, client, version, onClose, onDone }) {
  const [to, setTo] = useState(version.path);
  const restore = () => call('POST', address(['users', person.id, 'mirror', 'versions', version.id, 'restore'],
    { client, to: to === version.path ? null : to }));
  return html`
    <${ConfirmDialog} title="Restore this version?" words="Restore" dangerous=${false} action=${restore}
      onClose=${onClose}
      onDone=${() => { onClose(); onDone(); }}>
      <p>The content from <${Time} at=${version.kept_at} /> (${bytes(version.size)}) is put into the folder.
        What is there now under that
        name is kept as a version; the next run brings it to Drive where the direction allows.</p>
      <${Field} label="Where to" hint="Below the mirror’s folder." control=${(ids) => html`
        <input ...${ids} type="text" dir="auto" value=${to}
          onInput=${(event) => setTo(event.currentTarget.value)} />`} />
    </${ConfirmDialog}>`;
}
