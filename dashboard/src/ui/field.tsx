import { PasswordInput, type PasswordInputProps } from "@mantine/core";

/** The library's field for a password, which does not say by itself, to those who hear the page, that it is wrong. */
export function PasswordField(props: PasswordInputProps & { "data-again"?: boolean; "data-autofocus"?: boolean }) {
  return <PasswordInput {...props} {...(props.error && { "aria-invalid": true })} />;
}
