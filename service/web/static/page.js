// Everything here only comes earlier than a click or a form would bring it: each view is an address that the server renders.
"use strict";

const QUIET_MS = 60; // how long the keys must rest before a search
const results = document.getElementById("results");
const form = document.querySelector("form.ask");
let box = document.getElementById("q");
const said = document.getElementById("said");
const told = document.getElementById("told"); // for those who do not see the results change
const live = Boolean(results && results.closest("main") && box && !results.classList.contains("prompt"));

document.documentElement.classList.add("scripts");

const say = (text) => {
  said.textContent = text;
  setTimeout(() => { if (said.textContent === text) said.textContent = ""; }, 2500);
};

const copy = async (text, what) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // no clipboard where the page is not on https or this machine: the old way, through a selection
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say(`${what} copied`);
};

// ------------------------------------------------------------------------------------------------ results that follow

let asked = 0; // number of the latest request: an older answer is thrown away
let under = null;
let followed = null; // the answer that a link asked for, while it is on its way
let turns = Promise.resolve();
let searches = 0; // what is typed ends what links wait for

const part = (url) => {
  const found = new URL(url, location.href);
  found.searchParams.set("part", "results");
  return found;
};

// What has the focus, so that it can have it again when the results are others.
const focused = () => {
  const node = document.activeElement;
  if (!node || !results.contains(node)) return "";
  const label = node.getAttribute("aria-label");
  if (label) return `[aria-label="${CSS.escape(label)}"]`;
  if (node.dataset.facet) return `[data-facet="${node.dataset.facet}"][title="${CSS.escape(node.title)}"]`;
  const card = node.closest(".card");
  return card ? `.card[data-rank="${card.dataset.rank}"] ${node.classList.contains("pick") ? "a.pick" : "a.open"}` : "";
};

const load = async (url, { push = false, replace = false, state = {}, top = false } = {}) => {
  const mine = ++asked;
  under?.abort();
  under = new AbortController();
  if (push) history.pushState(state, "", url);
  if (replace) history.replaceState(state, "", url);
  results.setAttribute("aria-busy", "true");
  let text;
  try {
    const answer = await fetch(part(url), { signal: under.signal, credentials: "same-origin" });
    text = await answer.text();
  } catch (error) {
    if (error.name !== "AbortError") say("The service does not answer");
    return;
  }
  if (mine !== asked) return;
  const kept = focused();
  results.innerHTML = text;
  results.removeAttribute("aria-busy");
  if (document.getElementById("query-error")) box.setAttribute("aria-invalid", "true"); else box.removeAttribute("aria-invalid");
  fold();
  const query = new URL(url, location.href).searchParams.get("q") || "";
  document.title = query ? `${query.slice(0, 80)} · codequarry` : "codequarry";
  told.textContent = document.querySelector("#count, #query-error strong, .empty h2")?.textContent ?? "";
  if (top) scrollTo(0, 0);
  select(top ? 0 : at, { quiet: true, focus: top });
  if (kept && !top) {
    results.querySelector(kept)?.focus({ preventScroll: true });
    if (document.activeElement === document.body) document.getElementById("main").focus({ preventScroll: true });
  }
};

// A link holds the picks and filters of the time it was made. So while the answer to one is on its way, the next waits for it and
// is then the same one of the new results: nothing that somebody picked quickly is lost.
const again = (link) => {
  const all = () => [...results.querySelectorAll("a, button")];
  const same = named(link);
  const place = all().filter((one) => named(one) === same).indexOf(link);
  inTurn(() => all().filter((one) => named(one) === same)[place]?.click());
};

const inTurn = (act) => {
  const search = searches;
  turns = turns.then(async () => {
    while (followed) await followed;
    if (search === searches) act();
  });
};

