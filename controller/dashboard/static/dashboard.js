// Keeps pages current. Every page works without this file; it only replaces what has changed, and appends lines.
"use strict";
(() => {
  const MAX_LINES = 5000;
  const streams = new Map();

  const note = (text) => {
    const place = document.getElementById("live");
    if (place && place.textContent !== text) place.textContent = text;
  };

  // Puts a piece of the page in the place of the one with its id. The focus stays where it was.
  const replace = (id, html) => {
    const old = document.getElementById(id);
    if (!old) return;
    const active = document.activeElement;
    const focused = active && old.contains(active) ? active.getAttribute("href") : null;
    old.outerHTML = html;
    const fresh = document.getElementById(id);
    if (!fresh) return;
    if (window.htmx) window.htmx.process(fresh);
    if (focused) {
      const target = [fresh, ...fresh.querySelectorAll("a")].find((each) => each.getAttribute("href") === focused);
      if (target) target.focus();
    }
  };

  const append = (place, html) => {
    const scroller = document.scrollingElement;
    const follows = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
    place.insertAdjacentHTML("beforeend", html);
    while (place.childElementCount > MAX_LINES) place.firstElementChild.remove();
    if (follows) scroller.scrollTop = scroller.scrollHeight;
  };

  // Makes the whole page again where it is: the run has ended, or has other steps than before.
  const reload = () => {
    if (!window.htmx) location.reload();
    else window.htmx.ajax("GET", location.pathname + location.search, { target: document.body, swap: "innerHTML" });
  };

  // Whether this page now leads elsewhere, because the session has ended. False while the server does not answer.
  const leadsElsewhere = async () => {
    note("not connected");
    try {
      return (await fetch(location.href, { redirect: "manual" })).type === "opaqueredirect";
    } catch {
      return false;
    }
  };

  // A stream that the server refuses: the session may have ended, which loading the page again shows.
  const refused = async (place) => {
    close(place);
    if (await leadsElsewhere()) {
      location.reload();
      return;
    }
    setTimeout(() => { if (place.isConnected) open(place); }, 3000);
  };

  const open = (place) => {
    if (streams.has(place) || document.visibilityState === "hidden") return;
    const source = new EventSource(place.dataset.live);
    streams.set(place, source);
    source.onopen = () => note("live");
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) refused(place);
      else note("reconnecting");
    };
    source.addEventListener("parts", (event) => {
      for (const [id, html] of Object.entries(JSON.parse(event.data))) replace(id, html);
      tick();
    });
    source.addEventListener("lines", (event) => {
      append(place, JSON.parse(event.data));
      // Another stream, after this one, goes on behind the last line.
      if (event.lastEventId) place.dataset.live = place.dataset.live.replace(/after=\d+/, `after=${event.lastEventId}`);
    });
    source.addEventListener("reload", () => { close(place); reload(); });
    source.addEventListener("end", () => { close(place); delete place.dataset.live; note("ended"); });
  };

  const close = (place) => {
    const source = streams.get(place);
    if (source) source.close();
    streams.delete(place);
  };

  const closeAll = () => { for (const place of [...streams.keys()]) close(place); };

  const format = (seconds) => {
    if (seconds < 59.95) return `${Math.max(0, seconds).toFixed(seconds < 9.995 ? 2 : 1)}s`;
    const whole = Math.round(seconds);
    const two = (value) => String(value).padStart(2, "0");
    if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
    return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
  };

  const tick = () => {
    for (const each of document.querySelectorAll("[data-since]")) {
      each.textContent = format(Date.now() / 1000 - Number(each.dataset.since));
    }
  };

  const begin = () => {
    for (const place of streams.keys()) if (!place.isConnected) close(place);
    for (const place of document.querySelectorAll("[data-live]")) open(place);
    tick();
  };

  // Links in a drawing are no links to htmx: the step's row has the same one.
  document.addEventListener("click", (event) => {
    const node = event.target.closest && event.target.closest("svg a.n");
    if (!node || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    const link = document.querySelector(`#s${node.id.slice(1)} a`);
    if (link && window.htmx && !node.getAttribute("href").startsWith("#")) {
      event.preventDefault();
      link.click();
    }
  });
  document.addEventListener("keydown", (event) => {
    const search = document.querySelector("[data-search]");
    if (event.key !== "/" || !search || /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) return;
    event.preventDefault();
    search.focus();
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    begin();
    if (event.detail && event.detail.boosted !== false && event.target === document.body && !location.hash) {
      const main = document.getElementById("main");
      if (main) main.focus({ preventScroll: true });
    }
  });
  // A proxy leads to another site to sign in again, where only a whole page may go.
  document.addEventListener("htmx:sendError", async (event) => {
    if (!(await leadsElsewhere())) return;
    const asked = event.detail && event.detail.requestConfig;
    if (asked && asked.verb === "get") location.assign(asked.path);
    else location.reload();
  });
  setInterval(tick, 1000);
  // Browsers have few connections to a host: a tab that nobody sees gives its own back.
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") closeAll();
    else begin();
  });
  // What the player shares.
  window.c8s = { format, leadsElsewhere, note, replace };
  window.addEventListener("pagehide", closeAll);
  window.addEventListener("pageshow", begin);
  begin();
})();
