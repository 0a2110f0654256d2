import { Alert, Button, Group, Stack } from "@mantine/core";
import { useMergedRef } from "@mantine/hooks";
import { useState } from "react";
import { useAutofocus } from "./autofocus";
import { PasswordField } from "./field";
import { sentence } from "./sentence";
import { submitting } from "./submit";
import { useLeadBack, wrongWith } from "./wrong";

/** A password that is told once: nothing keeps it longer than the request that needs it. */
export type Secret = () => string;

function once(value: string): Secret {
  let held = value;
  return () => {
    const told = held;
    held = "";
    return told;
  };
}

interface Asked {
  /** What the password confirms. */
  readonly children: React.ReactNode;
  readonly label: string;
  readonly color?: string;
  readonly pending: boolean;
  readonly error: Error | null;
  readonly back: () => void;
  readonly confirm: (password: Secret) => void;
}

/** Asks for the password, which every change of tokens needs. A wrong one is told here, and the next can be tried. */
export function PasswordConfirmation({ children, label, color = "blue", pending, error, back, confirm }: Asked) {
  const here = useMergedRef(useAutofocus<HTMLFormElement>(), useLeadBack<HTMLFormElement>(error));
  const wrong = wrongWith("password", error);
  const [password, setPassword] = useState("");
  const submit = submitting(() => {
    confirm(once(password));
    setPassword("");
  });
  return (
    <form ref={here} onSubmit={submit}>
      <Stack>
        {children}
        {error && wrong === undefined && <Alert color="red" role="alert" title="It was not done">{sentence(error.message)}</Alert>}
        <PasswordField label="Your password" autoComplete="current-password" required data-autofocus data-again error={wrong} value={password} onChange={(event) => setPassword(event.currentTarget.value)} />
        <Group justify="flex-end">
          <Button variant="default" onClick={back} disabled={pending}>Back</Button>
          <Button type="submit" color={color} loading={pending}>{label}</Button>
        </Group>
      </Stack>
    </form>
  );
}
