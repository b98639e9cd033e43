/* A quiet badge on the dashboard, the list of orders and the pages of orders, once something has
   happened there since the page was loaded. Nothing moves until it is clicked. */

"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const order = location.pathname.match(/\/orders\/order\/([0-9a-f-]{36})\/change\/$/)?.[1];
  const isShown = order || /^\/admin\/(orders\/order\/)?$/.test(location.pathname);
  const csrf = document.querySelector("[name=csrfmiddlewaretoken]")?.value;
  if (!isShown || !csrf) return;

  let source = null;
  let retry = 0;
  let round = 0;
  // What the page shows already.
  let last = document.querySelector("meta[name=log-position]")?.content ?? "";
  const happened = new Set();

  const badge = document.createElement("a");
  badge.className = "live-badge";
  badge.href = location.href;
  badge.hidden = true;
  badge.setAttribute("role", "status");

  function count(event) {
    if (order && JSON.parse(event.data).order_id !== order) return;
    happened.add(event.lastEventId);
    show(`${happened.size} new ${happened.size === 1 ? "event" : "events"}. Show`);
  }

  function show(text) {
    badge.textContent = text;
    badge.hidden = false;
  }

  async function follow() {
    stop();
    const mine = round;
    const answer = await fetch("/admin/stream/ticket/", {
      method: "POST",
      headers: { "X-CSRFToken": csrf },
      body: new URLSearchParams({ after: last }),
    });
    if (mine !== round) return;  // the page was hidden meanwhile
    if (answer.status >= 500 || answer.status === 429) throw new Error(answer.statusText);
    if (answer.status === 410) show("Too much has happened. Show");
    if (answer.status !== 201) return;  // the session has ended
    const { ticket, types } = await answer.json();
    if (mine !== round) return;
    const query = new URLSearchParams({ topics: "orders", ticket, ...(last && { after: last }) });
    source = new EventSource(`/api/v1/stream?${query}`);
    source.onerror = again;
    source.addEventListener("stream.opened", (event) => { last = event.lastEventId; });
    for (const type of types) {
      source.addEventListener(type, (event) => {
        last = event.lastEventId;
        count(event);
      });
    }
  }

  function again() {
    stop();
    retry = setTimeout(start, 1000 + 4000 * Math.random());
  }

  function start() {
    const mine = round + 1;
    follow().catch(() => { if (mine === round) again(); });
  }

  function stop() {
    round++;
    clearTimeout(retry);
    source?.close();
    source = null;
  }

  // A browser has six connections with a server, for all tabs together: those in view have them.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) stop();
    else start();
  });
  document.body.append(badge);
  if (!document.hidden) start();
});
