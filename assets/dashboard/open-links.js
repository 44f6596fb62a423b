// The connect links that are open, each of which can be withdrawn. Their addresses cannot be shown again.

import { html, useState } from './vendor/preact.js';
import { address, call, useLoad } from './api.js';
import { ConfirmDialog } from './forms.js';
import { Failure, Time, count } from './ui.js';

// All of them, or those for one person.
export function OpenLinks({ user }) {
  const links = useLoad(address(['connect-links']));
  const [withdrawn, setWithdrawn] = useState(null);
  const isFor = (link) => !user || link.user.id === user.id || (user.email && link.user.email === user.email);
  const open = links.data?.links.filter(isFor) ?? [];
  if (links.problem) return html`<${Failure} problem=${links.problem} retry=${links.reload} />`;
  if (open.length === 0) return null;
  return html`
    <section class="card" aria-labelledby="open-links">
      <header class="card-head"><h2 id="open-links">${count(open.length, 'open connect link')}</h2></header>
      <ul class="rows">
        ${open.map((link) => html`
          <li key=${link.id}>
            <span class="grow"><bdi>${link.user.email ?? link.user.id}</bdi>
              <span class="quiet"> · client ${link.client} · made <${Time} at=${link.created_at} /></span>
                </span>
            <span class="quiet">ends <${Time} at=${link.expires_at} /></span>
            <button type="button" class="small" onClick=${() => setWithdrawn(link)}>Withdraw</button>
          </li>`)}
      </ul>
      ${withdrawn && html`
        <${ConfirmDialog} title="Withdraw the link?" words="Withdraw"
          action=${() => call('DELETE', address(['connect-links', withdrawn.id]))}
          onClose=${() => setWithdrawn(null)} onDone=${() => { setWithdrawn(null); links.reload(); }}>
          <p>The address that was sent to <bdi>${withdrawn.user.email ?? withdrawn.user.id}</bdi> opens
            nothing from then on.</p>
        </${ConfirmDialog}>`}
    </section>`;
}
