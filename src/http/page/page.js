const SHOWN = 60;             // alerts in the list
const EVIDENCE_SHOWN = 100;   // rows of evidence in a detail
const $ = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const kept = { get: (k) => { try { return localStorage.getItem("fundwatch." + k); } catch { return null; } },
               set: (k, v) => { try { localStorage.setItem("fundwatch." + k, v); } catch { /* private window */ } } };

let language = asked.get("lang") || kept.get("lang") || (navigator.language.startsWith("zh") ? "zh" : "en");
if (!WORDS[language]) language = "en";
let theme = asked.get("theme") || kept.get("theme");
let status = null;            // the last /api/status
let lost = false;             // whether it could not be read
let alerts = [];              // newest first
let chosen = null;            // the rule whose alerts are shown, or null
let arrived = new Map();      // revisions that wait to be shown
const words = () => WORDS[language];
const said = (bilingual) => bilingual[language] || bilingual.en || bilingual.zh || "";

// ---- texts and numbers ----

const grouped = (text) => text.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
const whole = (n) => grouped(String(Math.round(n)));
function money(text) {
  if (text === null || text === undefined) return "–";
  const [yuan, fen] = text.split(".");
  return "¥" + grouped(yuan) + "." + (fen || "00");
}
function span(seconds) {
  const [d, h, m, s] = words().units;
  const gap = language === "zh" ? "" : " ";
  const parts = [[Math.floor(seconds / 86400), d], [Math.floor(seconds / 3600) % 24, h], [Math.floor(seconds / 60) % 60, m], [seconds % 60, s]];
  const first = parts.findIndex(([n]) => n > 0);
  return parts.slice(first < 0 ? 3 : first).slice(0, 2).map(([n, unit]) => n + gap + unit).join(" ");
}
const millis = (seconds) => { const ms = seconds * 1000; return ms >= 100 ? whole(ms) : ms >= 10 ? ms.toFixed(0) : ms.toFixed(1); };
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}
function put(element, text) { if (element.textContent !== text) element.textContent = text; }

// ---- the figures ----

function showStatus() {
  const w = words(), s = status;
  const state = $("state");
  const trouble = s && (s.trouble || (s.sinks.find((sink) => sink.trouble) || {}).trouble);
  state.className = "state " + (lost || (s && s.failed) || (s && s.ready && trouble) ? "bad" : s && s.ready ? "good" : "");
  put($("state-words"), lost ? w.lost : !s ? w.starting : trouble || (s.ended ? w.ended : s.ready ? w.live : w.starting));
  state.title = trouble || "";
  if (!s) return;
  put($("clock"), s.now);
  put($("rate"), whole(s.records_per_second));
  put($("rate-note"), w.received(whole(s.records.received)));
  put($("open"), whole(s.alerts.open));
  put($("open-note"), w.perMinute(whole(s.alerts_per_second * 60)) + " · " + w.withdrawn(whole(s.alerts.withdrawn)));
  const [yuan, fen] = money(s.alerts.amount_at_issue).split(".");
  $("amount").replaceChildren(yuan, make("span", "", "." + fen));
  $("amount").parentElement.classList.toggle("long", yuan.length > 11);
  put($("lag"), whole(s.lag_records));
  put($("lag-note"), s.lag_records === 0 ? w.caughtUp : s.lag.length > 1 ? w.partitions(s.lag.length) : w.records);
  put($("latency"), millis(s.latency.p50));
  put($("latency-note"), w.slowest(millis(s.latency.p99)));
  showSpark(s.history);
  showRules(s.rules);
  showFooter(s);
}

function showSpark(points) {
  const [area, line] = $("spark").children;
  if (points.length < 2) { area.removeAttribute("d"); line.removeAttribute("d"); return; }
  const top = Math.max(...points, 1) * 1.12;
  const at = (value, i) => `${(i / (points.length - 1) * 300).toFixed(1)} ${(60 - value / top * 56).toFixed(1)}`;
  const path = "M" + points.map(at).join("L");
  line.setAttribute("d", path);
  area.setAttribute("d", path + "L300 60L0 60Z");
}

