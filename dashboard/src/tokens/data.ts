import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { ApiToken } from "../api/schema.gen";
import { call, contract } from "../api/client";
import { useLate } from "../ui/notices";
import { endOf, fromApi, lastDayBefore } from "./dates";

export type State = "active" | "expires soon" | "expired" | "leaked";

export const STATE_COLORS: Readonly<Record<State, string>> = { active: "green", "expires soon": "orange", expired: "gray", leaked: "red" };

export function stateOf(token: ApiToken): State {
  if (token.leakedAt !== undefined) return "leaked";
  if (token.isExpired) return "expired";
  return token.expiresSoon ? "expires soon" : "active";
}

/** What can be looked for: a state, or all of them. */
export const STATES: readonly State[] = ["active", "expires soon", "expired", "leaked"];

/** The tokens in a state, or all, of which the description, the set or the state holds a text. */
export function filtered(tokens: readonly ApiToken[], text: string, state: State | undefined): readonly ApiToken[] {
  const word = text.trim().toLowerCase();
  return tokens.filter((token) => {
    const words = `${token.description} ${token.tokenTemplate?.name} ${stateOf(token)}`.toLowerCase();
    return words.includes(word) && (state === undefined || state === stateOf(token));
  });
}

export function useTokens() {
  return useQuery({
    queryKey: ["tokens"],
    queryFn: async ({ signal }) => (await call("/1.0/users/authentication/rest/gettokens", {}, { signal })).apiTokens,
  });
}

/** A token as it is now, whatever the list was when it was read; `null` where it is gone. */
export function useToken(id: number) {
  return useQuery({
    queryKey: ["token", id],
    queryFn: async ({ signal }) => {
      const { apiTokens } = await call("/1.0/users/authentication/rest/gettokens", {}, { signal });
      return apiTokens.find((token) => token.id === id) ?? null;
    },
    // Read once for each time that it is asked for: what is being written is not changed below it.
    staleTime: Infinity,
    gcTime: 0,
  });
}

/** How often each token was used on each of the last so many days, the oldest first. */
export function useUses(days: number) {
  return useQuery({
    queryKey: ["uses"],
    queryFn: async ({ signal }) => (await call("/1.0/users/authentication/rest/gettokenuses", {}, { signal })).uses,
    select: (uses) => {
      const today = Date.parse(`${new Date().toISOString().slice(0, 10)}T00:00:00Z`);
      const counts = new Map<number, number[]>();
      for (const { id, day, count } of uses) {
        const place = days - 1 - Math.round((today - Date.parse(`${day}T00:00:00Z`)) / 86_400_000);
        if (place < 0 || place >= days) continue;
        const of = counts.get(id) ?? new Array<number>(days).fill(0);
        of[place] = count;
        counts.set(id, of);
      }
      return counts;
    },
  });
}

/** The methods that tokens can be given, the predefined sets, and what the contract says of each method. */
export function useCatalog() {
  const methods = useQuery({
    queryKey: ["methods"],
    queryFn: async ({ signal }) => (await call("/1.0/users/authentication/rest/gettokenapilist", {}, { signal })).tokenPermissions,
    staleTime: Infinity,
  });
  const sets = useQuery({
    queryKey: ["sets"],
    queryFn: async ({ signal }) => (await call("/1.0/users/authentication/rest/gettokentemplates", {}, { signal })).templates,
    staleTime: Infinity,
  });
  return { methods: methods.data, sets: sets.data, failureReason: methods.failureReason ?? sets.failureReason };
}

interface Documented {
  paths: Record<string, { post: { description: string; "x-portcullis": { method: string } } }>;
}

/** What each method does, by its name. */
export function useDocumentation() {
  return useQuery({
    queryKey: ["documentation"],
    queryFn: async ({ signal }) => {
      const document = await contract<Documented>(signal);
      return new Map(Object.values(document.paths).map(({ post }) => [post["x-portcullis"].method, post.description]));
    },
    staleTime: Infinity,
  });
}

/** A change of tokens, by what it is called, after which the list is read anew. */
export function useChange<Input, Output>(what: string, change: (input: Input) => Promise<Output>) {
  const queries = useQueryClient();
  const late = useLate();
  return useMutation({
    mutationFn: change,
    onSuccess: () => queries.invalidateQueries({ queryKey: ["tokens"] }),
    onError: (error) => late.failed(what, error),
  });
}

/** Till when a token is valid: a day, where it is so to that day's end. */
export function validity(text: string | undefined): string {
  if (text === undefined) return "never";
  const last = lastDayBefore(fromApi(text));
  return endOf(last).getTime() === fromApi(text).getTime() ? days.format(new Date(last.year, last.month - 1, last.day)) : moments.format(fromApi(text));
}

const days = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function moment(text: string | undefined, absent: string): string {
  return text === undefined ? absent : moments.format(fromApi(text));
}
