import { Alert, Button, Group, Stack, Text, Title } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { call } from "../api/client";
import { PasswordField } from "../ui/field";
import { useLate } from "../ui/notices";
import { sentence } from "../ui/sentence";
import { submitting } from "../ui/submit";
import { useLeadBack, wrongWith } from "../ui/wrong";

export function Password() {
  const [before, setBefore] = useState("");
  const [after, setAfter] = useState("");
  const [again, setAgain] = useState("");
  const late = useLate();
  const change = useMutation({
    mutationFn: () => call("/1.0/users/account/rest/changepassword", { password: before, newPassword: after }),
    onSuccess: () => { setAfter(""); setAgain(""); },
    onError: (error) => late.failed("Change the password", error),
    onSettled: () => setBefore(""),
  });
  const differs = again !== "" && again !== after ? "This is not the same." : undefined;
  const wrongBefore = wrongWith("password", change.error);
  const wrongAfter = wrongWith("newPassword", change.error);
  const [tries, setTries] = useState(0);
  const here = useLeadBack<HTMLFormElement>(differs === undefined ? change.error : tries);
  const submit = submitting(() => {
    if (again === after) change.mutate();
    else setTries(tries + 1);
  });
  return (
    <form ref={here} onSubmit={submit}>
      <Stack maw={420}>
        <Title order={2} size="h3">Password</Title>
        <Text>All of your other sessions end with the change. Tokens go on.</Text>
        {change.error && wrongBefore === undefined && wrongAfter === undefined && <Alert color="red" role="alert" title="It was not changed">{sentence(change.error.message)}</Alert>}
        {change.isSuccess && <Alert color="green" role="status">The password was changed, and all other sessions have ended.</Alert>}
        <PasswordField label="Present password" autoComplete="current-password" required data-again error={wrongBefore} value={before} onChange={(event) => setBefore(event.currentTarget.value)} />
        <PasswordField label="New password" autoComplete="new-password" required error={wrongAfter} value={after} onChange={(event) => setAfter(event.currentTarget.value)} />
        <PasswordField label="New password, again" autoComplete="new-password" required error={differs} value={again} onChange={(event) => setAgain(event.currentTarget.value)} />
        <Group><Button type="submit" loading={change.isPending}>Change</Button></Group>
      </Stack>
    </form>
  );
}