function showRules(rules) {
  const w = words();
  const sorted = [...rules].sort((a, b) => b.open - a.open || (a.id < b.id ? -1 : 1));
  const most = Math.max(1, ...sorted.map((rule) => rule.open));
  put($("rules-note"), w.rulesNote(rules.length, rules.filter((rule) => !rule.open).length));
  const list = $("rules");
  sorted.forEach((rule, i) => {
    let row = list.children[i];
    if (!row) {
      const name = make("span", "name", make("code"), make("span"), make("span", "mark"));
      const bar = make("span", "bar", make("i"));
      row = make("li", "", make("button", "rule", name, make("span", "count"), make("span", "sum"), bar));
      row.firstChild.type = "button";
      row.firstChild.addEventListener("click", () => choose(row.dataset.rule));
      list.append(row);
    }
    const [name, count, sum, bar] = row.firstChild.children;
    row.dataset.rule = rule.id;
    row.firstChild.className = `rule ${rule.severity || "unknown"}${rule.open ? "" : " none"}${rule.id === chosen ? " chosen" : ""}`;
    put(name.children[0], rule.id);
    put(name.children[1], said(rule.name));
    name.title = rule.name.zh + " / " + rule.name.en;
    name.children[2].hidden = !rule.shadow;
    put(name.children[2], w.shadow);
    put(count, whole(rule.open));
    put(sum, rule.open && rule.amount_at_issue !== "0.00" ? money(rule.amount_at_issue) : "–");
    bar.firstChild.style.width = (rule.open ? Math.max(1.5, rule.open / most * 100) : 0) + "%";
  });
  while (list.children.length > sorted.length) list.lastChild.remove();
}

function showFooter(s) {
  const w = words();
  const numbers = Object.fromEntries(Object.entries(s.records).map(([key, value]) => [key, whole(value)]));
  $("balance").innerHTML = w.balance(numbers);   // figures only
  const sinks = s.sinks.filter((sink) => sink.name !== "live").flatMap((sink) => {
    const parts = [];
    if (sink.queued) parts.push(w.queued(whole(sink.queued)));
    if (sink.retries) parts.push(w.retries(whole(sink.retries)));
    if (sink.dropped) parts.push(w.dropped(whole(sink.dropped)));
    const name = make(sink.trouble ? "em" : "b", "", w.sink[sink.name] || sink.name);
    name.title = sink.trouble || "";
    return [name, ` ${whole(sink.delivered)}${parts.length ? " (" + parts.join(", ") + ")" : ""}`, "  ·  "];
  });
  $("sinks").replaceChildren(...sinks.slice(0, -1));
  const about = [`${w.source} ${s.source}`, `${w.rules} ${s.rule_set.version.slice(0, 8)}`, `${w.uptime} ${span(s.uptime_seconds)}`, `${w.version} ${s.version}`];
  const refused = s.rule_set.refused ? [make("em", "", w.refused), "  ·  "] : [];
  if (refused.length) refused[0].title = s.rule_set.refused;
  $("about").replaceChildren(...refused, about.join("  ·  "));
}

// ---- the alerts ----

function showAlerts(fresh = new Set()) {
  const w = words();
  put($("alerts-note"), "");
  $("filter").hidden = !chosen;
  put($("filter"), chosen ? `${chosen} · ${w.all}` : "");
  const rows = alerts.slice(0, SHOWN).map((alert) => {
    const row = make("li", fresh.has(alert.alert_id) ? "fresh" : "", alertRow(alert));
    row.firstChild.addEventListener("click", () => open(alert.alert_id));
    return row;
  });
  $("alerts").replaceChildren(...(rows.length ? rows : [make("li", "empty", w.none)]));
}

const tone = (alert) => alert.status === "withdrawn" ? "withdrawn" : alert.severity;
const grave = (alert) => alert.status === "withdrawn" ? words().withdrawnWord : words().severity[alert.severity];
const who = (alert) => `${words().kind[alert.subject.kind]} ${alert.subject.id}`;

function alertRow(alert) {
  const button = make("button", `alert ${tone(alert)}`,
    make("time", "when", alert.detected_at.slice(11)),
    make("span", "grave", grave(alert)),
    make("span", "what", make("code", "", alert.rule_id), said(alert.rule_name)),
    make("span", "sum", money(alert.amount_at_issue)),
    make("span", "why", make("span", "who", who(alert)), said(alert.message)));
  button.type = "button";
  return button;
}

function choose(rule) {
  chosen = rule === chosen ? null : rule;
  load();
  if (status) showRules(status.rules);
}

async function load() {
  const wanted = chosen;
  const answer = await fetch(`api/alerts?limit=${SHOWN}${wanted ? "&shadow=also&rule=" + encodeURIComponent(wanted) : ""}`).catch(() => null);
  if (wanted !== chosen) return;
  if (!answer || !answer.ok) {
    const body = answer && await answer.json().catch(() => null);
    alerts = [];
    showAlerts();
    if (body) put($("alerts-note"), body.error);
    return;
  }
  alerts = (await answer.json()).alerts;
  showAlerts();
}

