// The documentation in a browser: signing in, the reference, trying calls, and staying signed in from page to page.
(() => {
  const { base, scalar } = document.currentScript.dataset;
  const MASK = '********';
  const $ = (selector, within = document) => within.querySelector(selector);
  /** The signed-in user: { id, token }. Kept here and nowhere else: no cookie, no storage, no address. */
  let who;
  let copyToken = false;
  let reference;

  const main = $('#main');
  const panel = $('.signin');
  const toast = $('.toast');
  const say = (text) => {
    toast.textContent = text;
    setTimeout(() => toast.textContent === text && toast.replaceChildren(), 2_500);
  };

  const basic = ({ id, token }) => `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(`${id}:${token}`)))}`;
  /** `omit`: the browser asks for no password of its own and keeps none. */
  const ask = (path, as = who, options = {}) =>
    fetch(base + path, {
      ...options,
      headers: { ...options.headers, ...(as ? { authorization: basic(as) } : {}) },
      credentials: 'omit',
      cache: 'no-store',
    });

  const dress = createDress({
    main,
    say,
    // A public call gets no credentials: a webhook keeps every request with its headers.
    send: (path, signedIn, options) => ask(path, signedIn ? who : null, options),
    isSignedIn: () => Boolean(who),
    signIn: () => Object.assign(panel, { open: true }),
  });

  // Pages -----------------------------------------------------------------------------------------------------------

  const pathNow = () => location.pathname.slice(base.length).replace(/\/$/, '') || '/docs';
  let shown = pathNow();

  /** Loads Scalar's script once, when the reader first opens the reference. */
  let loading;
  const loadScalar = () => {
    loading ??= new Promise((onload, reject) => {
      const onerror = () => reject(new Error('The reference could not be loaded. Reload the page.'));
      const script = Object.assign(document.createElement('script'), {
        src: `${base}/docs/${scalar}`,
        onload,
        onerror,
      });
      document.head.append(script);
    });
    return loading;
  };

  /** Sends a call of Scalar's; a call that carries the mask gets the credentials of the signed-in user. */
  function complete(input, init) {
    const request = new Request(input, { ...init, credentials: 'omit' });
    const masked = who && request.headers.get('authorization') === basic({ id: who.id, token: MASK });
    if (masked) request.headers.set('authorization', basic(who));
    return fetch(request);
  }

  // Labels for screen readers that Scalar leaves out.
  const names = { '.scalar-code-copy': 'Copy', '.code-input-lite__editor': 'Value' };
  new MutationObserver(() => {
    for (const [selector, name] of Object.entries(names))
      for (const one of document.querySelectorAll(`${selector}:not([aria-label])`)) one.ariaLabel = name;
    for (const one of document.querySelectorAll('[role=combobox]:not([aria-expanded])')) one.ariaExpanded = 'false';
    // Two calls that answer with the same statuses would have two regions of one name: each is called by its call, too.
    for (const card of document.querySelectorAll('.response-card[aria-labelledby]:not([aria-labelledby*=" "])')) {
      const call = card.closest('section[aria-labelledby]')?.getAttribute('aria-labelledby');
      if (call) card.setAttribute('aria-labelledby', `${call} ${card.getAttribute('aria-labelledby')}`);
    }
  }).observe(main, { childList: true, subtree: true });

  async function showReference(given) {
    if (!scalar) return;
    const place = $('#reference');
    const [answer] = await Promise.all([given ?? ask('/docs/openapi.json'), loadScalar()]);
    const content = await answer.json();
    if (place !== $('#reference')) return;
    // Scalar shows the token that it is given: it gets the mask, and `complete` puts the token into its calls.
    const login = { username: who?.id ?? '', password: who ? MASK : '' };
    const configuration = {
      content,
      servers: [{ url: location.origin + base }],
      // No request may leave the machine: no fonts, no telemetry, no agent, no proxy.
      withDefaultFonts: false,
      telemetry: false,
      hideClientButton: true,
      showDeveloperTools: 'never',
      agent: { disabled: true },
      mcp: { disabled: true },
      persistAuth: false,
      hiddenClients: true,
      // Each call shows its shapes in place.
      hideModels: true,
      defaultOpenAllTags: true,
      customFetch: complete,
      authentication: { preferredSecurityScheme: 'basic', securitySchemes: { basic: login } },
    };
    reference?.destroy();
    place.replaceChildren();
    reference = window.Scalar.createApiReference(place, configuration);
    place.dataset.for = who?.id ?? '';
  }

  /** Shows the page at the current address in place of the last one. */
  async function show(focus = false) {
    const path = pathNow();
    if (path !== '/docs') {
      reference?.destroy();
      reference = undefined;
    }
    const answer = await ask(path);
    if (!answer.ok || !answer.headers.get('content-type')?.includes('html')) return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    if (path !== pathNow()) return;
    shown = path;
    document.title = page.title;
    main.replaceChildren(...$('#main', page).childNodes);
    $('.bar nav').replaceWith($('.bar nav', page));
    for (const menu of document.querySelectorAll('details.menu')) menu.open = false;
    if (path === '/docs') await showReference();
    else dress();
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target) target.scrollIntoView();
    else if (focus) scrollTo(0, 0);
    if (focus) main.focus({ preventScroll: true });
  }
  const failed = (error) => say(error.message);

  document.addEventListener('click', (event) => {
    const link = event.target.closest?.('a[href]');
    if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey)
      return;
    const url = new URL(link.href);
    const path = url.pathname.slice(base.length);
    const ours = url.origin === location.origin && (path === '/docs' || /^\/docs\/guides\/[\w-]+$/.test(path));
    if (!ours || 'leave' in link.dataset || (path === shown && url.hash)) return;
    event.preventDefault();
    history.pushState(null, '', url);
    show(true).catch(failed);
  });
  addEventListener('popstate', () => pathNow() !== shown && show().catch(failed));
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    const menu = event.target.closest?.('details.menu[open]');
    if (menu) menu.open = false;
    menu?.querySelector('summary').focus();
  });
  document.addEventListener('pointerdown', (event) => {
    for (const menu of document.querySelectorAll('details.menu[open]'))
      if (!menu.contains(event.target)) menu.open = false;
  });

  // Signing in ------------------------------------------------------------------------------------------------------

  const form = $('form', panel);
  const wrong = $('.wrong', panel);
  panel.hidden = false;
  panel.addEventListener('toggle', () => panel.open && !who && form.id.focus());

  function tellWho() {
    $('summary', panel).textContent = who ? `User ${who.id}` : 'Sign in';
    $('.signed strong', panel).textContent = who?.id ?? '';
    $('.signed', panel).hidden = !who;
    form.hidden = Boolean(who);
    document.documentElement.toggleAttribute('data-signed-in', Boolean(who));
  }

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const given = { id: form.id.value.trim(), token: form.token.value };
    wrong.textContent = '';
    $('button', form).disabled = true;
    try {
      const answer = await ask('/docs/openapi.json', given);
      if (!answer.ok) throw new Error((await answer.json()).detail);
      who = given;
      form.reset();
      tellWho();
      panel.open = false;
      $('summary', panel).focus();
      say(`Signed in: the examples are yours, user ${who.id}.`);
      await (shown === '/docs' ? showReference(answer) : show());
    } catch (error) {
      wrong.textContent = error.message;
    } finally {
      $('button', form).disabled = false;
    }
  });
  $('.signed button', panel).addEventListener('click', () => {
    who = undefined;
    copyToken = false;
    $('.check input', panel).checked = false;
    tellWho();
    show().catch(failed);
  });
  $('.check input', panel).addEventListener('change', (event) => {
    copyToken = event.target.checked;
  });

  // Copied text carries the token only when the user has asked for that.
  const completed = (text) => (copyToken && who ? text.replaceAll(MASK, who.token) : text);
  const write = navigator.clipboard?.writeText.bind(navigator.clipboard);
  if (write) navigator.clipboard.writeText = (text) => write(completed(text));
  document.addEventListener('copy', (event) => {
    const text = String(getSelection());
    if (completed(text) === text) return;
    event.clipboardData.setData('text/plain', completed(text));
    event.preventDefault();
  });

  tellWho();
  if (shown === '/docs') showReference().catch(failed);
  else dress();
})();
