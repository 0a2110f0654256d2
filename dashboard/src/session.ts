import { type QueryClient, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, call, type Success } from "./api/client";

export type User = Success<"/1.0/users/account/rest/getuserinfo">;

const USER = ["user"] as const;
const ENDED = ["session ended"] as const;

/** Whose session the browser has; `null` where it has none. */
export function useUser() {
  return useQuery({
    queryKey: USER,
    queryFn: async ({ signal }): Promise<User | null> => {
      try {
        return await call("/1.0/users/account/rest/getuserinfo", {}, { signal });
      } catch (error) {
        if (error instanceof ApiError && error.isSignedOut) return null;
        throw error;
      }
    },
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
  if (!queries.getQueryData<User | null>(USER)) return;
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
}

export function useSignOut() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => call("/1.0/users/authentication/rest/signout", {}),
    onSuccess: () => forget(queries),
  });
}
