// What a check of the doctor is, and what it finds. A check is data and a pure function over facts.
import type { Facts } from './facts.ts';

export type State = 'ok' | 'warn' | 'fail';
export interface CheckResult {
  readonly state: State;
  /** A sentence. */
  readonly found: string;
  /** What to do in this case; left out: what the check says. */
  readonly fix?: string;
}
export interface Check {
  readonly name: string;
  /** What to do in general. */
  readonly fix: string;
  /** Undefined: the check does not apply here. */
  readonly judge: (facts: Facts) => CheckResult | undefined;
}
export interface Finding {
  readonly check: string;
  readonly state: State;
  readonly found: string;
  /** Null when nothing is to be done. */
  readonly fix: string | null;
}

export const ok = (found: string): CheckResult => ({ state: 'ok', found });
export const warn = (found: string, fix?: string): CheckResult => ({ state: 'warn', found, ...(fix ? { fix } : {}) });
export const fail = (found: string, fix?: string): CheckResult => ({ state: 'fail', found, ...(fix ? { fix } : {}) });

/** Whether a version such as 20.19.4 is older than `least`, as numbers. */
export function isOlder(version: string, least: readonly number[]): boolean {
  const parts = version.split('.').map(Number);
  const differs = least.findIndex((part, i) => part !== parts[i]);
  return differs >= 0 && (parts[differs] ?? 0) < (least[differs] as number);
}

/** The findings of all checks that apply here. */
export const findings = (checks: readonly Check[], facts: Facts): Finding[] =>
  checks.flatMap(({ name, fix, judge }) => {
    const verdict = judge(facts);
    if (!verdict) return [];
    const { state, found } = verdict;
    return [{ check: name, state, found, fix: state === 'ok' ? null : (verdict.fix ?? fix) }];
  });
