// What a run of a mirror did or would do.

import { html } from '../vendor/preact.js';
import { bytes, count, number } from '../ui.js';

const ACTIONS = {
  download: 'bring to the folder',
  upload: 'bring to Drive',
  delete_here: 'delete in the folder',
  delete_at_drive: 'delete at Drive',
  move_here: 'rename in the folder',
  move_at_drive: 'rename at Drive',
  set_aside: 'set aside, since both sides changed it',
  make_folder_here: 'make the folder',
  make_folder_at_drive: 'make the folder at Drive',
  remove_folder_here: 'remove the empty folder',
  remove_folder_at_drive: 'remove the empty folder at Drive',
};

export const actionWords = ({ action, path }) => html`${ACTIONS[action] ?? action} <bdi>${path}</bdi>`;

export function doneWords(done) {
  const parts = [
    done.downloaded > 0 && `${number(done.downloaded)} brought here (${bytes(done.downloaded_bytes)})`,
    done.uploaded > 0 && `${number(done.uploaded)} brought to Drive (${bytes(done.uploaded_bytes)})`,
    done.deleted_here > 0 && `${number(done.deleted_here)} deleted here`,
    done.deleted_at_drive > 0 && `${number(done.deleted_at_drive)} deleted at Drive`,
    done.moved > 0 && `${number(done.moved)} renamed`,
    done.conflicts > 0 && count(done.conflicts, 'conflict'),
    done.folders > 0 && `${count(done.folders, 'folder')} made or removed`,
  ].filter(Boolean);
  return parts.length > 0 ? parts.join(', ') : 'nothing: both sides were alike';
}

export function Report({ report }) {
  const title = report.held ? 'Held back: this is what it would do'
    : report.dry_run ? 'A run would do this' : report.complete ? 'Done' : 'Done in part';
  return html`
    <div class="report" role="status">
      <h3>${title}</h3>
      ${report.stopped && html`<p class="bad">${report.stopped}</p>`}
      ${!report.dry_run && !report.held && html`<p>${doneWords(report.done)}</p>`}
      ${report.planned_total === 0 && html`<p class="quiet">Nothing to do: both sides are alike.</p>`}
      ${report.planned.length > 0 && html`
        <ol class="plan scroll" tabIndex="0" aria-label="Planned actions">
          ${report.planned.map((action, index) => html`
          <li key=${index}>${actionWords(action)}${action.from &&
            html` <span class="quiet">from <bdi>${action.from}</bdi></span>`}</li>`)}</ol>`}
      ${report.planned_total > report.planned.length && html`
        <p class="quiet">and ${number(report.planned_total - report.planned.length)} more</p>`}
      ${report.problems.length > 0 && html`
        <h3>${count(report.problems.length, 'file')} to look at</h3>
        <ul>${report.problems.map(({ path, matter, note }, index) => html`
          <li key=${index} class=${note ? 'quiet' : 'bad'}><bdi>${path}</bdi> ${matter}</li>`)}</ul>`}
    </div>`;
}
