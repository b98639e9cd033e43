/* A customer's view of the shop, live: sign in, choose a product, buy one, and look.
   Everything goes through the API: a ticket opens the stream, and after a break the stream goes on
   from the last event. */

"use strict";

const api = "/api/v1";
const find = (id) => document.getElementById(id);
const types = document.querySelector("main").dataset.types.split(" ");
let token = "";
let source = null;
let last = "";
let orderId = "";
let stockEvents = 0;

async function call(path, { method = "GET", body, headers = {} } = {}) {
  const answer = await fetch(api + path, {
    method,
    headers: {
      "Content-Type": "application/json",
      ...(token && { Authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: body && JSON.stringify(body),
  });
  const document = await answer.json();
  if (!answer.ok) throw new Error(document.detail);
  return document;
}

async function signIn(email, password) {
  try {
    token = (await call("/auth/token", { method: "POST", body: { email, password } })).access;
  } catch {
    await call("/users", { method: "POST", body: { email, password, full_name: "Live Customer" } });
    token = (await call("/auth/token", { method: "POST", body: { email, password } })).access;
  }
}

async function showProducts() {
  const { results } = await call("/products?in_stock=true&page_size=20");
  const choices = results.map(({ id, name, price, currency }) => {
    return new Option(`${name}, ${price} ${currency}`, id);
  });
  find("shop").elements.product.replaceChildren(...choices);
  await follow();
}

async function follow() {
  source?.close();
  const product = find("shop").elements.product.value;
  const { ticket } = await call("/stream/tickets", { method: "POST" });
  const query = new URLSearchParams({
    topics: "orders,notifications,inventory",
    product_id: product,
    ticket,
    ...(last && { after: last }),
  });
  source = new EventSource(`${api}/stream?${query}`);
  source.onopen = () => { find("connection").textContent = "Connected."; };
  source.onerror = () => {  // the ticket is used: with another one from the last event on
    source.close();
    find("connection").textContent = "Connecting again …";
    setTimeout(() => follow().catch(source.onerror), 1000 + 4000 * Math.random());
  };
  for (const type of ["stream.opened", "inventory.changed", ...types]) {
    source.addEventListener(type, (event) => {
      last = event.lastEventId;
      show(type, JSON.parse(event.data));
    });
  }
}

// From now on no change is missed; what a change has said meanwhile is newer.
async function showStock() {
  const before = stockEvents;
  const product = find("shop").elements.product.value;
  const { available } = await call(`/products/${product}/inventory`);
  if (stockEvents === before) find("stock").textContent = available;
}

function show(type, data) {
  if (type === "stream.opened") {
    showStock();
    return;
  }
  if (type === "inventory.changed") {
    stockEvents++;
    find("stock").textContent = data.available;
    return;
  }
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
  find("status").textContent = order.status;
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
find("shop").elements.product.addEventListener("change", () => follow().catch(source.onerror));
