/* What the page can do besides being read. It shows what Python wrote and computes no figure: texts are chosen, rows
   are sorted, filtered and paged, numbers go from the page's JSON into files as they are. Without it all is there. */
(() => {
  "use strict";
  const ROWS_AT_ONCE = 50, MOST_PRINTED = 2000, CHOICES_AT_MOST = 60, THEME = "loopmark-theme";
  const root = document.documentElement;
  root.classList.add("js");

  /* --- the theme: the reader's system's, or the one chosen here, which is kept where the browser lets us */
  const kept = () => { try { return localStorage.getItem(THEME) || ""; } catch { return ""; } };
  const keep = (theme) => { try { localStorage.setItem(THEME, theme); } catch { /* it holds for this visit */ } };
  const setTheme = (theme) => { if (theme) root.dataset.theme = theme; else delete root.dataset.theme; };
  setTheme(kept());

  const make = (tag, attributes = {}, ...inside) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes))
      name.startsWith("on") ? made.addEventListener(name.slice(2), value) : made.setAttribute(name, value);
    made.append(...inside);
    return made;
  };

  const themeSwitch = () => {
    const named = { "": "as the system", dark: "dark", light: "light" }, order = ["", "dark", "light"];
    const button = make("button", { type: "button", class: "theme", onclick: () => {
      const next = order[(order.indexOf(root.dataset.theme || "") + 1) % order.length];
      setTheme(next); keep(next); say();
    } });
    const say = () => { button.textContent = `Theme: ${named[root.dataset.theme || ""]}`; };
    say();
    document.querySelector("main").prepend(button);
  };

  /* --- the figures, which are compressed where they are long */
  let text;
  const figuresText = () => text ??= (async () => {
    const element = document.getElementById("figures");
    if (element.dataset.encoding !== "deflate") return element.textContent;
    const bytes = Uint8Array.from(atob(element.textContent.trim()), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
  })();
  let byId;
  const cellsById = () => byId ??= figuresText().then((read) => new Map(JSON.parse(read).cells.map((one) => [one.id, one])));
  const follow = (value, path) => path.split("/").slice(1).reduce((at, name) => at?.[name], value);
  const estimate = (value) => (value !== null && typeof value === "object" ? value.estimate : value);

  /* --- your step: the choice of Python's that is nearest */
  const yourStep = () => {
    const data = document.getElementById("steps");
    if (!data) return;
    const { choices, costs, near, outside, said: plainly, start } = JSON.parse(data.textContent);
    const field = document.getElementById("step-field"), slider = document.getElementById("step-slider");
    const said = document.getElementById("step-said"), line = document.getElementById("step-line");
    const sentences = costs.map((cost) => document.querySelector(`[data-figure="headlines/${cost}"]`));
    const dots = costs.map((_, number) => document.getElementById(`step-dot-${number}`));
    const show = (index, note) => {
      const chosen = choices[index];
      sentences.forEach((one, number) => { if (one) one.textContent = chosen.sentences[number]; });
      line.setAttribute("x1", chosen.x);
      line.setAttribute("x2", chosen.x);
      dots.forEach((dot, number) => {
        const y = chosen.y[number];
        dot.setAttribute("visibility", y === null ? "hidden" : "visible");
        dot.setAttribute("cx", chosen.x);
        dot.setAttribute("cy", y ?? 0);
      });
      slider.value = index;
      slider.setAttribute("aria-valuetext", chosen.label);
      said.textContent = `${note || plainly} ${chosen.label}.`;
    };
    slider.max = choices.length - 1;
    slider.min = 0;
    const first = Number(document.querySelector(".your-step").dataset.first);
    slider.value = first;
    slider.setAttribute("aria-valuetext", choices[first].label);
    field.value = choices[first].value;
    said.textContent = start;
    slider.addEventListener("input", () => { field.value = choices[slider.value].value; show(Number(slider.value), ""); });
    field.addEventListener("input", () => {
      const asked = Number(field.value);
      if (!(asked > 0 && Number.isFinite(asked))) { said.textContent = "A step takes a time above 0."; return; }
      const away = choices.map((one) => Math.abs(Math.log(one.value / asked)));
      const index = away.indexOf(Math.min(...away)), ends = [choices[0].value, choices.at(-1).value];
      show(index, asked < ends[0] || asked > ends[1] ? outside : choices[index].value === asked ? "" : near);
    });
    document.querySelector(".your-step .control").hidden = false;
  };

  /* --- words: what is in the list at the end, where the word stands */
  const words = () => {
    let open = null;
    const close = () => { open?.remove(); open = null; };
    const show = (word) => {
      close();
      open = make("div", { class: "tip", "aria-hidden": "true" }, word.dataset.meaning);
      document.body.append(open);
      const at = word.getBoundingClientRect(), room = root.clientWidth - open.offsetWidth - 8;
      open.style.left = `${Math.max(8, Math.min(at.left, room)) + scrollX}px`;
      open.style.top = `${at.bottom + scrollY + 4}px`;
      open.addEventListener("pointerleave", close);
    };
    for (const word of document.querySelectorAll("a.word")) {
      word.dataset.meaning = word.title;
      word.removeAttribute("title");
      word.setAttribute("aria-describedby", word.getAttribute("href").slice(1));
      word.addEventListener("pointerenter", () => show(word));
      word.addEventListener("focus", () => show(word));
      word.addEventListener("blur", close);
      word.addEventListener("pointerleave", (event) => { if (event.relatedTarget !== open) close(); });
    }
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  };

  /* --- rows that are elements, and rows that are still text: those of noscript elements, a line each */
  const entities = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&#34;": '"', "&#39;": "'" };
  const bare = (html) => html.replace(/<[^>]*>/g, "").replace(/&(?:amp|lt|gt|#34|#39);/g, (found) => entities[found]);
  const element = (html, around) => {
    const made = document.createElement(around);
    made.innerHTML = html;
    return made.firstElementChild;
  };
  const linesOf = (where, start) =>
    where ? where.textContent.split("\n").filter((line) => line.startsWith(start)) : [];

  class Row {
    constructor(own, html, number) { this.own = own; this.html = html; this.number = number; }
    get element() { return this.own ??= element(this.html, "tbody"); }
    get texts() {
      return this.read ??= this.own
        ? [...this.own.cells].map((cell) => cell.textContent)
        : this.html.split(/<\/t[hd]>/).slice(0, -1).map(bare);
    }
    get all() { return this.lower ??= `${this.texts.join(" ")} ${this.id}`.toLowerCase(); }
    get id() { return this.own ? this.own.dataset.cell : bare(/ data-cell="([^"]*)"/.exec(this.html)[1]); }
  }

  const download = (name, content, type) => {
    const link = make("a", { download: name, href: URL.createObjectURL(new Blob([content], { type })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  /* As bench/borders.py has it: what a spreadsheet would compute gets an apostrophe, and numbers do not. */
  const csvEntry = (value) => {
    if (value === undefined || value === null) return "";
    if (typeof value === "number") return String(value);
    let entry = String(value);
    if (/^ *[=+\-@\t\r\n＝＋－＠]/.test(entry) && !(entry.trim() !== "" && Number.isFinite(Number(entry)))) entry = `'${entry}`;
    return /[",\n\r]/.test(entry) ? `"${entry.replaceAll('"', '""')}"` : entry;
  };

  const tableOfCells = (box) => {
    const table = box.querySelector("table.cells"), body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    const names = heads.map((head) => head.textContent.trim()), run = document.body.dataset.run;
    const rows = [...body.rows].map((row, number) => new Row(row, "", number));
    for (const line of linesOf(box.querySelector("noscript"), "<tr data-cell")) rows.push(new Row(null, line, rows.length));
    const state = { search: "", filters: new Map(), column: -1, down: false, values: null, page: 0, chosen: null };
    const status = make("span", { role: "status", class: "soft" });
    let matched = rows;

    const match = () => {
      const wanted = state.search.toLowerCase().split(/\s+/).filter(Boolean), filters = [...state.filters];
      matched = rows.filter((row) => filters.every(([column, value]) => row.texts[column] === value)
        && wanted.every((one) => row.all.includes(one)));
      if (state.column < 0) return;
      const value = state.values ? (row) => state.values[row.number] : (row) => row.texts[state.column];
      const order = (a, b) => (typeof a === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
      /* What has no figure comes last, whichever way is up. */
      const known = matched.filter((row) => value(row) !== undefined && value(row) !== "");
      const rest = matched.filter((row) => value(row) === undefined || value(row) === "");
      known.sort((a, b) => order(value(a), value(b)) * (state.down ? -1 : 1) || a.number - b.number);
      matched = [...known, ...rest];
    };
    const pages = () => Math.max(1, Math.ceil(matched.length / ROWS_AT_ONCE));
    const show = () => {
      state.page = Math.min(state.page, pages() - 1);
      const from = state.page * ROWS_AT_ONCE, shown = matched.slice(from, from + ROWS_AT_ONCE);
      body.replaceChildren(...shown.map((row) => row.element));
      table.classList.toggle("sorted", state.column >= 0);
      const of = matched.length === rows.length ? `${rows.length} cells` : `${matched.length} of ${rows.length} cells`;
      status.textContent = pages() > 1 ? `${from + 1} to ${from + shown.length} of ${of}` : of;
      before.disabled = state.page === 0;
      after.disabled = state.page >= pages() - 1;
      before.hidden = after.hidden = pages() === 1;
    };
    const change = () => { state.page = 0; match(); show(); };

    const turn = (by) => () => { state.page += by; show(); };
    const before = make("button", { type: "button", onclick: turn(-1) }, "Previous");
    const after = make("button", { type: "button", onclick: turn(1) }, "Next");
    const tools = make("div", { class: "tools" });
    tools.append(make("input", { type: "search", placeholder: "Search cells", "aria-label": "Search cells",
      oninput: (event) => { state.search = event.target.value; change(); } }));

    /* a filter for the arm, each axis and the outcome, where these differ */
    heads.forEach((head, column) => {
      if (!(column === 0 || "axis" in head.dataset || names[column] === "outcome")) return;
      const set = (event) => {
        if (event.target.value) state.filters.set(column, event.target.value); else state.filters.delete(column);
        change();
      };
      const values = [...new Set(rows.map((row) => row.texts[column]))];
      if (values.length < 2) return;
      if (values.length > CHOICES_AT_MOST) {
        tools.append(make("input", { type: "search", placeholder: names[column], "aria-label": `Only ${names[column]}`, oninput: set }));
        return;
      }
      const choice = make("select", { "aria-label": `Only ${names[column]}`, onchange: set },
        make("option", { value: "" }, `${names[column]}: all`));
      choice.append(...values.map((value) => make("option", { value }, value)));
      tools.append(choice);
    });

    /* sorting, by the figures and not by their texts */
    const sort = async (column) => {
      const path = heads[column].dataset.path;
      state.down = state.column === column ? !state.down : false;
      state.values = null;
      if (path) {
        const cells = await cellsById();
        state.values = rows.map((row) => estimate(follow(cells.get(row.id), path)) ?? undefined);
      }
      state.column = column;
      heads.forEach((head, number) => {
        if (number === column) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
        head.querySelector("button").textContent = number === column ? (state.down ? "▼" : "▲") : "↕";
      });
      change();
    };
    heads.forEach((head, column) => head.append(" ", make("button", { type: "button",
      "aria-label": `Sort by ${names[column]}`, onclick: () => sort(column) }, "↕")));

    /* columns to choose */
    const style = make("style");
    document.head.append(style);
    const visible = (column) => getComputedStyle(heads[column]).display !== "none";
    const boxes = names.map((name, column) => make("input", { type: "checkbox", onchange: () => {
      table.dataset.chosen = "";
      style.textContent = boxes.map((one, number) =>
        one.checked ? "" : `#${table.id} tr > :nth-child(${number + 1}) { display: none; }`).join("\n");
    } }));
    const choice = make("div", { class: "choice" }, ...names.map((name, column) => make("label", {}, boxes[column], ` ${name}`)));
    boxes[0].disabled = true;
    const picker = make("details", { ontoggle: () => boxes.forEach((one, column) => { one.checked = visible(column); }) },
      make("summary", {}, "Columns"), choice);

    const shownColumns = () => names.map((_, column) => column).filter(visible);
    const copy = async () => {
      const columns = shownColumns();
      const lines = [columns.map((column) => names[column]), ...matched.map((row) => columns.map((column) => row.texts[column]))];
      const content = lines.map((line) => line.map((entry) => entry.replace(/[\t\n]/g, " ")).join("\t")).join("\n");
      try { await navigator.clipboard.writeText(content); } catch {
        const area = make("textarea", {}, content);
        document.body.append(area);
        area.select();
        document.execCommand("copy");
        area.remove();
      }
      status.textContent = `Copied ${matched.length} rows`;
    };
    const asCsv = async () => {
      const cells = await cellsById(), columns = shownColumns();
      const values = (column) => matched.map((row) => follow(cells.get(row.id), heads[column].dataset.path));
      const parts = columns.map((column) => {
        if (!heads[column].dataset.path) return [[names[column], matched.map((row) => row.texts[column])]];
        const found = values(column);
        if (!found.some((value) => value !== null && typeof value === "object")) return [[names[column], found]];
        return [["", "estimate"], [" low", "low"], [" high", "high"]]
          .map(([end, name]) => [names[column] + end, found.map((value) => value?.[name])]);
      }).flat();
      const titles = parts.map(([title]) => title);
      const lines = matched.map((row, number) => [...parts.map(([, found]) => found[number]), row.id]);
      const content = [[...titles, "cell"], ...lines].map((line) => line.map(csvEntry).join(",")).join("\r\n");
      download(`${run}.csv`, `${content}\r\n`, "text/csv");
    };
    tools.append(picker,
      make("button", { type: "button", onclick: copy }, "Copy"),
      make("button", { type: "button", onclick: asCsv }, "Download CSV"),
      make("button", { type: "button", onclick: async () => download(`${run}.json`, await figuresText(), "application/json") },
        "Download JSON"),
      status, before, after);
    box.prepend(tools);
    show();
    addEventListener("beforeprint", () => body.replaceChildren(...matched.slice(0, MOST_PRINTED).map((row) => row.element)));
    addEventListener("afterprint", show);
    box.querySelector("noscript")?.remove();
  };

  /* --- sections of cells: made when somebody goes there, opened, and shown */
  const sections = () => {
    const where = document.getElementById("sections"), waiting = new Map();
    for (const line of linesOf(document.querySelector("noscript.more-sections"), "<details"))
      waiting.set(/ id="([^"]*)"/.exec(line)[1], line);
    const go = () => {
      const id = decodeURIComponent(location.hash.slice(1));
      if (waiting.has(id)) {
        where.append(element(waiting.get(id), "div"));
        waiting.delete(id);
      }
      const target = id && document.getElementById(id);
      if (!target) return;
      for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
      target.scrollIntoView();
    };
    where.addEventListener("toggle", (event) => {
      const one = event.target;
      if (one.open && one.id && location.hash !== `#${one.id}`) history.replaceState(null, "", `#${one.id}`);
    }, true);
    addEventListener("hashchange", go);
    let closed = [];
    addEventListener("beforeprint", () => {
      closed = [...document.querySelectorAll("main details:not([open])")].filter((one) => !one.closest(".tools"));
      closed.forEach((one) => { one.open = true; });
    });
    addEventListener("afterprint", () => closed.forEach((one) => { one.open = false; }));
    go();
  };

  document.addEventListener("DOMContentLoaded", () => {
    themeSwitch();
    yourStep();
    words();
    document.querySelectorAll(".cells-of-suite").forEach(tableOfCells);
    sections();
    performance.mark("loopmark-ready");
  });
})();
