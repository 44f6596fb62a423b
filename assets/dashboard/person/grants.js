// What a person granted, client by client, and what can be done about it.

import { html, useState } from '../vendor/preact.js';
import { address, call } from '../api.js';
import { ConnectLinkDialog, shortScope } from '../connect-link.js';
import { useAction } from '../forms.js';
import { OpenLinks } from '../open-links.js';
import { Countdown, Empty, Failure, State, Time, capital, span, stateWords, useReady } from '../ui.js';

export function Grants({ person, reload, onForget }) {
  const [linked, setLinked] = useState(null);
  useReady(true);
  const [linksMade, setLinksMade] = useState(0);
  return html`
    ${person.damaged > 0 && html`
      <p class="bad">Damaged records: ${person.damaged}. They do not match their seal: restore a backup, or forget the
        person.</p>`}
    ${person.grants.length === 0 && !person.damaged && html`
      <div class="card"><${Empty} title="No grant">
        <button type="button" class="small" onClick=${() => setLinked({})}>Make a connect link</button>
      </${Empty}></div>`}
    ${person.grants.map((grant) => html`
      <${Grant} key=${grant.client_id} ...${{ person, grant, reload, onForget }}
        onLink=${() => setLinked({ client: grant.client })} />`)}
    <${OpenLinks} key=${linksMade} user=${person} />
    ${linked && html`
      <${ConnectLinkDialog} user=${person} client=${linked.client} onClose=${() => setLinked(null)}
        onMade=${() => setLinksMade((made) => made + 1)} />`}`;
}

function Grant({ person, grant, reload, onForget, onLink }) {
  const [refreshed, setRefreshed] = useState(null);
  const refreshing = useAction(() => call('POST', address(['users', person.id,
    'refresh'], { client: grant.client })));
  const refresh = async () => {
    setRefreshed(null);
    const answer = await refreshing.run();
    if (answer) setRefreshed(answer);
    // A refusal of Google's changes the grant too.
    reload();
  };
  return html`
    <section class="card grant" aria-label=${`Grant of the client ${grant.client ?? grant.client_id}`}>
      <header class="card-head">
        <h2>${grant.client ?? 'A client that is no longer configured'}</h2>
        <${State} state=${grant.state} />
        <span class="buttons">
          <button type="button" class="small"
            disabled=${refreshing.busy || !grant.offline_access || !grant.client} onClick=${refresh}>
            ${refreshing.busy ? 'Refreshing…' : 'Refresh now'}</button>
          <button type="button" class="small" disabled=${!grant.client} onClick=${onLink}>Connect link</button>
          ${person.grants.length > 1 && grant.client && html`
            <button type="button" class="small danger-quiet" onClick=${() => onForget(grant.client)}>Forget
              this one…</button>`}
        </span>
      </header>
      ${grant.state !== 'active' && html`<p class=${`cause state-${grant.state}`}>${grant.explanation}
        ${grant.cause && html` <code class="quiet">${grant.cause}</code>`}</p>`}
      ${refreshed && html`<p class="calm" role="status">Refreshed. The new access token is good
        for ${span(refreshed.expires_in)}.</p>`}
      <${Failure} problem=${refreshing.problem} />
      <dl class="fact-columns">
        <div class="whole"><dt>The person allowed</dt><dd><${Scopes} grant=${grant} /></dd></div>
        <div><dt>${capital(stateWords(grant.state))} since</dt><dd><${Time} at=${grant.since} /></dd></div>
        <div><dt>Last sign-in</dt><dd><${Time} at=${grant.connected_at} /></dd></div>
        <div><dt>Last refresh</dt><dd><${Time} at=${grant.refreshed_at} /></dd></div>
        <div><dt>Next refresh, at the latest</dt><dd><${Time} at=${grant.next_refresh_at} none="none" /></dd>
          </div>
        <div><dt>Access token</dt><dd>${grant.access_token_expires_at
          ? html`ends <${Time} at=${grant.access_token_expires_at} />`
            : html`<span class="quiet">none stored</span>`}</dd></div>
        <div><dt>Refresh token</dt><dd>${!grant.offline_access ? html`<span class="quiet">none stored</span>`
          : grant.refresh_token_expires_at ? html`<${Countdown} at=${grant.refresh_token_expires_at} />`
            : html`<span class="quiet">no announced end</span>`}</dd></div>
      </dl>
    </section>`;
}

function Scopes({ grant }) {
  const words = grant.scopes_in_words ?? [];
  const missing = grant.missing_scopes ?? [];
  if (words.length + missing.length === 0) return html`<span class="quiet">nothing</span>`;
  return html`
    <ul class="scopes">
      ${words.map(({ scope, words }) => html`<li key=${scope}>${words} <code class="quiet">
        ${shortScope(scope)}</code></li>`)}
      ${missing.map((scope) => html`<li key=${scope} class="bad">Not granted, though the client wants
        it: <code>${shortScope(scope)}</code></li>`)}
    </ul>`;
}
