// Hands dead letters out again, as many calls as it takes, and tells which could not be.
import { type Client, RestanteError } from '../client/index.ts';
import { Complaint, type Io } from './io.ts';

interface Outcome {
  readonly done: readonly number[];
  readonly conflicts: readonly { readonly id: number; readonly reason: string }[];
  readonly more?: boolean;
}

// As many as the API takes in one call.
const MOST_IDS = 500;

/** What a call did. Not all of it done is an answer too: what is done stays done. */
async function attempt(client: Client, name: string, ids?: readonly number[]): Promise<Outcome> {
  try {
    return await client.consumer(name).retryDead(ids ? { ids } : {});
  } catch (error) {
    if (error instanceof RestanteError && error.code === 'conflict') return error.problem as unknown as Outcome;
    throw error;
  }
}

/** Without `ids` all there are. */
async function* attempts(client: Client, name: string, ids?: readonly number[]): AsyncGenerator<Outcome> {
  for (let from = 0; ids && from < ids.length; from += MOST_IDS)
    yield await attempt(client, name, ids.slice(from, from + MOST_IDS));
  if (ids) return;
  for (;;) {
    const outcome = await attempt(client, name);
    yield outcome;
    // Nothing done although some are left: another call would not end either.
    if (!outcome.more || outcome.done.length === 0) return;
  }
}

export async function redrive(
  io: Io,
  client: Client,
  name: string,
  ids: readonly number[] | undefined,
  json: boolean,
): Promise<void> {
  const all: { done: number[]; conflicts: { id: number; reason: string }[] } = { done: [], conflicts: [] };
  for await (const { done, conflicts } of attempts(client, name, ids)) {
    all.done.push(...done);
    all.conflicts.push(...conflicts);
  }
  if (json) io.out(`${JSON.stringify(all)}\n`);
  else {
    io.out(`${all.done.length} dead letters of ${name} wait for the next pull\n`);
    for (const { id, reason } of all.conflicts) io.err(`content ${id}: ${reason}\n`);
  }
  if (all.conflicts.length > 0) throw new Complaint(`${all.conflicts.length} were not redriven`);
}
