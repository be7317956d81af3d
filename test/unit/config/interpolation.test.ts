import { expect, test } from "vitest";
import { interpolate, referencesOf } from "../../../src/config/interpolation.ts";

function value(raw: string, others: Record<string, string> = {}): unknown {
  return interpolate(raw, (key) => others[key]);
}

test.each(["a%b", "%", "a%", "%d", "100% sure", "%(open", "%()s", "%(x)d"])(
  "interpolate() takes a value with a lone %% as it is: %s",
  (raw) => {
    expect(value(raw)).toEqual({ value: raw, isAmbiguous: false });
  },
);

test("interpolate() tells when a value with a lone % also looks interpolated", () => {
  expect(value("a%%b%c")).toEqual({ value: "a%%b%c", isAmbiguous: true });
  expect(value("%(x)s%c", { x: "1" })).toEqual({ value: "%(x)s%c", isAmbiguous: true });
  expect(value("%(x)s", { x: "a%%b%c" })).toEqual({ value: "a%%b%c", isAmbiguous: true });
});

test("interpolate() replaces what a reference refers to, and its references", () => {
  expect(value("<%(a)s%%%(B)s>", { a: "1", b: "%(a)s2%%" })).toEqual({ value: "<1%12%>", isAmbiguous: false });
});

test("interpolate() names a reference to nothing", () => {
  expect(value("%(rooot)s/x")).toEqual({
    problem: 'it refers to "rooot", which is not set; a plain % is written %%',
  });
});

test("interpolate() ends on a loop", () => {
  const problem = "its %(key)s refer to one another without end";
  expect(value("%(a)s", { a: "%(a)s" })).toEqual({ problem });
  expect(value("%(a)s", { a: "%(b)s", b: "x%(a)s" })).toEqual({ problem });
});

test("referencesOf() finds keys in lower case", () => {
  expect(referencesOf("%(A)s %%b %(c d)s %(e)d")).toEqual(["a", "c d"]);
});
