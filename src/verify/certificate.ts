// Certificates that a request names by a URL: which URLs may be asked, and what has to stand there. Nothing is fetched here.
import { X509Certificate } from 'node:crypto';
import type { Certificate, Secret } from './request.ts';

const LEAST_RSA_BITS = 2048;
const PEM = /^\s*-----BEGIN CERTIFICATE-----/;

/** A secret that is a certificate: its owner has pinned it, and none is fetched. */
export const isPinned = ({ value }: Pick<Secret, 'value'>): boolean => PEM.test(value);

/** The first certificate of this text, which has to be of this name; undefined: the text holds none. Never throws. */
export function readCertificate(pem: string, name: RegExp): Certificate | undefined {
  try {
    const { subject, subjectAltName, publicKey, validFrom, validTo } = new X509Certificate(pem);
    const names = [...lines(subject, '\n', 'CN='), ...lines(subjectAltName, ', ', 'DNS:')];
    if (!names.some((one) => name.test(one))) return { fault: 'The certificate is not of the expected name.' };
    const { modulusLength = 0 } = publicKey.asymmetricKeyDetails ?? {};
    if (publicKey.asymmetricKeyType !== 'rsa' || modulusLength < LEAST_RSA_BITS)
      return { fault: `The certificate has no RSA key of ${LEAST_RSA_BITS} bits or more.` };
    const [fromMs, toMs] = [Date.parse(validFrom), Date.parse(validTo)];
    return Number.isNaN(fromMs + toMs) ? undefined : { key: publicKey, fromMs, toMs };
  } catch {
    return undefined;
  }
}

const lines = (text: string | undefined, separator: string, prefix: string): readonly string[] =>
  (text ?? '').split(separator).flatMap((line) => (line.startsWith(prefix) ? line.slice(prefix.length) : []));

/** Why this certificate proved nothing at this time; undefined: it may prove. */
export function certificateFault(certificate: Certificate, atMs: number): string | undefined {
  if ('fault' in certificate) return certificate.fault;
  if (atMs < certificate.fromMs) return 'The certificate was not valid yet when the request came.';
  if (atMs > certificate.toMs) return 'The certificate had expired when the request came.';
  return undefined;
}
