import type { KeyboardEvent } from "react";

const CELLS = "input, a";

/** Where a key leads to from a cell: the row and the column, both counted from 0 and perhaps beyond the last. */
function step({ key, ctrlKey }: KeyboardEvent, row: number, column: number, rows: number): readonly [row: number, column: number] | undefined {
  switch (key) {
    case "ArrowDown": return [row + 1, column];
    case "ArrowUp": return [row - 1, column];
    case "ArrowRight": return [row, column + 1];
    case "ArrowLeft": return [row, column - 1];
    case "Home": return [ctrlKey ? 0 : row, 0];
    case "End": return [ctrlKey ? rows - 1 : row, Infinity];
    default: return undefined;
  }
}

/** Moves the focus through a grid as the WAI-ARIA practices have it; where there is nothing more it stays. */
export function moveWithin(event: KeyboardEvent): void {
  const grid = event.currentTarget;
  const cell = (event.target as Element).closest<HTMLElement>(CELLS);
  const row = cell?.closest("[role=row]");
  if (!cell || !row || event.altKey || event.metaKey) return;
  const rows = [...grid.querySelectorAll("[role=row]")];
  const cells = (row: Element | undefined) => [...(row?.querySelectorAll<HTMLElement>(CELLS) ?? [])];
  const to = step(event, rows.indexOf(row), cells(row).indexOf(cell), rows.length);
  if (!to) return;
  event.preventDefault();
  const there = cells(rows[to[0]]);
  // A service has no link: from a method's, its box is next.
  there[Math.min(to[1], there.length - 1)]?.focus();
}
