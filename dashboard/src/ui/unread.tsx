import { Alert } from "@mantine/core";
import { isOutage } from "../api/client";
import { sentence } from "./sentence";

/** Why something cannot be read, or not be read anew; where that is an outage, it is tried again until it is over. */
export function Unread({ query: { failureReason: error }, title }: { query: { readonly failureReason: Error | null }; title: string }) {
  if (!error) return null;
  return <Alert color="orange" role="alert" title={title}>{sentence(error.message)}{isOutage(error) && " This page tries again by itself."}</Alert>;
}