// Revisions are shown together, a few times a second, however many come.
function arrive(alert) {
  if (chosen && alert.rule_id !== chosen) return;
  arrived.delete(alert.alert_id);
  arrived.set(alert.alert_id, alert);
  if (arrived.size === 1) setTimeout(showArrived, 400);
  if (arrived.size > SHOWN) arrived.delete(arrived.keys().next().value);
}
function showArrived() {
  const fresh = [...arrived.values()].reverse();
  arrived = new Map();
  const ids = new Set(fresh.map((alert) => alert.alert_id));
  alerts = [...fresh, ...alerts.filter((alert) => !ids.has(alert.alert_id))].slice(0, SHOWN);
  showAlerts(ids);
}

// ---- one alert ----

async function open(id) {
  const answer = await fetch("api/alerts/" + id).catch(() => null);
  const found = answer && await answer.json().catch(() => null);
  if (!found || !answer.ok) { put($("alerts-note"), found ? found.error : words().lost); return; }
  $("detail-body").replaceChildren(...detail(found.alert, found.revisions));
  $("detail").showModal();
}

function detail(alert, revisions) {
  const w = words(), f = w.fields;
  const facts = [[f.who, who(alert)], [f.result, w.result[alert.result]], [f.amount, money(alert.amount_at_issue)], [f.event, alert.event_time],
    [f.detected, alert.detected_at], [f.person, alert.psn_no], [f.visit, alert.mdtrt_id], [f.institution, alert.fixmedins_code],
    [f.reason, alert.withdrawn_reason], [f.legal, alert.legal_basis.join(", ")], [f.id, alert.alert_id]];
  const list = make("dl", "", ...facts.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value)]));
  const table = (head, rows) => make("table", "", make("tr", "", ...head.map((cell) => make("th", "", cell))),
    ...rows.map((row) => make("tr", "", ...row.map((cell) => make("td", "", cell)))));
  const evidence = alert.evidence.slice(0, EVIDENCE_SHOWN).map((e) => [w.role[e.role], w.type[e.type] || e.type, e.id, e.time, money(e.amount)]);
  const more = alert.evidence.length - evidence.length;
  const history = revisions.map((r) => [w.revision(r.revision), r.detected_at, grave(r), money(r.amount_at_issue)]);
  const other = language === "zh" ? "en" : "zh";
  return [
    make("span", `grave ${tone(alert)}`, grave(alert)),
    make("h3", "", `${alert.rule_id} ${said(alert.rule_name)}`),
    make("p", "", said(alert.message)), make("p", "note", alert.message[other]), list,
    ...(alert.reasons.length ? [make("h4", "", w.reasons), table(["", "", w.limit], alert.reasons.map((r) => [r.name, String(r.value), r.limit === undefined ? "" : String(r.limit)]))] : []),
    make("h4", "", `${w.evidence} (${alert.evidence.length})`), table(w.columns, evidence), ...(more > 0 ? [make("p", "note", w.and(more))] : []),
    make("h4", "", w.history), table(["", "", "", ""], history),
  ];
}

// ---- language, theme, connections ----

function showWords() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-word]")) put(element, words()[element.dataset.word]);
  put($("language"), words().other);
  $("language").setAttribute("aria-label", words().otherLabel);
  showStatus();
  showAlerts();
}
const dark = matchMedia("(prefers-color-scheme: dark)");
const showTheme = () => { document.documentElement.dataset.theme = theme || (dark.matches ? "dark" : "light"); };
dark.addEventListener("change", showTheme);
$("theme").addEventListener("click", () => { theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark"; kept.set("theme", theme); showTheme(); });
$("language").addEventListener("click", () => { language = language === "zh" ? "en" : "zh"; kept.set("lang", language); showWords(); });
$("filter").addEventListener("click", () => choose(chosen));
$("detail").addEventListener("click", (event) => { if (event.target === $("detail")) $("detail").close(); });

async function refresh() {
  try {
    const answer = await fetch("api/status");
    if (!answer.ok) throw new Error(answer.status);
    status = await answer.json();
    lost = false;
  } catch { lost = true; }
  showStatus();
  setTimeout(refresh, document.hidden ? 5000 : 1000);
}

function follow() {
  const stream = new EventSource("api/alerts/stream");
  let broken = false;
  stream.addEventListener("alert", (event) => arrive(JSON.parse(event.data)));
  stream.addEventListener("lagged", load);
  stream.addEventListener("open", () => { if (broken) load(); broken = false; });
  stream.addEventListener("error", () => {
    broken = true;
    if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 3000);
  });
}

showTheme();
showWords();
load();
refresh();
follow();
