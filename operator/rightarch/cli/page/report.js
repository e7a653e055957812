"use strict";
(() => {
  const root = document.documentElement;
  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : window.matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  const body = document.querySelector("#workloads tbody");
  if (!body) return;
  const rows = [...body.rows];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const search = document.getElementById("search");
  const filters = [...document.querySelectorAll("[data-filter]")];
  const count = document.getElementById("count");
  const empty = document.getElementById("empty");

  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const off = new Set(filters.filter((f) => f.getAttribute("aria-pressed") === "false").map((f) => f.dataset.filter));
    let shown = 0;
    for (const row of rows) {
      const text = texts.get(row);
      row.hidden = off.has(row.dataset.verdict) || !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    count.textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")}`;
    empty.hidden = shown > 0;
  };
  search.addEventListener("input", show);
  for (const filter of filters) {
    filter.addEventListener("click", () => {
      filter.setAttribute("aria-pressed", String(filter.getAttribute("aria-pressed") === "false"));
      show();
    });
  }

  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim().toLowerCase() : Number(cell.dataset.value);
  };
  const heads = [...document.querySelectorAll("#workloads th")];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const numbers = head.classList.contains("num");
      const before = head.getAttribute("aria-sort");
      const down = before ? before === "ascending" : numbers;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keys = new Map(rows.map((row, index) => [row, [value(row, column), index]]));
      const sign = down ? -1 : 1;
      const sorted = [...rows].sort((a, b) => {
        const [x, i] = keys.get(a);
        const [y, j] = keys.get(b);
        return x < y ? -sign : x > y ? sign : i - j;
      });
      body.append(...sorted);
    });
  });

  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLInputElement;
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && event.target === search) {
      search.value = "";
      show();
    }
  });
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.hidden) {
      search.value = "";
      filters.forEach((filter) => filter.setAttribute("aria-pressed", "true"));
      show();
      target.scrollIntoView();
    }
    const folded = target && target.closest("details");
    if (folded) {
      folded.open = true;
      target.scrollIntoView();
    }
  };
  window.addEventListener("hashchange", reveal);
  const opened = [];
  window.addEventListener("beforeprint", () => {
    for (const folded of document.querySelectorAll("details:not([open])")) {
      folded.open = true;
      opened.push(folded);
    }
  });
  window.addEventListener("afterprint", () => {
    while (opened.length) opened.pop().open = false;
  });
  show();
  reveal();
})();
