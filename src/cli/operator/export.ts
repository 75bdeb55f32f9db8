// restante export: all contents of a user as lines of JSON, each as the API has it, and the bodies as files.
import { join } from 'node:path';
import type { Command } from 'commander';
import { contentToWire } from '../../api/wire.ts';
import { walkIds } from '../../retention/retention.ts';
import { highestId, listContents } from '../../store/contents.ts';
import { Complaint, createProgress, flushFolder, type Io, makeFolder, openPart, writeWhole } from '../io.ts';
import { withStore } from '../open.ts';
import { configOf, MOST_ID, verb, whole } from '../verb.ts';

interface Options {
  readonly user?: string;
  readonly out?: string;
  readonly raw?: string;
}

const PAGE = 100;
const MOST_NAMED = 10;
// No more than this and one content is in memory at a time.
const PAGE_BYTES = 8 * 1024 * 1024;

export const exportCommand = (io: Io): Command =>
  verb({
    name: 'export',
    summary: 'Write all contents of a user, each as the API has it, as lines of JSON.',
    examples: [
      'restante export --user 7 > contents.ndjson',
      'restante export --user 7 --out ./user-7                   as ./user-7/contents.ndjson',
      'restante export --user 7 --out ./user-7 --raw ./bodies    and the exact bytes as ./bodies/ID',
    ],
    settings: ['databaseUrl', 'publicUrl', 'contentEncoding'],
  })
    .option('--user <id>', 'the user whose contents are written')
    .option('--out <folder>', 'write contents.ndjson there instead of to the standard output')
    .option('--raw <folder>', 'write the exact bytes of each content too, as a file with its id as the name')
    .action((options: Options) => {
      const config = configOf(io, options);
      if (options.user === undefined) throw new Complaint('name the user: --user ID (restante user list)', 2);
      const userId = whole(options.user, '--user', 1, MOST_ID);
      return withStore(config, async (store) => {
        const folders = [options.out, options.raw].filter((folder) => folder !== undefined);
        for (const folder of folders) makeFolder(folder);
        const file = options.out === undefined ? undefined : openPart(join(options.out, 'contents.ndjson'));
        const progress = createProgress(io, 'writing');
        let written = 0;
        const unreadable: number[] = [];
        try {
          const last = await highestId(store);
          await walkIds(last, async (after, upTo) => {
            for (let from = after + 1, more = true; more; ) {
              const page = { wh_id: 'all', from, to: upTo, order: 'asc', limit: PAGE, maxBytes: PAGE_BYTES } as const;
              const { contents, cut } = await listContents(store, userId, page);
              for (const content of contents) {
                (file?.write ?? io.out)(`${JSON.stringify(contentToWire(content, config))}\n`);
                if (content.unreadable !== undefined) unreadable.push(content.id);
                else if (options.raw !== undefined) writeWhole(join(options.raw, String(content.id)), content.content);
              }
              // Else lines would gather in memory when the reader is slower than the database.
              await io.written();
              written += contents.length;
              more = cut;
              from = (contents.at(-1)?.id ?? upTo) + 1;
            }
            progress.at(upTo / last, `${written} contents`);
          });
          file?.keep();
          folders.forEach(flushFolder);
        } finally {
          progress.end();
          file?.drop();
        }
        io.err(`${written} contents of user ${userId} were written\n`);
        if (unreadable.length > 0)
          io.err(
            `The bytes of ${unreadable.length} of them cannot be read, content ${unreadable.slice(0, MOST_NAMED).join(', ')}${unreadable.length > MOST_NAMED ? ' and so on' : ''}: their lines tell why, under "unreadable". restante doctor tells how that is mended\n`,
          );
      });
    });
