// What happened: who did what to whom, when, and from where.

import { html, useState } from '../vendor/preact.js';
import { address, withQuery } from '../api.js';
import { EventList } from '../events.js';
import { Field, Select } from '../forms.js';
import { Choice, Icon, replaceHash } from '../ui.js';

const KINDS = [
  ['', 'Everything'],
  ['user', 'People'],
  ['grant', 'Grants'],
  ['client', 'Clients'],
  ['connect_link', 'Connect links'],
  ['key', 'API keys'],
  ['mirror', 'Mirrors'],
  ['app_data', 'App data'],
  ['dashboard', 'Dashboard'],
  ['vault', 'Vault'],
  ['locum', 'locum itself'],
];
const SEVERITIES = [['', 'All'], ['notice', 'Notices and warnings'], ['warning', 'Warnings']];
const ACTORS = [
  ['', 'Anybody'],
  ['owner', 'The owner'],
  ['key', 'A program’s key'],
  ['user', 'The person'],
  ['locum', 'locum by itself'],
];
const FILTERS = ['kind', 'severity', 'actor', 'user', 'client'];

export default function Activity({ query }) {
  const [paused, setPaused] = useState(false);
  const filter = Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? '']));
  const change = (changes) => replaceHash(withQuery('#/activity', { ...filter, ...changes }));
  return html`
    <header class="page-head">
      <h1>Activity</h1>
      <span class="buttons">
        <${Choice} label="New events" value=${paused} onChange=${setPaused}
          options=${[[false, 'Live'], [true, 'Paused']]} />
        <a class="button" href=${address(['events'], { ...filter, format: 'jsonl' })}
          download="locum-events.jsonl">Download</a>
      </span>
    </header>
    <div class="toolbar filters">
      <${Field} label="About" control=${(ids) => html`<${Select} ...${ids} value=${filter.kind}
        options=${withOwn(KINDS, filter.kind)} onChange=${(kind) => change({ kind })} />`} />
      <${Field} label="Importance" control=${(ids) => html`
        <${Select} ...${ids} value=${filter.severity} options=${SEVERITIES}
          onChange=${(severity) => change({ severity })} />`} />
      <${Field} label="Done by" control=${(ids) => html`<${Select} ...${ids} value=${filter.actor}
        options=${ACTORS} onChange=${(actor) => change({ actor })} />`} />
      <${Field} label="Person" control=${(ids) => html`
        <input ...${ids} type="search" dir="auto" placeholder="Whole e-mail or id" value=${filter.user}
          onChange=${(event) => change({ user: event.currentTarget.value.trim() })} />`} />
      ${filter.client && html`<button type="button" class="chip"
        aria-label=${`Any client, not only ${filter.client}`}
        onClick=${() => change({ client: '' })}>client ${filter.client} <${Icon} name="close" /></button>`}
    </div>
    <${EventList} filter=${filter} paused=${paused} />`;
}

// A link may name one kind exactly.
const withOwn = (options, value) => (options.some(([key]) => key === value) ? options
  : [...options, [value, value]]);
