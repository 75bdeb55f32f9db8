// The doctor's checks of any database: reachable, migrated, room for ids, what lists promise, and the file of SQLite.
import { masked } from '../../config/config.ts';
import { MOST_ID } from '../verb.ts';
import { type Check, fail, ok, warn } from './check.ts';
import type { Facts } from './facts.ts';

const GiB = 1024 ** 3;
const sizeOf = (bytes: number): string =>
  bytes < GiB ? `${Math.round(bytes / 1024 ** 2)} MiB` : `${(bytes / GiB).toFixed(1)} GiB`;
const octal = (mode: number): string => `0${mode.toString(8)}`;

const reachable: Check = {
  name: 'database',
  fix: 'Correct DATABASE_URL.',
  judge({ config, database, unreachable, files }) {
    const where = masked(config.databaseUrl);
    if (unreachable) return fail(`${where}: ${unreachable.found}.`, unreachable.fix);
    if (!database) return warn(`${where} is not there yet.`, 'Start the service, which makes it: restante serve');
    if (files) return ok(`${database.version} opens ${where}.`);
    const { version, host, lostHosts } = database;
    const answers = `${version} answers at ${where}${host ? `, as ${host}` : ''}.`;
    const lost = lostHosts.map((one) => `${one.host}: ${one.found}`).join('; ');
    return lost ? warn(`${answers} Not all of its hosts do: ${lost}.`, lostHosts[0]?.fix) : ok(answers);
  },
};

const level: Check = {
  name: 'level',
  fix: 'Add what is missing: restante migrate',
  judge({ database }) {
    if (!database) return undefined;
    const { state, steps, extended, kind } = database;
    if (state.base.length < 3)
      return fail(
        `Of the tables tbluser, tblwhid and tblwh this account sees ${state.base.join(', ') || 'none'}.`,
        kind === 'sqlite' && state.base.length === 0
          ? 'Start the service, which makes them: restante serve'
          : state.base.length === 0
            ? 'On an empty database: restante migrate --create-base. Otherwise point DATABASE_URL at the right one, or grant the rights: restante migrate --grants'
            : 'Point DATABASE_URL at the right database, or grant the rights: restante migrate --grants',
      );
    if (extended) return ok(`extended: all ${steps} steps are done.`);
    if (kind === 'sqlite')
      return warn(`${state.done} of ${steps} steps are done.`, 'The next start does the others: restante serve');
    return warn(
      state.done === 0
        ? 'as-is: none of the restante_* tables is there. The five classic calls work, nothing is received.'
        : `${state.done} of ${steps} steps are done: nothing is received until the others are.`,
      'With an account that may CREATE: restante migrate. If that was done, this account lacks rights: restante migrate --grants',
    );
  },
};

const index: Check = {
  name: 'index',
  fix: 'restante migrate --index (it first says how long it takes and how much space; other applications go on writing)',
  judge({ database }) {
    if (!database || database.state.base.length < 3) return undefined;
    return database.state.indexed
      ? ok(`tblwh has an index on (user_id, wh_id, id): ${database.state.index}.`)
      : warn('tblwh has no index on (user_id, wh_id, id): lists read the whole table.');
  },
};

const misfits: Check = {
  name: 'tables',
  fix: 'Make them as they were, in agreement with the applications that share them.',
  judge({ database }) {
    if (!database || database.state.base.length < 3) return undefined;
    const { misfits: wrong = [] } = database.state;
    const [first] = wrong;
    if (first)
      return fail(
        `${wrong.map(({ found }) => found).join('. ')}. restante serve does not start.`,
        wrong.map(({ fix }) => fix).join('; '),
      );
    const lost = database.lostIndexes ?? [];
    return lost.length === 0
      ? ok('The tables are tables, and have what we need.')
      : warn(
          `Indexes are gone, or hidden from queries: ${lost.map(({ table, name }) => `${name} of ${table}`).join(', ')}. Calls are slow.`,
          `${lost.map(({ fix }) => fix).join('; ')}. One that is only hidden: ALTER TABLE … ALTER INDEX … VISIBLE on MySQL, NOT IGNORED on MariaDB.`,
        );
  },
};

