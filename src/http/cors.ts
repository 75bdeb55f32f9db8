// Other web sites whose pages may call the API: those in CORS_ORIGINS. A browser shows an answer to no others.
import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';

const KEPT_S = 600;

export async function allowOrigins(fastify: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  await fastify.register(cors, {
    origin: [...origins],
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['Authorization', 'Content-Type', 'Last-Event-ID'],
    exposedHeaders: ['Retry-After', 'X-Original-Content-Type'],
    maxAge: KEPT_S,
  });
}
