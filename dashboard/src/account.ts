import type { QueryClient } from "@tanstack/react-query";
import { doubt } from "./api/doubt";
import { ask, ended, type SessionChange, sessions, userOf } from "./session";

/**
 * Keeps the page to the account that it shows, whatever other pages of the browser do to the session that all of them share:
 * where it has become another's, the page begins anew. Answers with what stops that.
 */
export function keepToAccount(queries: QueryClient, beginAnew: () => void): () => void {
  const leave = (): Promise<never> => {
    beginAnew();
    return new Promise(() => undefined);
  };
  doubt.settleBy(async () => {
    const shown = userOf(queries);
    if (shown === undefined) return;
    const user = await ask({ isLook: true });
    if (user === null) ended(queries);
    else if (user.uid !== shown?.uid) await leave();
  });
  const onChange = ({ data: { uid } }: MessageEvent<SessionChange>) => {
    if (uid === null) {
      ended(queries);
    } else if (uid !== userOf(queries)?.uid) {
      doubt.settleBy(leave);
      doubt.raise();
    }
  };
  // Who comes back to a page, or to its window, can have been at another one meanwhile.
  const onReturn = () => { if (document.visibilityState === "visible") doubt.raise(); };
  sessions.addEventListener("message", onChange);
  window.addEventListener("focus", onReturn);
  document.addEventListener("visibilitychange", onReturn);
  return () => {
    sessions.removeEventListener("message", onChange);
    window.removeEventListener("focus", onReturn);
    document.removeEventListener("visibilitychange", onReturn);
  };
}
