// node main.mjs LOCUM FOLDER: the program to try, and the folder in which the packages are installed.

import assert from 'node:assert/strict';
import { spawn, execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { randomBytes } from 'node:crypto';

import { tryAppData } from './app-data.mjs';
import { startDrive } from './drive.mjs';
import { signIn, startProvider } from './provider.mjs';

const [program, installed] = process.argv.slice(2).map((path) => resolve(path));
// Nobody listens there: the code is read from the redirect itself.
const redirectUri = 'http://127.0.0.1:9/callback';
const folder = await mkdtemp(join(tmpdir(), 'locum-third-party-'));
const configuration = join(folder, 'locum.toml');
const ours = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LOCUM_')));

/** Starts `locum serve` and reads from its one line on standard output where it listens. */
async function serve() {
  const child = spawn(program, ['--config', configuration, '--json', 'serve'], {
    env: ours,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit');
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    exit.then(([code]) => { throw new Error(`locum serve ended with ${code}`); }),
  ]);
  const { listen } = JSON.parse(line);
  return {
    call: async (path, options = {}) => {
      const response = await fetch(`${listen}${path}`, options);
      return { status: response.status, body: await response.json() };
    },
    stop: async () => {
      child.kill('SIGTERM');
      const [code] = await exit;
      assert.equal(code, 0, 'a graceful stop is no failure');
    },
    kill: () => child.kill('SIGKILL'),
  };
}

const locum = async (...words) => (await promisify(execFile)(program, ['--config', configuration, ...words], { env: ours })).stdout;

/** Runs it to its end, whatever that is. */
async function run(...words) {
  try {
    return { code: 0, stdout: await locum(...words) };
  } catch (failure) {
    return failure;
  }
}

function says(step, answer, status) {
  assert.equal(answer.status, status, `${step}: ${JSON.stringify(answer.body)}`);
  console.log(`ok: ${step}`);
  return answer.body;
}

const provider = await startProvider(installed, redirectUri);
// Of the tokens, locum's latest is known; the Drive server lets in whoever has one.
const tokens = new Set();
const drive = await startDrive(installed, (token) => tokens.has(token));
const mirrored = join(folder, 'mirrored');
let server;
try {
  const rootKey = join(folder, 'root.key');
  await writeFile(rootKey, randomBytes(32), { mode: 0o600 });
  await writeFile(configuration, `
allow_users = ["erika@example.org"]

[server]
listen = "127.0.0.1:0"

[log]
filter = "warn"

[google]
issuer = "${provider.issuer}"
discovery_url = "${provider.issuer}/.well-known/openid-configuration"
drive_url = "${drive.url}"

[vault]
path = "vault/locum.db"
root_key_file = "root.key"

[[clients]]
name = "main"
client_id = "${provider.client.client_id}"
client_secret = "${provider.client.client_secret}"
sources = ["web"]
redirect_uris = ["${redirectUri}"]
scopes = ["openid", "email", "profile", "offline_access", "https://www.googleapis.com/auth/drive.appdata"]

[[mirror]]
user = "erika@example.org"
client = "main"
folder = "${mirrored}"
direction = "both"
`, { mode: 0o600 });
  await chmod(folder, 0o700);
  await mkdir(mirrored);

  await locum('config', 'check');
  const keyFile = join(folder, 'api.key');
  await locum('key', 'create', 'third-party', '--allow', 'tokens:read,users:read,users:write', '--user', 'all', '--output', keyFile);
  const authorization = { authorization: `Bearer ${(await readFile(keyFile, 'utf8')).trim()}` };
  server = await serve();

  const exchange = ({ code, verifier }) => server.call('/v1/exchange', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-requested-with': 'third-party' },
    body: JSON.stringify({ code, code_verifier: verifier, redirect_uri: redirectUri }),
  });
  const token = (query = '') => server.call(`/v1/users/erika@example.org/token${query}`, { headers: authorization });
  const discovery = await (await fetch(`${provider.issuer}/.well-known/openid-configuration`)).json();
  const asErika = async ({ access_token: bearer }) => {
    const answer = await fetch(discovery.userinfo_endpoint, { headers: { authorization: `Bearer ${bearer}` } });
    assert.equal(answer.status, 200, 'the provider takes its own token');
    assert.equal((await answer.json()).sub, 'erika');
  };

  const granted = await signIn(provider, 'erika', redirectUri);
  const connected = says('a code becomes a grant', await exchange(granted), 200);
  assert.equal(connected.user.id, 'erika');
  assert.equal(connected.user.email, 'erika@example.org');
  assert.equal(connected.offline_access, true);
  assert.deepEqual(connected.missing_scopes, []);
  says('the same code is refused', await exchange(granted), 409);
  assert.equal(provider.asked.authorization_code, 1, 'a spent code does not reach the provider again');

  const first = says('a token comes out', await token(), 200);
  await asErika(first);

  // The provider rotates refresh tokens and ends the grant when an old one comes back: two refreshes work
  // only if locum has kept the new one.
  const refresh = () => server.call('/v1/users/erika@example.org/refresh', { method: 'POST', headers: authorization });
  says('a refresh', await refresh(), 200);
  const second = says('a new token', await token(), 200);
  assert.notEqual(second.access_token, first.access_token);
  await asErika(second);
  await server.stop();
  console.log('ok: a graceful stop');

  server = await serve();
  says('a refresh after a restart', await refresh(), 200);
  const third = says('a token after it', await token(), 200);
  assert.notEqual(third.access_token, second.access_token);
  await asErika(third);
  assert.equal(provider.asked.refresh_token, 2);
  assert.equal(provider.asked.failed, 0, 'the provider refused nothing');

  // Beside the running server, by the token it holds.
  tokens.add(third.access_token);
  await tryAppData({ drive, token: third.access_token, folder, mirrored, locum, run });
  assert.equal(provider.asked.refresh_token, 2, 'no token had to be fetched for that');

  says('somebody else is not let in', await exchange(await signIn(provider, 'frank', redirectUri)), 403);

  // Not revoked at the provider: RFC 7009 wants the client to authenticate, which Google does not.
  const forgotten = says('erika is forgotten', await server.call('/v1/users/erika@example.org?revoke=no', { method: 'DELETE', headers: authorization }), 200);
  assert.equal(forgotten.revoked, false);
  says('and has no token any more', await token(), 404);
  await server.stop();
  server = undefined;
} finally {
  server?.kill();
  provider.close();
  drive.close();
  await rm(folder, { recursive: true, force: true });
}
