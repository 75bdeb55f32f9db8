// Watches the event loops of all programs of a world: their own metric of its turns, held against the CPU that they had.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Verdict } from '../../test/support/ledger/verdict.ts';
import { LONGEST_TURN_MS, slownessNow } from '../../test/support/stalls.ts';
import type { Program, World } from '../../test/support/world.ts';

// The metric tells the longest turn since it was last read.
const EVERY_MS = 1_000;
const TOKEN = 'soak';
// A start compiles and opens everything, and a process that was stopped goes on with what has piled up.
const SETTLED_MS = 5_000;

interface Reading {
  readonly at: number;
  readonly pid: number;
  /** Milliseconds of CPU that the main thread has had, and for which it has waited for a core. */
  readonly cpu: number;
  readonly waited: number;
  /** Of the collector, all in all. */
  readonly collected: number;
  readonly turn: number;
}

export interface WatchedWorld extends World {
  /** Turns that took too long, and the longest one. */
  stalls(): Verdict;
}

export function watchWorld(world: World): WatchedWorld {
  const slowness = slownessNow();
  const failures: string[] = [];
  let longest = 0;
  let ended = false;

  async function watch(program: Program, token: string, disturbed: () => number): Promise<void> {
    let before: Reading | undefined;
    for (; !ended; await sleep(EVERY_MS)) {
      const now = await read(program, token).catch(() => undefined);
      const same = before && now?.pid === before.pid;
      if (now && before && same && before.at > disturbed() + SETTLED_MS) {
        const turn = productsTurn(before, now);
        longest = Math.max(longest, turn);
        if (turn > LONGEST_TURN_MS * slowness)
          failures.push(`a turn of the event loop took ${Math.round(turn)} ms (slowness ${slowness.toFixed(1)})`);
      }
      before = now;
    }
  }

  return {
    ...world,
    async serve(env = {}) {
      const token = env.METRICS_TOKEN ?? TOKEN;
      const program = await world.serve({ ...env, METRICS_TOKEN: token });
      let disturbedAt = performance.now();
      const noted = <A extends unknown[], T>(act: (...args: A) => T) => {
        return (...args: A): T => {
          disturbedAt = performance.now();
          return act(...args);
        };
      };
      void watch(program, token, () => disturbedAt);
      return Object.defineProperties(
        { signal: noted(program.signal), kill: noted(program.kill), restart: noted(program.restart) },
        // Its pid and its end are others after a restart.
        Object.fromEntries(
          (['url', 'port', 'pid', 'ended', 'log'] as const).map((name) => [name, { get: () => program[name] }]),
        ),
      ) as unknown as Program;
    },
    close() {
      ended = true;
      return world.close();
    },
    stalls: () => ({ figures: { 'longest turn ms': Math.round(longest) }, failures }),
  };
}

/** Of the longest turn: what the thread did itself. It may have waited for a core, and the collector may have worked. */
const productsTurn = (before: Reading, now: Reading): number =>
  Math.min(now.turn - (now.waited - before.waited), now.cpu - before.cpu) - (now.collected - before.collected);

async function read({ url, pid }: Program, token: string): Promise<Reading> {
  const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
  const text = await answer.text();
  const seconds = (name: RegExp) => [...text.matchAll(name)].reduce((sum, [, value]) => sum + Number(value) * 1_000, 0);
  const [cpu = 0, waited = 0] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ').map(Number);
  return {
    at: performance.now(),
    pid,
    cpu: cpu / 1e6,
    waited: waited / 1e6,
    collected: seconds(/^nodejs_gc_duration_seconds_sum\{[^}]*\} (\S+)$/gm),
    turn: seconds(/^nodejs_eventloop_lag_max_seconds (\S+)$/gm),
  };
}
