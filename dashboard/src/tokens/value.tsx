import { Alert, Button, Code, Group, Stack, Text, TextInput } from "@mantine/core";
import { useClipboard } from "@mantine/hooks";
import { IconCheck, IconCopy, IconDownload } from "@tabler/icons-react";
import { useAutofocus } from "../ui/autofocus";

/** A token's value, this once: it is in no other place of the page, and gone with this. */
export function Value({ value, done }: { value: string; done: () => void }) {
  const here = useAutofocus<HTMLDivElement>();
  const clipboard = useClipboard();
  const { copied } = clipboard;
  const call = `curl -H 'Authorization: Bearer ${value}' '${window.location.origin}/1.0/users/authentication/rest/checksign'`;
  return (
    <Stack ref={here}>
      <Alert color="orange" role="alert" title="Save it now">Nobody, and no page, can show this value again. Whoever has it can use it.</Alert>
      <TextInput label="The token" readOnly value={value} styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }} onFocus={(event) => event.currentTarget.select()} data-autofocus />
      <Group>
        <Button onClick={() => clipboard.copy(value)} leftSection={copied ? <IconCheck size={16} aria-hidden /> : <IconCopy size={16} aria-hidden />}>{copied ? "Copied" : "Copy"}</Button>
        <Button variant="default" onClick={() => download(value)} leftSection={<IconDownload size={16} aria-hidden />}>Download</Button>
      </Group>
      {clipboard.error && <Alert color="red" role="alert" title="It was not copied">The browser does not let the page write to the clipboard. Select the token above and copy it, or download it.</Alert>}
      <Text size="sm">Try it:</Text>
      <Code block tabIndex={0} aria-label="A command that uses the token">{call}</Code>
      <Group justify="flex-end">
        <Button variant="default" onClick={done}>I have saved it</Button>
      </Group>
    </Stack>
  );
}

/** The value and nothing else, to the byte. */
function download(value: string): void {
  const url = URL.createObjectURL(new Blob([value], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = "portcullis-token.txt";
  link.click();
  URL.revokeObjectURL(url);
}
