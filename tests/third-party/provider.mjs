// An unmodified third-party OpenID provider (npm's oidc-provider) on a free loopback port, and a browser
// that signs a person in at it. Configuration only: nothing of the package is changed or replaced.

import { generateKeyPairSync, randomBytes, createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Starts the provider that is installed in `folder`, with one confidential client. */
export async function startProvider(folder, redirectUri) {
  const installed = createRequire(join(folder, 'package.json')).resolve('oidc-provider');
  const { default: Provider } = await import(pathToFileURL(installed));

  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;

  const client = {
    client_id: '402839145520-thirdparty.apps.googleusercontent.com',
    client_secret: randomBytes(24).toString('base64url'),
    redirect_uris: [redirectUri],
    response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'client_secret_post',
  };
  const jwk = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  const provider = new Provider(issuer, {
    clients: [client],
    jwks: { keys: [{ ...jwk, use: 'sig', alg: 'RS256', kid: randomBytes(8).toString('hex') }] },
    // Google's scope for app data, which brings no claims.
    scopes: ['openid', 'offline_access', 'https://www.googleapis.com/auth/drive.appdata'],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'given_name', 'family_name'] },
    // Google puts the person's claims into the ID token; by default this provider gives them at userinfo only.
    conformIdTokenClaims: false,
    features: { devInteractions: { enabled: true } },
    // Each refresh brings a new refresh token, and the use of an old one ends the whole grant.
    rotateRefreshToken: true,
    ttl: { AccessToken: 3600, IdToken: 3600, RefreshToken: 86400, Grant: 86400, Session: 86400, Interaction: 600 },
    findAccount: (_, sub) => ({
      accountId: sub,
      claims: () => ({
        sub,
        email: `${sub}@example.org`,
        email_verified: true,
        name: 'Erika Example',
        given_name: 'Erika',
        family_name: 'Example',
      }),
    }),
    cookies: { keys: [randomBytes(24).toString('base64url')] },
  });
  provider.on('server_error', (_, error) => console.error('provider:', error));
  const asked = { authorization_code: 0, refresh_token: 0, failed: 0 };
  provider.on('grant.success', (context) => { asked[context.oidc.params.grant_type] += 1; });
  provider.on('grant.error', () => { asked.failed += 1; });
  server.on('request', provider.callback());
  return { issuer, client, asked, close: () => { server.closeAllConnections(); server.close(); } };
}

/** Signs `login` in with PKCE and consent to offline access; gives the code as a redirect brings it. */
export async function signIn({ issuer, client }, login, redirectUri) {
  const verifier = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: 'openid email profile offline_access https://www.googleapis.com/auth/drive.appdata',
    prompt: 'consent',
    state: randomBytes(8).toString('hex'),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const discovery = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
  const cookies = new Map();
  let request = { url: `${discovery.authorization_endpoint}?${query}` };
  // Authorization, login form, resume, consent form, resume, redirect to the application: eight steps.
  for (let step = 0; step < 12; step += 1) {
    const response = await fetch(request.url, {
      method: request.form ? 'POST' : 'GET',
      body: request.form,
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [pair] = cookie.split(';');
      const at = pair.indexOf('=');
      cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    const location = response.headers.get('location');
    if (location) {
      const next = new URL(location, request.url);
      if (next.href.startsWith(redirectUri)) {
        const code = next.searchParams.get('code');
        if (!code) throw new Error(`the provider sent no code: ${next.searchParams}`);
        return { code, verifier };
      }
      request = { url: next.href };
      continue;
    }
    const page = await response.text();
    const action = attribute(/<form[^>]*>/.exec(page)?.[0] ?? '', 'action');
    if (!action) throw new Error(`status ${response.status} and no form: ${page.slice(0, 400)}`);
    const form = new URLSearchParams();
    for (const [input] of page.matchAll(/<input[^>]*>/g)) {
      const name = attribute(input, 'name');
      if (name) form.set(name, { login, password: 'any' }[name] ?? attribute(input, 'value') ?? '');
    }
    request = { url: new URL(action, request.url).href, form };
  }
  throw new Error('the provider went round in circles');
}

function attribute(tag, name) {
  return new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1];
}
