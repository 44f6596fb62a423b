// The frame around the pages: where one is (location.hash), the header, the navigation.

import {
  html, render, useCallback, useEffect, useErrorBoundary, useLayoutEffect, useRef, useState,
} from './vendor/preact.js';
import { Problem, address, call, feedState, leave, startFeed, useSignal, whenReachable } from './api.js';
import { Banner, Failure, Icon, Loading, ReadinessProvider } from './ui.js';

const PAGES = [
  { name: 'overview', hash: '#/', title: 'Overview', load: () => import('./pages/overview.js') },
  { name: 'people', hash: '#/people', title: 'People', load: () => import('./pages/people.js') },
  { name: 'clients', hash: '#/clients', title: 'Clients', load: () => import('./pages/clients.js') },
  { name: 'keys', hash: '#/keys', title: 'API keys', load: () => import('./pages/keys.js') },
  { name: 'activity', hash: '#/activity', title: 'Activity', load: () => import('./pages/activity.js') },
  { name: 'system', hash: '#/system', title: 'System', load: () => import('./pages/system.js') },
];

const PERSON = { name: 'person', title: 'Person', under: 'people', load: () => import('./pages/person.js') };

// The page that a hash names, its further segments, and its query.
function readHash() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?', 2);
  const segments = path.split('/').filter(Boolean).map((segment) => {
    try {
      return decodeURIComponent(segment);
    } catch {
      return segment;
    }
  });
  const [first = 'overview', ...rest] = segments;
  const page = first === 'people' && rest.length > 0 ? PERSON : PAGES.find((page) => page.name === first);
  return { page: page ?? PAGES[0], segments: rest, query: new URLSearchParams(query) };
}

// ---- colours

const THEMES = { auto: 'Auto', light: 'Light', dark: 'Dark' };

function storedTheme() {
  const theme = localStorage.getItem('locum-theme');
  return theme in THEMES ? theme : 'auto';
}

function applyTheme(theme) {
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

applyTheme(storedTheme());

function ThemeButton() {
  const [theme, setTheme] = useState(storedTheme());
  const names = Object.keys(THEMES);
  const turn = () => {
    const next = names[(names.indexOf(theme) + 1) % names.length];
    localStorage.setItem('locum-theme', next);
    applyTheme(next);
    setTheme(next);
  };
  return html`
    <button type="button" class="plain" onClick=${turn} aria-label=${`Colours: ${THEMES[theme]}`}
      title="Colours of the dashboard">
      <${Icon} name="theme" /><span class="wide-only">${THEMES[theme]}</span>
    </button>`;
}

// ---- the frame

const FEED_WORDS = {
  connecting: 'Connecting…',
  live: 'Live',
  reconnecting: 'Reconnecting…',
  polling: 'Checked every 10 s',
};

function FeedState() {
  const state = useSignal(feedState);
  return html`<span class=${`feed ${state}`} role="status" aria-label=${`Updates: ${FEED_WORDS[state]}`}>
    <span class="dot" /> <span class="wide-only">${FEED_WORDS[state]}</span></span>`;
}

function Header({ onProblem }) {
  const signOut = () => call('DELETE', address(['dashboard'])).then(leave, onProblem);
  return html`
    <header class="top">
      <a class="brand" href="#/"><span class="mark" aria-hidden="true" />locum</a>
      <div class="top-end">
        <${FeedState} />
        <${ThemeButton} />
        <button type="button" class="plain" onClick=${signOut} aria-label="Sign out">
          <${Icon} name="out" /><span class="wide-only">Sign out</span>
        </button>
      </div>
    </header>`;
}

function Navigation({ page }) {
  const current = (name) => (name === page.name ? 'page' : name === page.under ? 'true' : undefined);
  return html`
    <nav aria-label="Pages" class="pages">
      ${PAGES.map(({ name, hash, title }) => html`
        <a key=${name} href=${hash} aria-current=${current(name)}>
          <${Icon} name=${name} /><span>${title}</span>
        </a>`)}
    </nav>`;
}

const reload = () => location.reload();

// A page's module, fetched when it is first shown.
function Page({ place }) {
  const { page } = place;
  const [Content, setContent] = useState(null);
  const [problem, setProblem] = useState(null);
  const [failed, forget] = useErrorBoundary((error) => console.error(error));
  useEffect(() => {
    page.load().then(
      (module) => setContent(() => module.default),
      // A browser may remember that a module could not be had, so another try needs a new page.
      () => whenReachable(reload, () => setProblem(new Problem({
        title: 'This page could not be loaded',
        detail: 'locum may have been updated meanwhile. Reload the page.',
      }))),
    );
  }, [page]);
  if (failed) return html`<${Failure} problem=${{}} retry=${forget} />`;
  if (problem) return html`<${Failure} problem=${problem} retry=${reload} />`;
  return Content ? html`<${Content} ...${place} />` : html`<${Loading} lines=${6} />`;
}

function App() {
  const [place, setPlace] = useState(readHash);
  const [readyKey, setReadyKey] = useState(null);
  const [problem, setProblem] = useState(null);
  const main = useRef(null);
  // Another person is another page; another tab of theirs, or another filter, is not.
  const pageKey = [place.page.name, place.segments[0]].join('/');
  // But each tab is ready by itself.
  const partKey = [place.page.name, ...place.segments].join('/');

  useEffect(() => {
    const turn = () => setPlace(readHash());
    addEventListener('hashchange', turn);
    return () => removeEventListener('hashchange', turn);
  }, []);

  useLayoutEffect(() => setReadyKey(null), [partKey]);
  const setPartReady = useCallback(() => setReadyKey(partKey), [partKey]);
  const shown = useRef(pageKey);
  useLayoutEffect(() => {
    document.title = `${place.page.title} · locum`;
    if (shown.current === pageKey) return;
    shown.current = pageKey;
    // As after a page load: reading goes on at the top of what is new.
    scrollTo(0, 0);
    main.current.focus({ preventScroll: true });
  }, [pageKey]);

  const skip = (event) => {
    event.preventDefault();
    main.current.focus();
  };
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <${Header} onProblem=${setProblem} />
    <${Navigation} page=${place.page} />
    <main id="main" ref=${main} tabIndex="-1" data-page=${place.page.name}
      data-ready=${readyKey === partKey ? partKey : undefined}>
      <${Banner} />
      <${Failure} problem=${problem} />
      <${ReadinessProvider} value=${setPartReady}>
        <${Page} key=${pageKey} place=${place} />
      </${ReadinessProvider}>
    </main>`;
}

render(html`<${App} />`, document.getElementById('app'));
startFeed();
