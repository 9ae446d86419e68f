// Requests to the server.

const GONE = "The server doesn't answer: is the command `equivariance explore` still running?";

/** The server's answer; an error with its reason where it refuses. */
async function answered(path, options) {
  const answer = await fetch(path, options).catch(() => { throw new Error(GONE); });
  if (answer.ok) return answer;
  let reason = `the server answered ${answer.status}`;
  try { reason = (await answer.json()).error; } catch { /* no reason was given */ }
  throw new Error(reason);
}

/** Ask for the view, the curve or the file of a state; with a signal the request can be given up. */
export function ask(what, state, signal = null) {
  return post(what, JSON.stringify(state), "application/json", signal);
}

/** Send a file. */
export function send(what, file) {
  return post(what, file, "application/octet-stream");
}

/** Everything that there is to choose from, and the state to begin with. */
export async function choices() {
  return (await answered("/api/choices")).json();
}

function post(what, body, type, signal = null) {
  return answered(`/api/${what}`, { method: "POST", body, signal, headers: { "Content-Type": type } });
}
