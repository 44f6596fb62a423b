// The real programs that the browser meets: locum, the emulated Google, and sites on ports of their own.
//
// What must stay true: everything listens on loopback, lives in a folder of its own and is gone after stop().

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const program = process.env.SUITE_LOCUM;
assert(program, 'SUITE_LOCUM names the program to try; tests/browser/run sets it');

// What the caller has set for a locum of their own is not for this one.
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LOCUM_')));

export const APP_DATA = 'https://www.googleapis.com/auth/drive.appdata';
export const SCOPES = ['openid', 'email', 'profile', APP_DATA];

// Whoever ends the tests early ends these with them.
const running = new Set();
process.on('exit', () => { for (const child of running) child.kill('SIGKILL'); });
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

/** Starts one command of locum that runs until it is stopped, and reads the line of JSON by which it says where it is. */
async function start(...words) {
  const child = spawn(program, ['--json', ...words], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  const exit = once(child, 'exit');
  running.add(child);
  exit.then(() => running.delete(child));
  const said = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    said.push(line);
    // The rest is the greeting.
    if (/\b(WARN|ERROR|panicked)\b/.test(line)) console.error(line);
  });
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    exit.then(([code]) => { throw new Error(`locum ${words.join(' ')} ended with ${code}: ${said.join('\n')}`); }),
  ]);
  const stop = async () => {
    child.kill('SIGTERM');
    const [code] = await exit;
    assert.equal(code, 0, 'a graceful stop is no failure');
  };
  return { told: JSON.parse(line), stop };
}

/** A port that nobody listens on at the moment: a public_url is written down before the server starts. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function answerOf(response) {
  const text = await response.text();
  return { status: response.status, body: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text };
}

/** The emulated Google, and what a test does to it from outside. */
async function startGoogle() {
  const { told, stop } = await start('emulator', '--listen', '127.0.0.1:0');
  return { ...told, stop, ...controls(told.base_url) };
}

/** `locum demo`, on ports that nobody else has. */
export async function startDemo() {
  const { told, stop } = await start('demo', '--listen', '127.0.0.1:0', '--emulator-listen', '127.0.0.1:0');
  return { ...told, stop };
}

/** What the emulator's control interface is asked for. */
export function controls(base) {
  const control = async (path, body) => {
    const { status, body: answer } = await answerOf(await fetch(new URL(`/emulator/${path}`, base), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }));
    assert.equal(status, 200, `${path}: ${JSON.stringify(answer)}`);
    return answer;
  };
  const state = async () => (await fetch(new URL('/emulator/state', base))).json();
  return { origin: new URL(base).origin, control, state };
}

/**
 * An emulated Google and a locum with the client `main`, which browsers and popups sign in with, and unless it is to be
 * the only one `phone`, of another project. `returnTo` and `corsOrigins` are lists, `more` is added to the configuration.
 */
export async function startSite({ returnTo = [], corsOrigins = [], owners = [], only = false, more = () => '', prepare = () => {} } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'locum-browser-'));
  const google = await startGoogle();
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  await google.control('clients', {
    client_id: google.client_id,
    redirect_uris: [`${base}/v1/sign-in/callback`],
    javascript_origins: corsOrigins,
  });
  const phone = await google.control('clients', { kind: 'web' });
  const second = `
[[clients]]
name = "phone"
client_id = "${phone.client_id}"
client_secret = "${phone.secrets[0]}"
sources = ["ios"]
scopes = ["openid", "email", "profile"]
`;
  const configuration = join(folder, 'locum.toml');
  await writeFile(join(folder, 'root.key'), randomBytes(32), { mode: 0o600 });
  await writeFile(configuration, `
allow_users = "anyone"

[server]
listen = "127.0.0.1:${port}"
public_url = "${base}"
cors_origins = ${JSON.stringify(corsOrigins)}

[google]
discovery_url = "${google.discovery_url}"
drive_url = "${google.drive_url}"

[vault]
path = "vault/locum.db"
root_key_file = "root.key"

[sign_in]
return_to = ${JSON.stringify(returnTo)}

[dashboard]
emails = ${JSON.stringify(owners)}
client = "main"

[limits]
enabled = false

[log]
filter = "error"

[[clients]]
name = "main"
client_id = "${google.client_id}"
client_secret = "${google.client_secret}"
sources = ["web", "popup"]
scopes = ${JSON.stringify(SCOPES)}
${only ? '' : second}
${more(folder)}`, { mode: 0o600 });
  const locum = async (...words) =>
    (await promisify(execFile)(program, ['--config', configuration, ...words], { env: environment })).stdout;
  await prepare(folder);
  const keyFile = join(folder, 'api.key');
  await locum('key', 'create', 'suite', '--allow', 'tokens:read,users:read,users:write,admin', '--user', 'all', '--output', keyFile);
  const authorization = `Bearer ${(await readFile(keyFile, 'utf8')).trim()}`;
  const server = await start('--config', configuration, 'serve');

  /** A call of a program that has an API key. */
  const call = async (method, path, body) => answerOf(await fetch(`${base}${path}`, {
    method,
    headers: { authorization, ...(body && { 'content-type': 'application/json' }) },
    body: body && JSON.stringify(body),
  }));
  return {
    base,
    google,
    folder,
    locum,
    call,
    /** E-mail addresses of everybody who is connected. */
    connected: async () => (await call('GET', '/v1/users')).body.users.map((user) => user.email).sort(),
    /** Everybody is forgotten, so that a test begins where it thinks it does. */
    forgetAll: async () => {
      for (const user of (await call('GET', '/v1/users')).body.users) await call('DELETE', `/v1/users/${user.id}`);
    },
    /** Connects somebody as an app does, by a code. */
    connect: async (person, scopes = SCOPES) => {
      const { code } = await google.control('codes', { client_id: google.client_id, person, scopes, redirect_uri: 'postmessage' });
      const { status, body } = await answerOf(await fetch(`${base}/v1/exchange`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-requested-with': 'suite' },
        body: JSON.stringify({ client: 'main', source: 'popup', code }),
      }));
      assert.equal(status, 200, JSON.stringify(body));
      return body.user;
    },
    /** A one-time link to the dashboard. */
    loginLink: async () => {
      const { status, body } = await call('POST', '/v1/dashboard/links');
      assert.equal(status, 201, JSON.stringify(body));
      return body.url;
    },
    /** A link for somebody. */
    link: async (order) => {
      const { status, body } = await call('POST', '/v1/connect-links', { client: 'main', ...order });
      assert.equal(status, 201, JSON.stringify(body));
      return body;
    },
    stop: async () => {
      await server.stop();
      await google.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * A site of somebody else's on a port of its own. `pages` gives the HTML of a path, or `{status, headers, body}`;
 * `requests` are those that arrived. `host` is 127.0.0.1 (for browsers the same site as locum's) or localhost (another).
 */
export async function startElsewhere(pages, host = 'localhost') {
  const requests = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url, `http://${request.headers.host}`);
    // Browsers ask for it by themselves.
    if (url.pathname !== '/favicon.ico') requests.push({ method: request.method, url, headers: request.headers });
    const nothing = { status: url.pathname === '/favicon.ico' ? 204 : 404 };
    const page = pages[url.pathname] ?? nothing;
    const { status = 200, headers = {}, body = '' } = typeof page === 'string' ? { body: page } : page;
    response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', ...headers });
    response.end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://${host}:${server.address().port}`,
    pages,
    requests,
    stop: () => { server.closeAllConnections?.(); server.close(); },
  };
}
