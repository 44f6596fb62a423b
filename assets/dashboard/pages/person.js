// One person: what they granted, their app data, their mirror, what happened.

import { html, useEffect, useRef, useState } from '../vendor/preact.js';
import { address, useEvents, useLoad } from '../api.js';
import { Avatar, Failure, Loading, Time, personHash, useReady } from '../ui.js';
import { AppData } from '../person/app-data.js';
import { ForgetDialog } from '../person/forget.js';
import { Grants } from '../person/grants.js';
import { Mirror } from '../person/mirror.js';
import { EventList } from '../events.js';

const TABS = [
  ['', 'Grants', Grants],
  ['app-data', 'App data', AppData],
  ['mirror', 'Mirror', Mirror],
  ['history', 'History', History],
];

const SETTLE = 1500;

export default function Person({ segments: [id, tab = ''], query }) {
  const person = useLoad(address(['users', id]));
  const [forgetting, setForgetting] = useState(null);
  const found = person.data;
  // Otherwise it is the tab that says so.
  useReady(!found && person.problem);

  const settling = useRef(0);
  useEvents((event) => {
    if (event.user?.id !== id) return;
    clearTimeout(settling.current);
    settling.current = setTimeout(person.reload, SETTLE);
  }, [id]);
  useEffect(() => () => clearTimeout(settling.current), []);

  if (!found) {
    return html`
      <header class="page-head"><h1>Person</h1></header>
      <${Failure} problem=${person.problem} retry=${person.reload} />
      ${!person.problem && html`<${Loading} lines=${6} />`}`;
  }
  const [, , Shown] = TABS.find(([key]) => key === tab) ?? TABS[0];
  return html`
    <header class="page-head profile">
      <${Avatar} ...${found} />
      <div class="grow">
        <h1><bdi>${found.name || found.email || found.id}</bdi></h1>
        <p class="facts quiet">
          <span><bdi>${found.email ?? 'no e-mail address'}</bdi>
            ${found.email && !found.email_verified ? ' (not verified)' : ''}</span>
          ${found.hd && html`<span>of <bdi>${found.hd}</bdi></span>`}
          <span>id <code>${found.id}</code></span>
          <span>since <${Time} at=${found.created_at} /></span>
        </p>
      </div>
      <button type="button" class="danger-quiet" disabled=${found.grants.length === 0 && !found.damaged}
        onClick=${() => setForgetting({})}>Forget…</button>
    </header>
    <nav class="tabs" aria-label="About this person">
      ${TABS.map(([key, title]) => html`
        <a key=${key} href=${`${personHash(id)}${key && `/${key}`}`}
          aria-current=${key === tab ? 'page' : undefined}>${title}</a>`)}
    </nav>
    <${Failure} problem=${person.problem} retry=${person.reload} />
    <${Shown} person=${found} query=${query} reload=${person.reload}
      onForget=${(client) => setForgetting({ client })} />
    ${forgetting && html`
      <${ForgetDialog} person=${found} client=${forgetting.client} onClose=${() => setForgetting(null)}
        onDone=${person.reload} />`}`;
}

function History({ person }) {
  return html`<${EventList} filter=${{ user: person.id }} />`;
}
