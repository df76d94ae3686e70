package api

import (
	"net/http"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/push"
)

// route is one row of the HTTP surface. The mux and the OpenAPI document are both made from the table, so that they cannot
// tell two stories.
type route struct {
	Method, Path string
	ID           string // operationId
	Summary      string
	Tag          string
	Free         bool // it costs little, and is answered however many requests are under way
	Query        []param
	Headers      []string // of headers
	Body         any      // a value of the body's type; nil: none
	BodyNote     string   // what the type does not say
	Limit        int64    // of the body, in bytes; 0: a payload and what stands around it
	Types        []string // media types of body and answer besides JSON
	Answers      []answer
	Codes        []string // errors of its own, besides those that every route may answer

	before func(*Server, *http.Request) error // looks at a request before a large body is read; nil: nothing to look at
	handle func(*Server, http.ResponseWriter, *http.Request) error
}

type param struct {
	Name, Type, Note string
}

type answer struct {
	Status int
	Body   any // nil: none
	Note   string
}

var listParams = []param{
	{"workflow", "string", "only runs of this workflow"},
	{"state", "string", "only runs in this state: running, completed, failed, cancelled, quarantined"},
	{"id_prefix", "string", "only runs whose id begins so"},
	{"since", "date-time", "only runs started at or after this time"},
	{"until", "date-time", "only runs started before this time"},
}

// manyParams are those of what is done to many runs at once.
var manyParams = append(append([]param{}, listParams...),
	param{"all", "boolean", "true: every run, when no filter is given; one of the two must be"},
	param{"dry_run", "boolean", "true: only count what matches; done is 0"})

const manyNote = "Filters, all and dry_run may stand in the query or in the body. A filter that is empty is refused, and so is a request with neither a filter nor all=true."

var paging = []param{{"limit", "integer", "at most so many (default 100, at most 1,000)"}, {"cursor", "string", "next_cursor of the page before"}}

var stepsParam = []param{{"steps", "string", "which steps the answer shows: all (default), open or none"}}

// headers that routes read.
var headers = map[string]string{
	"Prefer":          "wait=S waits up to S seconds (at most 300) for the run's end",
	"Idempotency-Key": "stands for the id when the body has none",
	"If-None-Match":   "an ETag: 304 when the run's history has not grown since",
	"Last-Event-ID":   "of an event stream that goes on",
	"Traceparent":     "W3C trace context, kept with the run and handed to its workers",
}

