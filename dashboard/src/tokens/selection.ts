/** Which rows are selected, and where a selection of several begins. */
export interface Selection {
  readonly chosen: ReadonlySet<number>;
  readonly anchor: number | undefined;
}

export const NOTHING: Selection = { chosen: new Set(), anchor: undefined };

/** Which keys are held. */
export interface Held {
  readonly shift: boolean;
  /** Control, or the command key. */
  readonly toggle: boolean;
}

/** A row is clicked: alone; with control, it is added or taken away; with shift, all from where the selection began up to it. */
export function clicked(before: Selection, rows: readonly number[], row: number, { shift, toggle }: Held): Selection {
  if (shift) {
    const from = rows.indexOf(before.anchor ?? row);
    const to = rows.indexOf(row);
    if (from < 0) return { chosen: new Set([row]), anchor: row };
    const range = rows.slice(Math.min(from, to), Math.max(from, to) + 1);
    return { chosen: new Set(toggle ? [...before.chosen, ...range] : range), anchor: before.anchor ?? row };
  }
  if (!toggle) return { chosen: new Set([row]), anchor: row };
  const chosen = new Set(before.chosen);
  if (!chosen.delete(row)) chosen.add(row);
  return { chosen, anchor: row };
}

/** Rows that are not there any more are not selected. */
export function kept(before: Selection, rows: readonly number[]): Selection {
  const chosen = [...before.chosen].filter((row) => rows.includes(row));
  const anchor = before.anchor !== undefined && rows.includes(before.anchor) ? before.anchor : undefined;
  return chosen.length === before.chosen.size && anchor === before.anchor ? before : { chosen: new Set(chosen), anchor };
}
