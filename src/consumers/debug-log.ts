// The life of a content in the log, by its id, from receipt to ack. With LOG_LEVEL=debug: a line per transaction and call.
import type { Log } from '../observe/log.ts';
import type { NewContent } from '../store/contents.ts';
import type { Consumers } from './consumers.ts';
import { decodeLease } from './lease-token.ts';

/** Tells the contents of a commit. */
export function tellStored(log: Log, rows: readonly NewContent[], ids: readonly number[]): void {
  const stored = rows.map(({ user_id, wh_id, judged, content }, i) => ({
    content: ids[i],
    user_id,
    wh_id,
    bytes: content.length,
    ...(judged ? { verified: judged.verified, event_id: judged.event_id } : {}),
  }));
  log.debug({ stored }, 'stored');
}

/** The same consumers, which also tell what they hand out and settle. */
export function followed(log: Log, consumers: Consumers): Consumers {
  const settle =
    <A extends readonly unknown[], T extends { readonly done: readonly number[] }>(
      word: string,
      call: (user_id: number, consumer: string, ...more: A) => Promise<T>,
    ) =>
    async (user_id: number, consumer: string, ...more: A): Promise<T> => {
      const outcome = await call(user_id, consumer, ...more);
      log.debug({ user_id, consumer, contents: outcome.done }, word);
      return outcome;
    };
  return {
    ...consumers,
    async pull(user_id, consumer, call, ended) {
      const pulled = await consumers.pull(user_id, consumer, call, ended);
      if (call.ack) {
        const all = call.ack.ids ?? decodeLease(call.ack.lease)?.positions.map(({ id }) => id) ?? [];
        const not = new Set(pulled.conflicts.map(({ id }) => id));
        log.debug({ user_id, consumer, contents: all.filter((id) => !not.has(id)) }, 'acked');
      }
      const contents = pulled.items.map(({ content }) => content.id);
      if (contents.length > 0) log.debug({ user_id, consumer, contents }, 'handed out');
      return pulled;
    },
    ack: settle('acked', consumers.ack),
    nack: settle('given back', consumers.nack),
  };
}