var routes = []route{
	{Method: "PUT", Path: "/v1/workflows/{name}", ID: "putWorkflow", Tag: "workflows", Summary: "Register a definition and make it current",
		Body: anyJSON{}, Limit: flow.MaxBytes, BodyNote: "The definition: JSON if it begins with {, else YAML.", Types: []string{"application/yaml"},
		Answers: []answer{{201, engine.Version{}, "a new version"}, {200, engine.Version{}, "the name has had this definition; it is current now"}},
		Codes:   []string{"invalid_definition", "payload_too_large", "disk_full"}, handle: (*Server).putWorkflow},
	{Method: "GET", Path: "/v1/workflows", ID: "listWorkflows", Tag: "workflows", Summary: "List workflows",
		Answers: []answer{{200, workflowList{}, ""}}, handle: (*Server).listWorkflows},
	{Method: "GET", Path: "/v1/workflows/{name}", ID: "getWorkflow", Tag: "workflows", Summary: "One workflow, with its definition",
		Query: []param{{"version", "integer", "this version; absent: the current one"}}, Answers: []answer{{200, engine.Workflow{}, ""}},
		Codes: []string{"workflow_not_found"}, handle: (*Server).getWorkflow},
	{Method: "POST", Path: "/v1/workflows/{name}/runs", ID: "startRun", Tag: "runs", Summary: "Start a run",
		Query: stepsParam, Headers: []string{"Prefer", "Idempotency-Key", "Traceparent"}, Body: startBody{},
		Answers: []answer{{201, engine.Status{}, "a new run"}, {200, engine.Status{}, "the run of that id exists, with this workflow and input"}},
		Codes:   []string{"workflow_not_found", "run_conflict", "run_expired", "disk_full", "shutting_down"}, handle: (*Server).startRun},
	{Method: "GET", Path: "/v1/runs", ID: "listRuns", Tag: "runs", Summary: "List runs, newest first",
		Query: append(append([]param{}, listParams...), paging...), Answers: []answer{{200, runList{}, ""}}, handle: (*Server).listRuns},
	{Method: "POST", Path: "/v1/runs/cancel", ID: "cancelRuns", Tag: "runs", Summary: "Cancel every open run that the filters name",
		Query: manyParams, Body: manyBody{}, BodyNote: manyNote, Answers: []answer{{200, many{}, ""}}, handle: (*Server).cancelMany},
	{Method: "POST", Path: "/v1/runs/retry", ID: "retryRuns", Tag: "runs", Summary: "Retry every failed or cancelled run that the filters name",
		Query: manyParams, Body: manyBody{}, BodyNote: manyNote, Answers: []answer{{200, many{}, ""}}, handle: (*Server).retryMany},
	{Method: "GET", Path: "/v1/runs/{id}", ID: "getRun", Tag: "runs", Summary: "A run's status",
		Query: stepsParam, Headers: []string{"Prefer", "If-None-Match"},
		Answers: []answer{{200, engine.Status{}, ""}, {304, nil, "as it was"}}, Codes: []string{"run_not_found", "run_expired", "newer_release"}, handle: (*Server).getRun},
	{Method: "DELETE", Path: "/v1/runs/{id}", ID: "deleteRun", Tag: "runs", Summary: "Delete a finished run and its history",
		Answers: []answer{{204, nil, "gone"}}, Codes: []string{"run_not_found", "run_expired", "run_open", "newer_release"}, handle: (*Server).deleteRun},
	{Method: "GET", Path: "/v1/runs/{id}/events", ID: "runEvents", Tag: "events", Summary: "A run's events; with Accept: text/event-stream, live",
		Query: []param{{"after", "integer", "only events after this sequence"}, {"limit", "integer", "at most so many (default 100, at most 1,000)"}}, Headers: []string{"Last-Event-ID"},
		Types: []string{"text/event-stream"}, Answers: []answer{{200, eventList{}, ""}, {204, nil, "a stream of a finished run that has given everything"}},
		Codes: []string{"run_not_found", "run_expired", "run_quarantined"}, handle: (*Server).runEvents},
	{Method: "GET", Path: "/v1/events", ID: "events", Tag: "events", Summary: "The events of all runs in journal order; with Accept: text/event-stream, live",
		Query: []param{{"after", "integer", "only events after this sequence"}, {"limit", "integer", "at most so many (default 100, at most 1,000)"}}, Headers: []string{"Last-Event-ID"},
		Types: []string{"text/event-stream"}, Answers: []answer{{200, eventList{}, ""}}, handle: (*Server).allEvents},
	{Method: "GET", Path: "/v1/runs/{id}/explain", ID: "explainRun", Tag: "runs", Summary: "Why each open step does not move, and which command would help",
		Answers: []answer{{200, explanation{}, ""}}, Codes: []string{"run_not_found", "run_expired"}, handle: (*Server).explainRun},
	{Method: "POST", Path: "/v1/runs/{id}/signals/{name}", ID: "signalRun", Tag: "runs", Summary: "Send a signal", Headers: []string{"Idempotency-Key"},
		Body: signalBody{}, Answers: []answer{{202, signalled{}, "recorded"}}, Codes: []string{"run_not_found", "run_expired", "run_finished", "run_quarantined", "newer_release", "signal_conflict", "disk_full"}, handle: (*Server).signalRun},
	{Method: "POST", Path: "/v1/runs/{id}/cancel", ID: "cancelRun", Tag: "runs", Summary: "Cancel a run",
		Body: cancelBody{}, Answers: []answer{{202, accepted{}, "cancelled, now or before"}}, Codes: []string{"run_not_found", "run_expired", "run_finished", "newer_release", "disk_full"}, handle: (*Server).cancelRun},
	{Method: "POST", Path: "/v1/runs/{id}/retry", ID: "retryRun", Tag: "runs", Summary: "Reopen a failed or cancelled run",
		Body: noBody{}, Answers: []answer{{202, accepted{}, "reopened"}}, Codes: []string{"run_not_found", "run_expired", "run_not_failed", "run_quarantined", "newer_release", "disk_full"}, handle: (*Server).retryRun},
	{Method: "POST", Path: "/v1/runs/{id}/timers/{key}/fire", ID: "fireTimer", Tag: "runs", Summary: "Fire a timer now",
		Body: noBody{}, Answers: []answer{{202, accepted{}, "fired, now or before"}}, Codes: []string{"run_not_found", "run_expired", "run_quarantined", "newer_release", "timer_not_found", "timer_not_waiting", "disk_full"}, handle: (*Server).fireTimer},
	{Method: "GET", Path: "/v1/objects", ID: "listObjects", Tag: "objects", Summary: "List object keys that have state, by key",
		Query: append([]param{{"prefix", "string", "only keys that begin so"}}, paging...), Answers: []answer{{200, objectList{}, ""}}, handle: (*Server).listObjects},
	{Method: "GET", Path: "/v1/objects/{key}", ID: "getObject", Tag: "objects", Summary: "One object key: state, version, fence, holder, queue",
		Answers: []answer{{200, engine.Object{}, ""}}, Codes: []string{"object_not_found"}, handle: (*Server).getObject},
	{Method: "DELETE", Path: "/v1/objects/{key}", ID: "deleteObject", Tag: "objects", Summary: "Remove an object's state",
		Answers: []answer{{204, nil, "gone"}}, Codes: []string{"disk_full"}, handle: (*Server).deleteObject},
	{Method: "GET", Path: "/v1/workers", ID: "listWorkers", Tag: "workers", Summary: "Who works, and on what",
		Answers: []answer{{200, workerList{}, ""}}, handle: (*Server).listWorkers},
	{Method: "POST", Path: "/v1/workers", ID: "joinWorker", Tag: "workers", Summary: "Open a worker's session, or come back to it",
		Body: wire.Register{}, Limit: flow.MaxBytes + maxEnvelope, Types: []string{wire.Msgpack}, Answers: []answer{{201, wire.Registered{}, ""}}, Codes: []string{"invalid_definition", "disk_full", "shutting_down"}, handle: (*Server).joinWorker},
	{Method: "POST", Path: "/v1/workers/{id}/poll", ID: "pollWorker", Tag: "workers", Summary: "Report what is done and take what is next",
		Body: wire.Poll{}, Limit: minPollBody, Types: []string{wire.Msgpack}, Answers: []answer{{200, wire.Polled{}, ""}, {204, nil, "there is nothing"}},
		Codes: []string{"worker_not_found", "disk_full", "shutting_down"}, before: (*Server).known, handle: (*Server).pollWorker},
	{Method: "POST", Path: "/v1/workers/{id}/heartbeat", ID: "heartbeat", Tag: "workers", Summary: "Renew leases",
		Body: wire.Heartbeat{}, Limit: minPollBody, Types: []string{wire.Msgpack}, Answers: []answer{{200, wire.Beaten{}, ""}}, Codes: []string{"worker_not_found"}, before: (*Server).known, handle: (*Server).heartbeat},
	{Method: "DELETE", Path: "/v1/workers/{id}", ID: "leaveWorker", Tag: "workers", Summary: "Leave: open tasks are offered to others at once",
		Answers: []answer{{204, nil, "left"}}, Codes: []string{"worker_not_found"}, handle: (*Server).leaveWorker},
	{Method: "GET", Path: "/v1/services", ID: "listServices", Tag: "services", Summary: "List push services",
		Answers: []answer{{200, serviceList{}, ""}}, handle: (*Server).listServices},
	{Method: "PUT", Path: "/v1/services/{name}", ID: "putService", Tag: "services", Summary: "Set up a push service: tasks are POSTed to it",
		Body: serviceBody{}, Limit: maxEnvelope, Answers: []answer{{201, push.Service{}, "new; the secret is shown this once"}, {200, push.Service{}, "changed"}}, Codes: []string{"disk_full"}, handle: (*Server).putService},
	{Method: "GET", Path: "/v1/services/{name}", ID: "getService", Tag: "services", Summary: "One push service",
		Answers: []answer{{200, push.Service{}, ""}}, Codes: []string{"service_not_found"}, handle: (*Server).getService},
	{Method: "DELETE", Path: "/v1/services/{name}", ID: "deleteService", Tag: "services", Summary: "Remove a push service",
		Answers: []answer{{204, nil, "gone"}}, Codes: []string{"service_not_found", "disk_full"}, handle: (*Server).deleteService},
	{Method: "GET", Path: "/v1/journal", ID: "journalCopy", Tag: "daemon", Summary: "The journal as it is at one moment, as a file",
		Types: []string{"application/octet-stream"}, Answers: []answer{{200, nil, "the file"}}, handle: (*Server).journalCopy},
	{Method: "GET", Path: "/healthz", ID: "health", Tag: "daemon", Summary: "Whether the process answers", Free: true,
		Answers: []answer{{200, healthy{}, ""}}, handle: (*Server).health},
	{Method: "GET", Path: "/readyz", ID: "ready", Tag: "daemon", Summary: "Whether requests are worth sending, and why not", Free: true,
		Answers: []answer{{200, readiness{}, ""}, {503, readiness{}, "not now"}}, handle: (*Server).ready},
	{Method: "GET", Path: "/version", ID: "version", Tag: "daemon", Summary: "What is running", Free: true,
		Answers: []answer{{200, versionInfo{}, ""}}, handle: (*Server).version},
	{Method: "GET", Path: "/metrics", ID: "metrics", Tag: "daemon", Summary: "Figures in the Prometheus text format", Types: []string{"text/plain"},
		Answers: []answer{{200, nil, "the figures"}}, handle: (*Server).showMetrics},
	{Method: "GET", Path: "/errors/{code}", ID: "explainCode", Tag: "daemon", Summary: "What an error code means, and what to do", Types: []string{"text/plain"},
		Answers: []answer{{200, nil, "the page"}}, handle: (*Server).explainCode},
	{Method: "GET", Path: "/schema/workflow.json", ID: "workflowSchema", Tag: "daemon", Summary: "The JSON Schema of workflow definitions, for editors",
		Types: []string{"application/schema+json"}, Answers: []answer{{200, nil, "the schema"}}, handle: (*Server).workflowSchema},
	{Method: "GET", Path: "/{$}", ID: "front", Tag: "daemon", Summary: "A few words for a browser", Types: []string{"text/plain"},
		Answers: []answer{{200, nil, "the page"}}, handle: (*Server).front},
}

func init() { // it shows the table that it stands in
	routes = append(routes, route{Method: "GET", Path: "/openapi.json", ID: "openAPI", Tag: "daemon", Summary: "This document", Free: true,
		Answers: []answer{{200, anyJSON{}, ""}}, handle: (*Server).openAPI})
}

// anyJSON stands for any JSON value in the OpenAPI document.
type anyJSON struct{}
