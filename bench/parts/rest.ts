// From start to the first answer, and the memory of a process that nobody talks to.
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from '../support/load.ts';
import { startOurs } from '../support/processes.ts';
import { rssMb } from '../support/watch.ts';

export async function startAndRest(url: string, rounds: number): Promise<void> {
  const ready: number[] = [];
  const resident: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const ours = await startOurs(url);
    ready.push(ours.readyMs);
    await sleep(2_000);
    resident.push(rssMb(ours.pid));
    await ours.stop();
  }
  console.log(`\nstart to ready ${median(ready).toFixed(0)} ms, idle RSS ${median(resident).toFixed(0)} MB (SQLite)`);
}
