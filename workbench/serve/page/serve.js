// Connects the terminal of textual-serve (textual.js) to the app of this tab, also after the connection was lost.
"use strict";

(() => {
  const NOT_AGAIN = new Set([4000, 4001, 4002, 4003, 4004]);
  const FIRST_DELAY = 300, LONGEST_DELAY = 5000;
  const BrowserSocket = window.WebSocket;

  // The terminal makes style elements; the policy of this page allows those that carry its nonce.
  const nonce = document.querySelector('meta[name="csp-nonce"]').content;
  const createElement = document.createElement.bind(document);
  document.createElement = (name, options) => {
    const element = createElement(name, options);
    if (String(name).toLowerCase() === "style") {
      element.nonce = nonce;
    }
    return element;
  };

  // Without WebGL it draws with elements, whose style attributes the policy would refuse; properties are allowed.
  const setAttribute = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (name, value) {
    if (String(name).toLowerCase() === "style" && this.style) {
      this.style.cssText = value;
    } else {
      setAttribute.call(this, name, value);
    }
  };

  function tabName() {
    // Kept by the browser for this tab only: a reload comes back to the same app.
    let name = sessionStorage.getItem("c8s-tab");
    if (!/^[0-9a-f]{32}$/.test(name || "")) {
      name = Array.from(crypto.getRandomValues(new Uint8Array(16)), (n) => n.toString(16).padStart(2, "0")).join("");
      sessionStorage.setItem("c8s-tab", name);
    }
    return name;
  }

  function showNotice(text, again) {
    document.getElementById("notice-text").textContent = text;
    document.getElementById("notice").hidden = text === "";
    const button = document.getElementById("notice-button");
    button.hidden = !again;
    if (again) {
      button.focus();
    }
  }

  function download(name) {
    const link = createElement("a");
    link.href = "/download/" + encodeURIComponent(name);
    link.download = "";
    document.body.append(link);
    link.click();
    link.remove();
  }

  // What textual.js uses of a WebSocket; a lost connection is made again without it noticing.
  class AppSocket extends EventTarget {
    constructor(url) {
      super();
      this.url = url;
      this.binaryType = "arraybuffer";
      this.delay = FIRST_DELAY;
      this.connect();
    }

    connect() {
      const socket = new BrowserSocket(this.url);
      socket.binaryType = "arraybuffer";
      socket.onopen = () => {
        this.delay = FIRST_DELAY;
        this.dispatchEvent(new Event("open"));
      };
      socket.onmessage = (event) => this.receive(event.data);
      socket.onclose = (event) => this.closed(event);
      this.socket = socket;
    }

    send(text) {
      if (this.socket.readyState === BrowserSocket.OPEN) {
        this.socket.send(text);
      }
    }

    receive(data) {
      if (typeof data !== "string") {
        showNotice("", false);
        this.dispatchEvent(new MessageEvent("message", { data }));
        return;
      }
      const [type, value] = JSON.parse(data);
      if (type === "open_url") {
        window.open(value.url, "_blank", "noopener,noreferrer");
      } else if (type === "deliver_file_start") {
        download(value);
      }
    }

    async closed(event) {
      if (NOT_AGAIN.has(event.code)) {
        showNotice(event.reason, event.code !== 4004);
        return;
      }
      showNotice("The connection to c8s serve is lost. Connecting again …", false);
      let signedIn = true;
      try {
        signedIn = (await fetch("/session", { cache: "no-store" })).status !== 401;
      } catch {
        // The server does not answer yet.
      }
      if (!signedIn) {
        showNotice("c8s serve was started anew, or your session has ended. Open a new link that it prints.", false);
        return;
      }
      setTimeout(() => this.connect(), this.delay);
      this.delay = Math.min(this.delay * 1.7, LONGEST_DELAY);
    }
  }

  window.WebSocket = AppSocket;

  document.addEventListener("DOMContentLoaded", () => {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    document.getElementById("terminal").dataset.sessionWebsocketUrl =
      `${scheme}//${location.host}/app/${tabName()}`;
    document.getElementById("notice-button").addEventListener("click", () => location.reload());
    // textual.js starts with `load`; the terminal measures its font, which has to be there.
    const start = window.onload;
    window.onload = null;
    const fonts = ["16px 'Roboto Mono'", "bold 16px 'Roboto Mono'", "italic 16px 'Roboto Mono'"];
    Promise.allSettled(fonts.map((font) => document.fonts.load(font))).then(() => {
      start.call(window, new Event("load"));
      document.querySelector(".xterm-helper-textarea")?.focus();
    });
  });
})();
