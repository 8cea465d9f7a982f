import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { useApp, useSelect } from './context.ts';
import { Logo } from './icons.tsx';

/** Shown in place of the page where the cluster asks for its token. The token is not kept here: a cookie stands for it. */
export function SignIn(): VNode {
  const { actions } = useApp();
  const { busy, problem } = useSelect((state) => state.signIn);
  const [token, setToken] = useState('');
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), [problem]);
  return (
    <main class="sign-in">
      <form
        class="panel"
        data-testid="sign-in"
        onSubmit={(event) => {
          event.preventDefault();
          if (token !== '') void actions.signIn(token);
        }}
      >
        <Logo />
        <h1>Sign in to CLB</h1>
        <p class="muted">This cluster was started with a token. It is asked for once in this browser.</p>
        <label class="field">
          <span class="field-label">Token</span>
          <input
            ref={input}
            type="password"
            name="token"
            autocomplete="current-password"
            required
            aria-invalid={problem !== null}
            aria-describedby={problem === null ? undefined : 'sign-in-problem'}
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        {problem === null ? null : (
          <p class="problem" id="sign-in-problem" role="alert">
            {problem}
          </p>
        )}
        <button type="submit" class="button button-primary" disabled={busy}>
          {busy ? 'Signing in…' : 'Sign in'}
        </button>
      </form>
    </main>
  );
}
