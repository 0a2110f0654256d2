import type { ApiListItem } from "../api/schema.gen";

/** The methods of one service. */
export interface Group {
  readonly name: string;
  readonly methods: readonly ApiListItem[];
}

/** Whether all of a group is chosen, or a part of it. */
export type Choice = "all" | "some" | "none";

/** The methods, grouped by service, in the order of their names. */
export function grouped(methods: readonly ApiListItem[]): readonly Group[] {
  const groups = new Map<string, ApiListItem[]>();
  const sorted = methods.toSorted((one, other) => (one.method < other.method ? -1 : 1));
  for (const item of sorted) {
    const name = item.method.slice(0, item.method.lastIndexOf("."));
    const group = groups.get(name);
    if (group) group.push(item);
    else groups.set(name, [item]);
  }
  return [...groups].map(([name, methods]) => ({ name, methods }));
}

/** A method's name within its service. */
export function shortName({ method }: ApiListItem): string {
  return method.slice(method.lastIndexOf(".") + 1);
}

export function choiceOf(group: Group, chosen: ReadonlySet<string>): Choice {
  const count = group.methods.filter(({ method }) => chosen.has(method)).length;
  return count === 0 ? "none" : count === group.methods.length ? "all" : "some";
}

/** These chosen, or none of them any more; what is chosen of others stays. */
export function choose(chosen: ReadonlySet<string>, methods: readonly ApiListItem[], wanted: boolean): ReadonlySet<string> {
  const after = new Set(chosen);
  for (const { method } of methods) {
    if (wanted) after.add(method);
    else after.delete(method);
  }
  return after;
}

/** What is shown: names that hold each word of the search, and of those perhaps only what is chosen. */
export function shown(groups: readonly Group[], search: string, only: ReadonlySet<string> | undefined): readonly Group[] {
  const words = search.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const fits = ({ method }: ApiListItem) => words.every((word) => method.toLowerCase().includes(word)) && (only?.has(method) ?? true);
  return groups.map((group) => ({ ...group, methods: group.methods.filter(fits) })).filter(({ methods }) => methods.length > 0);
}
