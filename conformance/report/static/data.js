// SPDX-License-Identifier: Apache-2.0
// Loading data without a server: a file of data is a script that calls bpfData with deflated JSON in base64.
"use strict";
(() => {
  const ROOT = document.documentElement.dataset.root;
  const waiting = new Map();
  const unpack = (packed) => {
    const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).json();
  };
  window.bpfData = (name, packed) => waiting.get(name).resolve(unpack(packed));
  const loading = new Map();
  window.bpfLoad = (name) => {
    if (!loading.has(name)) {
      loading.set(
        name,
        new Promise((resolve, reject) => {
          waiting.set(name, { resolve });
          const script = document.createElement("script");
          script.src = `${ROOT}data/${name}.js`;
          script.onerror = () => reject(new Error(`data/${name}.js is missing: was the whole folder copied?`));
          document.head.append(script);
        }),
      );
    }
    return loading.get(name);
  };
})();
