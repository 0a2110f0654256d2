import { cleanup, configure } from "@testing-library/react";
import { afterEach } from "vitest";

// Of browsers, jsdom lacks what the library asks for when it is there: nothing is ever measured or preferred here.
const nothing = () => undefined;
window.matchMedia = (media) => Object.assign(new EventTarget(), { media, matches: false, onchange: null, addListener: nothing, removeListener: nothing });
window.ResizeObserver = class { observe = nothing; unobserve = nothing; disconnect = nothing; };

configure({ asyncUtilTimeout: 10_000 });
afterEach(cleanup);
