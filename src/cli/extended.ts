// Opens a store for the verbs that need our tables.
import type { Config } from '../config.ts';
import type { Store } from '../store/index.ts';
import { Complaint } from './io.ts';
import { withStore } from './open.ts';

export const withExtended = <R>(config: Config, work: (store: Store) => Promise<R>): Promise<R> =>
  withStore(config, (store) => {
    if (!store.extended) throw new Complaint('this needs the restante_* tables: restante migrate', 2);
    return work(store);
  });