const rules: Check = {
  name: 'rules',
  fix: 'In agreement with the application that made them, take them away.',
  judge({ database }) {
    if (!database?.contents || !database.rules) return undefined;
    const named = (some: typeof database.rules) => some.map(({ what, name }) => `${what} ${name}`).join(', ');
    const always = database.rules.filter((one) => one.always);
    const statements = (some: typeof database.rules) => some.map(({ fix }) => fix).join('; ');
    if (always.length > 0) return fail(`tblwh has a ${named(always)}: every content is refused.`, statements(always));
    if (database.rules.length === 0) return ok('No rule of another application on tblwh refuses a content.');
    return warn(
      `tblwh has rules of other applications: ${named(database.rules)}. A content that one of them refuses is answered with 503; the others are stored.`,
      `Where a rule may refuse a content, let it pass (a generated column: IF(JSON_VALID(content), …, NULL)), or take it away: ${statements(database.rules)}`,
    );
  },
};

const listed = (ids: readonly number[]): string => ids.slice(0, 5).join(', ') + (ids.length > 5 ? ', …' : '');
const rows: Check = {
  name: 'rows',
  fix: 'Mend them in agreement with the application that wrote them.',
  judge({ database }) {
    const odd = database?.odd;
    if (!database || !odd) return undefined;
    const where = (ids: readonly number[]) => `WHERE id IN (${ids.join(', ')})`;
    const again = (ids: readonly number[]) =>
      database.extended ? `; DELETE FROM restante_position ${where(ids)}` : '';
    const found: [text: string, fix: string][] = [];
    if (odd.absent.length > 0)
      found.push([
        `Contents are NULL, and told as unreadable: ${listed(odd.absent)}.`,
        `Give them a body: UPDATE tblwh SET content = '' ${where(odd.absent)}; or take them away: DELETE FROM tblwh ${where(odd.absent)}`,
      ]);
    if (odd.overlong.length > 0)
      found.push([
        `Contents are longer than max_allowed_packet, and told as unreadable: ${listed(odd.overlong)}.`,
        'SET GLOBAL max_allowed_packet = 1073741824, and the same in its configuration file; then restart Restante',
      ]);
    if (odd.ownerless.length > 0)
      found.push([
        `Contents belong to no user, and nobody gets them: ${listed(odd.ownerless)}.`,
        `Name their user: UPDATE tblwh SET user_id = … ${where(odd.ownerless)}${again(odd.ownerless)}`,
      ]);
    if (odd.strayed.length > 0)
      found.push([
        `Contents name no webhook, and count as own content: ${listed(odd.strayed)}.`,
        `Name their webhook: UPDATE tblwh SET wh_id = 0 ${where(odd.strayed)}, or the id of their webhook${again(odd.strayed)}`,
      ]);
    const texts = found.map(([text]) => text).join(' ');
    const fixes = found.map(([, fix]) => fix).join('; ');
    if (odd.beyond)
      return fail(
        `There are ids beyond ${MOST_ID}: they are left out, and nothing can be stored behind them.${texts ? ` ${texts}` : ''}`,
        `Take them away: DELETE FROM tblwh WHERE id > ${MOST_ID}; ALTER TABLE tblwh AUTO_INCREMENT = 1${fixes ? `; ${fixes}` : ''}`,
      );
    if (found.length > 0) return warn(texts, fixes);
    return ok(`Each of ${odd.all ? 'all' : 'the newest'} ${odd.looked} rows of tblwh can be handed out.`);
  },
};

const WARN_IDS = [0.8, 0.5] as const;
const FAIL_IDS = 0.95;
const ids: Check = {
  name: 'ids',
  fix: `Ids end at ${MOST_ID}, and none is given twice: at the end every content is refused with 503. If one row with a huge id is the cause, delete it and run: ALTER TABLE tblwh AUTO_INCREMENT = 1. Otherwise stop all writers in a quiet hour, keep a copy, and run: TRUNCATE TABLE tblwh. Ids then begin again (docs/promises.md, "A table that was emptied or restored").`,
  judge({ database }) {
    if (!database?.contents) return undefined;
    const { top } = database.contents;
    const share = top / MOST_ID;
    const found = `${(share * 100).toFixed(share < 0.1 ? 2 : 0)} % of the ids of tblwh are given: ${top} of ${MOST_ID}.`;
    if (share >= FAIL_IDS) return fail(found);
    const over = WARN_IDS.find((one) => share >= one);
    return over ? warn(`${found} More than ${over * 100} %.`) : ok(found);
  },
};

