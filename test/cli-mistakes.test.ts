// What a newcomer gets wrong on the command line: told in one sentence that says what to do, and nothing is made or lost by it.
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { cli, folder } from './cli.ts';

describe('in the wrong folder', () => {
  test.each([
    ['export', '--user', '1'],
    ['erase', '--user', '1', '--dry-run'],
    ['prune', '--days', '1', '--dry-run'],
    ['user', 'list'],
    ['user', 'rotate', '1'],
    ['webhook', 'list'],
    ['webhook', 'set', '1', '--name', 'x'],
    ['migrate', '--check'],
    ['migrate', '--print'],
    ['migrate', '--remove', '--yes'],
  ])('%s %s makes no database', async (...argv) => {
    const place = `${folder()}/data`;
    const { code, out, err } = await cli(argv, { DATABASE_URL: `sqlite:${place}/restante.db` });
    expect([code, out, existsSync(place)]).toEqual([1, '', false]);
    expect(err).toBe(
      `restante: there is no database at ${place}/restante.db: set DATABASE_URL, or run it in the folder of the service\n`,
    );
  });

  test('user add, webhook add and migrate make one', async () => {
    for (const argv of [
      ['user', 'add'],
      ['webhook', 'add', 'x'],
      ['migrate', '--create-base'],
    ]) {
      const path = `${folder()}/data/restante.db`;
      await cli(argv, { DATABASE_URL: `sqlite:${path}` });
      expect(existsSync(path), argv.join(' ')).toBe(true);
    }
  });
});
