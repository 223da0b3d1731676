// How the page talks to its server: JSON, with the token that proves a request comes from this page.

const token = document.querySelector('meta[name="csrf-token"]').content;

// The server could not be reached, or is not itself: worth trying again.
export class Unreachable extends Error {}

// The server refused: trying again would bring the same.
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function answered(request) {
  let response;
  try {
    response = await request;
  } catch {
    throw new Unreachable("The server does not answer.");
  }
  if (response.status >= 500) throw new Unreachable(`The server has a problem (${response.status}).`);
  let body;
  try {
    body = await response.json();
  } catch {
    throw new Unreachable("The server’s answer was cut off.");
  }
  if (!response.ok) throw new Refused(body.error || `Refused (${response.status}).`, response.status);
  return body;
}

export function get(path) {
  return answered(fetch(path, { headers: { Accept: "application/json" } }));
}

export function post(path, body) {
  return answered(
    fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": token },
      body: JSON.stringify(body),
    }),
  );
}

// For the moment in which the page is left, when nothing else is sent any more.
export function parting(path) {
  navigator.sendBeacon(path, new URLSearchParams({ csrf_token: token }));
}
