// SPDX-License-Identifier: Apache-2.0
// The page of one vector, whose id is in the address: program, demands, and what each runtime made of it.
"use strict";
(async () => {
  const { element } = window.bpf;
  const RFC = "https://www.rfc-editor.org/rfc/rfc9669.html";
  const FIRST_STATE = "!".charCodeAt(0);
  const MANY = 6;
  const SIGNS = { pass: "✓", fail: "✗", unsupported: "–", error: "!", "not-run": "○" };
  const WORDS = { pass: "pass", fail: "fail", unsupported: "not supported", error: "harness error", "not-run": "not run" };
  const LEVELS = {
    must: "RFC 9669 says so",
    interpretation: "RFC 9669 implies it",
    abi: "the calling convention, which RFC 9669 leaves to the platform",
    extension: "no part of RFC 9669",
    robustness: "undefined in RFC 9669; running it as another program, or dying, is wrong all the same",
  };
  const title = document.getElementById("title");
  const place = document.getElementById("vector");
  const crumbs = document.getElementById("crumbs");
  const fail = (error) => place.replaceChildren(element("p", {}, error.message));

  let index, texts;
  try {
    [index, texts] = await Promise.all([window.bpfLoad("index"), window.bpfLoad("texts")]);
  } catch (error) {
    fail(error);
    return;
  }
  const entries = new Map(index.entries.map((entry) => [entry.id, entry]));
  const idOf = (entry, at) => (entry.cases[at] === null ? entry.id : `${entry.id}/${entry.cases[at]}`);
  const stateOf = (entry, column, at) => index.states[entry.states[column].charCodeAt(at) - FIRST_STATE];

  // A vector's id is that of its entry, or that and a case.
  const find = (id) => {
    if (entries.has(id)) {
      const entry = entries.get(id);
      const failing = entry.cases.findIndex((_, at) => index.columns.some((_, column) => stateOf(entry, column, at).state === "fail"));
      return { entry, at: Math.max(0, failing) };
    }
    const slash = id.lastIndexOf("/");
    const entry = entries.get(id.slice(0, slash));
    const at = entry ? entry.cases.indexOf(id.slice(slash + 1)) : -1;
    return at < 0 ? null : { entry, at };
  };

  const NUMBER = /^0x[0-9a-f]+$/;
  const digits = (value) => value.slice(2).padStart(16, "0");
  // A number or bytes, with what differs from another marked.
  const marked = (value, other) => {
    if (!other || value === other) return [value];
    const number = NUMBER.test(value) && NUMBER.test(other);
    const [mine, theirs] = number ? [[...digits(value)], [...digits(other)]] : [value.split(" "), other.split(" ")];
    const parts = number ? ["0x"] : [];
    mine.forEach((piece, at) => {
      parts.push(piece === theirs[at] ? piece : element("mark", {}, piece), number ? "" : " ");
    });
    return parts;
  };
  const spaced = (bytes) => bytes.replace(/(..)(?=.)/g, "$1 ");
  const readable = (name, value) => (name.startsWith("memory") && !value.includes(" ") ? spaced(value) : value);

  const bitsOf = (value, other) => {
    const [mine, theirs] = [value, other].map((text) => BigInt(text).toString(2).padStart(64, "0"));
    return [...mine].flatMap((bit, at) => [at % 8 ? "" : " ", bit === theirs[at] ? bit : element("mark", {}, bit)]);
  };
  const bits = (label, name, want, got) => {
    const differing = [...(BigInt(want) ^ BigInt(got)).toString(2)].filter((bit) => bit === "1").length;
    return element("div", { class: "bits", tabindex: "0", role: "group", "aria-label": `Bits of ${name} on ${label}` },
      element("p", {}, element("strong", {}, `${name} on ${label}`), `: ${differing} bit${differing === 1 ? " differs" : "s differ"}, bit 63 is on the left`),
      element("div", {}, element("b", {}, "expected"), ...bitsOf(want, got)),
      element("div", {}, element("b", {}, "got"), ...bitsOf(got, want)));
  };

  const tag = (state) => element("span", { class: `tag ${state}` }, `${SIGNS[state]} ${WORDS[state]}`);

  const program = (data, subjects) => {
    if (!data.program) return element("p", {}, `A program of ${data.slots.toLocaleString("en-US")} slots, too long to be kept in results; the vector file has it.`);
    let slot = 0;
    const rows = data.program.map(([code, text, instruction]) => {
      const at = slot;
      slot += Math.max(1, code.length / 16);
      const name = instruction ? element("a", { href: `instructions/${instruction}.html`, title: instruction }, text) : text;
      return element("tr", subjects.includes(instruction) ? { class: "subject" } : {}, element("th", { scope: "row" }, String(at)), element("td", {}, name), element("td", { class: "bytes" }, spaced(code)));
    });
    const head = element("tr", {}, ...["slot", "assembly", "bytes, little-endian"].map((name) => element("th", { scope: "col" }, name)));
    const shown = [element("table", {}, element("caption", {}, "The program"), element("thead", {}, head), element("tbody", {}, ...rows))];
    if (data.slots) shown.push(element("p", {}, `… the beginning of ${data.slots.toLocaleString("en-US")} slots`));
    return element("div", { class: "program", tabindex: "0", role: "region", "aria-label": "Program" }, ...shown);
  };

  const inputs = (entry, data) => {
    const lines = [];
    const size = (text) => `${text.length / 2} byte${text.length === 2 ? "" : "s"}`;
    if (data.memory !== undefined) lines.push(["memory at r1", `${size(data.memory)}: ${spaced(data.memory)}`]);
    if (data.memory_big !== undefined) lines.push(["memory at r1, big-endian", spaced(data.memory_big)]);
    (data.maps || []).forEach((value, number) => lines.push([`map ${number}`, spaced(value)]));
    Object.entries(data.variables || {}).forEach(([number, value]) => lines.push([`variable ${number}`, spaced(value)]));
    (entry.helpers || []).forEach((text) => lines.push(["helper function", text]));
    return lines.length ? [element("h2", {}, "Inputs"), element("dl", {}, ...lines.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, element("code", {}, text))]))] : [];
  };

  const demands = (entry) => {
    const items = entry.covers.map((name) => {
      const item = texts.requirements[name];
      if (!item) return element("li", {}, element("code", {}, name), " (not among the requirements of this version)");
      const address = `${RFC}#${/^[A-Z]/.test(item.section) ? "appendix" : "section"}-${item.section}`;
      return element("li", {}, item.text, " ", element("small", {}, element("a", { href: `requirements/${name}.html` }, name), ", ", element("a", { href: address }, `RFC 9669 section ${item.section}`)));
    });
    const read = (entry.errata || []).filter((name) => texts.errata[name]).map((name) => element("li", {}, element("strong", {}, "How it is read here: "), texts.errata[name], " ", element("small", {}, name)));
    return [element("h2", {}, "What the RFC demands"), element("ul", { class: "demands" }, ...items, ...read)];
  };

  const expected = (expect) => {
    if (expect.outcome === "rejected") return "rejected";
    if (expect.outcome === "steady") return "rejected, stopped, or the same r0 each time";
    return expect.outcome === "faulted" ? `faulted (${expect.fault}) or rejected` : "returned";
  };
  // Many runtimes are easier to read one below the other.
  const transposed = (rows) => {
    const cells = rows.map((row) => [...row.children]);
    return cells[0].map((_, column) => {
      const row = cells.map((others) => others[column]);
      for (const heading of row.filter((one) => one.scope)) heading.scope = heading.scope === "row" ? "col" : "row";
      return element("tr", {}, ...row);
    });
  };
  const outcomes = (entry, at, data) => {
    const results = data.results || {};
    const differing = Object.values(results).flatMap((result) => (result.differences || []).map(([name]) => name));
    const names = [...new Set([...Object.keys(data.expect.values || {}), ...differing.filter((name) => name !== "outcome")])];
    const head = element("tr", {}, element("td"), element("th", { scope: "col" }, "expected"), ...index.columns.map((column) => element("th", { scope: "col" }, element("a", { href: `runtimes/${column.key}.html` }, column.label))));
    const states = index.columns.map((_, column) => stateOf(entry, column, at).state);
    const cell = (column, ...children) => element("td", { class: states[column] === "pass" ? null : states[column] }, ...children);
    const rows = [
      element("tr", {}, element("th", { scope: "row" }, "verdict"), element("td", { class: "expected" }), ...states.map((state) => element("td", {}, tag(state)))),
      element("tr", {}, element("th", { scope: "row" }, "outcome"), element("td", { class: "expected" }, expected(data.expect)),
        ...states.map((state, column) => cell(column, state === "pass" ? expected(data.expect) : (results[column] || {}).outcome || "none"))),
    ];
    const comparisons = [];
    for (const name of names) {
      const want = (data.expect.values || {})[name];
      const cells = index.columns.map((column, number) => {
        if (states[number] === "pass") return cell(number, want === undefined ? "as expected" : readable(name, want));
        const result = results[number] || {};
        const difference = (result.differences || []).find(([what]) => what === name);
        const [wanted, got] = difference ? difference.slice(1) : [want, (result.values || {})[name]];
        if (got === undefined) return cell(number, "");
        if (difference && NUMBER.test(wanted) && NUMBER.test(got)) comparisons.push(bits(column.label, name, wanted, got));
        return cell(number, ...marked(readable(name, got), wanted && readable(name, wanted)));
      });
      const shown = want === undefined ? (Object.values(results).flatMap((result) => result.differences || []).find(([what]) => what === name) || [])[1] : want;
      rows.push(element("tr", {}, element("th", { scope: "row" }, name), element("td", { class: "expected" }, readable(name, shown || "")), ...cells));
    }
    if (data.expect.witness) rows.push(element("tr", {}, element("th", { scope: "row" }, "r0 if it ran as another program"), element("td", { class: "expected" }, data.expect.witness), ...index.columns.map((_, number) => cell(number, ((results[number] || {}).values || {}).r0 || ""))));
    if (Object.keys(results).length) rows.push(element("tr", {}, element("th", { scope: "row" }, "said"), element("td", { class: "expected" }), ...index.columns.map((_, number) => element("td", { class: `said ${states[number] === "pass" ? "" : states[number]}` }, (results[number] || {}).reason || ""))));
    const [first, ...others] = index.columns.length > Math.max(MANY, rows.length) ? transposed([head, ...rows]) : [head, ...rows];
    const table = element("table", { class: "outcomes" }, element("caption", {}, "Expected and got, side by side"), element("thead", {}, first), element("tbody", {}, ...others));
    const big = data.expect_big ? [element("p", {}, "On big-endian runtimes the expectation is ", element("code", {}, Object.entries(data.expect_big.values || {}).map(([name, value]) => `${name} = ${readable(name, value)}`).join(", ")), ".")] : [];
    return [element("h2", {}, "Expected and got"), element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Expected and got" }, table), ...big, ...comparisons];
  };

  const cases = (entry, current) => {
    const link = (at) => {
      const signs = index.columns.map((column, number) => {
        const state = stateOf(entry, number, at).state;
        return element("span", { class: state, title: `${column.label}: ${WORDS[state]}` }, SIGNS[state]);
      });
      const text = index.columns.map((column, number) => `${column.label}: ${WORDS[stateOf(entry, number, at).state]}`).join(", ");
      const name = entry.cases[at] === null ? "the only case" : entry.cases[at];
      return element("li", {}, element("a", { href: `#${idOf(entry, at)}`, "aria-current": at === current ? "true" : null, "aria-label": `${name}; ${text}` }, element("span", {}, name), element("span", { class: "signs", "aria-hidden": "true" }, ...signs)));
    };
    return element("aside", { "aria-label": "Cases of this entry" }, element("h2", {}, `${entry.cases.length} cases`), element("p", {}, element("small", {}, `Signs: ${index.columns.map((column) => column.label).join(", ")}`)), element("ol", { class: "cases", tabindex: "0", "aria-label": "Cases" }, ...entry.cases.map((_, at) => link(at))));
  };

  const neighbours = (entry, at) => {
    if (at > 0) return { before: idOf(entry, at - 1), after: after(entry, at) };
    const number = index.entries.indexOf(entry);
    const previous = index.entries[number - 1];
    return { before: previous ? idOf(previous, previous.cases.length - 1) : null, after: after(entry, at) };
  };
  const after = (entry, at) => {
    if (at + 1 < entry.cases.length) return idOf(entry, at + 1);
    const next = index.entries[index.entries.indexOf(entry) + 1];
    return next ? idOf(next, 0) : null;
  };

  let around = {};
  const show = async () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = find(id);
    if (!target) {
      title.textContent = id || "No vector";
      fail(new Error("These results have no vector of this id: look for it in the list of vectors."));
      return;
    }
    const { entry, at } = target;
    const vector = idOf(entry, at);
    const data = (await window.bpfLoad(entry.data))[vector];
    const part = entry.parts[entry.part ? entry.part[at] : 0];
    around = neighbours(entry, at);
    title.textContent = vector;
    document.title = `${vector} · BPF conformance`;
    const sections = [...new Set(entry.covers.map((name) => name.split("-")[1]))];
    const way = [...sections.map((name) => [`sections/${name}.html`, `Section ${name}`]), ...part.instructions.slice(0, 4).map((name) => [`instructions/${name}.html`, name])];
    crumbs.replaceChildren(...way.flatMap(([href, name]) => [element("a", { href }, name), " "]));
    const meta = element("p", { class: "meta" },
      element("span", { class: "tag", title: LEVELS[entry.level] }, `${entry.level}${entry.extension ? ` ${entry.extension}` : ""}: ${LEVELS[entry.level]}`),
      ...part.groups.map((name) => element("a", { href: `groups/${name}.html` }, name)),
      element("small", {}, `${entry.place}, ${entry.method === "hand" ? "by hand" : "generated"}`));
    const pager = element("p", { class: "pager" }, ...[["before", "← previous"], ["after", "next →"]].filter(([key]) => around[key]).map(([key, text]) => element("a", { href: `#${around[key]}` }, text)));
    const article = element("article", {}, element("h2", {}, "Program"), program(data, part.instructions), ...inputs(entry, data), ...outcomes(entry, at, data), ...demands(entry), pager);
    const single = entry.cases.length === 1;
    place.replaceChildren(...(entry.what ? [element("p", { class: "point" }, `${entry.what[0].toUpperCase()}${entry.what.slice(1)}.`)] : []), meta, element("div", { class: single ? "vector single" : "vector" }, single ? null : cases(entry, at), article));
    place.querySelector(".cases [aria-current]")?.scrollIntoView({ block: "nearest" });
    place.dataset.shown = vector;
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    const next = { j: around.after, k: around.before }[event.key];
    if (next) location.hash = next;
  });
  addEventListener("hashchange", show);
  await show();
})();
