import { type QueryClient, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, call, type Success, type Wishes } from "./api/client";

export type User = Success<"/1.0/users/account/rest/getuserinfo">;

const USER = ["user"] as const;
const ENDED = ["session ended"] as const;

/** What a page does to the session that all pages of the browser share. */
export interface SessionChange {
  /** Whose it is now; `null` where it has ended. */
  readonly uid: number | null;
}

/** Where the browser's other pages hear of it. */
export const sessions = new BroadcastChannel("portcullis-session");

function tell(change: SessionChange): void {
  sessions.postMessage(change);
}

/** Asks whose session the browser has; `null` where it has none. */
export async function ask(wishes: Wishes): Promise<User | null> {
  try {
    return await call("/1.0/users/account/rest/getuserinfo", {}, wishes);
  } catch (error) {
    if (error instanceof ApiError && error.isSignedOut) return null;
    throw error;
  }
}

/** Whose account the page shows; `null` where it shows none, `undefined` before that is known. */
export function userOf(queries: QueryClient): User | null | undefined {
  return queries.getQueryData<User | null>(USER);
}

/** Whose session the browser has; `null` where it has none. */
export function useUser() {
  return useQuery({
    queryKey: USER,
    queryFn: ({ signal }) => ask({ signal }),
    staleTime: Infinity,
  });
}

/** Asks at once who is signed in, however long the next try would wait. */
export function useAskAgain(): () => void {
  const queries = useQueryClient();
  return () => void queries.resetQueries({ queryKey: USER });
}

/** Forgets all that was shown to whoever was signed in. */
function forget(queries: QueryClient): void {
  queries.setQueryData(USER, null);
  queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== USER[0] });
}

/** The session has ended without the page's doing: it is forgotten, and the sign-in says so. */
export function ended(queries: QueryClient): void {
  // Nobody was signed in: nothing has ended.
  if (!userOf(queries)) return;
  forget(queries);
  queries.setQueryData(ENDED, true);
}

/** Whether the sign-in is there because a session has ended. */
export function useHasEnded(): boolean {
  const queries = useQueryClient();
  const [has] = useState(() => queries.getQueryData(ENDED) === true);
  return has;
}

/** Somebody has signed in. */
export function signedIn(queries: QueryClient, user: User): void {
  queries.removeQueries({ queryKey: ENDED });
  queries.setQueryData(USER, user);
  tell({ uid: user.uid });
}

export function useSignOut() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => call("/1.0/users/authentication/rest/signout", {}),
    onSuccess: () => {
      forget(queries);
      tell({ uid: null });
    },
  });
}
