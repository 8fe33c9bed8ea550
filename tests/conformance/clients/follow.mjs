// Follows a stream with the `eventsource` package and prints one line of JSON for each event.
// It ends by itself once nothing keeps it: when the client has given up for good.
import { createRequire } from "node:module";

const [folder, url] = process.argv.slice(2);
const { EventSource } = createRequire(`${folder}/`)("eventsource");
const source = new EventSource(url);
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

for (const type of ["snapshot", "gap", "version.delta", "task.succeeded", "message"]) {
  source.addEventListener(type, (event) => say({ type, id: event.lastEventId, data: event.data }));
}
source.addEventListener("error", (event) => {
  if (source.readyState === EventSource.CLOSED) say({ type: "closed", code: event.code ?? 0 });
});
