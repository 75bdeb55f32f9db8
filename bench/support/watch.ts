// What the service uses while something goes on: statements that its database was asked, CPU, memory.
import { readFileSync } from 'node:fs';
import { createConnection } from 'mysql2/promise';
import { usage } from './load.ts';

export interface Used {
  readonly seconds: number;
  /** Statements of the whole process; none is counted on SQLite. */
  readonly queriesPerSecond: number | undefined;
  /** Of one core. */
  readonly cpu: number;
  readonly rssMb: number;
}

/** Statements since the start of the server, those of this function left out. */
export async function openQuestions(server: string): Promise<{ read(): Promise<number>; close(): Promise<void> }> {
  if (!server.startsWith('mysql:')) return { read: async () => 0, close: async () => {} };
  const connection = await createConnection(server);
  let own = 0;
  return {
    async read() {
      const [rows] = await connection.query("SHOW GLOBAL STATUS LIKE 'Questions'");
      return Number((rows as { Value: string }[])[0]?.Value) - ++own;
    },
    close: () => connection.end(),
  };
}

export function rssMb(pid: number): number {
  const [, kb = '0'] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kb) / 1024;
}

/** Nobody else may use the database server meanwhile. */
export async function watch(server: string, pid: number, work: () => Promise<unknown>): Promise<Used> {
  const questions = await openQuestions(server);
  const before = { asked: await questions.read(), cpu: usage(pid).cpu, at: performance.now() };
  await work();
  const seconds = (performance.now() - before.at) / 1000;
  const cpu = (usage(pid).cpu - before.cpu) / seconds;
  const asked = (await questions.read()) - before.asked;
  await questions.close();
  const queriesPerSecond = server.startsWith('mysql:') ? asked / seconds : undefined;
  return { seconds, queriesPerSecond, cpu, rssMb: rssMb(pid) };
}

/** Resolves when a process has come to rest: below `share` of a core for two seconds, or after `most` seconds. */
export async function atRest(pid: number, share: number, most = 60): Promise<void> {
  let calm = 0;
  for (let second = 0; second < most && calm < 2; second++) {
    const before = usage(pid).cpu;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    calm = usage(pid).cpu - before < share ? calm + 1 : 0;
  }
}

export const percentile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;
