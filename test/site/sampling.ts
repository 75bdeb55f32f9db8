// Runs code samples as their readers would: from a file, in the language's own program; tells the status that came.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, type TestContext } from 'vitest';
import { INSTALL, lacks, needs } from '../support/tools.ts';

const run = promisify(execFile);
// A program that says neither what is waited for nor goodbye.
const PATIENCE_MS = 30_000;

export interface Language {
  /** As the samples are labelled. */
  readonly label: string;
  readonly file: string;
  readonly status: RegExp;
}
export const LANGUAGES: readonly Language[] = [
  { label: 'curl', file: 'sample.sh', status: /^status (\d+)$/gm },
  { label: 'JavaScript', file: 'sample.mjs', status: /^(\d+)/gm },
  { label: 'Python (requests)', file: 'with_requests.py', status: /^(\d+)/gm },
  { label: 'Python (stdlib)', file: 'sample.py', status: /^(\d+)/gm },
];

export interface Bench {
  readonly folder: string;
  /** Runs a sample; resolves with the status that it got. */
  status(language: Language, source: string): Promise<number>;
  /** Runs a file of this text until it ends, or `enough` of it was printed; resolves with that. */
  printed(file: string, source: string, enough?: (printed: string) => boolean): Promise<string>;
  close(): void;
}

/** A folder to run samples in. Without a program that they need the test ends. */
export async function openBench(test: TestContext, languages: readonly Language[] = LANGUAGES): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), 'restante-samples-'));
  // What curl got is told by its own configuration: the sample stays as it is.
  writeFileSync(join(folder, '.curlrc'), 'write-out = "\\nstatus %{http_code}"\nsilent\nshow-error\n');
  const ends: Readonly<Record<string, string>> = { sh: 'sh', mjs: process.execPath };
  const program = (file: string) => ends[file.replace(/^.*\./, '')] ?? needs('python3', test);
  needs('curl', test);
  for (const { file } of languages) {
    if (file !== 'with_requests.py' || (await run(program(file), ['-c', 'import requests']).catch(() => false)))
      continue;
    lacks(`${INSTALL}python3-requests`, test);
  }
  const env = { ...process.env, CURL_HOME: folder };
  return {
    folder,
    async status({ file, status }, source) {
      writeFileSync(join(folder, file), source);
      const { stdout } = await run(program(file), [file], { cwd: folder, env, timeout: 30_000 });
      const told = [...stdout.matchAll(status)].at(-1)?.[1];
      expect(told, `${source}\n\nprinted ${stdout.slice(0, 300)}`).toBeDefined();
      return Number(told);
    },
    async printed(file, source, enough = () => false) {
      writeFileSync(join(folder, file), source);
      const child = spawn(program(file), [file], {
        cwd: folder,
        env: { ...process.env, PYTHONUNBUFFERED: '1' },
        timeout: PATIENCE_MS,
        killSignal: 'SIGKILL',
      });
      let [stdout, stderr] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (text) => {
        stdout += text;
        if (enough(stdout)) child.kill('SIGKILL');
      });
      child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
      await once(child, 'close');
      expect(stderr).toBe('');
      return stdout;
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}
