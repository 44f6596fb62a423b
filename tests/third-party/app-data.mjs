// A person's app data through locum at the third-party Drive server: file by file, and a mirror both ways.

import assert from 'node:assert/strict';
import { mkdir, readFile, readdir, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { device } from './drive.mjs';

const WHO = 'erika@example.org';

/** `locum` runs the program and gives its standard output; `run` gives its exit code as well. */
export async function tryAppData({ drive, token, folder, mirrored, locum, run }) {
  const say = (step) => console.log(`ok: ${step}`);
  const other = device(drive.url, token);
  await other.makeTop();
  const json = async (...words) => JSON.parse(await locum('--json', 'drive', ...words));
  const write = (name, text) => writeFile(join(folder, name), text);
  const got = async (path) => locum('drive', 'get', WHO, path, '-');
  const put = (path, text, ...words) => write('text', text).then(() => json('put', WHO, join(folder, 'text'), path, '--type', 'text/plain', ...words));

  assert.deepEqual((await json('ls', WHO)).entries, []);
  const made = await put('notes/a.txt', 'one\nzwei\n');
  assert.equal(made.created, true);
  assert.equal(made.entry.size, 9);
  await other.create('from-elsewhere.txt', 'hello');
  const paths = (await json('ls', WHO)).entries.map((entry) => entry.path);
  assert.deepEqual(paths, ['from-elsewhere.txt', 'notes', 'notes/a.txt']);
  assert.deepEqual((await json('ls', WHO, 'notes/')).entries.map((entry) => entry.path), ['notes/a.txt']);
  say('app data is listed, and written into a folder');
  assert.equal(await got('notes/a.txt'), 'one\nzwei\n');
  assert.equal(await got('from-elsewhere.txt'), 'hello');
  say('and read, also what another program wrote');

  const second = await put('notes/a.txt', 'two');
  assert.equal(second.created, false);
  assert.notEqual(second.entry.etag, made.entry.etag);
  assert.equal((await run('drive', 'put', WHO, join(folder, 'text'), 'notes/a.txt', '--if-match', made.entry.etag)).code, 1);
  assert.equal((await run('drive', 'put', WHO, join(folder, 'text'), 'notes/a.txt', '--if-absent')).code, 1);
  assert.equal(await got('notes/a.txt'), 'two');
  await put('notes/a.txt', 'three', '--if-match', second.entry.etag);
  assert.equal(await got('notes/a.txt'), 'three');
  await other.update('a.txt', 'four');
  assert.equal(await got('notes/a.txt'), 'four');
  say('a file is overwritten, and only if it is still the one that was meant');
  await locum('drive', 'rm', WHO, 'notes/a.txt');
  assert.equal((await run('drive', 'get', WHO, 'notes/a.txt', '-')).code, 1);
  say('and removed');

  // The mirror, in both directions.
  const here = async (name) => readFile(join(mirrored, name), 'utf8');
  const names = async () => (await readdir(mirrored)).filter((name) => !name.startsWith('.locum-mirror')).sort();
  const sync = async (...words) => {
    const report = await json('sync', WHO, ...words);
    assert.equal(report.complete, true, JSON.stringify(report));
    return report;
  };
  const quiet = async () => assert.equal((await sync()).planned_total, 0);
  await mkdir(join(mirrored, 'sub'));
  await writeFile(join(mirrored, 'sub', 'mine.txt'), 'from here');
  await writeFile(join(mirrored, 'top.txt'), 'from here too');
  const held = await run('drive', 'sync', WHO);
  assert.equal(held.code, 3, held.stderr);
  const first = await sync('--accept');
  assert.deepEqual([first.done.uploaded, first.done.downloaded], [2, 1]);
  assert.equal(await here('from-elsewhere.txt'), 'hello');
  assert.deepEqual(await other.texts(), { 'from-elsewhere.txt': 'hello', 'mine.txt': 'from here', 'top.txt': 'from here too' });
  await quiet();
  say('a first run of a mirror brings both sides in step, and a second one has nothing to do');

  await writeFile(join(mirrored, 'top.txt'), 'edited here');
  await other.update('mine.txt', 'edited there');
  await other.create('new-there.txt', 'new there');
  await writeFile(join(mirrored, 'new-here.txt'), 'new here');
  await sync();
  assert.equal(await here('sub/mine.txt'), 'edited there');
  assert.equal(await here('new-there.txt'), 'new there');
  assert.deepEqual(await other.texts(), {
    'from-elsewhere.txt': 'hello', 'mine.txt': 'edited there', 'new-here.txt': 'new here', 'new-there.txt': 'new there', 'top.txt': 'edited here',
  });
  await quiet();
  say('changes go both ways');

  await other.rename('new-there.txt', 'renamed-there.txt');
  await rename(join(mirrored, 'new-here.txt'), join(mirrored, 'renamed-here.txt'));
  await other.remove('from-elsewhere.txt');
  await unlink(join(mirrored, 'top.txt'));
  await sync();
  assert.deepEqual(await names(), ['notes', 'renamed-here.txt', 'renamed-there.txt', 'sub']);
  assert.deepEqual(Object.keys(await other.texts()).sort(), ['mine.txt', 'renamed-here.txt', 'renamed-there.txt']);
  await quiet();
  say('so do renames and deletions');

  await writeFile(join(mirrored, 'renamed-here.txt'), 'one side');
  await other.update('renamed-here.txt', 'other side');
  assert.equal((await sync()).done.conflicts, 1);
  assert.equal(await here('renamed-here.txt'), 'other side');
  assert.equal((await names()).filter((name) => name.includes('(conflict ')).length, 1);
  const { versions } = await json('versions', WHO);
  const old = versions.find((version) => version.path === 'top.txt' && version.size === 11);
  await locum('drive', 'restore', WHO, old.id);
  assert.equal(await here('top.txt'), 'edited here');
  await sync();
  assert.equal((await other.texts())['top.txt'], 'edited here');
  await quiet();
  say('a conflict keeps both, and a deleted file comes back from the versions');

  for (const call of [
    'GET /drive/v3/files', 'GET /drive/v3/files/ID', 'GET /drive/v3/files/ID media', 'POST /drive/v3/files', 'PATCH /drive/v3/files/ID',
    'POST /upload/drive/v3/files', 'PATCH /upload/drive/v3/files/ID', 'DELETE /drive/v3/files/ID', 'GET /drive/v3/changes',
    'GET /drive/v3/changes/startPageToken',
  ]) assert.ok(drive.asked[call] > 0, `${call}: ${JSON.stringify(drive.asked)}`);
}
