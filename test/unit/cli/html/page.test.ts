import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { html } from "../../../../src/cli/html/html.ts";
import { reportPage } from "../../../../src/cli/html/page.ts";
import { Browser, hasBrowser } from "../../../support/browser.ts";
import { sampleFleet } from "../../../support/fleet.ts";
import { tagsOf } from "../../../support/markup.ts";

const NOW = new Date(2026, 4, 21, 17, 0, 2);

function page(hosts: number, copies: number): string {
  const facts = { hosts: sampleFleet(hosts, copies, NOW), destination: "s3://b/<prefix>", now: NOW };
  return reportPage({ ...facts, redact: (text) => text.replaceAll("hunter22", "[hidden]") });
}

describe("reportPage()", () => {
  test("of 40 hosts with 400 copies each is small, and quick to make", () => {
    const hosts = sampleFleet(40, 400, NOW);
    const startedAt = performance.now();
    const text = reportPage({ hosts, destination: "s3://b", now: NOW, redact: (each) => each });
    expect(performance.now() - startedAt).toBeLessThan(3000);
    expect(Buffer.byteLength(text)).toBeLessThan(3_000_000);
    const tags = tagsOf(text);
    expect(tags.filter(({ name }) => name === "details")).toHaveLength(40);
    const hosted = new Set(
      tags.filter(({ name }) => name === "tr").flatMap(({ attributes }) => attributes["data-host"] ?? []),
    );
    expect(hosted.size).toBe(40);
  });

  test("is well-formed, loads nothing, and runs nothing but its own script", () => {
    const text = page(9, 80);
    const tags = tagsOf(text);
    const names = new Set(tags.map(({ name }) => name));
    for (const name of ["link", "img", "iframe", "object", "embed", "base", "form"]) expect(names).not.toContain(name);
    expect(tags.filter(({ name }) => name === "script")).toHaveLength(1);
    const attributes = tags.flatMap((tag) => Object.keys(tag.attributes));
    expect(attributes.filter((name) => /^(?:on|src|style$|srcset|xlink)/.test(name))).toEqual([]);
    const links = tags.flatMap(({ attributes }) => attributes["href"] ?? []);
    const ids = new Set(tags.flatMap(({ attributes }) => attributes["id"] ?? []));
    expect(links.length).toBeGreaterThan(9);
    for (const link of links) expect(ids).toContain(link.slice(1));
    expect(text).not.toMatch(/url\(|@import|https?:/);
  });

  test("allows its style and its script by their hashes, and nothing else", () => {
    const text = page(3, 20);
    const policy = tagsOf(text).find(({ attributes }) => attributes["http-equiv"])?.attributes["content"] ?? "";
    expect(policy).toMatch(/^default-src 'none'; /);
    for (const name of ["style", "script"]) {
      const [, content = ""] = new RegExp(`<${name}>([^]*?)</${name}>`).exec(text) ?? [];
      expect(policy).toContain(`${name}-src 'sha256-${createHash("sha256").update(content).digest("base64")}'`);
    }
  });

  test("shows names that want to be markup, and hides secrets", () => {
    const hosts = sampleFleet(3, 40, NOW);
    const facts = {
      hosts,
      destination: "s3://hunter22",
      now: NOW,
      redact: (text: string) => text.replaceAll("hunter22", "[hidden]"),
    };
    const text = reportPage(facts);
    expect(text).not.toContain("<script>alert");
    expect(text).not.toContain("<b>cut</b>");
    expect(text).toContain("&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;&#39;");
    expect(text).not.toContain("hunter22");
    expect(text).toContain("s3://[hidden]");
  });

  test("of nothing says so", () => {
    const text = reportPage({ hosts: [], destination: "/b", now: NOW, redact: (each) => each });
    expect(text).toContain("There are no copies.");
    expect(tagsOf(text).some(({ name }) => name === "table")).toBe(false);
  });

  test.skipIf(!hasBrowser())("sorts, filters and unfolds in a browser that keeps to its policy", async () => {
    const root = mkdtempSync(join(tmpdir(), "twindb-report-"));
    try {
      const file = join(root, "report.html");
      writeFileSync(file, page(9, 80));
      await using browser = await Browser.open(file);
      const shown = (column: number) =>
        browser.evaluate(
          `[...document.querySelectorAll(".fleet tbody tr")].filter((row) => row.offsetHeight > 0).map((row) => row.cells[${column}].dataset.v ?? row.cells[${column}].innerText)`,
        );
      const sizes = async () => ((await shown(4)) as string[]).filter((text) => text !== "").map(Number);
      expect(await browser.evaluate(`getComputedStyle(document.querySelector(".tile")).borderRadius`)).toBe("10px");
      await browser.evaluate(
        `[...document.querySelectorAll("th button")].find((each) => each.innerText === "Size").click()`,
      );
      expect(await sizes()).toEqual((await sizes()).toSorted((left, right) => left - right));
      await browser.evaluate(`document.querySelector("th[aria-sort] button").click()`);
      expect(await sizes()).toEqual((await sizes()).toSorted((left, right) => right - left));
      expect((await sizes()).length).toBeGreaterThan(15);
      await browser.evaluate(
        `{ const search = document.querySelector("input[type=search]"); search.value = "DB04"; search.dispatchEvent(new Event("input")); }`,
      );
      expect(new Set((await shown(0)) as string[])).toEqual(new Set(["db04.example.com"]));
      await browser.evaluate(`document.querySelector("input[type=checkbox]").click()`);
      expect(await shown(2)).toEqual(["late", "late"]);
      await browser.evaluate(`document.querySelector(".fleet tbody tr:not([hidden]) a").click()`);
      await expect
        .poll(() => browser.evaluate(`document.querySelector("details[open] summary").innerText`))
        .toMatch(/^db04/);
      expect(await browser.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
});

test("html`` escapes every text, in lists too, and no markup twice", () => {
  const inner = html`<b>${"<&>"}</b>`;
  expect(html`<p title="${`"'`}">${inner}${["a<", html`<i>${1}</i>`]}${undefined}</p>`.text).toBe(
    '<p title="&quot;&#39;"><b>&lt;&amp;&gt;</b>a&lt;<i>1</i></p>',
  );
  expect(html`${"\u0000\ud800x"}`.text).toBe("\uFFFD\uFFFDx");
});
