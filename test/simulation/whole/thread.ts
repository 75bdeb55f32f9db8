// A thread that runs worlds of the whole program, one number of a seed after the other, as it is asked to.
import { parentPort } from 'node:worker_threads';
import { holdAll } from '../hold.ts';
import { simulateProgram } from './simulate.ts';

parentPort?.on('message', ({ from, to }: { readonly from: number; readonly to: number }) => {
  holdAll((seed, trace) => simulateProgram(seed, { trace }), from, to).then(
    () => parentPort?.postMessage(undefined),
    (error: Error) => parentPort?.postMessage(error.message),
  );
});
