// What the package exports to those who compose their own server: see examples/custom.ts.
export type { ApiParts } from './api/app.ts';
export { type Call, type Route, type RouteOptions, route } from './api/route.ts';
export { BadSettings, type Config, readConfig } from './config/config.ts';
export { Problem } from './errors.ts';
export type { Log } from './observe/log.ts';
export { createService, type Service } from './service.ts';
export { MissingTables, openStore, type Store } from './store/open.ts';
