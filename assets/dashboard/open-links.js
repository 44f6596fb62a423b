// The connect links that are open, each of which can be withdrawn. Their addresses cannot be shown again.

import { html, useState } from './vendor/preact.js';
import { address, call, useEvents, useLoad } from './api.js';
import { shortScope } from './connect-link.js';
import { ConfirmDialog } from './forms.js';
import { Failure, Time, count, number } from './ui.js';

// As many are shown to begin with.
const FIRST = 5;

// All of them, or those for one person.
export function OpenLinks({ user }) {
  const links = useLoad(address(['connect-links']));
  const [all, setAll] = useState(false);
  const [withdrawn, setWithdrawn] = useState(null);
  useEvents((event) => event.kind.startsWith('connect_link.') && links.reload(), []);

  const isFor = (link) => !user || link.user.id === user.id || (user.email && link.user.email === user.email);
  const open = links.data?.links.filter(isFor) ?? [];
  if (links.problem) return html`<${Failure} problem=${links.problem} retry=${links.reload} />`;
  if (open.length === 0) return null;
  return html`
    <section class="card" aria-labelledby="open-links">
      <header class="card-head"><h2 id="open-links">${count(open.length, 'open connect link')}</h2></header>
      <ul class="rows">
        ${open.slice(0, all ? open.length : FIRST).map((link) => html`
          <li key=${link.id}>
            <div class="grow">
              <bdi>${link.user.email ?? link.user.id}</bdi>
              <span class="facts quiet">
                <span>client ${link.client}</span>
                ${link.scopes && html`<span>asks for ${link.scopes.map(shortScope).join(', ')}</span>`}
                <span>made <${Time} at=${link.created_at} /></span>
                <span>ends <${Time} at=${link.expires_at} /></span>
              </span>
            </div>
            <button type="button" class="small" onClick=${() => setWithdrawn(link)}>Withdraw…</button>
          </li>`)}
      </ul>
      ${open.length > FIRST && html`
        <button type="button" class="small" aria-expanded=${all} onClick=${() => setAll(!all)}>
          ${all ? 'Show fewer' : `Show ${number(open.length - FIRST)} more`}</button>`}
      ${withdrawn && html`
        <${ConfirmDialog} title="Withdraw the link?" words="Withdraw"
          action=${() => call('DELETE', address(['connect-links', withdrawn.id]))}
          onClose=${() => setWithdrawn(null)} onDone=${() => { setWithdrawn(null); links.reload(); }}>
          <p>The address that was sent to <bdi>${withdrawn.user.email ?? withdrawn.user.id}</bdi> opens
            nothing from then on.</p>
        </${ConfirmDialog}>`}
    </section>`;
}
