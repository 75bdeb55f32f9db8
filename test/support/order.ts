// The order in which files are tested: the longest first, so that none is left running alone at the end.
import { BaseSequencer, type TestSpecification } from 'vitest/node';

// Vitest knows how long a file took from the run before; in a fresh copy it goes by size, and these are short and slow.
const LONGEST = [
  'deploy/package',
  'site/docs',
  'site/samples',
  'site/guides',
  'api/waiting',
  'simulation/simulation',
  'retention/retention',
  'deploy/deploy',
  'api/auth',
];

const rank = ({ moduleId }: TestSpecification): number => {
  const at = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
  return at < 0 ? LONGEST.length : at;
};

export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    // Projects run one after the other.
    const group = ({ project }: TestSpecification) => project.config.sequence.groupOrder;
    return sorted.sort((a, b) => group(a) - group(b) || rank(a) - rank(b));
  }
}
