import { useEffect, useRef } from "react";
import { ApiError } from "../api/client";
import { sentence } from "./sentence";

/** What the API says is wrong with a parameter, for the field that it is written in. */
export function wrongWith(parameter: string, error: Error | null): string | undefined {
  return error instanceof ApiError && error.failure.parameter === parameter ? sentence(error.message) : undefined;
}

/**
 * Leads to the first field of a form that is wrong, or the one to be filled in again, whenever something was found: a click
 * on the button has taken the focus away. The field says what is wrong with it.
 */
export function useLeadBack<E extends HTMLElement>(found: unknown) {
  const form = useRef<E>(null);
  useEffect(() => {
    if (!found) return;
    const field = form.current?.querySelector<HTMLElement>('[aria-invalid="true"]') ?? form.current?.querySelector<HTMLElement>("[data-again]");
    field?.focus();
  }, [found]);
  return form;
}
