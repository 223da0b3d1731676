// How the page talks to its server: JSON, with the token that proves a request comes from this page.

const token = document.querySelector('meta[name="csrf-token"]').content;
const PATIENCE = 15_000;

// The server could not be reached, or is not itself: worth trying again.
export class Unreachable extends Error {}

// The server refused: trying again would bring the same.
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function answered(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, signal: AbortSignal.timeout(PATIENCE) });
  } catch {
    throw new Unreachable("The server does not answer.");
  }
  let body;
  try {
    body = await response.json();
  } catch {
    throw new Unreachable(response.ok ? "The server’s answer was cut off." : `The server has a problem (${response.status}).`);
  }
  if (response.status >= 500) throw new Unreachable(body.error || `The server has a problem (${response.status}).`);
  if (!response.ok) throw new Refused(body.error || `Refused (${response.status}).`, response.status);
  return body;
}

export function get(path) {
  return answered(path, { headers: { Accept: "application/json" } });
}

export function post(path, body) {
  return answered(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": token },
    body: JSON.stringify(body),
  });
}

let last = Promise.resolve();

// Requests that say which texts the page holds go one after the other: each must know what the one before brought.
export function inTurn(ask) {
  const turn = last.then(ask);
  last = turn.catch(() => {});
  return turn;
}

// For the moment in which the page is left, when nothing else is sent any more.
export function parting(path, fields) {
  navigator.sendBeacon(path, new URLSearchParams({ csrf_token: token, ...fields }));
}
