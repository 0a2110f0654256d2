import { Alert, Button, Code, Group, List, Loader, Stack, Text, TextInput, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { QRCodeSVG } from "qrcode.react";
import { type ReactNode, useState } from "react";
import { call } from "../api/client";
import { PasswordField } from "../ui/field";
import { useLate } from "../ui/notices";
import { sentence } from "../ui/sentence";
import { submitting } from "../ui/submit";
import { Unread } from "../ui/unread";
import { useLeadBack, wrongWith } from "../ui/wrong";

export function TwoFactor() {
  const queries = useQueryClient();
  const status = useQuery({
    queryKey: ["two-factor"],
    queryFn: ({ signal }) => call("/1.0/users/account/rest/get2fastatus", {}, { signal }),
  });
  const [codes, setCodes] = useState<readonly string[]>();
  const changed = (codes?: readonly string[]) => {
    setCodes(codes);
    void queries.invalidateQueries({ queryKey: ["two-factor"] });
  };
  return (
    <Stack maw={520}>
      <Title order={2} size="h3">Two-factor authentication</Title>
      <Text>A sign-in then takes a code of an authenticator as well as the password. Tokens do without it.</Text>
      <Unread query={status} title="It is not known whether it is on" />
      {status.isPending && !status.failureReason && <Loader aria-label="Loading" />}
      {codes && <RecoveryCodes codes={codes} done={() => setCodes(undefined)} />}
      {status.data && !codes && (status.data.enabled ? <On left={status.data.recoveryCodesLeft} changed={changed} /> : <Off changed={changed} />)}
    </Stack>
  );
}

function RecoveryCodes({ codes, done }: { codes: readonly string[]; done: () => void }) {
  return (
    <Stack>
      <Alert color="orange" role="alert" title="Save these recovery codes now">Each stands once in place of a code, if you lose the authenticator. They are not shown again.</Alert>
      <List listStyleType="none" aria-label="Recovery codes">{codes.map((code) => <List.Item key={code}><Code>{code}</Code></List.Item>)}</List>
      <Group><Button variant="default" onClick={done}>I have saved them</Button></Group>
    </Stack>
  );
}

function Off({ changed }: { changed: (codes?: readonly string[]) => void }) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const late = useLate();
  const onError = (error: Error) => late.failed("Turn on two-factor authentication", error);
  const begin = useMutation({
    mutationFn: () => call("/1.0/users/account/rest/enable2fa", { password }),
    onError,
    onSettled: () => setPassword(""),
  });
  const confirm = useMutation({
    mutationFn: async () => (await call("/1.0/users/account/rest/confirm2fa", { code })).recoveryCodes,
    onSuccess: (codes) => { begin.reset(); changed(codes); },
    onError,
    onSettled: () => setCode(""),
  });
  if (!begin.data) {
    return (
      <Asked error={begin.error} submit={() => begin.mutate()} pending={begin.isPending} label="Set up">
        <Text>It is off.</Text>
        <PasswordField label="Your password" autoComplete="current-password" required data-again error={wrongWith("password", begin.error)} value={password} onChange={(event) => setPassword(event.currentTarget.value)} />
      </Asked>
    );
  }
  return (
    <Asked error={confirm.error} submit={() => confirm.mutate()} pending={confirm.isPending} label="Turn on">
      <Text>Scan this with an authenticator, or type the secret into it. Then type the code that it shows.</Text>
      <QRCodeSVG value={begin.data.uri} size={192} marginSize={4} title="The secret as a QR code" />
      <Text>Secret: <Code>{begin.data.secret}</Code></Text>
      <TextInput label="Code" autoComplete="one-time-code" inputMode="numeric" required data-again error={wrongWith("code", confirm.error)} value={code} onChange={(event) => setCode(event.currentTarget.value)} />
    </Asked>
  );
}

function On({ left, changed }: { left: number; changed: (codes?: readonly string[]) => void }) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const late = useLate();
  const forget = () => { setPassword(""); setCode(""); };
  const off = useMutation({
    mutationFn: () => call("/1.0/users/account/rest/disable2fa", { password, code }),
    onSuccess: () => changed(),
    onError: (error) => late.failed("Turn off two-factor authentication", error),
    onSettled: forget,
  });
  const renew = useMutation({
    mutationFn: async () => (await call("/1.0/users/account/rest/regeneraterecoverycodes", { password, code })).recoveryCodes,
    onSuccess: (codes) => changed(codes),
    onError: (error) => late.failed("Make new recovery codes", error),
    onSettled: forget,
  });
  // What was wrong with the one says nothing of the other.
  const error = off.error ?? renew.error;
  const turnOff = () => { renew.reset(); off.mutate(); };
  return (
    <Asked error={error} submit={() => { off.reset(); renew.mutate(); }} pending={renew.isPending} label="Make new recovery codes" more={<Button color="red" variant="default" loading={off.isPending} onClick={turnOff}>Turn off</Button>}>
      <Text>It is on. {left === 1 ? "1 recovery code is" : `${left} recovery codes are`} left.</Text>
      <PasswordField label="Your password" autoComplete="current-password" required data-again error={wrongWith("password", error)} value={password} onChange={(event) => setPassword(event.currentTarget.value)} />
      <TextInput label="Code" description="Of your authenticator, or a recovery code." autoComplete="one-time-code" required error={wrongWith("code", error)} value={code} onChange={(event) => setCode(event.currentTarget.value)} />
    </Asked>
  );
}

function Asked({ children, error, submit, pending, label, more }: { children: ReactNode; error: Error | null; submit: () => void; pending: boolean; label: string; more?: ReactNode }) {
  const here = useLeadBack<HTMLFormElement>(error);
  const isBesideField = wrongWith("password", error) !== undefined || wrongWith("code", error) !== undefined;
  return (
    <form ref={here} onSubmit={submitting(submit)}>
      <Stack>
        {error && !isBesideField && <Alert color="red" role="alert" title="It was not done">{sentence(error.message)}</Alert>}
        {children}
        <Group>
          <Button type="submit" loading={pending}>{label}</Button>
          {more}
        </Group>
      </Stack>
    </form>
  );
}
