import type { VNode } from 'preact';

/** A column of numbers stands to the right. */
export type Head = string | { readonly number: string };

/** The row of heads of a table's columns. */
export function Heads({ of }: { readonly of: readonly Head[] }): VNode {
  return (
    <thead>
      <tr>
        {of.map((head) => {
          const [text, numeric] = typeof head === 'string' ? [head, false] : [head.number, true];
          return (
            <th key={text} scope="col" class={numeric ? 'number' : undefined}>
              {text}
            </th>
          );
        })}
      </tr>
    </thead>
  );
}
