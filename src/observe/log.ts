// The log of the service: the part of a pino logger that it uses, so that tests and other programs can give their own.

export interface Log {
  debug(data: object, message: string): void;
  info(data: object, message: string): void;
  warn(data: object, message: string): void;
  error(data: object, message: string): void;
}