const promise: Check = {
  name: 'promise',
  fix: 'docs/promises.md tells what each case means.',
  judge({ database }) {
    if (!database?.contents) return undefined;
    const { code, text } = database.contents.promise;
    const found = `${code}: ${text}.`;
    if (code === 'ordered' || code === 'exact' || code === 'nodes') return ok(found);
    if (code === 'settle')
      return warn(found, `Let the account see them, as an administrator: ${database.server?.sight.join('; ')}`);
    if (code === 'hold')
      return warn(found, 'Set FENCE_NODES to the mysql:// URLs of all other nodes, separated by commas.');
    return warn(found, 'Put right what the check "durability" names.');
  },
};

const nodes: Check = {
  name: 'nodes',
  fix: 'Correct FENCE_NODES, or start the node: lists wait while one does not answer.',
  judge({ config, database }) {
    if (!database || config.fenceNodes.length === 0) return undefined;
    const [lost] = database.lostNodes;
    if (!lost) return ok(`All ${config.fenceNodes.length} nodes of FENCE_NODES answer.`);
    return fail(`Node ${lost.node} of FENCE_NODES: ${lost.found}.`, `${lost.fix} Until then lists wait.`);
  },
};

const journal: Check = {
  name: 'durability',
  fix: 'Stop what uses the file with other settings; restante serve turns WAL on by itself.',
  judge({ database }) {
    if (!database?.file) return undefined;
    const { journal: mode } = database.file;
    const found = `The journal is ${mode}; Restante opens it with synchronous=FULL.`;
    return mode === 'wal' ? ok(found) : warn(found);
  },
};

const sharing: Check = {
  name: 'sharing',
  fix: 'Update Node.js or Restante for SQLite 3.51.3 or later. Until then stop the service before you run another verb on the database.',
  judge({ database, service }) {
    if (!database?.file) return undefined;
    if (database.file.sharable) return ok(`${database.version}: two processes may use the file.`);
    const running = service.status === 200 ? ', and the service is running' : '';
    return warn(
      `${database.version}${running}: before 3.51.3 two processes that write at once could damage the file (sqlite.org/changes.html).`,
    );
  },
};

const WARN_FREE = GiB;
const FAIL_FREE = GiB / 10;
const disk: Check = {
  name: 'disk',
  fix: 'Make room, or move the database to a larger disk.',
  judge({ files }) {
    if (!files) return undefined;
    const found = `${sizeOf(files.freeBytes)} are free for ${files.folder}.`;
    return files.freeBytes < FAIL_FREE ? fail(found) : files.freeBytes < WARN_FREE ? warn(found) : ok(found);
  },
};

const modes: Check = {
  name: 'files',
  fix: 'chmod 700 the folder and chmod 600 the files; chown all of them to the user of the service.',
  judge({ files }: Facts) {
    const [folder] = files?.entries ?? [];
    if (!files || !folder) return undefined;
    // Other users need a shared folder: its rights must stay.
    if (files.shared && (folder.mode & 0o077) !== 0)
      return warn(
        `Other users of this machine may open ${folder.path} (${octal(folder.mode)}), which is not the database's own: ${files.shared}.`,
        'Stop the service, move the database with the files beside it (-wal, -shm, .key) into a folder of its own (mkdir -m 700), and set DATABASE_URL to it.',
      );
    const foreign = files.entries.filter(({ uid }) => uid !== folder.uid);
    if (foreign.length > 0)
      return fail(
        `${foreign.map(({ path }) => path).join(', ')} belong to another user than ${folder.path}: the service may not be able to write.`,
        `chown --reference=${folder.path} ${foreign.map(({ path }) => path).join(' ')}`,
      );
    const open = files.entries.filter(({ mode }) => (mode & 0o077) !== 0);
    if (open.length === 0) return ok('Only the owner may open the folder and the files (0700, 0600).');
    return warn(
      `Other users of this machine may open ${open.map(({ path, mode }) => `${path} (${octal(mode)})`).join(', ')}.`,
      open.map((one) => `chmod ${one === folder ? 700 : 600} ${one.path}`).join('; '),
    );
  },
};

export const DATABASE_CHECKS = [
  reachable,
  level,
  misfits,
  index,
  rules,
  rows,
  ids,
  promise,
  nodes,
  journal,
  sharing,
  disk,
  modes,
] as const;
