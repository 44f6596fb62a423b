// An unmodified third-party Drive v3 server (npm's google-drive-mock) on a free loopback port, behind a door
// that adds what it does not have. What it offers is reached as it is: list with q, pages, metadata, download,
// multipart create and update, folders, delete, start page token and changes.
//
// It is not Google in this, and the door makes up for it:
// - it takes one token, `valid-token`, and not those of the OpenID provider: the header is exchanged;
// - it has no `files/generateIds`, and takes `appDataFolder` for an id like any other: the ids are made here, and
//   a folder of that id is made through its own API;
// - it lists that folder as if it were in itself: each query leaves it out by its name.
//
// And in this, which locum has to bear:
// - no headRevisionId (ETags are made of something else then), versions that are numbers and not strings, folders
//   with a size and an MD5;
// - a changes feed that tells of a file once for each change, and ignores `fields` and `pageSize`;
// - an update that does not take the modifiedTime it is given;
// - no error reasons: a 404 is no more than a 404;
// - contents that are JSON are parsed and written anew, so that they come back in other words; contents that are
//   not text, resumable uploads and Range are not there. They are not tried.

import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** Starts the server that is installed in `folder`. `isToken` says whom it lets in. */
export async function startDrive(folder, isToken) {
  const require = createRequire(join(folder, 'package.json'));
  const express = require('express');
  const { createApp } = require('google-drive-mock');

  const asked = {};
  const door = express();
  door.use((request, response, next) => {
    const call = `${request.method} ${request.path.replace(/\/files\/[^/]+$/, '/files/ID')}${request.query.alt ? ' media' : ''}`;
    asked[call] = (asked[call] ?? 0) + 1;
    if (!isToken(request.headers.authorization?.replace('Bearer ', ''))) {
      response.status(401).json({ error: { code: 401, message: 'Invalid Credentials', errors: [{ reason: 'authError' }] } });
      return;
    }
    request.headers.authorization = 'Bearer valid-token';
    next();
  });
  door.get('/drive/v3/files/generateIds', (request, response) => {
    const ids = Array.from({ length: Number(request.query.count) }, () => randomBytes(24).toString('base64url'));
    response.json({ kind: 'drive#generatedIds', space: 'appDataFolder', ids });
  });
  door.get('/drive/v3/files', (request, response, next) => {
    const url = new URL(request.url, 'http://door');
    const q = url.searchParams.get('q');
    url.searchParams.set('q', `${q ? `(${q}) and ` : ''}name != 'appDataFolder'`);
    request.url = `${url.pathname}${url.search}`;
    next();
  });
  door.use(createApp());
  const server = await new Promise((resolve) => {
    const listening = door.listen(0, '127.0.0.1', () => resolve(listening));
  });
  const url = `http://127.0.0.1:${server.address().port}/`;
  return { url, asked, close: () => { server.closeAllConnections(); server.close(); } };
}

/** Drive as another of the person's devices reaches it, with a token of its own. */
export function device(url, token) {
  const call = async (method, path, body, type = 'application/json') => {
    const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': type }) };
    const response = await fetch(new URL(path, url), { method, headers, body });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text;
  };
  const multipart = (metadata, content) => `--b\r\nContent-Type: application/json\r\n\r\n${JSON.stringify(metadata)}\r\n--b\r\nContent-Type: text/plain\r\n\r\n${content}\r\n--b--`;
  const related = 'multipart/related; boundary=b';
  const list = async () => JSON.parse(await call('GET', 'drive/v3/files?pageSize=1000')).files
    .filter((file) => file.id !== 'appDataFolder');
  const named = async (name) => {
    const found = (await list()).find((file) => file.name === name);
    if (!found) throw new Error(`there is no ${name}`);
    return found;
  };
  const folder = 'application/vnd.google-apps.folder';
  return {
    /** The top folder, which the server does not have of itself. */
    makeTop: () => call('POST', 'drive/v3/files', JSON.stringify({ id: 'appDataFolder', name: 'appDataFolder', mimeType: folder })),
    create: (name, content) => call('POST', 'upload/drive/v3/files?uploadType=multipart', multipart({ name, mimeType: 'text/plain', parents: ['appDataFolder'] }, content), related),
    update: async (name, content) => call('PATCH', `upload/drive/v3/files/${(await named(name)).id}?uploadType=multipart`, multipart({}, content), related),
    rename: async (name, to) => call('PATCH', `drive/v3/files/${(await named(name)).id}`, JSON.stringify({ name: to })),
    remove: async (name) => call('DELETE', `drive/v3/files/${(await named(name)).id}`),
    /** Every text by its name. */
    texts: async () => {
      const files = (await list()).filter((file) => file.mimeType !== folder);
      const texts = await Promise.all(files.map((file) => call('GET', `drive/v3/files/${file.id}?alt=media`)));
      return Object.fromEntries(files.map((file, at) => [file.name, texts[at]]));
    },
  };
}
