// Puts load on a URL by wrk where it is installed, else by autocannon, and reads what a process used for it.
import { execFile, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import autocannon from 'autocannon';

export interface Load {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly method?: 'GET' | 'POST';
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A header with another value in every request. */
  readonly unique?: string;
  /** Asked for in turn, instead of the path of `url`. */
  readonly paths?: readonly string[];
}
export interface Result {
  readonly perSecond: number;
  readonly p50ms: number;
  readonly p99ms: number;
  /** Answers that were not 2xx, and broken connections: a figure with any of them is not one. */
  readonly bad: number;
}

export const hasWrk = spawnSync('wrk', ['-v']).error === undefined;

/** A 934-byte JSON body, the size of a small payment event. */
export const BODY = JSON.stringify({ id: 'evt_1', type: 'charge.succeeded', filler: 'x'.repeat(884) });

export async function load(one: Load): Promise<Result> {
  const result = hasWrk ? await byWrk(one) : await byAutocannon(one);
  if (result.bad > 0) throw new Error(`${one.url}: ${result.bad} answers were not 2xx`);
  return result;
}

async function byWrk(one: Load): Promise<Result> {
  const { url, connections, seconds, method = 'GET', body, headers = {}, paths, unique } = one;
  const script = join(mkdtempSync(join(tmpdir(), 'restante-bench-')), 'load.lua');
  const lines = [`wrk.method = ${JSON.stringify(method)}`, ...(body ? [`wrk.body = [[${body}]]`] : [])];
  for (const [name, value] of Object.entries(headers))
    lines.push(`wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`);
  if (paths)
    lines.push(
      `local n, paths = 0, {${paths.map((path) => JSON.stringify(path)).join(', ')}}`,
      'request = function() n = n + 1; return wrk.format(nil, paths[n % #paths + 1]) end',
    );
  if (unique)
    lines.push(
      `local n, name, seed = 0, ${JSON.stringify(unique)}, '${randomUUID()}-'`,
      'request = function() n = n + 1; wrk.headers[name] = seed .. n; return wrk.format() end',
    );
  writeFileSync(script, lines.join('\n'));
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '-s', script, url];
  const { stdout } = await promisify(execFile)('wrk', args);
  const ms = (label: string) => {
    const [, number = '0', unit = 'ms'] = new RegExp(`${label}%\\s+([\\d.]+)(us|ms|s)`).exec(stdout) ?? [];
    return Number(number) * (unit === 's' ? 1000 : unit === 'us' ? 0.001 : 1);
  };
  // wrk calls an answer that took over 2 s a time-out; it still comes, and shows in p99.
  const [, errors = '0 0 0'] = /Socket errors: (.*?), timeout/.exec(stdout) ?? [];
  const broken = (errors.match(/\d+/g) ?? []).reduce((sum, count) => sum + Number(count), 0);
  const [, refused = '0'] = /Non-2xx or 3xx responses: (\d+)/.exec(stdout) ?? [];
  const [, perSecond = '0'] = /Requests\/sec:\s+([\d.]+)/.exec(stdout) ?? [];
  return { perSecond: Number(perSecond), p50ms: ms('50'), p99ms: ms('99'), bad: broken + Number(refused) };
}

async function byAutocannon({
  url,
  connections,
  seconds,
  method = 'GET',
  body,
  headers = {},
  paths,
  unique,
}: Load): Promise<Result> {
  const result = await autocannon({
    url,
    connections,
    duration: seconds,
    method,
    ...(body ? { body } : {}),
    ...(paths ? { requests: paths.map((path) => ({ path })) } : {}),
    headers: { ...headers, ...(unique ? { [unique]: '[<id>]' } : {}) },
    idReplacement: unique !== undefined,
  });
  const { requests, latency, non2xx, errors } = result;
  return { perSecond: requests.average, p50ms: latency.p50, p99ms: latency.p99, bad: non2xx + errors };
}

/** CPU seconds that a process has used, user and system, and its highest resident size in MB. Linux only. */
export function usage(pid: number): { cpu: number; peakMb: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [, peak = '0'] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return { cpu: (Number(fields[11]) + Number(fields[12])) / 100, peakMb: Number(peak) / 1024 };
}

export const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
