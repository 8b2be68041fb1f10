// Plays a run that has ended on its page. Without this file, the form shows the moment that it is sent with.
"use strict";
(() => {
  const FRAME = 100, LEAST_PAUSE = 250, AT_FIRST = 30;
  let player = null;
  let autoplay = false;

  class Player {
    constructor(form) {
      this.form = form;
      this.slider = form.elements.at;
      this.output = form.querySelector("output");
      this.button = form.querySelector("[data-play]");
      this.speeds = form.querySelector("[data-speed]");
      this.changes = form.dataset.changes.split(" ").map(Number);
      this.duration = Number(this.slider.max);
      this.at = this.shown = Number(this.slider.value);
      this.playing = this.asking = this.wanted = false;
      this.askedAt = 0;
      for (const each of form.querySelectorAll(".scripted")) each.hidden = false;
      for (const each of form.querySelectorAll(".plain")) each.hidden = true;
      let speed = 1;
      while (this.duration / speed > AT_FIRST && speed < 1024) speed *= 2;
      this.speeds.value = String(speed);
    }

    toggle() {
      if (this.playing) return this.pause();
      if (this.at >= this.duration) this.at = 0;
      this.playing = true;
      this.last = performance.now();
      this.timer = setInterval(() => this.advance(), FRAME);
      this.advance();
    }

    pause() {
      clearInterval(this.timer);
      this.playing = false;
      this.show();
      this.ask();
      this.remember();
    }

    advance() {
      if (!this.form.isConnected) return clearInterval(this.timer);
      const now = performance.now();
      this.at = Math.min(this.at + ((now - this.last) / 1000) * Number(this.speeds.value), this.duration);
      this.last = now;
      if (this.at >= this.duration) return this.pause();
      this.show();
      if (now - this.askedAt >= LEAST_PAUSE) this.ask();
    }

    seek(at) {
      this.at = Math.min(Math.max(at, 0), this.duration);
      this.show();
      this.ask();
    }

    // To the previous (-1) or the next (1) change of status.
    seekChange(direction) {
      if (this.playing) this.pause();
      const found = direction > 0
        ? this.changes.find((each) => each > this.at)
        : this.changes.filter((each) => each < this.at).pop();
      if (found !== undefined) this.seek(found);
      this.remember();
    }

    // The controls, which need nothing from the server.
    show() {
      const text = `${window.c8s.format(this.at)} of ${window.c8s.format(this.duration)}`;
      this.slider.value = String(this.at);
      this.slider.setAttribute("aria-valuetext", text);
      this.output.textContent = text;
      this.button.textContent = this.playing ? "Pause" : "Play";
      for (const each of this.form.querySelectorAll("[data-seek]")) {
        const ends = each.dataset.seek > 0 ? this.at >= this.changes[this.changes.length - 1] : this.at <= this.changes[0];
        if (ends) each.setAttribute("aria-disabled", "true");
        else each.removeAttribute("aria-disabled");
        if (!each.hasAttribute("href")) each.setAttribute("href", "?at=0");
      }
    }

    // The address is that of what is shown, to send on or to come back to.
    remember() {
      const step = this.form.elements.step.value;
      const query = `?at=${Math.round(this.at * 100) / 100}${step ? `&step=${encodeURIComponent(step)}` : ""}`;
      history.replaceState(history.state, "", location.pathname + query);
    }

    // Asks for what is different at the moment: one question at a time, the last one wins.
    async ask() {
      if (this.asking) {
        this.wanted = true;
        return;
      }
      this.asking = true;
      this.askedAt = performance.now();
      const at = Math.round(this.at * 100) / 100;
      const abort = (this.abort = new AbortController());
      const fields = { at, since: this.shown, step: this.form.elements.step.value, playing: this.playing };
      try {
        const address = `${this.form.dataset.moment}?${new URLSearchParams(fields)}`;
        const answer = await fetch(address, { redirect: "manual", signal: abort.signal });
        if (!answer.ok) throw new Error(String(answer.status));
        const found = await answer.json();
        if (!this.form.isConnected) return;
        for (const [id, html] of Object.entries(found.parts)) window.c8s.replace(id, html);
        this.shown = found.at;
        window.c8s.note("");
      } catch {
        clearInterval(this.timer);
        this.playing = this.wanted = false;
        this.show();
        // The page is being left: that is no lost connection.
        if (abort.signal.aborted) return;
        if (await window.c8s.leadsElsewhere()) location.reload();
      } finally {
        this.asking = false;
      }
      if (this.wanted) {
        this.wanted = false;
        this.ask();
      }
    }
  }

  const begin = () => {
    const form = document.getElementById("player");
    if (player && player.form === form) return;
    if (player) clearInterval(player.timer);
    player = form ? new Player(form) : null;
    if (player && autoplay) {
      player.toggle();
      player.button.focus();
    }
    if (player) autoplay = false;
  };

  document.addEventListener("click", (event) => {
    if (!event.target.closest) return;
    if (event.target.closest("[data-autoplay]")) autoplay = true;
    if (!player) return;
    if (event.target.closest("[data-play]")) player.toggle();
    const change = event.target.closest("[data-seek]");
    if (change && player.form.contains(change) && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      player.seekChange(Number(change.dataset.seek));
    }
  });
  document.addEventListener("input", (event) => {
    if (player && event.target === player.slider) player.seek(Number(player.slider.value));
  });
  document.addEventListener("change", (event) => {
    if (!player || !player.form.contains(event.target)) return;
    if (event.target === player.form.elements.step) player.ask();
    if (event.target !== player.speeds) player.remember();
  });
  document.addEventListener("submit", (event) => {
    if (player && event.target === player.form) event.preventDefault();
  }, true);
  document.addEventListener("htmx:afterSettle", begin);
  window.addEventListener("pageshow", begin);
  window.addEventListener("pagehide", () => { if (player && player.abort) player.abort.abort(); });
  begin();
})();
