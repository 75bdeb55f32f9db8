// The sign-in: id and token, which a password manager may keep and this page never does.
import { html, nothing } from 'lit-html';
import { signIn } from '../session.ts';
import { app } from '../state.ts';
import { icon } from './icons.ts';

function submit(event: SubmitEvent): void {
  event.preventDefault();
  const form = new FormData(event.target as HTMLFormElement);
  void signIn(String(form.get('id')).trim(), String(form.get('token')).trim());
}

export const signInView = () => html`<main class="enter">
  <form @submit=${submit} aria-labelledby="enter-title">
    <p class="mark">${icon('inbox')}</p>
    <h1 id="enter-title">${app.about.name} inbox</h1>
    <p class="muted">Watch your webhooks arrive. Sign in with your user id and token: your dashboard shows both.</p>
    <label for="id">User id</label>
    <input id="id" name="id" autocomplete="username" inputmode="numeric" pattern="[0-9]+" required autofocus
      aria-invalid=${app.problem ? 'true' : nothing} aria-describedby=${app.problem ? 'enter-problem' : nothing}>
    <label for="token">Token</label>
    <input id="token" name="token" type="password" autocomplete="current-password" required
      aria-invalid=${app.problem ? 'true' : nothing} aria-describedby=${app.problem ? 'enter-problem' : nothing}>
    <p class="problem" id="enter-problem" role="alert">${app.problem}</p>
    <button class="primary" ?disabled=${app.entering}>${app.entering ? 'Signing in…' : 'Sign in'}</button>
    <p class="fine muted">Both stay in the memory of this tab. Reloading or closing it signs you out.</p>
  </form>
</main>`;
