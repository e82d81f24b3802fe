// Ask the service, with the token if it wants one.

const KEY = "ggcam-token";

export class ServiceError extends Error {
  constructor(status, details) {
    super(details.what);
    this.status = status;
    this.details = details;
  }
}

export async function ask(path, options = {}) {
  const token = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  let response;
  try {
    response = await fetch(path, { ...options, headers, redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServiceError(0, { what: "The service cannot be reached.", hint: "check that it is running" });
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new ServiceError(response.status, body.error ?? { what: `The service answered with ${response.status}.` });
}

export function setToken(token) {
  if (token) sessionStorage.setItem(KEY, token);
  else sessionStorage.removeItem(KEY);
}

export function upload(file, query, signal) {
  const body = new FormData();
  body.append("file", file, "image"); // the name of the file stays here
  return ask(`/predict?${new URLSearchParams(query)}`, { method: "POST", body, signal });
}
