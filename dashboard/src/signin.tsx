import { Alert, Button, Center, Paper, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ApiError, call } from "./api/client";

/** What a wrong guess is told, and how long the next one has to wait. */
function words(error: Error): string {
  if (!(error instanceof ApiError)) return `${error.message} Try again in a moment.`;
  const wait = error.failure.retryAfter;
  return wait === undefined ? sentence(error.message) : `${sentence(error.message)} Try again in ${wait} s.`;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1) + (text.endsWith(".") ? "" : ".");
}

export function SignIn() {
  const [waiting, setWaiting] = useState(false);
  return (
    <Center component="main" mih="100vh" p="md">
      <Paper withBorder p="xl" radius="md" w="100%" maw={400}>
        {waiting ? <SecondFactor onBack={() => setWaiting(false)} /> : <Password onSecondFactor={() => setWaiting(true)} />}
      </Paper>
    </Center>
  );
}

/** Signed in is who the cookie says: over plain HTTP browsers keep none. */
function useSignedIn() {
  const queries = useQueryClient();
  return async () => {
    try {
      queries.setQueryData(["user"], await call("/1.0/users/account/rest/getuserinfo", {}));
    } catch (error) {
      const lost = error instanceof ApiError && error.isSignedOut && window.location.protocol === "http:";
      throw lost ? new Error("The browser did not keep the session: this page has to be opened by HTTPS.") : error;
    }
  };
}

function Password({ onSecondFactor }: { onSecondFactor: () => void }) {
  const signedIn = useSignedIn();
  const [login, setLogin] = useState("");
  const [password, setPassword] = useState("");
  const attempt = useMutation({
    mutationFn: async () => {
      const answer = await call("/1.0/users/authentication/rest/signin", { login, password }, { keepSession: true });
      if (answer.isTwoFactorRequired) onSecondFactor();
      else await signedIn();
    },
    onSettled: () => setPassword(""),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    attempt.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <Title order={1} size="h2">Portcullis</Title>
        <Text>Sign in to your environments and tokens.</Text>
        <Problem error={attempt.error} />
        <TextInput label="Login" autoComplete="username" required autoFocus value={login} onChange={(event) => setLogin(event.currentTarget.value)} />
        <PasswordInput label="Password" autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.currentTarget.value)} />
        <Button type="submit" loading={attempt.isPending}>Sign in</Button>
      </Stack>
    </form>
  );
}

function SecondFactor({ onBack }: { onBack: () => void }) {
  const signedIn = useSignedIn();
  const [code, setCode] = useState("");
  const attempt = useMutation({
    mutationFn: async () => {
      // The session is in the cookie.
      await call("/1.0/users/authentication/rest/verify2facode", { code, session: "" }, { keepSession: true });
      await signedIn();
    },
    onError: (error) => {
      // The five minutes are over.
      if (error instanceof ApiError && error.isSignedOut) onBack();
    },
    onSettled: () => setCode(""),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    attempt.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <Title order={1} size="h2">Second factor</Title>
        <Problem error={attempt.error} />
        <TextInput
          label="Code"
          description="The six digits that your authenticator shows, or one of your recovery codes."
          autoComplete="one-time-code"
          required
          autoFocus
          value={code}
          onChange={(event) => setCode(event.currentTarget.value)}
        />
        <Button type="submit" loading={attempt.isPending}>Verify</Button>
        <Button variant="default" onClick={onBack}>Sign in with another account</Button>
      </Stack>
    </form>
  );
}

function Problem({ error }: { error: Error | null }) {
  if (!error) return null;
  return <Alert color="red" variant="light" role="alert" title="Not signed in">{words(error)}</Alert>;
}
