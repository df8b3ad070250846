// Speaks with the server. What was not acknowledged is tried again until it is.

export class Refused extends Error {
  constructor(status, answer) {
    super(answer.error || `The server answered ${status}.`);
    this.status = status;
    this.answer = answer;
  }
}

const LONGEST_WAIT = 4000; // ms between two attempts

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(path, { ...options, signal: AbortSignal.timeout(20000) });
  let answer;
  try {
    answer = await response.json();
  } catch {
    answer = {};
  }
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

export const getRound = () => ask("./api/round");
export const getDecisions = (after) => ask(`./api/decisions?after=${after}`);
export const getSummary = (reviewer) =>
  ask(`./api/summary?reviewer=${encodeURIComponent(reviewer)}`);

let wake = () => {};

// The next attempt of persist() starts at once.
export function tryNow() { wake(); }

function pause(milliseconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    wake = () => { clearTimeout(timer); resolve(); };
  });
}

// Sends a decision until the server has it on disk. `onTrouble` is told after each failed attempt.
// A refusal (4xx) is thrown: sending the same again would not help.
export async function persist(path, body, onTrouble) {
  for (let wait = 250; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    try {
      return await ask(path, body);
    } catch (error) {
      const refused = error instanceof Refused;
      if (refused && error.status < 500) throw error;
      onTrouble(refused ? error.message : "The review server does not answer.");
    }
    await pause(wait);
  }
}
