// What every route needs, made once per app: no globals, so that tests and other programs can build their own.
import type { Config } from './config/config.ts';
import type { Consumers } from './consumers/consumers.ts';
import type { Sender } from './http/address.ts';
import type { Intake } from './http/body.ts';
import type { Trouble } from './observe/incidents.ts';
import type { Log } from './observe/log.ts';
import type { Metrics, ShedWhy } from './observe/metrics.ts';
import type { Pressure } from './observe/overload.ts';
import type { Lists } from './reading/lists.ts';
import type { Tail } from './reading/tail.ts';
import type { Allowance } from './receiver/quota.ts';
import type { Writer } from './receiver/writer.ts';
import type { Fresh } from './store/batch.ts';
import type { Content, ContentKey } from './store/contents.ts';
import type { Store } from './store/open.ts';
import type { Sealer } from './webhooks/sealer.ts';
import type { Target } from './webhooks/target.ts';

export interface Context {
  readonly store: Store;
  readonly config: Config;
  readonly writer: Writer;
  /** Reads bodies, as many at once as the memory has room for. */
  readonly intake: Intake;
  /** How much each webhook and user may still send. */
  readonly allowance: Allowance;
  /** Whether new work must be refused for now. */
  readonly pressure: Pressure;
  /** Counts what was refused so that the rest goes on, by why. */
  readonly shed: (why: ShedWhy) => void;
  /** Whatever keeps contents from being stored is told here. */
  readonly trouble: Trouble;
  /** What lists promise on this database, in a word and in a sentence. */
  readonly promise: () => { readonly code: string; readonly text: string };
  readonly tail: Tail;
  readonly lists: Lists;
  /** The named reading positions of the users. */
  readonly consumers: Consumers;
  /** One content of a user; those asked for at once share a query. */
  readonly content: (key: ContentKey) => Promise<Content | undefined>;
  readonly sender: Sender;
  /** Encrypts and decrypts the secrets of webhooks. */
  readonly sealer: Sealer;
  /** The webhooks behind URL keys, as the receiver knows them. */
  readonly targets: Fresh<string, Target>;
  readonly metrics: Metrics;
  readonly log: Log;
  /** A moment as the column `dt` has it. */
  readonly clockText: (ms: number) => string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Ends the looks at the database; before the store is closed. */
  close(): Promise<void>;
}
