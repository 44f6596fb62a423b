// A person's app data in Drive, folder by folder: looked at, downloaded, uploaded, deleted.
//
// Nothing is overwritten or deleted that is not what was seen: each change demands the entity tag that the
// listing gave.

import { html, useEffect, useRef, useState } from '../vendor/preact.js';
import { address, call, send, withQuery } from '../api.js';
import { ConfirmDialog } from '../forms.js';
import { Choice, Empty, Failure, Icon, Loading, Time, bytes, count, personHash, useReady } from '../ui.js';
import { Uploads, useUploads } from './uploads.js';

const SCOPE = 'https://www.googleapis.com/auth/drive.appdata';
const PAGE = 1000;

export function AppData({ person, query }) {
  const clients = person.grants.filter((grant) => grant.client &&
    grant.scopes.includes(SCOPE)).map((grant) => grant.client);
  useReady(clients.length === 0);
  const client = clients.includes(query.get('client')) ? query.get('client') : clients[0];
  if (clients.length === 0) {
    return html`<div class="card"><${Empty} title="No access to app data">
      No grant of this person covers <code>drive.appdata</code>. Make a connect link that asks for
        it.</${Empty}></div>`;
  }
  const folder = query.get('folder') ?? '';
  const base = `${personHash(person.id)}/app-data`;
  const hash = (changes) => withQuery(base, { client: clients.length > 1 ? client : '', folder, ...changes });
  return html`<${Browser} key=${`${client} ${folder}`} ...${{ person, clients, client, folder, hash }} />`;
}

// The pages of a folder's listing that were fetched so far.
function useListing(person, client, folder) {
  const [state, setState] = useState({ entries: [], next: null, problem: null, loading: true });
  const more = async (cursor) => {
    setState((before) => ({ ...before, loading: true, problem: null }));
    try {
      const page = await call('GET', address(['users', person.id, 'app-data'], { client, prefix: folder,
        limit: PAGE, cursor }));
      setState((before) => ({
        entries: cursor ? [...before.entries, ...page.entries] : page.entries,
        next: page.next,
        problem: null,
        loading: false,
      }));
    } catch (problem) {
      setState((before) => ({ ...before, problem, loading: false }));
    }
  };
  useEffect(() => {
    more();
  }, []);
  return { ...state, more: () => more(state.next), reload: () => more() };
}

// The listing holds all that is below; what is deeper is summed up under its first folder.
function childrenOf(entries, folder) {
  const folders = new Map();
  const files = [];
  for (const entry of entries) {
    const rest = entry.path.slice(folder.length);
    const slash = rest.indexOf('/');
    if (slash < 0 && entry.kind !== 'folder') files.push(entry);
    const name = slash < 0 ? (entry.kind === 'folder' ? rest : null) : rest.slice(0, slash);
    if (!name) continue;
    const known = folders.get(name) ?? { name, files: 0, size: 0 };
    if (entry.kind === 'file') {
      known.files += 1;
      known.size += entry.size;
    }
    folders.set(name, known);
  }
  return { folders: [...folders.values()], files };
}

