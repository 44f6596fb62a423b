// Dialogs, fields, and what is copied: for pages on which something is done.

import { html, useEffect, useId, useRef, useState } from './vendor/preact.js';
import { Failure, Icon } from './ui.js';

// One action at a time: `{run, busy, problem}`. `run` resolves to what the action gave, or to undefined
// when it failed.
export function useAction(action) {
  const [state, setState] = useState({ busy: false, problem: null });
  const run = async (...inputs) => {
    setState({ busy: true, problem: null });
    try {
      const outcome = await action(...inputs);
      setState({ busy: false, problem: null });
      return outcome ?? null;
    } catch (problem) {
      setState({ busy: false, problem });
      return undefined;
    }
  };
  return { ...state, run };
}

export function Dialog({ title, onClose, large = false, children }) {
  const id = useId();
  const dialog = useRef(null);
  useEffect(() => {
    const opener = document.activeElement;
    dialog.current.showModal();
    dialog.current.querySelector('[data-first]')?.focus();
    // The element is taken out of the page rather than closed, so the browser does not do this by itself.
    return () => opener?.isConnected && opener.focus();
  }, []);
  const close = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`
    <dialog ref=${dialog} class=${large ? 'large' : ''} aria-labelledby=${id} onCancel=${close}>
      <header class="dialog-head">
        <h2 id=${id}>${title}</h2>
        <button type="button" class="plain" aria-label="Close" onClick=${onClose}><${Icon} name="close" />
          </button>
      </header>
      ${children}
    </dialog>`;
}

// Says what will happen and asks once. `action` does it; `onDone` gets what came of it.
export function ConfirmDialog(props) {
  const { title, words, action, dangerous = true, disabled = false, onDone, onClose, children } = props;
  const doing = useAction(action);
  const confirm = async () => {
    const outcome = await doing.run();
    if (outcome !== undefined) onDone(outcome);
  };
  return html`
    <${Dialog} title=${title} onClose=${onClose}>
      <div class="dialog-body">
        ${children}
        <${Failure} problem=${doing.problem} />
      </div>
      <footer class="dialog-foot">
        <button type="button" onClick=${onClose}>Cancel</button>
        <button type="button" class=${dangerous ? 'danger' : 'primary'} disabled=${disabled || doing.busy}
          onClick=${confirm}>
          ${doing.busy ? 'Working…' : words}
        </button>
      </footer>
    </${Dialog}>`;
}

// A label, what it is about, and the control that `control` makes with the ids it is given.
export function Field({ label, hint, control }) {
  const id = useId();
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      ${control({ id, 'aria-describedby': hint ? `${id}-hint` : undefined })}
      ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    </div>`;
}

export const Select = ({ options, value, onChange, ...rest }) => html`
  <select ...${rest} value=${value} onChange=${(event) => onChange(event.currentTarget.value)}>
    ${options.map(([key, words]) => html`<option key=${key} value=${key} selected=${key === value}>${words}
      </option>`)}
  </select>`;

export const Check = ({ checked, onChange, children }) => html`
  <label class="check"><input type="checkbox" checked=${checked}
    onChange=${(event) => onChange(event.currentTarget.checked)} />
    <span>${children}</span></label>`;

// Which of `options` (`[key, words]`) are in the set `chosen`.
export function CheckList({ label, options, chosen, onChange }) {
  const toggle = (key, on) => {
    const next = new Set(chosen);
    if (on) next.add(key);
    else next.delete(key);
    onChange(next);
  };
  return html`
    <fieldset class="checks"><legend>${label}</legend>
      ${options.map(([key, words]) => html`
        <${Check} key=${key} checked=${chosen.has(key)} onChange=${(on) => toggle(key, on)}>${words}
          </${Check}>`)}
    </fieldset>`;
}

const COPIED_FOR = 2000;

function Copy({ text, what }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), COPIED_FOR);
    return () => clearTimeout(timer);
  }, [copied]);
  // Without https and off loopback there is no clipboard; the text can still be selected by hand.
  const copy = () => navigator.clipboard?.writeText(text).then(() => setCopied(true), () => {});
  return html`
    <button type="button" class="small copy" onClick=${copy} aria-label=${copied ? 'Copied' : `Copy ${what}`}>
      <${Icon} name=${copied ? 'check' : 'copy'} /><span aria-live="polite">${copied ? 'Copied' : 'Copy'}</span>
    </button>`;
}

// A value to take elsewhere.
export const Copyable = ({ text, what }) => html`
  <div class="copyable"><code dir="ltr">${text}</code><${Copy} text=${text} what=${what} /></div>`;

// Something that is shown this once.
export const ShownOnce = ({ text, what, children }) => html`
  <div class="shown-once" role="status">
    <p>${children}</p>
    <${Copyable} text=${text} what=${what} />
  </div>`;
