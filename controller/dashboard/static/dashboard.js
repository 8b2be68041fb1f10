// Keeps pages current. Every page works without this file; it only replaces what has changed, and appends lines.
"use strict";
(() => {
  const MAX_LINES = 5000;
  // Milliseconds: between two attempts to load a page, at least and at most, and until one has failed.
  const PAUSE = 1000, MAX_PAUSE = 10000, PATIENCE = 30000;
  const streams = new Map();
  const reloading = new WeakSet();
  let reloadedAt = -PAUSE;

  const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

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

  // Whether a form was sent or a link followed: the answer takes the place of this page.
  const isLeaving = () => document.querySelector(".htmx-request") !== null;

  // The page as it is now; null while the server does not answer, or answers that it can't now.
  const loadPage = async () => {
    try {
      const answer = await fetch(location.href, { redirect: "manual", signal: AbortSignal.timeout(PATIENCE) });
      if (answer.type === "opaqueredirect") return { leadsElsewhere: true };
      return answer.status < 500 && answer.status !== 429 ? { text: await answer.text() } : null;
    } catch {
      return null;
    }
  };

  // Makes the whole page again where it is: the run has ended, or has other steps than before. The stream that says so
  // is over, so it is asked for until it is there. A page that was left meanwhile takes the place of no other.
  const reload = async (place) => {
    if (reloading.has(place)) return;
    reloading.add(place);
    for (let pause = PAUSE; place.isConnected; pause = Math.min(2 * pause, MAX_PAUSE)) {
      await wait(reloadedAt + PAUSE - performance.now());
      const page = isLeaving() ? null : await loadPage();
      if (page && place.isConnected && !isLeaving()) {
        reloadedAt = performance.now();
        if (page.leadsElsewhere || !window.htmx) location.reload();
        else window.htmx.swap(document.body, page.text, { swapStyle: "innerHTML", swapDelay: 0, settleDelay: 20 });
        return;
      }
      if (!isLeaving()) note("not connected");
      await wait(pause);
    }
  };

  // Whether this page now leads elsewhere, because the session has ended. False while the server does not answer.
  const leadsElsewhere = async () => {
    note("not connected");
    try {
      const options = { redirect: "manual", signal: AbortSignal.timeout(PATIENCE) };
      return (await fetch(location.href, options)).type === "opaqueredirect";
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
    // What is still said to a page that was left is about another run: the ids of its pieces are those of this page.
    const on = (kind, act) => source.addEventListener(kind, (event) => {
      if (place.isConnected) act(event);
      else close(place);
    });
    source.onopen = () => { if (place.isConnected) note("live"); };
    source.onerror = () => {
      if (!place.isConnected) close(place);
      else if (source.readyState === EventSource.CLOSED) refused(place);
      else note("reconnecting");
    };
    on("parts", (event) => {
      for (const [id, html] of Object.entries(JSON.parse(event.data))) replace(id, html);
      tick();
    });
    on("lines", (event) => {
      append(place, JSON.parse(event.data));
      // Another stream, after this one, goes on behind the last line.
      if (event.lastEventId) place.dataset.live = place.dataset.live.replace(/after=\d+/, `after=${event.lastEventId}`);
    });
    on("reload", () => { close(place); reload(place); });
    on("end", () => { close(place); delete place.dataset.live; note("ended"); });
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
