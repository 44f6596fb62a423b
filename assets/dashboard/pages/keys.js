// The API keys of programs: made, rotated, revoked.

import { html, useState } from '../vendor/preact.js';
import { address, call, useLoad } from '../api.js';
import { shortScope } from '../connect-link.js';
import { ConfirmDialog, Dialog, Field, Select, ShownOnce, useAction } from '../forms.js';
import { NewKeyDialog } from '../new-key.js';
import { Empty, Failure, Loading, Time, count, useReady } from '../ui.js';

const STATES = { active: 'active', expired: 'dead', revoked: 'revoking' };

export default function Keys() {
  const keys = useLoad(address(['keys']));
  const [open, setOpen] = useState(null);
  const [all, setAll] = useState(false);
  useReady(keys.data || keys.problem);
  const close = () => setOpen(null);
  const list = keys.data?.keys ?? [];
  const shown = list.filter((key) => all || key.state === 'active');
  const ended = list.length - list.filter((key) => key.state === 'active').length;
  return html`
    <header class="page-head">
      <h1>API keys</h1>
      <button type="button" class="primary" onClick=${() => setOpen({ is: 'new' })}>Create a key</button>
    </header>
    <${Failure} problem=${keys.problem} retry=${keys.reload} />
    ${!keys.data && !keys.problem && html`<${Loading} lines=${5} />`}
    ${keys.data && list.length === 0 && html`
      <div class="card"><${Empty} title="No keys yet">A program needs a key to ask for
        tokens: <code>Authorization: Bearer …</code></${Empty}></div>`}
    ${keys.data?.damaged > 0 && html`
      <p class="bad">${count(keys.data.damaged, 'key')} not in force: the row in the vault does not match its
        seal. Make others in their place.</p>`}
    ${shown.length > 0 && html`<${Table} keys=${shown} onOpen=${setOpen} />`}
    ${list.length > 0 && shown.length === 0 && html`<div class="card"><${Empty} title="No key is in force" />
      </div>`}
    ${ended > 0 && html`
      <p><button type="button" class="small" aria-pressed=${all} onClick=${() => setAll(!all)}>
        ${all ? 'Hide' : 'Show'} ${count(ended, 'key')} that ended</button></p>`}
    ${open?.is === 'new' && html`<${NewKeyDialog} onClose=${close} onMade=${keys.reload} />`}
    ${open?.is === 'rotate' && html`<${RotateDialog} of=${open.key} onClose=${close} onMade=${keys.reload} />`}
    ${open?.is === 'revoke' && html`
      <${ConfirmDialog} title="Revoke this key?" words="Revoke"
        action=${() => call('DELETE', address(['keys', open.key.id]))}
        onClose=${close} onDone=${() => { close(); keys.reload(); }}>
        <p><bdi><strong>${open.key.name}</strong></bdi> <code>${open.key.id}</code></p>
        <ul class="consequences">
          <li>Every program with this key is refused from now on.</li>
          <li>It was last used <${Time} at=${open.key.last_used_at} />.</li>
          <li>It cannot be undone. Rotate instead to change over without a gap.</li>
        </ul>
      </${ConfirmDialog}>`}`;
}

function reachWords(key) {
  const people = key.users === 'all' ? 'everybody' : count(key.users.only.ids.length, 'person', 'people');
  return [
    people,
    key.clients ? `client ${key.clients.join(', ')}` : null,
    key.scopes ? `at most ${key.scopes.map(shortScope).join(', ')}` : null,
    key.hosts ? `hosts ${key.hosts.join(', ')}` : null,
  ].filter(Boolean).join(' · ');
}

const Table = ({ keys, onOpen }) => html`
  <div class="card flush">
    <table>
      <caption class="visually-hidden">API keys</caption>
      <thead><tr><th scope="col">Name</th><th scope="col" class="wide">May</th>
        <th scope="col" class="wide">Reaches</th><th scope="col">Last used</th>
        <th scope="col" class="wide">Ends</th><th scope="col"><span class="visually-hidden">Actions</span>
          </th></tr></thead>
      <tbody>${keys.map((key) => html`
        <tr key=${key.id}>
          <th scope="row"><bdi>${key.name}</bdi>${key.state !== 'active' &&
            html` <span class=${`badge state-${STATES[key.state]}`}>${key.state}</span>`}
            <code class="quiet block">${key.id}</code></th>
          <td class="wide">${key.actions.map((action) => html`<code key=${action} class="tag">${action}
            </code> `)}</td>
          <td class="wide">${reachWords(key)}${key.users.only?.forgotten > 0 && html`
            <span class="quiet block">${count(key.users.only.forgotten, 'person', 'people')} of it forgotten
              since</span>`}</td>
          <td><${Time} at=${key.last_used_at} /></td>
          <td class="wide">${key.revoked_at ? html`revoked <${Time} at=${key.revoked_at} />`
            : html`<${Time} at=${key.expires_at} />`}</td>
          <td class="row-actions">${key.state === 'active' && html`
            <button type="button" class="small" aria-label=${`Rotate ${key.name}`}
              onClick=${() => onOpen({ is: 'rotate', key })}>Rotate…</button>
            <button type="button" class="small danger-quiet" aria-label=${`Revoke ${key.name}`}
              onClick=${() => onOpen({ is: 'revoke', key })}>Revoke…</button>`}</td>
        </tr>`)}</tbody>
    </table>
  </div>`;

const OVERLAPS = [['0', 'at once'], ['3600', 'in an hour'], ['86400', 'in a day'], ['604800', 'in a week']];

function RotateDialog({ of, onClose, onMade }) {
  const [overlap, setOverlap] = useState('86400');
  const [made, setMade] = useState(null);
  const rotating = useAction(() => call('POST', address(['keys', of.id,
    'rotate']), { json: { overlap: Number(overlap) } }));
  const rotate = async (event) => {
    event.preventDefault();
    const key = await rotating.run();
    if (key === undefined) return;
    setMade(key);
    onMade();
  };
  return html`
    <${Dialog} title=${made ? 'The new key' : 'Rotate this key'} onClose=${onClose}>
      ${made ? html`
        <div class="dialog-body"><${ShownOnce} text=${made.key} what="the key">
          In place of <bdi>${of.name}</bdi>, with the same bindings. It is shown this once.</${ShownOnce}></div>
        <footer class="dialog-foot"><button type="button" class="primary" onClick=${onClose}>Done</button>
          </footer>` : html`
        <form onSubmit=${rotate}>
          <div class="dialog-body">
            <p>A new key with the same bindings is made in place of <bdi><strong>${of.name}</strong></bdi>.
              Give it to the program while the old one
              still works.</p>
            <${Field} label="The old key ends" control=${(ids) => html`
              <${Select} ...${ids} value=${overlap} onChange=${setOverlap} options=${OVERLAPS} />`} />
            <${Failure} problem=${rotating.problem} />
          </div>
          <footer class="dialog-foot">
            <button type="button" onClick=${onClose}>Cancel</button>
            <button type="submit" class="primary" disabled=${rotating.busy}>
              ${rotating.busy ? 'Rotating…' : 'Rotate'}</button>
          </footer>
        </form>`}
    </${Dialog}>`;
}
