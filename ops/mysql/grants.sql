-- Lets Restante see who is still writing, so that its lists never skip a row: docs/deploy.md, "Rights".
GRANT SELECT ON performance_schema.metadata_locks TO restante;
GRANT SELECT ON performance_schema.threads TO restante;
GRANT SELECT ON performance_schema.events_statements_current TO restante;
