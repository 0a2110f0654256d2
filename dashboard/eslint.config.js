import js from "@eslint/js";
import a11y from "eslint-plugin-jsx-a11y";
import hooks from "eslint-plugin-react-hooks";
import { defineConfig, globalIgnores } from "eslint/config";
import typescript from "typescript-eslint";

export default defineConfig(
  globalIgnores(["dist/", "src/api/schema.gen.ts"]),
  js.configs.recommended,
  {
    files: ["**/*.ts", "**/*.tsx"],
    extends: [typescript.configs.strictTypeChecked, typescript.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Numbers are read well as they are.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // An event's handler may be one expression.
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
    },
  },
  // In a test, what is not there fails it.
  { files: ["tests/**", "**/*.test.ts", "**/*.test.tsx"], rules: { "@typescript-eslint/no-non-null-assertion": "off" } },
  // Where a page is nothing but a form, its first field has the focus.
  { files: ["src/**/*.tsx"], extends: [a11y.flatConfigs.strict], rules: { "jsx-a11y/no-autofocus": ["error", { ignoreNonDOM: true }] } },
  { files: ["src/**/*.ts", "src/**/*.tsx"], extends: [hooks.configs.flat["recommended-latest"]] },
  { files: ["bench/**"], languageOptions: { globals: { document: false, fetch: false, performance: false, PerformanceObserver: false, process: false, requestAnimationFrame: false, setTimeout: false, URLSearchParams: false, window: false, console: false } } },
);
