// Rows in use and a database that hangs: nobody waits for ever, questions do not pile up, and a late answer changes nothing.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { createRefreshed } from '../../src/store/shared-reads.ts';

interface Row {
  readonly text: string;
}

/** Answers each question when it is told to. */
function slow() {
  const asked: ((text: string) => void)[] = [];
  const fresh = createRefreshed<number, Row>(
    (keys) =>
      new Promise((resolve) => {
        asked.push((text) => resolve(new Map(keys.map((key) => [key, { text }]))));
      }),
    { everyMs: 50, deadlineMs: 150 },
  );
  onTestFinished(() => fresh.close());
  return { asked, fresh };
}
const until = (condition: () => boolean) => expect.poll(condition, { timeout: 5_000, interval: 5 }).toBe(true);

test('a question that hangs fails for who asked, and the next one is asked', async () => {
  const { asked, fresh } = slow();
  const first = fresh.read(1);
  const second = sleep(20).then(() => fresh.read(2));
  await expect(first).rejects.toMatchObject({ failure: 'away' });
  await until(() => asked.length === 2);
  asked[1]?.('two');
  expect(await second).toEqual({ text: 'two' });
  expect(fresh.get(2)).toEqual({ text: 'two' });
});

test('refreshes that hang follow one another, and what they answer late is not taken', async () => {
  const { asked, fresh } = slow();
  const reading = fresh.read(1);
  await until(() => asked.length === 1);
  asked[0]?.('first');
  await reading;
  await until(() => asked.length === 2); // a refresh, which hangs
  await sleep(120);
  expect(asked).toHaveLength(2);
  await until(() => asked.length === 3);
  asked[2]?.('third');
  await until(() => fresh.get(1)?.text === 'third');
  asked[1]?.('second');
  await sleep(10);
  expect(fresh.get(1)).toEqual({ text: 'third' });
});

test('an answer to an older question does not replace that to a newer one', async () => {
  const { asked, fresh } = slow();
  const reading = fresh.read(1);
  await until(() => asked.length === 1);
  asked[0]?.('first');
  await reading;
  await until(() => asked.length === 2); // a refresh
  const again = fresh.read(1);
  await until(() => asked.length === 3);
  asked[2]?.('newer');
  await again;
  asked[1]?.('older');
  await sleep(10);
  expect(fresh.get(1)).toEqual({ text: 'newer' });
});
