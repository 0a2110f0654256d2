import { Alert, Anchor, Button, Center, Paper, Stack, Text, TextInput, Title } from "@mantine/core";
import { useMutation, type UseMutationResult, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import { Link } from "wouter";
import { ApiError, call, isOutage } from "./api/client";
import { signedIn, useHasEnded } from "./session";
import { PasswordField } from "./ui/field";
import { sentence } from "./ui/sentence";
import { submitting } from "./ui/submit";
import { useLeadBack } from "./ui/wrong";

/** What was wrong, and after too many guesses how long the next one has to wait, until it may be made. */
function Problem({ error }: { error: Error }) {
  const wait = error instanceof ApiError ? error.failure.retryAfter : undefined;
  const [isOver, setOver] = useState(false);
  useEffect(() => {
    if (wait === undefined) return undefined;
    const timer = setTimeout(() => setOver(true), Number(wait) * 1000);
    return () => clearTimeout(timer);
  }, [wait]);
  // The API's own words say how long.
  const told = isOver ? "You can try again now." : sentence(error.message);
  return <Alert color="red" variant="light" role="alert" title="Not signed in">{told}{isOutage(error) && " Try again in a moment."}</Alert>;
}

/** Whether what was typed is wrong, and not the service: the alert above the fields says what. */
function isWrong(error: Error | null): boolean {
  return error !== null && !isOutage(error);
}

export function SignIn() {
  const [waiting, setWaiting] = useState(false);
  const hasEnded = useHasEnded();
  return (
    <Center component="main" mih="100vh" p="md">
      <Paper withBorder p="xl" radius="md" w="100%" maw={400}>
        {hasEnded && !waiting && <Alert color="orange" role="status" mb="md" title="Your session has ended">Sign in again to go on where you were.</Alert>}
        {waiting ? <SecondFactor onBack={() => setWaiting(false)} /> : <Password onSecondFactor={() => setWaiting(true)} />}
        <Text size="sm" mt="md"><Anchor component={Link} href="/docs" size="sm">API reference</Anchor></Text>
      </Paper>
    </Center>
  );
}

/** Signed in is who the cookie says: over plain HTTP browsers keep none. */
function useSignedIn() {
  const queries = useQueryClient();
  return async () => {
    try {
      signedIn(queries, await call("/1.0/users/account/rest/getuserinfo", {}));
    } catch (error) {
      const lost = error instanceof ApiError && error.isSignedOut && window.location.protocol === "http:";
      throw lost ? new Error("The browser did not keep the session: this page has to be opened by HTTPS.") : error;
    }
  };
}

function Password({ onSecondFactor }: { onSecondFactor: () => void }) {
  const enter = useSignedIn();
  const [login, setLogin] = useState("");
  const [password, setPassword] = useState("");
  const attempt = useMutation({
    mutationFn: async () => {
      const answer = await call("/1.0/users/authentication/rest/signin", { login, password }, { keepSession: true });
      if (answer.isTwoFactorRequired) onSecondFactor();
      else await enter();
    },
    onSettled: () => setPassword(""),
  });
  return (
    <Attempt title="Portcullis" attempt={attempt} label="Sign in">
      <Text>Sign in to your environments and tokens.</Text>
      <TextInput label="Login" autoComplete="username" required autoFocus value={login} onChange={(event) => setLogin(event.currentTarget.value)} />
      <PasswordField label="Password" autoComplete="current-password" required data-again error={isWrong(attempt.error)} value={password} onChange={(event) => setPassword(event.currentTarget.value)} />
    </Attempt>
  );
}

function SecondFactor({ onBack }: { onBack: () => void }) {
  const enter = useSignedIn();
  const [code, setCode] = useState("");
  const attempt = useMutation({
    mutationFn: async () => {
      // The session is in the cookie.
      await call("/1.0/users/authentication/rest/verify2facode", { code, session: "" }, { keepSession: true });
      await enter();
    },
    onError: (error) => {
      // The five minutes are over.
      if (error instanceof ApiError && error.isSignedOut) onBack();
    },
    onSettled: () => setCode(""),
  });
  return (
    <Attempt title="Second factor" attempt={attempt} label="Verify" more={<Button variant="default" onClick={onBack}>Sign in with another account</Button>}>
      <TextInput
        label="Code"
        description="The six digits that your authenticator shows, or one of your recovery codes."
        autoComplete="one-time-code"
        required
        autoFocus
        data-again
        error={isWrong(attempt.error)}
        value={code}
        onChange={(event) => setCode(event.currentTarget.value)}
      />
    </Attempt>
  );
}

interface Asked {
  readonly title: string;
  readonly attempt: UseMutationResult<void, Error, void>;
  readonly label: string;
  readonly more?: ReactNode;
  readonly children: ReactNode;
}

/** What is asked for, what was wrong with it, and the button that tries it. */
function Attempt({ title, attempt, label, more, children }: Asked) {
  const here = useLeadBack<HTMLFormElement>(attempt.error);
  return (
    <form ref={here} onSubmit={submitting(() => attempt.mutate())}>
      <Stack>
        <Title order={1} size="h2">{title}</Title>
        {attempt.error && <Problem key={attempt.submittedAt} error={attempt.error} />}
        {children}
        <Button type="submit" loading={attempt.isPending}>{label}</Button>
        {more}
      </Stack>
    </form>
  );
}
