import { Alert, Button, Group, Loader, NativeSelect, Stack, Text, TextInput } from "@mantine/core";
import { useMergedRef } from "@mantine/hooks";
import { useCallback, useState } from "react";
import type { ApiListItem, ApiToken, TokenTemplate } from "../api/schema.gen";
import { useAutofocus } from "../ui/autofocus";
import { sentence } from "../ui/sentence";
import { submitting } from "../ui/submit";
import { Unread } from "../ui/unread";
import { useLeadBack, wrongWith } from "../ui/wrong";
import { useCatalog, validity } from "./data";
import { type Day, expiryProblem, fromApi, lastDayBefore, parseDay, writeDay } from "./dates";
import { Expiry } from "./expiry";
import { PermissionTree } from "./tree";
import { parts, sentence as powers } from "./words";

/** The set of methods that are picked by hand. */
export const CUSTOM = "Custom";

/** What a token is to be. */
export interface Draft {
  readonly description: string;
  readonly until: Day | undefined;
  /** Whether the last day was chosen anew, be it the one that is written already: the token is valid to its end then. */
  readonly isNewExpiry: boolean;
  readonly chosen: ReadonlySet<string>;
  /** The predefined set that they follow, or `Custom`: these and no others, be they just those of a set. */
  readonly set: string;
  readonly environments: readonly string[];
  readonly networks: readonly string[];
}

export function draftOf(token: ApiToken | undefined): Draft {
  return {
    description: token?.description ?? "",
    until: token?.expiresAt === undefined ? undefined : lastDayBefore(fromApi(token.expiresAt)),
    isNewExpiry: false,
    chosen: new Set(token?.apiListItems.map(({ method }) => method)),
    set: token?.tokenTemplate?.name ?? CUSTOM,
    environments: token?.environments ?? [],
    networks: token?.sourceNetworks ?? [],
  };
}

/** The expiry of a token as the form writes it: the last day, wholly or in part. */
function writtenExpiry(token: ApiToken | undefined): string | undefined {
  const { until } = draftOf(token);
  return token && (until ? writeDay(until) : "");
}

/** Till when a token is valid whose expiry stays as it is, which can be in the middle of a day. */
function keptTime({ expiresAt, isExpired }: ApiToken): string {
  return isExpired ? "but not any more: it has expired" : `till ${validity(expiresAt)}, as it was`;
}

interface Asked {
  readonly draft: Draft;
  /** The token that is changed. */
  readonly edited?: ApiToken;
  readonly label: string;
  /** What was wrong with it, as the API has told. */
  readonly error: Error | null;
  readonly cancel: () => void;
  readonly next: (draft: Draft) => void;
  readonly children?: React.ReactNode;
}

export function TokenForm(asked: Asked) {
  const { methods, sets, failureReason } = useCatalog();
  if ((!methods || !sets) && failureReason) return <Unread query={{ failureReason }} title="The methods cannot be listed" />;
  if (!methods || !sets) return <Loader aria-label="Loading the methods" />;
  return <Fields {...asked} methods={methods} sets={sets} />;
}

function Fields({ draft, edited, label, error, cancel, next, children, methods, sets }: Asked & { methods: readonly ApiListItem[]; sets: readonly TokenTemplate[] }) {
  /** How often it was to be saved in vain. */
  const [tries, setTries] = useState(0);
  const here = useMergedRef(useAutofocus<HTMLFormElement>(), useLeadBack<HTMLFormElement>(tries > 0 ? tries : error));
  const [description, setDescription] = useState(draft.description);
  const [until, setUntil] = useState(draft.until ? writeDay(draft.until) : "");
  const [isNewExpiry, setNewExpiry] = useState(draft.isNewExpiry);
  const [chosen, setChosen] = useState(draft.chosen);
  const [set, setSet] = useState(draft.set);
  const [environments, setEnvironments] = useState(draft.environments.join(", "));
  const [networks, setNetworks] = useState(draft.networks.join(", "));

  const day = parseDay(until);
  /** The expiry that there is, which stays as it is unless another is written, or the same day is chosen. */
  const [before] = useState(() => writtenExpiry(edited));
  const kept = isNewExpiry ? undefined : before;
  const isKept = edited?.expiresAt !== undefined && until === kept;
  const write = (text: string) => { setNewExpiry(false); setUntil(text); };
  const choose = (text: string) => { setNewExpiry(true); setUntil(text); };
  const nothing = chosen.size === 0 ? "Choose at least one method." : undefined;
  const wrong = (parameter: string) => wrongWith(parameter, error);
  const elsewhere = error && !["description", "expiresAt", "tokenTemplate", "apiList", "environments", "sourceNetworks"].some(wrong) ? error : undefined;

  const submit = submitting(() => {
    if ((until !== kept && expiryProblem(until, new Date()) !== undefined) || nothing !== undefined) setTries(tries + 1);
    else next({ description, until: day, isNewExpiry, chosen, set, environments: parts(environments), networks: parts(networks) });
  });
  const follow = (name: string) => {
    setSet(name);
    const set = sets.find((set) => set.name === name);
    if (set) setChosen(new Set(set.apiListItems.map(({ method }) => method)));
  };
  const pick = useCallback((change: (chosen: ReadonlySet<string>) => ReadonlySet<string>) => {
    setSet(CUSTOM);
    setChosen(change);
  }, []);
  const changing = methods.filter(({ method, isSafe }) => !isSafe && chosen.has(method)).length;
  return (
    <form ref={here} onSubmit={submit}>
      <Stack>
        {elsewhere && <Alert color="red" role="alert" title="It was not done">{sentence(elsewhere.message)}</Alert>}
        <TextInput label="Description" required maxLength={255} data-autofocus value={description} error={wrong("description")} onChange={(event) => setDescription(event.currentTarget.value)} />
        <Expiry text={until} kept={kept} write={write} choose={choose} tried={tries > 0} refused={wrong("expiresAt")} />
        {edited?.isExpired && !isKept && (until === "" || day) && (
          <Alert color="orange" role="status" title="It is good again with this">The token has expired. With another expiry its value works again, for whoever has it.</Alert>
        )}
        <NativeSelect
          label="API"
          description={set === CUSTOM ? "The methods that are checked, and no others later." : "The methods of the set, and what is added to it later."}
          value={set}
          data={[...sets.map(({ name }) => name).filter((name) => name !== CUSTOM), CUSTOM]}
          error={(tries > 0 ? nothing : undefined) ?? wrong("apiList") ?? wrong("tokenTemplate")}
          onChange={(event) => follow(event.currentTarget.value)}
        />
        <PermissionTree methods={methods} chosen={chosen} change={pick} />
        <TextInput label="Environments" description="Names or patterns such as staging-*, with commas between. Empty: all of yours." value={environments} error={wrong("environments")} onChange={(event) => setEnvironments(event.currentTarget.value)} />
        <TextInput label="Source networks" description="Addresses or networks such as 10.1.0.0/16, with commas between. Empty: any." value={networks} error={wrong("sourceNetworks")} onChange={(event) => setNetworks(event.currentTarget.value)} />
        <Text role="status">
          {powers({ methods: chosen.size, changing, ofAll: methods.length, environments: parts(environments), networks: parts(networks), until: day, ...(isKept && { time: keptTime(edited) }) })}
        </Text>
        {children}
        <Group justify="flex-end">
          <Button variant="default" onClick={cancel}>Cancel</Button>
          <Button type="submit">{label}</Button>
        </Group>
      </Stack>
    </form>
  );
}
