/** The smallest pieces, used all over the page. */
import type { VNode } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { absoluteTime, elapsed, parseTime, relativeTime, shortId } from '../model/format.ts';
import type { Badge, Tone } from '../model/status.ts';
import { Icon } from './icons.tsx';
import { useServerNow } from './use-now.ts';

export function BadgeView({ badge, testId }: { readonly badge: Badge; readonly testId?: string }): VNode {
  return (
    <span class={`badge tone-${badge.tone}`} data-testid={testId}>
      <Icon name={badge.icon} />
      {badge.label}
    </span>
  );
}

export function ToneDot({ tone }: { readonly tone: Tone }): VNode {
  return <span class={`dot tone-${tone}`} aria-hidden="true" />;
}

/** "12 s ago", with the full local time on hover. */
export function Ago({ iso }: { readonly iso: string }): VNode {
  const now = useServerNow();
  // Drawn every second, in every row.
  const { at, title } = useMemo(() => {
    const parsed = parseTime(iso);
    return { at: parsed, title: parsed === null ? '' : absoluteTime(parsed) };
  }, [iso]);
  if (at === null) return <span>{iso}</span>;
  return (
    <time dateTime={iso} title={title}>
      {relativeTime(at, now)}
    </time>
  );
}

/** How long something has been going on. */
export function Elapsed({ sinceIso }: { readonly sinceIso: string }): VNode {
  const now = useServerNow();
  return <span>{elapsed(now - (parseTime(sinceIso) ?? now))}</span>;
}

/**
 * How far a bar is filled: it is as long as its track, which cuts it off, and pushed out to the left. A change of its width would
 * have the browser lay out the page anew in every frame of the transition.
 */
export function filledTo(percent: number): { readonly transform: string } {
  return { transform: `translateX(${(percent - 100).toFixed(1)}%)` };
}

/** A thin bar that fills while a payload of known length runs. */
export function Progress({
  sinceIso,
  expectedMs,
}: {
  readonly sinceIso: string;
  readonly expectedMs: number;
}): VNode {
  const now = useServerNow();
  const done = Math.min(1, Math.max(0, (now - (parseTime(sinceIso) ?? now)) / expectedMs));
  return (
    <span class="progress" aria-hidden="true">
      <span class="progress-fill" style={filledTo(done * 100)} />
    </span>
  );
}

const COPIED_SHOWN_MS = 1_500;

interface CopyIdProps {
  readonly id: string;
  readonly full?: boolean;
  /** Makes the id a link. */
  readonly href?: string;
}

/** A task id, short, with a button that copies all of it. */
export function CopyId({ id, full = false, href }: CopyIdProps): VNode {
  const code = (
    <code class="hash" title={id} data-testid="task-hash">
      {full ? id : shortId(id)}
    </code>
  );
  return (
    <span class="copy-id">
      {href === undefined ? code : <a href={href}>{code}</a>}
      <CopyButton text={id} what={id} />
    </span>
  );
}

/** Browsers give the clipboard to HTTPS and loopback only; elsewhere the text can be selected by hand. */
export function CopyButton({ text, what }: { readonly text: string; readonly what: string }): VNode | null {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), COPIED_SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  if (!window.isSecureContext) return null;
  return (
    <button
      type="button"
      class="icon-button"
      aria-label={copied ? 'Copied' : `Copy ${what}`}
      title={copied ? 'Copied' : 'Copy all of it'}
      onClick={() => void copyText(text).then(setCopied)}
    >
      <Icon name={copied ? 'check' : 'copy'} />
    </button>
  );
}

async function copyText(value: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(value);
    return true;
  } catch {
    return false;
  }
}
