// Uploads under way, each with its progress.

import { html, useEffect, useRef, useState } from '../vendor/preact.js';
import { Problem, leave, unreachable } from '../api.js';
import { Failure, Icon, bytes } from '../ui.js';

// `start(file, target, etag)`: with the tag of what it replaces, or for a file that is new.
export function useUploads(onDone) {
  const [uploads, setUploads] = useState([]);
  const running = useRef(new Map());
  const finished = useRef(onDone);
  finished.current = onDone;
  useEffect(() => () => running.current.forEach((request) => request.abort()), []);

  const change = (id, changes) => setUploads((all) => all.map((one) => (one.id === id ? { ...one, ...changes }
    : one)));
  const remove = (id) => {
    running.current.get(id)?.abort();
    running.current.delete(id);
    setUploads((all) => all.filter((one) => one.id !== id));
  };
  const start = (file, target, etag) => {
    const id = crypto.getRandomValues(new Uint32Array(2)).join('-');
    setUploads((all) => [...all, { id, name: file.name, size: file.size, sent: 0, problem: null }]);
    // fetch() does not tell how far it is.
    const request = new XMLHttpRequest();
    running.current.set(id, request);
    request.open('PUT', target);
    request.setRequestHeader('X-Requested-With', 'locum');
    if (file.type) request.setRequestHeader('Content-Type', file.type);
    request.setRequestHeader(...(etag ? ['If-Match', etag] : ['If-None-Match', '*']));
    request.upload.onprogress = (event) => change(id, { sent: event.loaded });
    request.onerror = () => change(id, { problem: unreachable() });
    request.onload = () => {
      if (request.status === 401) leave();
      if (request.status < 300) {
        remove(id);
        finished.current();
      } else {
        change(id, { problem: problemIn(request) });
      }
    };
    request.send(file);
  };
  return { uploads, start, remove };
}

function problemIn(request) {
  try {
    return new Problem(JSON.parse(request.responseText));
  } catch {
    return new Problem({ title: 'The upload failed', detail: 'Nothing was stored. Try again.',
      status: request.status });
  }
}

export const Uploads = ({ uploads: { uploads, remove } }) => (uploads.length === 0 ? null : html`
  <ul class="uploads" aria-label="Uploads">
    ${uploads.map(({ id, name, size, sent, problem }) => html`
      <li key=${id}>
        <div class="row"><bdi class="grow">${name}</bdi>
          ${!problem && html`<span class="quiet">${sent < size ? `${bytes(sent)} of ${bytes(size)}`
            : 'Google is storing it…'}</span>`}
          <button type="button" class="plain" aria-label=${`${problem ? 'Dismiss' : 'Cancel'} ${name}`}
            onClick=${() => remove(id)}>
            <${Icon} name="close" /></button></div>
        ${problem ? html`<${Failure} problem=${problem} />`
          : html`<progress max=${size || 1} value=${sent} aria-label=${`Upload of ${name}`} />`}
      </li>`)}
  </ul>`);
