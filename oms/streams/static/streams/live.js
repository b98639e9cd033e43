/* A customer's view of the shop, live: sign in, choose a product, buy one, and look.
   Everything goes through the API: a ticket opens the stream, and after a break the stream goes on
   from the last event. */

"use strict";

const api = "/api/v1";
const find = (id) => document.getElementById(id);
const types = document.querySelector("main").dataset.types.split(" ");
let tokens = {};
let refreshing = null;
let source = null;
let retry = 0;
let round = 0;
let last = "";
let wasRefused = false;
let orderId = "";
let stockEvents = 0;
const statuses = new Map();

function send(path, { method = "GET", body, headers = {}, token = tokens.access } = {}) {
  return fetch(api + path, {
    method,
    headers: {
      "Content-Type": "application/json",
      ...(token && { Authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: body && JSON.stringify(body),
  });
}

async function call(path, options) {
  let answer = await send(path, options);
  if (answer.status === 401 && tokens.refresh) {
    await refresh();
    answer = await send(path, options);
  }
  const document = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(document.detail), { status: answer.status });
  return document;
}

// Once for all calls that wait for it: a refresh token that is used twice ends the session.
function refresh() {
  refreshing ??= (async () => {
    const body = { refresh: tokens.refresh };
    const answer = await send("/auth/token/refresh", { method: "POST", body, token: "" });
    if (answer.ok) tokens = await answer.json();
    else if (answer.status === 401) tokens = {};
  })().finally(() => { refreshing = null; });
  return refreshing;
}

async function signIn(email, password) {
  const logIn = () => call("/auth/token", { method: "POST", body: { email, password } });
  try {
    tokens = await logIn();
  } catch {
    await call("/users", { method: "POST", body: { email, password, full_name: "Live Customer" } });
    tokens = await logIn();
  }
}

function signOut() {
  stop();
  tokens = {};
  find("connection").textContent = "Signed out.";
  find("sign-in").hidden = false;
  find("shop").hidden = true;
}

async function showProducts() {
  const { results } = await call("/products?in_stock=true&page_size=20");
  const choices = results.map(({ id, name, price, currency }) => {
    return new Option(`${name}, ${price} ${currency}`, id);
  });
  find("shop").elements.product.replaceChildren(...choices);
  start();
}

async function follow() {
  stop();
  const mine = round;
  const product = find("shop").elements.product.value;
  if (wasRefused && last && !await isKept(last)) last = "";  // goes on with what happens from now on
  const { ticket } = await call("/stream/tickets", { method: "POST" });
  if (mine !== round) return;  // another one was begun meanwhile
  const query = new URLSearchParams({
    topics: "orders,notifications,inventory",
    product_id: product,
    ticket,
    ...(last && { after: last }),
  });
  source = new EventSource(`${api}/stream?${query}`);
  source.onopen = () => {
    wasRefused = false;
    find("connection").textContent = "Connected.";
  };
  source.onerror = () => {  // the ticket is used: with another one from the last event on
    wasRefused = source.readyState === EventSource.CLOSED;
    again();
  };
  for (const type of ["stream.opened", "inventory.changed", ...types]) {
    source.addEventListener(type, (event) => {
      last = event.lastEventId;
      show(type, JSON.parse(event.data));
    });
  }
}

// Whether the log still has the event: it may have been archived, or the shop restored from a copy.
async function isKept(position) {
  try {
    await call(`/events?after=${position}&page_size=1`);
    return true;
  } catch (error) {
    if (error.status === 400 || error.status === 410) return false;
    throw error;
  }
}

function start() {
  const mine = round + 1;
  follow().catch((error) => {
    if (mine !== round) return;
    if (error.status === 401) signOut();
    else again();
  });
}

function again() {
  stop();
  find("connection").textContent = "Connecting again …";
  retry = setTimeout(start, 1000 + 4000 * Math.random());
}

function stop() {
  round++;
  clearTimeout(retry);
  source?.close();
  source = null;
}

// From now on no change is missed; what a change has said meanwhile is newer.
async function showStock() {
  const before = stockEvents;
  const product = find("shop").elements.product.value;
  const { available } = await call(`/products/${product}/inventory`);
  if (stockEvents === before) find("stock").textContent = available;
}

async function showStatus() {
  const before = statuses.get(orderId);
  const { status } = await call(`/orders/${orderId}`);
  if (statuses.get(orderId) === before) find("status").textContent = status;
}

function show(type, data) {
  if (type === "stream.opened") {
    showStock().catch(again);
    if (orderId) showStatus().catch(again);
    return;
  }
  if (type === "inventory.changed") {
    stockEvents++;
    find("stock").textContent = data.available;
    return;
  }
  if (data.status) statuses.set(data.order_id, data.status);
  if (data.order_id === orderId && data.status) find("status").textContent = data.status;
  const line = document.createElement("li");
  const what = data.subject ?? `${type}, order ${data.number}`;
  line.textContent = `${new Date().toLocaleTimeString()}  ${what}`;
  find("messages").hidden = false;
  find("events").prepend(line);
}

async function buy() {
  const order = await call("/orders", {
    method: "POST",
    headers: { "Idempotency-Key": crypto.randomUUID() },
    body: {
      items: [{ product_id: find("shop").elements.product.value, quantity: 1 }],
      shipping_address: { name: "Live Customer", line1: "1 Main St", city: "Berlin", postal_code: "10115", country: "DE" },
      payment: { provider: "sandbox", token: "tok_success" },
    },
  });
  orderId = order.id;
  find("number").textContent = order.number;
  // An event may have come before this answer.
  find("status").textContent = statuses.get(order.id) ?? order.status;
  find("order").hidden = false;
}

function submitted(form, action) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    find("refusal").textContent = "";
    action(form.elements).catch((error) => { find("refusal").textContent = error.message; });
  });
}

submitted(find("sign-in"), async ({ email, password }) => {
  try {
    await signIn(email.value, password.value);
  } catch (error) {
    find("connection").textContent = error.message;
    return;
  }
  find("sign-in").hidden = true;
  find("shop").hidden = false;
  await showProducts();
});
submitted(find("shop"), buy);
find("shop").elements.product.addEventListener("change", start);