// What tells a link from others, whatever is picked: what it is for, and the code it stands beside.
const named = (link) => {
  const owner = link.closest(".card, .picks li")?.querySelector("a.open, a.name");
  const url = owner && new URL(owner.href);
  const of = url ? ["repo", "path", "branch"].map((name) => url.searchParams.get(name)).join("\n") + url.hash : "";
  const label = link.getAttribute("aria-label") || link.title || "";
  return [link.className.replace(/ ?picked/, ""), link.dataset.facet, label, of, of ? "" : link.textContent].join("\n");
};

const typed = () => {
  const url = new URL(location.href);
  const now = box.value;
  const query = new URLSearchParams([...url.searchParams].filter(([name]) => !["q", "cursor", "part"].includes(name)));
  return now.trim() ? `/?q=${encodeURIComponent(now)}${query.size ? `&${query}` : ""}` : `/${query.size ? `?${query}` : ""}`;
};

if (live) {
  let timer = 0;
  const follow = () => {
    const url = typed();
    if (url === location.pathname + location.search) return;
    at = -1;
    searches++;
    const goes = history.state?.typed ? "replace" : "push"; // one step back leads to what was there before the typing
    load(url, { [goes]: true, state: { typed: true } });
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(follow, QUIET_MS);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    searches++;
    const url = typed();
    if (url !== location.pathname + location.search) load(url, { push: true });
    history.replaceState({}, ""); // what is typed from here on is a state of its own
  });
  addEventListener("popstate", () => {
    if (location.pathname !== "/") return;
    searches++;
    box.value = new URL(location.href).searchParams.get("q") || "";
    load(location.pathname + location.search);
  });
}

// An issue or a stack trace is asked as it is: with its line breaks, for which the box becomes a larger one.
form?.addEventListener("paste", (event) => {
  const pasted = event.clipboardData?.getData("text/plain") ?? "";
  if (box.tagName !== "INPUT" || !pasted.trim().includes("\n")) return;
  event.preventDefault();
  const area = document.createElement("textarea");
  for (const name of ["id", "name", "maxlength", "placeholder", "autocomplete", "autocapitalize", "spellcheck", "aria-describedby"])
    area.setAttribute(name, box.getAttribute(name));
  area.rows = 5;
  area.value = box.value.slice(0, box.selectionStart) + pasted.trim() + box.value.slice(box.selectionEnd);
  box.replaceWith(area);
  box = area;
  box.focus();
  box.dispatchEvent(new Event("input", { bubbles: true }));
});

// On a narrow screen the facets come folded.
const fold = () => {
  const narrow = document.querySelector(".narrow");
  if (narrow && matchMedia("(max-width: 60rem)").matches) narrow.open = false;
  const outline = document.querySelector(".outline details");
  if (outline && matchMedia("(max-width: 60rem)").matches) outline.open = false;
};

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest("a, button");
  if (!link) return;
  if (followed && results.contains(link)) {
    event.preventDefault();
    again(link);
  } else if (link.matches("a[data-live]") && live) {
    event.preventDefault();
    const url = link.getAttribute("href");
    const query = new URL(url, location.href).searchParams.get("q") || "";
    if (query !== box.value) box.value = query;
    const answer = load(url, { push: true, top: "top" in link.dataset }).finally(() => { if (followed === answer) followed = null; });
    followed = answer;
  } else if (link.matches("a[data-more]")) {
    event.preventDefault();
    more(link);
  } else if (link.matches("[data-copy]")) {
    copy(document.querySelector(link.dataset.copy).value, "Prompt");
  } else if (link.matches("[data-copy-from]")) {
    fetch(link.dataset.copyFrom, { credentials: "same-origin" }).then(async (answer) =>
      answer.ok ? copy(await answer.text(), "Prompt") : say("The prompt could not be made"));
  } else if (link.matches("[data-keys]")) {
    document.getElementById("keys").showModal();
  } else if (link.matches(".file .n")) {
    event.preventDefault();
    aim(Number(link.textContent));
  }
});

