import { Alert, Anchor, Divider, List, Loader, NativeSelect, Stack, Text } from "@mantine/core";
import { useState } from "react";
import type { ApiToken } from "../api/schema.gen";
import { call } from "../api/client";
import { Dialog } from "../ui/dialog";
import { PasswordConfirmation, type Secret } from "../ui/password";
import { Unread } from "../ui/unread";
import { changesOf, parameters } from "./changes";
import { useChange, useToken } from "./data";
import { type Draft, draftOf, TokenForm } from "./form";
import { Value } from "./value";

const CREATE = "/1.0/users/authentication/rest/createtoken";
const EDIT = "/1.0/users/authentication/rest/edittoken";
const REGENERATE = "/1.0/users/authentication/rest/regeneratetoken";
const DELETE = "/1.0/users/authentication/rest/deletetokens";

/** A value that was just made is to be seen once: it is passed on, and not kept by the request that has brought it. */
function valueOf(token: ApiToken | undefined): string {
  if (token?.key === undefined) throw new Error("The service has answered without the token's value.");
  return token.key;
}

/** Makes a token, perhaps one like another. */
export function Generate({ like, close }: { like: ApiToken | undefined; close: () => void }) {
  const [draft, setDraft] = useState(() => ({ ...draftOf(like), description: like ? `${like.description} (copy)` : "" }));
  const [asking, setAsking] = useState(false);
  const [value, setValue] = useState<string>();
  const make = useChange(`Generate “${draft.description}”`, async (password: Secret) => {
    const made = await call(CREATE, { ...parameters(draft), password: password() });
    setValue(valueOf(made.token));
  });
  if (value !== undefined) return <Dialog title="Access token" close={close} held><Value value={value} done={close} /></Dialog>;
  const wrong = make.error && !isPassword(make.error) ? make.error : null;
  return (
    <Dialog title={like ? "Copy access token" : "Generate access token"} close={close} held={make.isPending}>
      {asking && !wrong ? (
        <PasswordConfirmation label="Generate" pending={make.isPending} error={make.error} back={() => { make.reset(); setAsking(false); }} confirm={(password) => make.mutate(password)}>
          <Text>“{draft.description}” is made.</Text>
        </PasswordConfirmation>
      ) : (
        <TokenForm draft={draft} label="Generate" error={wrong} cancel={close} next={(draft) => { setDraft(draft); make.reset(); setAsking(true); }} />
      )}
    </Dialog>
  );
}

/** Changes a token, which is read anew before: what others have changed meanwhile stays. */
export function Edit({ id, close, tell }: { id: number; close: () => void; tell: (text: string) => void }) {
  const read = useToken(id);
  const token = read.data;
  if (token) return <EditOf token={token} close={close} tell={tell} />;
  return (
    <Dialog title="Edit access token" close={close}>
      {token === null && <Alert color="orange" role="alert">There is no such token any more.</Alert>}
      <Unread query={read} title="The token cannot be read" />
      {token === undefined && !read.failureReason && <Loader aria-label="Loading the token" />}
    </Dialog>
  );
}

