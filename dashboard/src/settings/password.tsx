import { Alert, Button, Group, PasswordInput, Stack, Text, Title } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, call } from "../api/client";
import { useLate } from "../ui/notices";
import { submitting } from "../ui/submit";

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
  const wrong = change.error instanceof ApiError && change.error.failure.parameter === "newPassword" ? change.error.message : undefined;
  const submit = submitting(() => {
    if (again === after) change.mutate();
  });
  return (
    <form onSubmit={submit}>
      <Stack maw={420}>
        <Title order={2} size="h3">Password</Title>
        <Text>All of your other sessions end with the change. Tokens go on.</Text>
        {change.isError && !wrong && <Alert color="red" role="alert" title="It was not changed">{change.error.message}</Alert>}
        {change.isSuccess && <Alert color="green" role="status">The password was changed, and all other sessions have ended.</Alert>}
        <PasswordInput label="Present password" autoComplete="current-password" required value={before} onChange={(event) => setBefore(event.currentTarget.value)} />
        <PasswordInput label="New password" autoComplete="new-password" required error={wrong} value={after} onChange={(event) => setAfter(event.currentTarget.value)} />
        <PasswordInput label="New password, again" autoComplete="new-password" required error={differs} value={again} onChange={(event) => setAgain(event.currentTarget.value)} />
        <Group><Button type="submit" loading={change.isPending}>Change</Button></Group>
      </Stack>
    </form>
  );
}