document.addEventListener("click", (event) => { // a line's number leads to the line in its file
  const number = event.target.closest(".card .n");
  if (number) location.href = number.closest(".card").querySelector("a.open").href.replace(/#.*$/, `#L${number.textContent}`);
});

// --------------------------------------------------------------------------------------------------- more of the code, and why it is here

const explain = async (details) => {
  if (!details.open || !details.dataset.why) return;
  const url = `${details.dataset.why}&part=why`;
  delete details.dataset.why;
  const answer = await fetch(url, { credentials: "same-origin" });
  const holder = document.createElement("div");
  holder.innerHTML = await answer.text();
  details.querySelector("summary").nextElementSibling.replaceWith(holder);
};

document.addEventListener("toggle", (event) => { if (event.target.matches?.("details.why")) explain(event.target); }, true);

const STEP = 20;

const more = async (link) => {
  const up = link.dataset.more === "up";
  const from = Number(link.dataset.first);
  const [first, last] = up ? [Math.max(1, from - STEP), from - 1] : [from, from + STEP - 1];
  const answer = await fetch(`${link.dataset.lines}&first=${first}&last=${last}`, { credentials: "same-origin" });
  if (!answer.ok) { say("These lines cannot be had"); return; }
  const holder = document.createElement("template");
  holder.innerHTML = await answer.text();
  const count = holder.content.querySelectorAll(".row").length;
  const code = link.parentElement.querySelector("code");
  if (up) code.prepend(holder.content); else code.append(holder.content);
  link.dataset.first = up ? first : first + count;
  if (up ? first === 1 : count < STEP) { link.remove(); code.closest(".card, .piece").querySelector("a, summary")?.focus({ preventScroll: true }); }
};

// --------------------------------------------------------------------------------------------------------------- keys

let at = -1;
const cards = () => [...document.querySelectorAll(".card")];
const matches = () => [...document.querySelectorAll(".file .row.hit")];

const select = (index, { quiet = false, focus = true } = {}) => {
  const found = cards();
  found.forEach((card) => card.classList.remove("on"));
  at = found.length ? Math.max(-1, Math.min(index, found.length - 1)) : -1;
  if (at < 0) return;
  found[at].classList.add("on");
  if (focus) found[at].querySelector("a.open").focus({ preventScroll: true });
  if (!quiet) found[at].scrollIntoView({ block: "nearest" });
};

const step = (by) => {
  if (cards().length) { select(at < 0 ? (by > 0 ? 0 : -1) : Math.max(0, at + by)); return; }
  const found = matches();
  if (!found.length) return;
  const here = found.findIndex((row) => row.classList.contains("aimed"));
  aim(Number(found[here < 0 ? 0 : (here + by + found.length) % found.length].id.slice(1)));
};

const permalink = () => {
  const card = cards()[at];
  if (card) return card.dataset.url || new URL(card.querySelector("a.open").getAttribute("href"), location.href).href;
  const file = document.querySelector(".file");
  if (!file) return location.href;
  return file.dataset.url ? file.dataset.url + location.hash : location.href;
};

const KEYS = {
  "/": () => { box?.focus(); box?.select(); },
  j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
  y: () => copy(permalink(), "Permalink"),
  p: () => (cards()[at] ?? document.querySelector(".file"))?.querySelector("a.pick")?.click(),
  e: () => { const why = cards()[at]?.querySelector(".why"); if (why) why.open = !why.open; },
  g: () => inTurn(() => document.querySelector("a[data-prompt]")?.click()),
  "?": () => document.getElementById("keys").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const writing = event.target.matches("input, textarea, select");
  if (event.target === box) {
    if (event.key === "Escape") { box.blur(); event.preventDefault(); }
    if (event.key === "Enter" && !event.shiftKey && box.tagName === "TEXTAREA") { event.preventDefault(); form.requestSubmit(); }
    if (event.key === "ArrowDown" && cards().length && box.selectionEnd === box.value.length) { event.preventDefault(); box.blur(); select(Math.max(at, 0)); }
    return;
  }
  if (writing || document.querySelector("dialog[open]")) return;
  if (event.key === "Enter" && at >= 0 && event.target === document.body) { cards()[at].querySelector("a.open").click(); return; }
  if (event.key.startsWith("Arrow") && !cards().length) return; // a file scrolls
  const act = KEYS[event.key];
  if (act) { event.preventDefault(); act(); }
});

