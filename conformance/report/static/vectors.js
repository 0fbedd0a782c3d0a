// SPDX-License-Identifier: Apache-2.0
// The list of vectors: filters, search, and the results of the vectors that they leave.
"use strict";
(async () => {
  const { STATES, element, fill, shown, stateOf, restore, fromAddress, toAddress } = window.bpf;
  const ROOT = document.documentElement.dataset.root;
  const PAGE = 100;
  const FIRST_STATE = "!".charCodeAt(0);
  const section = document.querySelector(".explorer");
  const preset = JSON.parse(section.dataset.preset);
  const form = document.getElementById("vector-filters");
  const found = document.getElementById("found");
  const chips = document.getElementById("chips");
  const body = document.querySelector("#vectors tbody");
  const more = document.getElementById("more");
  // What only links ask for on this page: there is no control for it, but a chip that takes it away.
  const EXTRAS = ["requirement", "instruction", "reason", "group", "section", "levels"].filter((name) => !form.elements[name]);
  let extras = {};

  const index = await window.bpfLoad("index").catch((error) => {
    found.textContent = error.message;
    throw error;
  });
  for (const entry of index.entries) {
    entry.text = `${entry.id} ${entry.what}`.toLowerCase();
    entry.sections = entry.covers.map((name) => name.split("-")[1]);
  }

  const wanted = () => {
    const state = stateOf(form);
    for (const [name, value] of Object.entries({ ...extras, ...preset })) state.set(name, value);
    return state;
  };

  // The cases of an entry that a state of the filters leaves, with the numbers of each column.
  const inSection = (name, section) => name === section || name.startsWith(`${section}.`);
  const partFits = (part, state) =>
    (!state.get("group") || part.groups.includes(state.get("group"))) &&
    (!state.get("instruction") || state.get("instruction").split(",").some((name) => part.instructions.includes(name)));
  const entryFits = (entry, state) =>
    (!state.has("levels") || state.get("levels").split(",").includes(entry.level)) &&
    (!state.get("requirement") || entry.covers.includes(state.get("requirement"))) &&
    (!state.get("section") || entry.sections.some((name) => inSection(name, state.get("section"))));

  const search = (state) => {
    const words = (state.get("q") || "").toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = index.columns.findIndex((column) => column.key === state.get("runtime"));
    const columns = index.columns.map((_, at) => at);
    const looked = chosen < 0 ? columns : [chosen];
    const verdict = state.get("verdict");
    const reason = state.get("reason");
    const disagree = state.has("disagree");
    const results = [];
    for (const entry of index.entries) {
      if (!entryFits(entry, state)) continue;
      const fits = entry.parts.map((part) => partFits(part, state));
      if (!fits.some(Boolean)) continue;
      const missing = words.filter((word) => !entry.text.includes(word));
      const counts = columns.map(() => STATES.map(() => 0));
      const cases = [];
      for (let at = 0; at < entry.cases.length; at += 1) {
        if (!fits[entry.part ? entry.part[at] : 0]) continue;
        if (missing.length) {
          const id = `${entry.id}/${entry.cases[at] || ""}`.toLowerCase();
          if (!missing.every((word) => id.includes(word))) continue;
        }
        const states = entry.states.map((row) => index.states[row.charCodeAt(at) - FIRST_STATE]);
        if (verdict && !looked.some((column) => states[column].state === verdict && (!reason || states[column].word === reason))) continue;
        if (disagree && !(states.some((one) => one.state === "pass") && states.some((one) => one.state === "fail"))) continue;
        cases.push(at);
        for (const column of columns) counts[column][STATES.indexOf(states[column].state)] += 1;
      }
      if (cases.length) results.push({ entry, cases, counts });
    }
    return results;
  };

  const row = ({ entry, cases, counts }) => {
    const id = (at) => (entry.cases[at] === null ? entry.id : `${entry.id}/${entry.cases[at]}`);
    const part = cases.length < entry.cases.length;
    const link = `${ROOT}vector.html#${id(cases[0])}`;
    const number = part ? `${cases.length} of ${entry.cases.length} cases` : cases.length > 1 ? `${cases.length} cases` : "";
    const about = [entry.what, entry.level === "must" ? "" : entry.level, number].filter(Boolean).join(" · ");
    const made = element("tr", {}, element("th", { scope: "row" }, element("a", { href: link }, part ? id(cases[0]) : entry.id), element("small", {}, about)));
    counts.forEach((numbers, column) => {
      const cell = element("td");
      const failing = cases.find((at) => index.states[entry.states[column].charCodeAt(at) - FIRST_STATE].state !== "pass");
      fill(cell, numbers, failing === undefined ? null : `${ROOT}vector.html#${id(failing)}`);
      made.append(cell);
    });
    return made;
  };

  let results = [];
  let drawn = 0;
  const draw = () => {
    body.append(...results.slice(drawn, drawn + PAGE).map(row));
    drawn = Math.min(results.length, drawn + PAGE);
    more.hidden = drawn === results.length;
    more.textContent = `Show ${Math.min(PAGE, results.length - drawn)} more of ${shown(results.length - drawn)} entries`;
  };

  const chip = (name, value) => {
    const button = element("button", { type: "button", "aria-label": `Remove the filter ${name}` }, `${name}: ${value} ✕`);
    button.addEventListener("click", () => {
      delete extras[name];
      changed();
    });
    return element("li", {}, button);
  };

  const apply = () => {
    chips.replaceChildren(...Object.entries(extras).map(([name, value]) => chip(name, value)));
    results = search(wanted());
    drawn = 0;
    body.replaceChildren();
    const number = results.reduce((total, { cases }) => total + cases.length, 0);
    found.textContent = number
      ? `${shown(number)} vector${number === 1 ? "" : "s"} in ${shown(results.length)} entr${results.length === 1 ? "y" : "ies"}`
      : "No vector is left: take a filter away.";
    if (number) {
      const total = element("tr", {}, element("th", { scope: "row" }, "All of these"));
      index.columns.forEach((_, column) => {
        const cell = element("td");
        fill(cell, STATES.map((_, state) => results.reduce((sum, { counts }) => sum + counts[column][state], 0)));
        total.append(cell);
      });
      body.append(total);
    }
    draw();
    section.dataset.ready = "1";
  };

  const changed = () => {
    const state = stateOf(form);
    for (const [name, value] of Object.entries(extras)) state.set(name, value);
    toAddress(state);
    apply();
  };
  const start = () => {
    const state = fromAddress();
    restore(form, state);
    extras = Object.fromEntries(EXTRAS.filter((name) => state.has(name) && !(name in preset)).map((name) => [name, state.get(name)]));
    apply();
  };
  let timer = 0;
  for (const kind of ["input", "change"]) {
    form.addEventListener(kind, (event) => {
      clearTimeout(timer);
      timer = setTimeout(changed, event.target.type === "search" ? 120 : 0);
    });
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => {
    extras = {};
    setTimeout(changed);
  });
  more.addEventListener("click", draw);
  addEventListener("hashchange", () => {
    start();
    if (location.hash.includes("=")) section.scrollIntoView();
  });
  start();
})();
