// Runs code samples as their readers would: from a file, in the language's own program; tells the status that came.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, type TestContext } from 'vitest';
import { INSTALL, lacks, needs } from '../support/tools.ts';

const run = promisify(execFile);

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
  /** Runs a file of this text for so long, then ends it; resolves with what it printed. */
  printed(file: string, source: string, ms: number): Promise<string>;
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
    async printed(file, source, ms) {
      writeFileSync(join(folder, file), source);
      const options = {
        cwd: folder,
        env: { ...process.env, PYTHONUNBUFFERED: '1' },
        timeout: ms,
        killSignal: 'SIGKILL' as const,
      };
      const ended = run(program(file), [file], options).catch((error: { stdout: string; stderr: string }) => error);
      const { stdout, stderr } = await ended;
      expect(stderr).toBe('');
      return stdout;
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}
