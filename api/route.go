package api

import (
	"net/http"

	"github.com/agnt5/agnt5d/internal/listing"
)

// route is one row of the HTTP surface. The mux and the OpenAPI document are both made from the table, so that they cannot
// tell two stories.
type route struct {
	Method, Path string
	ID           string // operationId
	Scope        scope  // what an access token must allow, once there is one
	Summary      string
	Tag          string
	Free         bool // it costs little, and is answered however many requests are under way
	Query        []param
	Headers      []string // of headers
	Lease        bool     // a worker may, too: one that shows the lease token of a task that depends on the step
	Body         any      // a value of the body's type; nil: none
	BodyNote     string   // what the type does not say
	Limit        int64    // of the body, in bytes; 0: a payload and what stands around it
	Outcomes     bool     // the body brings payloads: one that is allowed always fits, however small Limit is
	Types        []string // media types of body and answer besides JSON
	Answers      []answer
	Codes        []string // errors of its own, besides those that every route may answer

	before func(*Server, *http.Request) error // looks at a request before a large body is read; nil: nothing to look at
	handle func(*Server, http.ResponseWriter, *http.Request) error
}

// scope is what a route asks of an access token; package access says which tokens allow it.
type scope string

const (
	scopePublic  scope = "public"  // open without a token
	scopeRead    scope = "read"    // to look at everything but tokens and the journal file
	scopeOperate scope = "operate" // to start, signal, cancel and retry runs, too
	scopeWorker  scope = "worker"  // to be a worker of a service
	scopeAdmin   scope = "admin"   // everything: definitions, deletion, tokens, services, backup
)

type param struct {
	Name string
	Type string // of kinds
	Note string
}

type answer struct {
	Status int
	Body   any // nil: none
	Note   string
}

// filterParams are those that pick runs.
var filterParams = func() (all []param) {
	for _, f := range listing.Filters {
		all = append(all, param{f.Name, f.Kind, f.About})
	}
	return all
}()

var childrenParam = param{"children", "boolean", "true: children are listed, too. Without it they are left out, unless parent or id_prefix asks for them"}

var listParams = append(append([]param{}, filterParams...),
	param{"include", "includes", "reason: each failed or open run tells the step by which it failed or for which it waits, and why; a page has 100 runs at most then. signals: with stuck_for, runs that only wait for signals count as stuck, too. Or both with a comma between"})

var sortParam = param{"sort", "sort", "start: the newest start first (the default); end: the newest end first, only runs that have ended (the default with ended_since and ended_until)"}

// manyParams are those of what is done to many runs at once.
var manyParams = append(append([]param{}, filterParams...),
	param{"include", "include", "signals: with stuck_for, runs that only wait for signals count as stuck, too"},
	param{"all", "boolean", "true: every run, when no filter is given; one of the two must be"},
	param{"dry_run", "boolean", "true: only count what matches; done is 0"})

const manyNote = "Filters, all and dry_run may stand in the query or in the body. A filter that is empty is refused, and so is a request with neither a filter nor all=true."

var limitParam = param{"limit", "limit", "at most so many"}

var paging = []param{limitParam, {"cursor", "cursor", "next_cursor of the page before"}}

// eventParams are those of what gives events.
var eventParams = []param{
	limitParam,
	{"cursor", "cursor", "next_cursor of the page before, or the id of an event of a stream: what follows it"},
	{"after", "integer", "only events after this sequence; cursor says the same of any journal"},
	{"named", "boolean", "of a stream: true gives each message its kind as its event field, which a browser does not hand to onmessage"},
}

var stepsParam = []param{{"steps", "steps", "which steps the answer shows"}}

// itemsParams are those of what shows the items of a step with for_each.
var itemsParams = []param{{"items", "part", "a step with for_each: the answer has a page of its items"}, {"state", "item", "only items in this state; pending ones wait for their turn"}, limitParam, paging[1]}

var atParam = param{"at", "sequence", "as it was after the run's last event at or before this sequence of the journal; as_of says which one that is. No wait then"}

// leaseHeader shows a lease token.
const leaseHeader = "Agnt5-Lease-Token"

// headers that routes read.
var headers = map[string]*param{
	"Prefer":          {"Prefer", "preference", "wait=S waits up to S seconds (at most 300) for the run's end; together with If-None-Match for its next change"},
	"Idempotency-Key": {"Idempotency-Key", "run_id", "stands for the id when the body has none"},
	"If-None-Match":   {"If-None-Match", "header", "an ETag: 304 when the answer would be the same: of a run, when its history has not grown since. For a schedule: *, only when there is none of that name"},
	"If-Match":        {"If-Match", "header", "a revision, as in the ETag: only when the schedule has that one"},
	"Last-Event-ID":   {"Last-Event-ID", "cursor", "the id of the last event of a stream that goes on"},
	leaseHeader:       {leaseHeader, "header", "the token of a task under way: with it a worker may read the output of a step on which the task depends"},
	"Traceparent":     {"Traceparent", "header", "W3C trace context, kept with the run and handed to its workers"},
}

// anyJSON stands for any JSON value in the OpenAPI document.
type anyJSON struct{}

// definition stands for a workflow's definition there, and scheduleDefinition for a schedule's.
type (
	definition         struct{}
	scheduleDefinition struct{}
)
