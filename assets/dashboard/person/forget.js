// Forgetting a person, or one grant: what else ends is shown first, then it is asked once.

import { html, useState } from '../vendor/preact.js';
import { address, call, useLoad } from '../api.js';
import { ConfirmDialog, Dialog, Field, Select } from '../forms.js';
import { Failure, Loading } from '../ui.js';

const AT_GOOGLE = [
  ['auto', 'Revoke, unless another grant shares the Google project'],
  ['project', 'Revoke for the whole Google project'],
  ['no', 'Leave Google alone'],
];

const list = (names) => new Intl.ListFormat('en').format(names);

export function ForgetDialog({ person, client, onClose, onDone }) {
  const [revoke, setRevoke] = useState('auto');
  const [done, setDone] = useState(null);
  const preview = useLoad(address(['users', person.id], { preview: 'forget', client, revoke }));
  const known = preview.data && !preview.loading;
  const who = person.email ?? person.id;

  if (done) {
    // Where the person is gone there is nothing left to show here.
    const stays = done.pending || (client && person.grants.length > 1);
    const close = () => {
      if (!stays) return location.assign('#/people');
      onClose();
      return onDone();
    };
    return html`
      <${Dialog} title="Forgotten" onClose=${close}>
        <div class="dialog-body"><${Outcome} done=${done} /></div>
        <footer class="dialog-foot"><button type="button" class="primary" data-first
          onClick=${close}>Done</button></footer>
      </${Dialog}>`;
  }
  return html`
    <${ConfirmDialog} title=${client ? `Forget the grant of ${client}?` : 'Forget this person?'}
      words=${preview.data?.would_revoke ? 'Forget and revoke' : 'Forget'} disabled=${!known}
      action=${() => call('DELETE', address(['users', person.id], { client, revoke }))}
      onClose=${onClose} onDone=${setDone}>
      <p><strong><bdi>${who}</bdi></strong></p>
      <${Failure} problem=${preview.problem} retry=${preview.reload} />
      ${!preview.data && !preview.problem && html`<${Loading} />`}
      ${preview.data && html`
        <ul class="consequences" aria-live="polite">
          ${preview.data.would_delete_damaged > 0 && html`
            <li class="bad">Damaged records are deleted, too: ${preview.data.would_delete_damaged}. What they held
              cannot be revoked from here.</li>`}
          <li>The tokens of <strong>${list(preview.data.would_forget) || 'this person'}</strong> are deleted here, with the
            person’s sessions
            ${client ? '' : ', what is known of them,'} and what mirrors kept.</li>
          <li>${preview.data.would_revoke ? 'Google is told to revoke: the app loses its access there.'
            : 'Google is not told: the person’s account goes on listing the app.'}</li>
          ${preview.data.would_also_end.length > 0 && html`
            <li class="bad"><strong>${list(preview.data.would_also_end)}</strong> ends too, since it shares
              the Google project.</li>`}
          <li>It cannot be undone. The person can connect again.</li>
        </ul>`}
      <${Field} label="At Google" control=${(ids) => html`
        <${Select} ...${ids} value=${revoke} onChange=${setRevoke} options=${AT_GOOGLE} />`} />
    </${ConfirmDialog}>`;
}

function Outcome({ done }) {
  return html`
    <p>${done.forgotten.length > 0 ? html`The grant of <strong>${list(done.forgotten)}</strong> is forgotten.`
      : ''}
      ${done.revoked ? ' Google has revoked it.' : ''}</p>
    ${done.damaged > 0 && html`<p>Damaged records are deleted: ${done.damaged}. The person ends what they held at
      Google, at <code>myaccount.google.com/permissions</code>.</p>`}
    ${done.also_ended.length > 0 && html`<p><strong>${list(done.also_ended)}</strong> ended with it.</p>`}
    ${done.pending && html`<p>Google cannot be reached at the moment. The tokens are unusable here from now
      on, and are revoked and
      deleted as soon as Google answers.</p>`}`;
}
