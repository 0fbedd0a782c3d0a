// SPDX-License-Identifier: Apache-2.0
// Light or dark: as the system is, unless the reader has chosen. Runs before the page is drawn.
"use strict";
(() => {
  const NAMES = ["auto", "light", "dark"];
  const KEY = "bpf-isa-theme";
  let chosen = "auto";
  try {
    chosen = localStorage.getItem(KEY) || "auto";
  } catch {
    // Some browsers keep nothing for pages that are files; the choice then lasts for the page.
  }
  const apply = () => {
    document.documentElement.dataset.theme = chosen;
  };
  apply();
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const label = () => {
      button.textContent = `Theme: ${chosen}`;
    };
    label();
    button.addEventListener("click", () => {
      chosen = NAMES[(NAMES.indexOf(chosen) + 1) % NAMES.length];
      try {
        localStorage.setItem(KEY, chosen);
      } catch {
        // See above.
      }
      apply();
      label();
    });
  });
})();
