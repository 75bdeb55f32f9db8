// What the package exports to those who compose their own server: see examples/custom.ts.
export { BadSettings, type Config, readConfig } from './config.ts';
export { Problem } from './errors.ts';
export { type App, buildApp } from './http/app.ts';
export type { Context } from './http/context.ts';
export { createContext } from './http/create.ts';
export { type Call, type Route, type RouteOptions, route } from './http/route.ts';
export type { Log } from './log.ts';
export { MissingTables, openStore, type Store } from './store/index.ts';
