// A watch on the event loop: how long its longest turn took.

/** How much slower this machine is now than one on which a turn must take 100 ms at most: the best of three, never below 1. */
function slownessNow(): number {
  const times = [0, 0, 0].map(() => {
    const began = process.cpuUsage();
    let sum = 0;
    for (let i = 0; i < 2e7; i++) sum = (sum * 31 + i) | 0;
    const { user, system } = process.cpuUsage(began);
    // 20 ms on the machine for which the limits are meant; the sum is used, so that the loop is not optimized away.
    return (user + system) / 1000 / (sum === 1 ? 21 : 20);
  });
  return Math.max(1, Math.min(...times));
}

export interface Stalls {
  /** In ms, of the CPU that this process had: what other processes took of it does not count. */
  worst(): number;
  readonly slowness: number;
}

/** Watches from now on. */
export function watchStalls(): Stalls {
  const slowness = slownessNow();
  let worst = 0;
  let last = performance.now();
  let cpu = process.cpuUsage();
  const timer = setInterval(() => {
    const now = performance.now();
    const used = process.cpuUsage(cpu);
    const took = now - last - 5;
    // A turn that took long while the process had no CPU was another process's.
    worst = Math.max(worst, Math.min(took, (used.user + used.system) / 1000));
    last = now;
    cpu = process.cpuUsage();
  }, 5);
  return {
    slowness,
    worst() {
      clearInterval(timer);
      return worst;
    },
  };
}
