// Runs worlds one after the other; a world that fails is told with its seed and its last steps.
import process from 'node:process';

const { setImmediate: breathe } = globalThis;

export type Run = (seed: number, trace?: string[]) => Promise<void>;

/** 10,000 of each kind in a CI; SIMULATION_SEEDS=1000000 is for a night. */
export const SEEDS = Number(process.env.SIMULATION_SEEDS ?? 10_000);

/** Runs one world; a failure is run again for its last steps. */
export async function hold(run: Run, seed: number): Promise<void> {
  try {
    await run(seed);
  } catch (first) {
    const trace: string[] = [];
    await run(seed, trace).catch(() => {});
    throw new Error(`seed ${seed}: ${first instanceof Error ? first.message : first}\n${trace.join('\n')}`, {
      cause: first,
    });
  }
}

/** Runs the worlds of all seeds from one to another. */
export async function holdAll(run: Run, from: number, to: number): Promise<void> {
  for (let seed = from; seed <= to; seed++) {
    await hold(run, seed);
    // A world leaves no room for what else the process has to do: nothing that is finalized is freed before, and the runner of the
    // tests would believe that it hangs.
    await new Promise((resolve) => breathe(resolve));
  }
}

/** The first seed that a wrong design fails with; undefined: none of so many. */
export async function caught(run: Run, seeds: number): Promise<{ seed: number; error: unknown } | undefined> {
  for (let seed = 1; seed <= seeds; seed++) {
    const error = await run(seed).then(
      () => undefined,
      (failure: unknown) => failure,
    );
    if (error) return { seed, error };
  }
  return undefined;
}