function Browser({ person, clients, client, folder, hash }) {
  const listing = useListing(person, client, folder);
  const uploads = useUploads(listing.reload);
  useReady(!listing.loading);
  const [deleted, setDeleted] = useState(null);
  const [replaced, setReplaced] = useState(null);
  const [over, setOver] = useState(false);
  const input = useRef(null);
  const { folders, files } = childrenOf(listing.entries, folder);
  const target = (path) => address(['users', person.id, 'app-data', ...path.split('/')], { client });

  // What is there already is replaced only when that was said.
  const add = (list) => {
    const chosen = [...list].map((file) => ({ file, existing: files.find((entry) => entry.addressable &&
      entry.path === folder + file.name) }));
    const upload = ({ file, existing }) => uploads.start(file, target(folder + file.name), existing?.etag);
    chosen.filter(({ existing }) => !existing).forEach(upload);
    const conflicts = chosen.filter(({ existing }) => existing);
    if (conflicts.length > 0) setReplaced({ conflicts, upload });
  };
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    add(event.dataTransfer.files);
  };
  const drag = (is) => (event) => {
    event.preventDefault();
    setOver(is);
  };
  const choose = (event) => {
    add(event.currentTarget.files);
    // The same file can be chosen again.
    event.currentTarget.value = '';
  };
  const nothing = folders.length + files.length === 0;
  return html`
    <section class=${`card flush drop ${over ? 'over' : ''}`} aria-label="App data" aria-busy=${listing.loading}
      onDragOver=${drag(true)} onDragLeave=${drag(false)} onDrop=${drop}>
      <header class="card-head">
        <${Path} folder=${folder} hash=${hash} />
        <span class="buttons">
          ${clients.length > 1 && html`
            <${Choice} label="Client" value=${client}
              onChange=${(name) => location.assign(hash({ client: name, folder: '' }))}
              options=${clients.map((name) => [name, name])} />`}
          <input ref=${input} class="visually-hidden" id="upload" type="file" multiple tabIndex="-1"
            aria-label="Files to upload" onChange=${choose} />
          <button type="button" class="primary small" onClick=${() => input.current.click()}>Upload</button>
        </span>
      </header>
      <${Uploads} uploads=${uploads} />
      <${Failure} problem=${listing.problem} retry=${listing.reload} />
      ${listing.loading && listing.entries.length === 0 && html`<${Loading} lines=${5} />`}
      ${!listing.loading && !listing.problem && nothing && html`
        <${Empty} title=${folder ? 'Nothing in this folder' : 'No app data yet'}>
          What the app writes for this person appears here. Drop files here to add some.</${Empty}>`}
      ${!nothing && html`<${Files} ...${{ folders, files, folder, hash, target }} onDelete=${setDeleted} />`}
      ${listing.next && html`<div class="more"><button type="button" class="small" disabled=${listing.loading}
        onClick=${listing.more}>
        ${listing.loading ? 'Loading…' : 'Load more'}</button></div>`}
    </section>
    ${deleted && html`
      <${ConfirmDialog} title="Delete this file?" words="Delete"
        action=${() => send('DELETE', target(deleted.path), { headers: { 'If-Match': deleted.etag } })}
        onClose=${() => setDeleted(null)} onDone=${() => { setDeleted(null); listing.reload(); }}>
        <p><bdi><strong>${deleted.path}</strong></bdi> (${bytes(deleted.size)}) is deleted from the person’s
          Drive. A mirror of it
          deletes its copy too, and keeps a version.</p>
      </${ConfirmDialog}>`}
    ${replaced && html`
      <${ConfirmDialog} title=${`Replace ${count(replaced.conflicts.length, 'file')}?`} words="Replace"
        action=${async () => replaced.conflicts.forEach(replaced.upload)}
        onClose=${() => setReplaced(null)} onDone=${() => setReplaced(null)}>
        <p>There is already:</p>
        <ul>${replaced.conflicts.map(({ file }) => html`<li key=${file.name}><bdi>${file.name}</bdi></li>`)}
          </ul>
      </${ConfirmDialog}>`}`;
}

function Path({ folder, hash }) {
  const names = folder.split('/').filter(Boolean);
  return html`
    <nav class="path" aria-label="Folder">
      <a href=${hash({ folder: '' })} aria-current=${folder === '' ? 'page' : undefined}>App data</a>
      ${names.map((name, index) => html`
        <span key=${index}><span class="quiet" aria-hidden="true"> / </span>
          <a href=${hash({ folder: `${names.slice(0, index + 1).join('/')}/` })}
            aria-current=${index === names.length - 1 ? 'page' : undefined}><bdi>${name}</bdi></a></span>`)}
    </nav>`;
}

const Files = ({ folders, files, folder, hash, target, onDelete }) => html`
  <table class="files">
    <caption class="visually-hidden">Files and folders</caption>
    <thead><tr><th scope="col">Name</th><th scope="col" class="number wide">Size</th>
      <th scope="col" class="wide">Changed</th>
      <th scope="col"><span class="visually-hidden">Actions</span></th></tr></thead>
    <tbody>
      ${folders.map(({ name, files, size }) => html`
        <tr key=${`folder ${name}`}>
          <th scope="row"><span class="named"><${Icon} name="folder" />
            <a href=${hash({ folder: `${folder}${name}/` })}><bdi>${name}</bdi></a></span></th>
          <td class="number wide">${bytes(size)}</td><td class="quiet wide">${count(files, 'file')}</td><td />
            </tr>`)}
      ${files.map((entry) => html`
        <tr key=${entry.id}>
          <th scope="row"><span class="named"><${Icon} name="file" /><bdi>${entry.path.slice(folder.length)}
            </bdi>
            ${!entry.addressable && html`<span class="badge plain"
              title="Another file of the same path, changed later, is what the path leads to">hidden</span>`}
                </span></th>
          <td class="number wide">${entry.size === null ? '' : bytes(entry.size)}</td>
          <td class="wide"><${Time} at=${entry.modified} /></td>
          <td class="row-actions">${entry.kind === 'file' && entry.addressable && html`
            <a class="button small" href=${target(entry.path)} download=${entry.path.split('/').at(-1)}
              aria-label=${`Download ${entry.path}`}>Download</a>
            <button type="button" class="small danger-quiet" aria-label=${`Delete ${entry.path}`}
              onClick=${() => onDelete(entry)}>Delete</button>`}</td>
        </tr>`)}
    </tbody>
  </table>`;
