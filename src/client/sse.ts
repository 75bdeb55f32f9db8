// Reads server-sent events from pieces of text, whatever they are cut into.

export interface SseEvent {
  readonly name: string;
  readonly id: string;
  readonly data: string;
}

/** Feed it the pieces; it calls back once for each event that is whole. */
export function createSseReader(onEvent: (event: SseEvent) => void): (piece: string) => void {
  let held: string[] = [];
  let name = '';
  let id = '';
  let data: string[] = [];

  function line(text: string): void {
    if (text === '') {
      if (data.length > 0) onEvent({ name: name || 'message', id, data: data.join('\n') });
      name = '';
      data = [];
      return;
    }
    if (text.startsWith(':')) return;
    const colon = text.indexOf(':');
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? '' : text.slice(text[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') data.push(value);
    else if (field === 'event') name = value;
    else if (field === 'id') id = value;
  }

  return (piece) => {
    let from = 0;
    for (let end = piece.indexOf('\n'); end >= 0; end = piece.indexOf('\n', from)) {
      held.push(piece.slice(from, end));
      line(held.join('').replace(/\r$/, ''));
      held = [];
      from = end + 1;
    }
    // A line of many megabytes comes in thousands of pieces: joined once.
    if (from < piece.length) held.push(piece.slice(from));
  };
}
