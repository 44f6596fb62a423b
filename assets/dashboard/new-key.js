// The dialog that makes an API key, and says of each binding what it is for.

import { html, useState } from './vendor/preact.js';
import { address, call, useLoad } from './api.js';
import { shortScope } from './connect-link.js';
import { CheckList, Dialog, Field, Select, ShownOnce, useAction } from './forms.js';
import { Failure, Time } from './ui.js';

const ACTIONS = [
  ['tokens:read', 'Take access tokens'],
  ['users:read', 'See people and how their grants stand'],
  ['users:write', 'Refresh, make connect links, forget people'],
  ['app-data:read', 'Read people’s app data in Drive'],
  ['app-data:write', 'Write people’s app data, run mirrors'],
  ['events:read', 'Read this activity log'],
  ['metrics:read', 'Read the metrics'],
  ['admin', 'Everything the owner may do'],
];
const LIFETIMES = [['2592000', '30 days'], ['7776000', '90 days'], ['31536000', 'a year'],
  ['never', 'until it is revoked']];

const words = (text) => text.split(/[\s,]+/).filter(Boolean);

export function NewKeyDialog({ onClose, onMade }) {
  const clients = useLoad(address(['clients']));
  const [name, setName] = useState('');
  const [actions, setActions] = useState(new Set(['tokens:read']));
  const [everybody, setEverybody] = useState('all');
  const [users, setUsers] = useState('');
  const [chosenClients, setChosenClients] = useState(new Set());
  const [scopes, setScopes] = useState(new Set());
  const [lifetime, setLifetime] = useState('31536000');
  const [made, setMade] = useState(null);

  const configured = clients.data?.clients ?? [];
  const known = [...new Set(configured.flatMap((client) => client.scopes))].sort();
  const making = useAction(() => call('POST', address(['keys']), {
    json: {
      name: name.trim(),
      actions: [...actions],
      users: everybody === 'all' ? 'all' : words(users),
      ...(chosenClients.size > 0 ? { clients: [...chosenClients] } : {}),
      ...(scopes.size > 0 ? { scopes: [...scopes] } : {}),
      expires_in: lifetime === 'never' ? 'never' : Number(lifetime),
    },
  }));
  const make = async (event) => {
    event.preventDefault();
    const key = await making.run();
    if (key === undefined) return;
    setMade(key);
    onMade();
  };
  if (made) {
    return html`
      <${Dialog} title="The new key" onClose=${onClose}>
        <div class="dialog-body"><${ShownOnce} text=${made.key} what="the key">
          The key <bdi>${made.name}</bdi> is shown this once; locum keeps only a hash of it. ${made.expires_at
            ? html`It ends <${Time} at=${made.expires_at} />.` : 'It has no end.'}</${ShownOnce}></div>
        <footer class="dialog-foot"><button type="button" class="primary" onClick=${onClose}>Done</button>
          </footer>
      </${Dialog}>`;
  }
  const typed = (set) => (event) => set(event.currentTarget.value);
  return html`
    <${Dialog} title="Create an API key" large onClose=${onClose}>
      <form onSubmit=${make}>
        <div class="dialog-body">
          <${Field} label="Name" hint="What you will know it by: the program and where it runs."
            control=${(ids) => html`
            <input ...${ids} type="text" required data-first maxlength="100" dir="auto" autocomplete="off"
              value=${name} onInput=${typed(setName)} />`} />
          <${CheckList} label="May" chosen=${actions} onChange=${setActions}
            options=${ACTIONS.map(([action, what]) => [action,
              html`${what} <code class="quiet">${action}</code>`])} />
          ${actions.has('admin') && html`<p class="cause state-needs_consent">A key
            with <code>admin</code> and no bindings below can do whatever you can,
            making other keys included.</p>`}
          <${Field} label="People" hint="Whose grants it reaches. Bound to people, it never reaches whoever connects later."
            control=${(ids) => html`<${Select} ...${ids} value=${everybody} onChange=${setEverybody}
              options=${[['all', 'Everybody'], ['only', 'Only these']]} />`} />
          ${everybody === 'only' && html`<${Field} label="These people"
            hint="E-mail addresses or ids, one a line."
            control=${(ids) => html`<textarea ...${ids} rows="3" dir="auto" required value=${users}
              onInput=${typed(setUsers)} />`} />`}
          ${configured.length > 1 && html`<${CheckList} label="Clients (none ticked: all of them)"
            chosen=${chosenClients} onChange=${setChosenClients}
            options=${configured.map((client) => [client.name, client.name])} />`}
          ${known.length > 0 && html`
            <${CheckList} label="Scopes: the most its tokens may open (none ticked: whatever was granted)"
              chosen=${scopes}
            onChange=${setScopes} options=${known.map((scope) => [scope,
              html`<code>${shortScope(scope)}</code>`])} />`}
          <${Field} label="Good for" control=${(ids) => html`
            <${Select} ...${ids} value=${lifetime} onChange=${setLifetime} options=${LIFETIMES} />`} />
          <${Failure} problem=${clients.problem} retry=${clients.reload} />
          <${Failure} problem=${making.problem} />
        </div>
        <footer class="dialog-foot">
          <button type="button" onClick=${onClose}>Cancel</button>
          <button type="submit" class="primary" disabled=${making.busy || actions.size === 0}>
            ${making.busy ? 'Making it…' : 'Create the key'}</button>
        </footer>
      </form>
    </${Dialog}>`;
}
