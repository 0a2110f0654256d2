import { createTheme, Input } from "@mantine/core";

export const theme = createTheme({
  primaryColor: "blue",
  primaryShade: { light: 8, dark: 8 },
  respectReducedMotion: true,
  cursorType: "pointer",
  // What is wrong with a field is heard when it is found, wherever the focus is.
  components: { InputWrapper: Input.Wrapper.extend({ defaultProps: { errorProps: { role: "alert" } } }) },
});
