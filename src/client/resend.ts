// Which headers of a request are sent again with it, and which belong to the connection that it came over.

// Hop by hop (RFC 9110, 7.6.1), and what each sender writes for the target and the length of its own.
const OWN =
  /^(host|content-length|expect|transfer-encoding|connection|keep-alive|proxy-(authenticate|authorization|connection)|te|trailer|upgrade)$/i;

/** Without those of the connection, and without those that its `Connection` names. */
export function resendable<Header extends readonly string[]>(headers: readonly Header[]): Header[] {
  const named = headers.flatMap(([name = '', value = '']) =>
    name.toLowerCase() === 'connection' ? value.toLowerCase().split(/\s*,\s*/) : [],
  );
  return headers.filter(([name = '']) => !OWN.test(name) && !named.includes(name.toLowerCase()));
}
