// Readers as clients write them: a list that is followed by next_id, and a stream that is resumed by Last-Event-ID.
import { createHash } from 'node:crypto';
import { get, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds since 1970, as Date.now() has them, but never set back or forth while this process runs. */
export const clock = (): number => Math.floor(performance.timeOrigin + performance.now());

/** One content as it was handed out. */
interface Item {
  readonly id: number;
  readonly hash: string;
  /** When it came, by `clock`. */
  readonly at: number;
}

/** What one answer of a list said: these are all contents from `id` on, up to `next_id`. */
export interface Page {
  readonly id: number;
  readonly next_id: number;
  readonly ids: readonly number[];
}

/** How long rows of startTicker took from their commit to a reader. */
export interface Tick {
  readonly n: number;
  readonly at: number;
}

export interface Reader {
  readonly name: string;
  readonly from: number;
  readonly items: readonly Item[];
  /** Of a list. */
  readonly pages: readonly Page[];
  readonly ticks: readonly Tick[];
  /** Where it stands: every content below it was handed out to it, or there is none. */
  readonly next: number;
  /** What no reader should ever be told, in words. */
  readonly faults: readonly string[];
  /** The longest hold that it was told of. */
  readonly heldSeconds: number;
  /** Answers that did not come, 503 among them. */
  readonly failures: number;
  /** Resolves to whether it came to `id`; given up when it does not move for so long. */
  reaches(id: number, patienceMs: number): Promise<boolean>;
  stop(): Promise<void>;
}

export interface ReaderOptions {
  /** http://HOST:PORT */
  readonly url: string;
  readonly auth: string;
  readonly from: number;
  readonly name: string;
}

interface WireContent {
  readonly id: number;
  readonly content: string;
  readonly encoding: string;
}
// What 0x80 to 0x9f are in windows-1252; where it has no character, the control of the same number.
const HIGH = [
  ...'\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f\x90',
].concat([...'\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178']);
const BYTES = new Map(HIGH.map((char, i) => [char, 0x80 + i]));

/** The bytes as they stand in the table. */
export function bytesOf({ content, encoding }: Pick<WireContent, 'content' | 'encoding'>): Buffer {
  if (encoding !== 'windows-1252') return Buffer.from(content, encoding === 'base64' ? 'base64' : 'utf8');
  return Buffer.from(Array.from(content, (char) => BYTES.get(char) ?? char.charCodeAt(0)));
}
export const hashOf = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('base64').slice(0, 16);

export function tickOf(content: string): number | undefined {
  return content.startsWith('tick ') ? Number(content.slice(5)) : undefined;
}

/** The id after the newest that may be read now. */
export async function latest({ url, auth }: Pick<ReaderOptions, 'url' | 'auth'>): Promise<number> {
  const answer = await fetch(`${url}/whcontent?whid=all&id=latest`, { headers: { authorization: auth } });
  const page = (await answer.json()) as { next_id: number };
  if (answer.status !== 200) throw new Error(`GET /whcontent answered ${answer.status}`);
  return page.next_id;
}

/** Waits for `done` for as long as `progress` changes; false when it has not for so long. */
export async function whileMoving(
  done: () => Promise<boolean>,
  progress: () => number,
  patienceMs: number,
): Promise<boolean> {
  let last = progress();
  for (let since = Date.now(); ; await sleep(50)) {
    if (await done()) return true;
    if (progress() !== last) {
      last = progress();
      since = Date.now();
    }
    if (Date.now() - since > patienceMs) return false;
  }
}

interface State {
  items: Item[];
  pages: Page[];
  ticks: Tick[];
  faults: string[];
  next: number;
  heldSeconds: number;
  failures: number;
  stopped: boolean;
}

function readerOf(options: ReaderOptions, state: State, running: Promise<void>, wake: () => void): Reader {
  return {
    name: options.name,
    from: options.from,
    get items() {
      return state.items;
    },
    get pages() {
      return state.pages;
    },
    get ticks() {
      return state.ticks;
    },
    get next() {
      return state.next;
    },
    get faults() {
      return state.faults;
    },
    get heldSeconds() {
      return state.heldSeconds;
    },
    get failures() {
      return state.failures;
    },
    reaches: (id, patienceMs) =>
      whileMoving(
        async () => state.next > id,
        () => state.next,
        patienceMs,
      ),
    async stop() {
      state.stopped = true;
      wake();
      await running;
    },
  };
}

const begin = (from: number): State => ({
  items: [],
  pages: [],
  ticks: [],
  faults: [],
  next: from,
  heldSeconds: 0,
  failures: 0,
  stopped: false,
});

function take(state: State, content: WireContent): void {
  const at = clock();
  state.items.push({ id: content.id, hash: hashOf(bytesOf(content)), at });
  const n = tickOf(content.content);
  if (n !== undefined) state.ticks.push({ n, at });
}

/** Follows `next_id`, and waits at the end by `wait`. An answer that breaks is asked for again. */
export function startList(options: ReaderOptions & { readonly wait?: number }): Reader {
  const { url, auth, from, wait = 20 } = options;
  const state = begin(from);
  const ended = new AbortController();

  async function run(): Promise<void> {
    while (!state.stopped) {
      try {
        const answer = await fetch(`${url}/whcontent?whid=all&limit=100&wait=${wait}&id=${state.next}`, {
          headers: { authorization: auth },
          signal: ended.signal,
        });
        const text = await answer.text();
        if (answer.status !== 200) {
          if (answer.status !== 503) state.faults.push(`a list answered ${answer.status}: ${text.slice(0, 200)}`);
          throw new Error('not now');
        }
        const page = JSON.parse(text) as { whcontent: WireContent[]; next_id: number; held_s?: number; reset?: object };
        for (const content of page.whcontent) take(state, content);
        if (page.reset) state.faults.push(`a reader at ${state.next} was told reset ${JSON.stringify(page.reset)}`);
        state.pages.push({ id: state.next, next_id: page.next_id, ids: page.whcontent.map(({ id }) => id) });
        state.next = page.next_id;
        state.heldSeconds = Math.max(state.heldSeconds, page.held_s ?? 0);
      } catch {
        if (state.stopped) return;
        state.failures++;
        await sleep(30);
      }
    }
  }
  return readerOf(options, state, run(), () => ended.abort());
}

/** A stream that its reader drops every one to three seconds and resumes after the last event that it has got. */
export function startStream(options: ReaderOptions): Reader {
  const { url, auth, from } = options;
  const state = begin(from);
  let drop = () => {};

  function event(block: string): void {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
    const kind = field('event');
    if (kind === 'content') {
      const content = JSON.parse(field('data') ?? '') as WireContent;
      take(state, content);
      state.next = content.id + 1;
    } else if (kind === 'reset') state.faults.push(`a stream at ${state.next} was told reset ${field('data')}`);
    else if (kind !== undefined && kind !== 'end') state.faults.push(`a stream was told ${block}`);
  }

  /** One connection; resolves when it has ended, however. */
  const once = () =>
    new Promise<void>((resolve) => {
      const last = state.items.length > 0 ? { 'last-event-id': String(state.next - 1) } : {};
      const request = get(
        `${url}/whcontent?whid=all&limit=100&id=${from}`,
        { headers: { authorization: auth, accept: 'text/event-stream', ...last } },
        (answer: IncomingMessage) => {
          let text = '';
          if (answer.statusCode !== 200) {
            state.failures++;
            if (answer.statusCode !== 503) state.faults.push(`a stream answered ${answer.statusCode}`);
            answer.resume();
          } else
            answer.setEncoding('utf8').on('data', (chunk: string) => {
              const blocks = (text + chunk).split('\n\n');
              text = blocks.pop() ?? '';
              for (const block of blocks) event(block);
            });
          answer.on('close', resolve).on('error', () => {});
        },
      );
      request.on('error', () => {
        state.failures++;
        resolve();
      });
      const timer = setTimeout(() => request.destroy(), 1_000 + Math.random() * 2_000);
      request.on('close', () => clearTimeout(timer));
      drop = () => request.destroy();
    });

  async function run(): Promise<void> {
    while (!state.stopped) {
      await once();
      if (!state.stopped) await sleep(20);
    }
  }
  return readerOf(options, state, run(), () => drop());
}