function EditOf({ token, close, tell }: { token: ApiToken; close: () => void; tell: (text: string) => void }) {
  const [draft, setDraft] = useState<Draft>(() => draftOf(token));
  const [asking, setAsking] = useState<"edit" | "regenerate">();
  const [overlap, setOverlap] = useState(0);
  const [value, setValue] = useState<string>();
  const changes = changesOf(token, draft);
  const revives = token.isExpired && ("expiresAt" in changes || "neverExpires" in changes);
  const change = useChange(`${asking === "regenerate" ? "Regenerate" : "Edit"} “${token.description}”`, async (password: Secret) => {
    if (asking === "regenerate") {
      const made = await call(REGENERATE, { id: token.id, password: password(), ...(overlap > 0 && { overlapSeconds: overlap }) });
      setValue(valueOf(made.token));
      return;
    }
    const changed = await call(EDIT, { id: token.id, password: password(), ...changes });
    tell(`“${draft.description}” was changed: confirmed everywhere after ${milliseconds(changed.confirmationMicros)}.`);
    close();
  });
  if (value !== undefined) return <Dialog title="Access token" close={close} held><Value value={value} done={close} /></Dialog>;
  const wrong = change.error && !isPassword(change.error) ? change.error : null;
  const back = () => { change.reset(); setAsking(undefined); };
  const next = (draft: Draft) => {
    setDraft(draft);
    change.reset();
    if (Object.keys(changesOf(token, draft)).length > 0) {
      setAsking("edit");
    } else {
      tell(`“${token.description}” is as it was: nothing was changed.`);
      close();
    }
  };
  return (
    <Dialog title="Edit access token" close={close} held={change.isPending}>
      {asking && !(wrong && asking === "edit") ? (
        <PasswordConfirmation label={asking === "edit" ? "Save" : "Regenerate"} pending={change.isPending} error={change.error} back={back} confirm={(password) => change.mutate(password)}>
          {asking === "edit" ? (
            <>
              <Text>“{draft.description}” is changed. What is taken away counts from now on, everywhere.</Text>
              {revives && <Text fw={600}>It has expired. With its new expiry it is good again, with the value that it has.</Text>}
            </>
          ) : <Regeneration overlap={overlap} setOverlap={setOverlap} />}
        </PasswordConfirmation>
      ) : (
        <TokenForm draft={draft} edited={token} label="Save" error={wrong} cancel={close} next={next}>
          <Divider />
          <Text size="sm">
            Have you lost the value? <Anchor component="button" type="button" size="sm" onClick={() => { change.reset(); setAsking("regenerate"); }}>Generate a new one</Anchor>
          </Text>
        </TokenForm>
      )}
    </Dialog>
  );
}

const OVERLAPS = [["it ends at once", 0], ["it lives on for an hour", 3600], ["it lives on for a day", 86_400], ["it lives on for a week", 604_800]] as const;

function Regeneration({ overlap, setOverlap }: { overlap: number; setOverlap: (seconds: number) => void }) {
  return (
    <>
      <Text>The token gets a new value and stays as it is otherwise. Whatever uses the old value needs the new one.</Text>
      <NativeSelect
        label="The old value"
        value={String(overlap)}
        data={OVERLAPS.map(([label, seconds]) => ({ label, value: String(seconds) }))}
        onChange={(event) => setOverlap(Number(event.currentTarget.value))}
      />
    </>
  );
}

export function Remove({ tokens, close, tell }: { tokens: readonly ApiToken[]; close: () => void; tell: (text: string) => void }) {
  const remove = useChange(tokens.length === 1 ? `Remove “${tokens[0]?.description}”` : `Remove ${tokens.length} tokens`, async (password: Secret) => {
    const gone = await call(DELETE, { ids: tokens.map(({ id }) => id), password: password() });
    const what = tokens.length === 1 ? `“${tokens[0]?.description}” was removed` : `${tokens.length} tokens were removed`;
    tell(`${what}: confirmed everywhere after ${milliseconds(gone.confirmationMicros)}. No call is executed with ${tokens.length === 1 ? "it" : "them"} any more.`);
    close();
  });
  return (
    <Dialog title={tokens.length === 1 ? "Remove access token" : "Remove access tokens"} close={close} held={remove.isPending}>
      <PasswordConfirmation label="Remove" color="red" pending={remove.isPending} error={remove.error} back={close} confirm={(password) => remove.mutate(password)}>
        <Stack gap="xs">
          <Text>Whatever uses {tokens.length === 1 ? "this token" : "these tokens"} stops working:</Text>
          <List>{tokens.map(({ id, description }) => <List.Item key={id}>{description}</List.Item>)}</List>
        </Stack>
      </PasswordConfirmation>
    </Dialog>
  );
}

function milliseconds(micros: number): string {
  return `${new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 }).format(micros / 1000)} ms`;
}

/** What is wrong with the password, or with everything, stays where the password is asked for. */
function isPassword(error: Error): boolean {
  return !("failure" in error) || (error as { failure: { parameter?: string; result: number } }).failure.result !== 3;
}
