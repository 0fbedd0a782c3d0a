// SPDX-License-Identifier: Apache-2.0
// Tables of results: cells, and the filters above a table that the page already has. Their state is in the address.
"use strict";
window.bpf = (() => {
  const STATES = ["pass", "fail", "unsupported", "error", "not-run"];
  const WORDS = ["passed", "failed", "not supported", "ended in an error of the harness", "not run"];
  const SMALLEST_SHARE = 5;
  const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
  const shown = (number) => number.toLocaleString("en-US");

  // How a cell looks and reads; tally.py says the same for pages as they are delivered.
  const kind = ([pass, fail, unsupported, error], total) => {
    if (fail) return "fail";
    if (error) return "error";
    if (pass) return pass === total ? "pass" : "part";
    return unsupported ? "unsupported" : "not-run";
  };
  const bar = ([, fail, unsupported, error, notRun], total) => {
    const share = (number) => (number ? Math.max(SMALLEST_SHARE, Math.floor((100 * number) / total)) : 0);
    const shares = [share(fail), share(error), share(unsupported + notRun)];
    const parts = ["--f", "--e", "--u"].map((name, index) => [name, shares[index]]).filter(([, value]) => value);
    return [["--p", Math.max(0, 100 - sum(shares))], ...parts].map(([name, value]) => `${name}:${value}%`).join(";");
  };

  const element = (name, properties = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (value !== null && value !== undefined) made.setAttribute(key, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  };

  // Write numbers, one for each of STATES, into a cell; link is where it leads if not all passed.
  const fill = (cell, counts, link = null) => {
    const total = sum(counts);
    const look = total ? kind(counts, total) : "empty";
    cell.className = `cell ${look}`;
    delete cell.dataset.f;
    if (counts[1]) cell.dataset.f = shown(counts[1]);
    const inner = total
      ? [element("b", {}, shown(counts[0])), element("i", {}, `/${shown(total)}`)]
      : [element("b", {}, "none")];
    if (look === "empty" || look === "pass") {
      cell.removeAttribute("style");
      cell.removeAttribute("title");
      cell.replaceChildren(...inner);
      return;
    }
    cell.setAttribute("style", bar(counts, total));
    cell.title = counts.map((number, at) => number && `${shown(number)} ${WORDS[at]}`).filter(Boolean).join(", ");
    cell.replaceChildren(...(link ? [element("a", { href: link }, ...inner)] : inner));
  };

  // "m120,3 r5" is 120 and 3 of the level that begins with m, 5 of that with r.
  const byLevel = (text) =>
    Object.fromEntries(
      (text ? text.split(" ") : []).map((part) => {
        const numbers = part.slice(1).split(",").map(Number);
        return [part[0], STATES.map((_, index) => numbers[index] || 0)];
      }),
    );

  // The state of a form as part of an address, and back. A group of boxes of which all are on needs no mention.
  const boxes = (form, name) => [...form.querySelectorAll(`input[type="checkbox"][name="${name}"]`)];
  const stateOf = (form) => {
    const state = new URLSearchParams();
    for (const control of form.elements) {
      if (control.tagName === "SELECT" || control.type === "search") {
        if (control.value) state.set(control.name, control.value);
      } else if (control.type === "checkbox" && control.name !== "levels" && control.checked) {
        state.set(control.name, "1");
      }
    }
    const levels = boxes(form, "levels");
    const on = levels.filter((box) => box.checked).map((box) => box.value);
    if (on.length < levels.length) state.set("levels", on.join(","));
    return state;
  };
  const restore = (form, state) => {
    for (const control of form.elements) {
      if (control.tagName === "SELECT" || control.type === "search") control.value = state.get(control.name) || "";
      else if (control.type === "checkbox" && control.name !== "levels") control.checked = state.has(control.name);
    }
    const levels = state.has("levels") ? state.get("levels").split(",") : null;
    for (const box of boxes(form, "levels")) box.checked = !levels || levels.includes(box.value);
  };
  const fromAddress = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const toAddress = (state) => {
    const text = state.toString().replaceAll("%2F", "/").replaceAll("%2C", ",");
    const hash = text ? `#${text}` : "";
    if (hash !== location.hash) history.replaceState(null, "", hash || location.pathname.split("/").pop());
  };

  // Which tables have to scroll, so that the headers of the others can stay at the top of the page.
  const frames = new ResizeObserver((changes) => {
    for (const frame of new Set(changes.map(({ target }) => target.closest(".scroll")))) {
      const wide = frame.scrollWidth > frame.clientWidth;
      frame.classList.toggle("wide", wide);
      frame.classList.toggle("fits", !wide);
    }
  });
  for (const table of document.querySelectorAll(".scroll > table.matrix")) {
    frames.observe(table);
    frames.observe(table.parentElement);
  }

  // "/" goes to the search.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.matches("input, select, textarea")) return;
    const search = document.querySelector('input[type="search"]');
    if (search) {
      event.preventDefault();
      search.focus();
    }
  });

  // Filters over a table of the page.
  const form = document.getElementById("filters");
  const table = document.querySelector("table.matrix");
  const apply = () => {
    const state = stateOf(form);
    const levels = boxes(form, "levels").filter((box) => box.checked).map((box) => box.value[0]);
    const words = (state.get("q") || "").toLowerCase().split(/\s+/).filter(Boolean);
    let seen = 0;
    for (const body of table.tBodies) {
      let open = 0;
      for (const row of body.rows) {
        if (row.classList.contains("heading")) continue;
        const cells = [...row.cells].slice(1);
        const counts = cells.map((cell) => {
          const all = byLevel(cell.dataset.n);
          return STATES.map((_, index) => sum(levels.map((level) => (all[level] || [])[index] || 0)));
        });
        const disagree = row.dataset.d.split(" ").some((part) => part && levels.includes(part[0]));
        const failing = counts.some(([, fail]) => fail);
        const text = row.cells[0].textContent.toLowerCase();
        row.hidden =
          !words.every((word) => text.includes(word)) ||
          (state.has("disagree") && !disagree) ||
          (state.has("failures") && !failing) ||
          Boolean(state.get("group") && !row.dataset.g.split(" ").includes(state.get("group"))) ||
          (levels.length < 5 && counts.every((numbers) => !sum(numbers)));
        if (row.hidden) continue;
        open += 1;
        cells.forEach((cell, index) => {
          const link = cell.dataset.href || cell.querySelector("a")?.getAttribute("href");
          if (link) cell.dataset.href = link;
          fill(cell, counts[index], link);
        });
      }
      body.hidden = !open;
      seen += open;
    }
    form.elements.shown.value = state.size ? `${seen} rows` : "";
  };
  if (form && table) {
    const changed = () => {
      toAddress(stateOf(form));
      apply();
    };
    for (const event of ["input", "change"]) form.addEventListener(event, changed);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(changed));
    const start = () => {
      restore(form, fromAddress());
      if (stateOf(form).size || form.dataset.used) apply();
      form.dataset.used = "1";
    };
    addEventListener("hashchange", start);
    start();
  }
  return { STATES, element, fill, kind, shown, stateOf, restore, fromAddress, toAddress };
})();