document.addEventListener("focusin", (event) => {
  const card = event.target.closest?.(".card");
  if (card) select(cards().indexOf(card), { quiet: true, focus: false });
});

// ------------------------------------------------------------------------------------------------------ lines of a file

const file = document.querySelector(".file");

const range = () => {
  const found = /^#L(\d+)(?:-L?(\d+))?$/.exec(location.hash);
  return found ? [Number(found[1]), Number(found[2] || found[1])].sort((a, b) => a - b) : null;
};

// What is picked in a file are the lines of the address, or all of it.
const offer = (lines) => {
  const pick = file.querySelector("a.pick:not(.picked)");
  if (!pick) return;
  pick.dataset.whole ??= pick.getAttribute("href");
  const [all, count] = [pick.dataset.whole, file.dataset.count];
  const at = all.lastIndexOf(`pick=1-${count}@`);
  pick.href = lines && at >= 0 ? `${all.slice(0, at)}pick=${lines[0]}-${Math.min(lines[1], count)}@${all.slice(all.indexOf("@", at) + 1)}` : all;
  const picks = (url) => new URL(url, location.href).searchParams.getAll("pick");
  const isIn = lines && new Set(picks(pick.href)).size === new Set(picks(location.href)).size; // adds nothing to what is picked
  const which = lines && (lines[0] === lines[1] ? `line ${lines[0]}` : `lines ${lines[0]}–${lines[1]}`);
  pick.textContent = isIn ? `✓ ${which} in the prompt` : which ? `+ prompt, ${which}` : "+ prompt";
};

const show = () => {
  if (file) offer(range());
  document.querySelectorAll(".row.aimed").forEach((row) => row.classList.remove("aimed"));
  const lines = range();
  if (!file || !lines) return;
  const first = document.getElementById(`L${lines[0]}`);
  if (!first) {
    const url = new URL(location.href);
    if (lines[0] <= Number(file.dataset.count) && url.searchParams.get("from") !== String(lines[0])) {
      url.searchParams.set("from", lines[0]);
      location.replace(url);
    }
    return;
  }
  for (let line = lines[0]; line <= lines[1]; line++) document.getElementById(`L${line}`)?.classList.add("aimed");
  first.scrollIntoView({ block: lines[1] - lines[0] > 20 ? "start" : "center" });
};

const aim = (line, extend) => {
  const lines = extend ? range() : null;
  const [first, last] = lines ? [Math.min(lines[0], line), Math.max(lines[0], line)] : [line, line];
  history.replaceState(history.state, "", first === last ? `#L${first}` : `#L${first}-L${last}`);
  show();
};

if (file) {
  addEventListener("hashchange", show);
  file.addEventListener("click", (event) => {
    const number = event.target.closest(".n");
    if (number && event.shiftKey) { event.preventDefault(); aim(Number(number.textContent), true); }
  });
  show();
}

// ---------------------------------------------------------------------------------------------------------------- jobs

const jobs = document.getElementById("jobs");
if (jobs) {
  let stream = null;
  const listen = () => {
    if (document.hidden) { stream?.close(); stream = null; return; }
    stream ??= new EventSource(jobs.dataset.events);
    stream.onerror ??= () => {};
    stream.addEventListener("jobs", (event) => {
      const focused = jobs.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
      jobs.innerHTML = event.data;
      if (focused) jobs.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
    });
  };
  document.addEventListener("visibilitychange", listen);
  addEventListener("pagehide", () => stream?.close());
  listen();
}

fold();
