import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { ApiError, call, isOutage, type Success } from "./api/client";

export type User = Success<"/1.0/users/account/rest/getuserinfo">;

const USER = ["user"] as const;

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
    // Without it there is no page: it is asked for until there is an answer.
    retry: (_, error) => isOutage(error),
    retryDelay: (count) => Math.min(500 * 2 ** count, 5_000),
  });
}

/** Asks at once who is signed in, however long the next try would wait. */
export function useAskAgain(): () => void {
  const queries = useQueryClient();
  return () => void queries.resetQueries({ queryKey: USER });
}

/** Forgets all that was shown to whoever was signed in. */
export function useForget(): () => void {
  const queries = useQueryClient();
  return useCallback(() => {
    queries.setQueryData(USER, null);
    queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== USER[0] });
  }, [queries]);
}

export function useSignOut() {
  const forget = useForget();
  return useMutation({
    mutationFn: () => call("/1.0/users/authentication/rest/signout", {}),
    onSuccess: forget,
    onError: (error) => {
      if (error instanceof ApiError && error.isSignedOut) forget();
    },
  });
}
