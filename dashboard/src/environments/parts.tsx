import { Alert, Badge, Loader } from "@mantine/core";
import { Unreachable } from "../api/client";
import { sentence } from "../ui/sentence";
import { status } from "./status";

export function StatusBadge({ number }: { number: number }) {
  const { word, color, isBusy } = status(number);
  return <Badge color={color} variant="dot" tt="none" fw={500} {...(isBusy && { rightSection: <Loader size={10} aria-hidden /> })}>{word}</Badge>;
}

/** Why what is shown may not be what is. */
export function Trouble({ trouble }: { trouble: Error | undefined }) {
  if (!trouble) return null;
  const isSilent = trouble instanceof Unreachable;
  return (
    <Alert color="orange" role="status" title={isSilent ? "The service does not answer" : "Not up to date"}>
      {!isSilent && `${sentence(trouble.message)} `}What is shown was seen last, and goes on by itself.
    </Alert>
  );
}
