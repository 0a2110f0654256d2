import type { ApiToken } from "../api/schema.gen";
import { endOf, toApi } from "./dates";
import { CUSTOM, type Draft, draftOf } from "./form";

/** `*` is no confinement. */
const orAny = (items: readonly string[]) => (items.length === 0 ? ["*"] : [...items]);

function methods({ set, chosen }: Draft) {
  return { tokenTemplate: set, ...(set === CUSTOM && { apiList: [...chosen] }) };
}

/** A set is another where it is called otherwise; what is picked by hand, where it holds something else. */
function isOtherSet(before: Draft, { set, chosen }: Draft): boolean {
  return set !== before.set || (set === CUSTOM && (chosen.size !== before.chosen.size || [...chosen].some((method) => !before.chosen.has(method))));
}

/** What a new token is made with. */
export function parameters(draft: Draft) {
  const { description, until, environments, networks } = draft;
  return { description, ...methods(draft), environments: orAny(environments), sourceNetworks: orAny(networks), ...(until && { expiresAt: toApi(endOf(until)) }) };
}

/** What was changed of a token, and nothing else: the rest stays as it is, to the second, whoever has changed it meanwhile. */
export function changesOf(token: ApiToken, draft: Draft) {
  const before = draftOf(token);
  const { description, until, isNewExpiry, environments, networks } = draft;
  const differs = (one: unknown, other: unknown) => JSON.stringify(one) !== JSON.stringify(other);
  const end = until && toApi(endOf(until));
  return {
    ...(description !== before.description && { description }),
    ...(isOtherSet(before, draft) && methods(draft)),
    ...(differs(environments, before.environments) && { environments: orAny(environments) }),
    ...(differs(networks, before.networks) && { sourceNetworks: orAny(networks) }),
    // A token can end in the middle of a day, which a day does not say: it goes on to the day's end where the day is chosen anew.
    ...((isNewExpiry || differs(until, before.until)) && end !== token.expiresAt && (end === undefined ? { neverExpires: true } : { expiresAt: end })),
  };
}
