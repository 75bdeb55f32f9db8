// The verdict on a request, for tests that do not care that it may give way.
import { verdictOn as verdictInSlices } from '../../src/verify/judge.ts';
import { atOnce } from '../../src/verify/slices.ts';

export const verdictOn = (...given: Parameters<typeof verdictInSlices>) => atOnce(verdictInSlices(...given));
