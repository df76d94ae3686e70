// Starts, signals and reads a run with openapi-typescript's types; an EventSource reads its events.
import createClient from "openapi-fetch";
import { EventSource } from "eventsource";
import type { paths } from "./document.js";

declare const process: { argv: string[] };

const url = process.argv[2]!;
const client = createClient<paths>({ baseUrl: url });
const started = await client.POST("/v1/workflows/{name}/runs", { params: { path: { name: "approval" } }, body: { workflow_id: "typescript", input_data: { n: 1 } } });
if (started.error || started.data.state !== "running") throw new Error(JSON.stringify(started.error));
const id = started.data.workflow_id;

const kinds: string[] = [];
let late: ReturnType<typeof setTimeout>;
const ended = new Promise<void>((resolve, reject) => {
  const source = new EventSource(`${url}/v1/runs/${id}/events`);
  source.onmessage = (message) => {
    const event = JSON.parse(message.data);
    kinds.push(event.kind);
    if (event.kind === "RunCompleted") {
      source.close();
      clearTimeout(late);
      resolve();
    }
  };
  late = setTimeout(() => reject(new Error(`an EventSource received ${kinds}`)), 60_000);
});
const signalled = await client.POST("/v1/runs/{id}/signals/{name}", { params: { path: { id, name: "go" } }, body: { payload: true } });
if (signalled.error) throw new Error(signalled.error.detail);
const run = await client.GET("/v1/runs/{id}", { params: { path: { id }, header: { Prefer: "wait=60" } } });
if (run.data?.state !== "completed") throw new Error(JSON.stringify(run.error ?? run.data));
await ended;
if (kinds[0] !== "RunStarted" || !kinds.includes("SignalReceived")) throw new Error(`an EventSource received ${kinds}`);
console.log("openapi-typescript, EventSource: ok");
