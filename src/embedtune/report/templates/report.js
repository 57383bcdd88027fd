"use strict";
(() => {
  const root = document.documentElement;
  const tags = { en: "en", zh: "zh-Hans" };
  let language = root.dataset.language;
  const listeners = [];

  function remember(value) {
    try { localStorage.setItem("embedtune-language", value); } catch { /* a file may have no storage */ }
  }
  function remembered() {
    try { return localStorage.getItem("embedtune-language"); } catch { return null; }
  }
  function choose(value) {
    language = value;
    root.dataset.language = value;
    root.lang = tags[value];
    for (const button of document.querySelectorAll("[data-choose]")) {
      button.setAttribute("aria-pressed", String(button.dataset.choose === value));
    }
    for (const listener of listeners) listener();
  }
  for (const button of document.querySelectorAll("[data-choose]")) {
    button.addEventListener("click", () => { choose(button.dataset.choose); remember(language); });
  }
  const wanted = remembered() || (root.hasAttribute("data-fixed") ? language : (navigator.language || "").startsWith("zh") ? "zh" : "en");
  choose(wanted in tags ? wanted : "en");

  const holder = document.getElementById("data");
  if (!holder) return;
  const words = JSON.parse(document.getElementById("words").textContent);
  const $ = (id) => document.getElementById(id);

  function say(key, values = {}) {
    return words[language][key].replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
  }
  function make(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  async function unpack() {
    const bytes = Uint8Array.from(atob(holder.textContent.trim()), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  function start(data) {
    const perPage = 25;
    const [ID, TEXT, RELEVANT, SCORES, RANKED, CAUSES] = [0, 1, 2, 3, 4, 5];
    const state = { a: data.shown[0], b: data.shown[1], sort: "gain", cause: "", text: "", page: 0 };
    const lower = data.texts.map((text) => text.toLowerCase());
    let rows = [];

    const gain = (query) => query[SCORES][state.b] - query[SCORES][state.a];
    const orders = {
      gain: (p, q) => gain(q) - gain(p),
      loss: (p, q) => gain(p) - gain(q),
      worst: (p, q) => p[SCORES][state.b] - q[SCORES][state.b],
      dataset: () => 0,
    };

    function select() {
      const text = state.text.trim().toLowerCase();
      const holds = text ? lower.map((one) => one.includes(text)) : [];
      const matches = (query) => !text || query[TEXT].toLowerCase().includes(text)
        || query[ID].toLowerCase().includes(text)
        || query[RELEVANT].some((row) => holds[row])
        || [state.a, state.b].some((system) => query[RANKED][system].some((row) => holds[row]));
      const cause = state.cause === "" ? null : Number(state.cause);
      rows = data.queries.filter((query) => matches(query) && (cause === null || query[CAUSES][state.b].includes(cause)));
      rows.sort(orders[state.sort]);
      state.page = 0;
      draw();
    }

    function score(value) { return value.toFixed(3); }
    function signed(value) {
      const shown = Math.abs(value).toFixed(3);
      return Number(shown) === 0 ? "0.000" : (value > 0 ? "+" : "−") + shown;
    }

    const chip = (cause) => make("span", "chip", say("cause." + data.causes[cause]));
    const chips = (query, system) => query[CAUSES][system].map(chip);

    function documentItem(row, relevant) {
      const item = make("li", relevant ? "document is-relevant" : "document");
      const head = make("p", "head");
      if (relevant) head.append(make("span", "mark", say("explorer.relevant")));
      head.append(make("span", "id", data.ids[row]));
      item.append(head, make("p", "text", data.texts[row]));
      return item;
    }

    function column(query, system, letter) {
      const box = make("section", "column");
      const title = make("h3");
      title.append(make("span", "letter", letter), make("span", "", data.systems[system]), make("span", "score", score(query[SCORES][system])));
      box.append(title);
      for (const cause of query[CAUSES][system]) {
        const why = make("p", "why");
        why.append(chip(cause), say("cause." + data.causes[cause] + ".long"));
        box.append(why);
      }
      const list = make("ol", "documents");
      for (const row of query[RANKED][system]) list.append(documentItem(row, query[RELEVANT].includes(row)));
      box.append(query[RANKED][system].length ? list : make("p", "quiet", say("explorer.nothing")));
      const missing = query[RELEVANT].filter((row) => !query[RANKED][system].includes(row));
      if (missing.length) {
        box.append(make("p", "quiet missing", say("explorer.not_found")));
        const rest = make("ul", "documents");
        for (const row of missing) rest.append(documentItem(row, true));
        box.append(rest);
      }
      return box;
    }

    function toggle(item, button, query) {
      const open = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!open));
      if (open) { item.querySelector(".sides").remove(); return; }
      const sides = make("div", "sides brief");
      const lengths = make("button", "lengths", say("explorer.longer"));
      lengths.type = "button";
      lengths.addEventListener("click", () => {
        const brief = sides.classList.toggle("brief");
        lengths.textContent = say(brief ? "explorer.longer" : "explorer.shorter");
      });
      sides.append(lengths, column(query, state.a, "A"), column(query, state.b, "B"));
      item.append(sides);
    }

    function listItem(query) {
      const item = make("li", "query");
      const button = make("button", "row");
      button.type = "button";
      button.setAttribute("aria-expanded", "false");
      const change = gain(query);
      const value = make("span", "change" + (change > 0.0005 ? " gain" : change < -0.0005 ? " loss" : ""), signed(change));
      const scores = make("span", "scores", score(query[SCORES][state.a]) + " → " + score(query[SCORES][state.b]));
      const body = make("span", "body");
      body.append(make("span", "text", query[TEXT]), ...chips(query, state.b));
      button.append(value, scores, body);
      button.addEventListener("click", () => toggle(item, button, query));
      item.append(button);
      return item;
    }

    function draw() {
      const from = state.page * perPage;
      const part = rows.slice(from, from + perPage);
      $("list").replaceChildren(...part.map(listItem));
      if (!part.length) $("list").append(make("li", "quiet", say("explorer.none")));
      $("count").textContent = say("explorer.count", { shown: rows.length.toLocaleString("en"), all: data.queries.length.toLocaleString("en") });
      $("place").textContent = part.length ? say("explorer.pages", { from: from + 1, to: from + part.length }) : "";
      $("previous").disabled = state.page === 0;
      $("next").disabled = from + perPage >= rows.length;
    }

    function fill(id, options, value) {
      $(id).replaceChildren(...options.map(([key, text]) => {
        const option = make("option", "", text);
        option.value = key;
        return option;
      }));
      $(id).value = value;
    }

    function causeCount(cause) {
      return data.queries.filter((query) => query[CAUSES][state.b].includes(cause)).length;
    }

    function label() {
      const systems = data.systems.map((name, index) => [String(index), name]);
      fill("first", systems, String(state.a));
      fill("second", systems, String(state.b));
      fill("sort", Object.keys(orders).map((key) => [key, say("explorer.sort_" + key)]), state.sort);
      const causes = data.causes.map((name, index) => [String(index), say("cause." + name) + " (" + causeCount(index) + ")"]);
      fill("cause", [["", say("explorer.any_cause")], ...causes], state.cause);
      const notes = [say("explorer.beginning", { characters: data.characters })];
      if (data.all > data.queries.length) {
        notes.unshift(say("explorer.left_out", { shown: data.queries.length.toLocaleString("en"), all: data.all.toLocaleString("en") }));
      }
      $("notes").textContent = notes.join(" ");
    }

    function turn(by) {
      state.page += by;
      draw();
      $("queries").scrollIntoView();
      const first = $("list").querySelector("button");
      if (first) first.focus();
    }

    for (const [id, key] of [["first", "a"], ["second", "b"]]) {
      $(id).addEventListener("change", () => { state[key] = Number($(id).value); label(); select(); });
    }
    for (const id of ["sort", "cause"]) $(id).addEventListener("change", () => { state[id] = $(id).value; select(); });
    let waiting;
    $("filter").addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { state.text = $("filter").value; select(); }, 120);
    });
    document.querySelector("form.controls").addEventListener("submit", (event) => event.preventDefault());
    $("previous").addEventListener("click", () => turn(-1));
    $("next").addEventListener("click", () => turn(1));
    $("list").addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step || !event.target.classList.contains("row")) return;
      const buttons = [...$("list").querySelectorAll("button.row")];
      const next = buttons[buttons.indexOf(event.target) + step];
      if (next) { next.focus(); event.preventDefault(); }
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
      event.preventDefault();
      $("filter").focus();
    });
    listeners.push(() => { label(); draw(); });
    label();
    select();
    $("explorer").hidden = false;
  }

  if (typeof DecompressionStream === "undefined") {
    holder.before(make("p", "note", say("explorer.too_old")));
    return;
  }
  unpack().then(start);
})();
