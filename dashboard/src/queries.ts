import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError, isOutage } from "./api/client";
import { ended } from "./session";

/** What is known of the service. Whatever finds out that nobody is signed in any more leads to the sign-in. */
export function newQueries(): QueryClient {
  const onError = (error: Error) => {
    if (error instanceof ApiError && error.isSignedOut) ended(queries);
  };
  const queries = new QueryClient({
    queryCache: new QueryCache({ onError }),
    mutationCache: new MutationCache({ onError }),
    defaultOptions: {
      queries: {
        staleTime: 10_000,
        // An outage is over by itself: it is asked until there is an answer.
        retry: (_, error) => isOutage(error),
        retryDelay: (count) => Math.min(500 * 2 ** count, 5_000),
        // Whether something answers is found out by asking: what the browser thinks of its network says little, and
        // what was held back till it thinks otherwise would be done when nobody expects it any more.
        networkMode: "always",
      },
      // What was sent can be a secret, and is not kept.
      mutations: { networkMode: "always", gcTime: 0 },
    },
  });
  return queries;
}
