// The dialog that makes a connect link: a one-time address that leads a named person through Google's consent.

import { html, useState } from './vendor/preact.js';
import { address, call, useLoad } from './api.js';
import { CheckList, Dialog, Field, Select, ShownOnce, useAction } from './forms.js';
import { Failure, Loading, Time } from './ui.js';

const LIFETIMES = [['3600', 'an hour'], ['86400', 'a day'], ['604800', 'a week'], ['2592000', '30 days']];

export const shortScope = (scope) => scope.replace('https://www.googleapis.com/auth/', '');

// For `user`, who is known, or for whoever the e-mail address is typed of.
export function ConnectLinkDialog({ user, client, onClose, onMade = () => {} }) {
  const clients = useLoad(address(['clients']));
  return html`
    <${Dialog} title=${user ? 'Connect link' : 'Invite somebody'} onClose=${onClose}>
      ${clients.problem && html`<div class="dialog-body"><${Failure} problem=${clients.problem}
        retry=${clients.reload} /></div>`}
      ${!clients.data && !clients.problem && html`<div class="dialog-body"><${Loading} /></div>`}
      ${clients.data && html`<${Form} clients=${clients.data.clients}
        ...${{ user, client, onClose, onMade }} />`}
    </${Dialog}>`;
}

function Form({ clients, user, client, onClose, onMade }) {
  const [email, setEmail] = useState('');
  const [name, setName] = useState(client ?? clients[0]?.name ?? '');
  const chosenClient = clients.find((one) => one.name === name);
  const [left, setLeft] = useState(new Set());
  const [lifetime, setLifetime] = useState('86400');
  const [made, setMade] = useState(null);
  const own = chosenClient?.scopes ?? [];
  const asked = own.filter((scope) => !left.has(scope));

  const making = useAction(() => call('POST', address(['connect-links']), {
    json: {
      ...(user ? { user: user.id } : { email: email.trim() }),
      client: name,
      expires_in: Number(lifetime),
      // All of them is what the client asks for anyway.
      ...(asked.length < own.length ? { scopes: asked } : {}),
    },
  }));
  const make = async (event) => {
    event.preventDefault();
    const link = await making.run();
    if (link === undefined) return;
    setMade(link);
    onMade(link);
  };

  if (made) {
    return html`
      <div class="dialog-body">
        <${ShownOnce} text=${made.url} what="the link">
          Send this address to <bdi>${user ? user.email ?? user.id : email}</bdi>. It is shown this once, works
          once and ends <${Time} at=${made.expires_at} />. Another Google account is refused.
        </${ShownOnce}>
      </div>
      <footer class="dialog-foot"><button type="button" class="primary" onClick=${onClose}>Done</button>
        </footer>`;
  }
  return html`
    <form onSubmit=${make}>
      <div class="dialog-body">
        ${user
          ? html`<p>For <bdi><strong>${user.email ?? user.id}</strong></bdi>, who signs in at Google anew.
            Another account is refused.</p>`
          : html`<${Field} label="E-mail address"
            hint="Of the Google account that shall connect; another one is refused."
              control=${(ids) => html`<input ...${ids} type="email" required dir="auto" autocomplete="off"
                data-first
                value=${email} onInput=${(event) => setEmail(event.currentTarget.value)} />`} />`}
        <${Field} label="Client" control=${(ids) => html`<${Select} ...${ids} value=${name} onChange=${setName}
          options=${clients.map((one) => [one.name, one.name])} />`} />
        ${own.length > 0 && html`
          <${CheckList} label="Asked for" chosen=${new Set(asked)}
            options=${own.map((scope) => [scope, html`<code>${shortScope(scope)}</code>`])}
            onChange=${(chosen) => setLeft(new Set(own.filter((scope) => !chosen.has(scope))))} />`}
        <${Field} label="Good for" control=${(ids) => html`
          <${Select} ...${ids} value=${lifetime} onChange=${setLifetime}
          options=${LIFETIMES} />`} />
        <${Failure} problem=${making.problem} />
      </div>
      <footer class="dialog-foot">
        <button type="button" onClick=${onClose}>Cancel</button>
        <button type="submit" class="primary" disabled=${making.busy || asked.length === 0 && own.length > 0}>
          ${making.busy ? 'Making it…' : 'Make the link'}
        </button>
      </footer>
    </form>`;
}
