import { type Day, writeDay } from "./dates";

/** What a token would be able to do. */
export interface Powers {
  readonly methods: number;
  /** Those of them that change something. */
  readonly changing: number;
  readonly ofAll: number;
  readonly environments: readonly string[];
  readonly networks: readonly string[];
  readonly until: Day | undefined;
  /** Till when, in words, where it is not to the end of a day. */
  readonly time?: string;
}

/** A sentence that says it. */
export function sentence({ methods, changing, ofAll, environments, networks, until, time }: Powers): string {
  if (methods === 0) return "This token can do nothing yet: choose at least one method.";
  const what = methods === ofAll ? "every method that a token may call" : methods === 1 ? "one method" : `${methods} methods`;
  const harm = changing === 0 ? "only reads" : changing === methods && methods === 1 ? "changes things" : changing === 1 ? "one of them changes things" : `${changing} of them change things`;
  const where = environments.length === 0 ? "on all of your environments" : `on environments called ${list(environments)}`;
  const from = networks.length === 0 ? "from anywhere" : `from ${list(networks)}`;
  const end = time ?? (until ? `till the end of ${writeDay(until)}` : "for ever, until you remove it");
  return `Whoever has this token can call ${what} (${harm}) ${where}, ${from}, ${end}.`;
}

function list(items: readonly string[]): string {
  return new Intl.ListFormat("en", { type: "disjunction" }).format(items.map((item) => `“${item}”`));
}

/** What is written with commas between. */
export function parts(text: string): string[] {
  return text.split(/[,;\s]+/).filter((part) => part !== "");
}
