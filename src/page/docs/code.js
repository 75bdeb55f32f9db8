// Blocks of code in the guides: a tab for each language, a button that copies, and calls that run in the page.

/** Returns the function that adds tabs and buttons to the blocks of a page that has just been shown. */
// biome-ignore lint/correctness/noUnusedVariables: docs.js, sent in the same file, begins with it
function createDress({ main, say, send, isSignedIn, signIn }) {
  let language = 0;
  const $ = (selector, within) => within.querySelector(selector);
  const failed = (error) => say(error.message);
  const button = (textContent, onclick) =>
    Object.assign(document.createElement('button'), { type: 'button', textContent, onclick });

  /** Gives each block of code its buttons, and each call a tab per language. */
  function dress() {
    for (const figure of main.querySelectorAll('figure.code')) {
      const bar = document.createElement('div');
      bar.className = 'tools';
      const parts = [...figure.querySelectorAll('section')];
      if (parts.length > 0) {
        const tabs = document.createElement('div');
        tabs.className = 'tabs';
        tabs.append(...parts.map((part, at) => button($('h4', part).textContent, () => choose(at))));
        bar.append(tabs);
      }
      const code = () => $('section:not([hidden]) code', figure) ?? $('code', figure);
      const copy = () => navigator.clipboard.writeText(code().textContent).then(() => say('Copied.'), failed);
      if (figure.dataset.call) bar.append(button('Run', () => run(figure)));
      bar.append(button('Copy', copy));
      figure.prepend(bar);
    }
    choose(language);
  }
  function choose(at) {
    language = at;
    for (const figure of main.querySelectorAll('figure.call')) {
      for (const [i, part] of figure.querySelectorAll('section').entries()) part.hidden = i !== at;
      for (const [i, tab] of figure.querySelectorAll('.tabs button').entries()) tab.ariaPressed = String(i === at);
    }
  }

  /** Makes the call that a block shows, and shows the answer below the block. */
  async function run(figure) {
    const { method, path, body, before, signedIn } = JSON.parse(figure.dataset.call);
    if (signedIn && !isSignedIn()) return signIn();
    const output = $('output', figure) ?? figure.appendChild(document.createElement('output'));
    output.textContent = '…';
    const headers = { 'content-type': 'application/json' };
    const call = (verb, to, sent) =>
      send(to, signedIn, { method: verb, ...(sent ? { headers, body: JSON.stringify(sent) } : {}) });
    try {
      const first = before && (await (await call('POST', before.path, before.body)).json());
      const taken = first?.[before.take];
      if (before && !taken) throw new Error(first.detail ?? 'This call needs a content that waits, and none does.');
      const whole = JSON.parse(JSON.stringify(body ?? null), (_, value) => (value === '\0taken' ? taken : value));
      const answer = await call(method, path.replace(/\{\w+\}/, taken), whole);
      const text = await answer.text();
      const json = /json/.test(answer.headers.get('content-type') ?? '');
      output.textContent =
        `${answer.status} ${answer.statusText}\n${json ? JSON.stringify(JSON.parse(text), null, 2) : text}`.trim();
    } catch (error) {
      output.textContent = error.message;
    }
  }
  return dress;
}
