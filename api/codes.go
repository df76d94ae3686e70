package api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/ids"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/model"
)

// Code is a stable error code: what programs branch on.
type Code struct {
	Name   string
	Status int
	Title  string // what it means
	Remedy string // what to do
}

// Codes is every code that the HTTP surface answers, in the order of the docs.
var Codes = []Code{
	{"invalid_json", 400, "The body is not JSON.", "Send one JSON value in UTF-8, nested at most 64 deep."},
	{"invalid_request", 400, "A field, parameter or header is wrong; the detail names it.", "Correct what the detail names and send the request again."},
	{"invalid_definition", 422, "The definition, of a workflow or of a schedule, is not valid; errors[] lists every problem.", "Correct each problem; \"agnt5d validate FILE\" checks a workflow's file without a daemon."},
	{"payload_too_large", 413, "A body or payload is over its limit.", "Keep large data elsewhere and pass a reference to it, or raise the limit in the daemon's settings."},
	{"unsupported_media_type", 415, "The body's media type or encoding is not supported.", "Send application/json, without Content-Encoding; a browser page must name the type."},
	{"unauthorized", 401, "The request carries no valid access token.", "Send \"Authorization: Bearer TOKEN\" (AGNT5_API_KEY or --token-file for the command line; AGNT5_API_KEY, or an option of the client or worker, for the SDKs). Whoever has an admin token makes others with \"agnt5d token create\"."},
	{"forbidden", 403, "The access token does not allow this; the detail names the scope that is missing.", "Use a token with that scope. Whoever has an admin token makes one: \"agnt5d token create NAME --scope SCOPE\"."},
	{"host_refused", 421, "The Host header names a host that this daemon does not serve.", "Use the address that the daemon prints at its start, or add the name with --allow-host."},
	{"origin_refused", 403, "A browser page of another origin sent the request.", "Send it from the daemon's own page, or from a program."},
	{"not_found", 404, "There is no such route.", "Check the address: a daemon's URL has no path. GET /openapi.json lists every route."},
	{"method_not_allowed", 405, "The route does not support this method.", "The Allow header lists the methods it supports."},
	{"workflow_not_found", 404, "No workflow of that name, or no such version of it, is registered.", "\"agnt5d register NAME FILE\" registers one; \"agnt5d workflows\" lists those there are."},
	{"run_not_found", 404, "There is no run with that id.", "\"agnt5d list\" shows the runs that exist."},
	{"run_expired", 410, "The run was deleted, or its deletion has begun and children of it are gone. Of a deleted run nothing is kept but its id, so that it cannot start again by mistake.", "There is nothing left to look at or to change; one whose deletion has begun goes with \"agnt5d delete RUN\". To start a run use another id; the daemon's setting --keep-deleted-ids says how long this one is taken."},
	{"run_conflict", 409, "The id belongs to a run of another workflow, version or input.", "Use another id, or send the same workflow and input to get the run that exists."},
	{"run_finished", 409, "The run has finished and accepts nothing more.", "\"agnt5d show RUN\" says how it ended. \"agnt5d retry RUN\" reopens one that failed or was cancelled and was not compensated; \"agnt5d fork RUN --from STEP\" runs any other again from a step, as a new run."},
	{"run_finishing", 409, "The fate of the run is decided, and it is finishing: it compensates, or runs its finally steps, and takes no signal, cancellation or retry.", "\"agnt5d show RUN\" says what is left; \"agnt5d cancel RUN --force\" ends it at once."},
	{"run_compensated", 409, "Steps of the run were compensated, so a retry would build on what is taken back.", "\"agnt5d fork RUN --from STEP\" runs it again from a step, as a new run."},
	{"run_open", 409, "The run has not finished.", "\"agnt5d cancel RUN\" ends it; then delete or fork it."},
	{"parent_decides", 409, "The run is a child, and is retried with its parent.", "Retry its parent: \"agnt5d show RUN\" names it, and \"agnt5d retry PARENT --plan\" says whether that takes the child up again."},
	{"run_not_failed", 409, "Only a failed or cancelled run can be retried.", "\"agnt5d show RUN\" says which state the run is in."},
	{"damaged", 409, "What stands in the journal of this is damaged, and nothing else is.", "Put it there again: register the workflow, apply the schedule; or remove it: \"agnt5d objects delete KEY\". \"agnt5d verify\" names all damage, and \"agnt5d doctor FILE --repair NEW\" makes a whole journal."},
	{"run_quarantined", 409, "The run's history is damaged, and nothing is added to it.", "\"agnt5d cancel RUN\" ends it if it is open; if it had ended, \"agnt5d delete RUN\" removes it. \"agnt5d replay --check\" says what is damaged."},
	{"newer_release", 409, "A newer release of agnt5d wrote a part of the run, which this one does not understand. The run waits, and nothing is added to it.", "Start the newer agnt5d again on this journal: the run continues where it stopped."},
	{"too_many_tags", 409, "The run would have more than 16 tags.", "Take some away in the same request: \"agnt5d tag RUN --remove NAME\"; \"agnt5d show RUN\" lists them."},
	{"signal_conflict", 409, "The signal id was used before, with another name or payload.", "Use another signal_id."},
	{"step_not_found", 404, "The run has no step of that name.", "\"agnt5d show RUN\" lists the steps."},
	{"step_not_completed", 409, "The step has not completed, so it has no output.", "\"agnt5d show RUN\" says what state it is in."},
	{"step_not_open", 409, "The step is not open, and no failure of it is left to be mended.", "\"agnt5d show RUN\" says where its steps stand."},
	{"run_output_too_large", 409, "With this output the run's output would be over 16 MiB.", "Complete the step with a smaller output, or skip it."},
	{"fork_too_large", 409, "The first record of the fork, with all that it would take over of the run, would be over 128 MiB.", "Fork it from an earlier step, so that less is taken over."},
	{"timer_not_found", 404, "The run's workflow has no timer with that key.", "\"agnt5d show RUN\" lists the timers."},
	{"timer_not_waiting", 409, "The timer has not fired, and nothing waits on it now.", "Wait until the steps before it are done."},
	{"object_not_found", 404, "There is no object with that key.", "\"agnt5d objects\" lists the keys that have state or that a step holds or waits for. In a URL the key is percent-encoded."},
	{"object_held", 409, "A step holds the object key and will write its state.", "Delete it when that step is done; \"agnt5d show RUN\" shows its progress, \"agnt5d cancel RUN\" ends its run."},
	{"schedule_not_found", 404, "There is no schedule with that name.", "\"agnt5d schedules\" lists those there are."},
	{"schedule_changed", 409, "The schedule has another revision than If-Match says, or exists although If-None-Match says that it must not.", "Read the schedule again, and decide anew."},
	{"backfill_running", 409, "A backfill of the schedule is under way.", "\"agnt5d schedules show NAME\" says how far it has come."},
	{"service_not_found", 404, "There is no service with that name.", "\"agnt5d services put NAME URL\" sets one up; \"agnt5d services\" lists those there are."},
	{"token_not_found", 404, "There is no access token with that name.", "\"agnt5d token list\" shows the tokens."},
	{"token_exists", 409, "An access token of that name is valid.", "Choose another name, or revoke it first."},
	{"admin_token_first", 409, "There is no admin token, and without one nobody could change anything.", "Make a token with the scope admin first."},
	{"workflow_in_use", 409, "Runs, open or ended, use the workflow's version.", "Delete those runs first: \"agnt5d list --workflow NAME\" shows them, \"agnt5d delete --all --workflow NAME\" deletes those that have ended."},
	{"version_current", 409, "New runs get this version of the workflow.", "Make another version current first: \"agnt5d workflows use NAME VERSION\". Without a version the whole workflow is deleted."},
	{"worker_not_found", 404, "There is no such worker session: it left, or sent no heartbeat for longer than a lease.", "Register again with the same worker_id and the tokens you are still working on."},
	{"no_test_clock", 404, "The daemon runs on the machine's clock, which cannot be moved.", "Start one for tests with \"agnt5d serve --test-clock\"."},
	{"busy", 503, "The daemon is at its request limit. Nothing was recorded.", "Send the same request again after Retry-After seconds."},
	{"standby", 503, "This node waits for the journal, which another one has.", "Send the same request to the active node: the header Agnt5-Active names it. Clients and workers that are given the addresses of all nodes, separated by commas, do that by themselves."},
	{"shutting_down", 503, "The daemon is stopping.", "Send the same request again when the daemon is back: if it was recorded, you get the original answer."},
	{"not_a_file", 501, "The journal is kept in a database, and there is no file to copy.", "Copy the database with its own tools: pg_dump, or a base backup with the write-ahead log. \"agnt5d replay URL --check\" looks at a copy."},
	{"disk_full", 507, "The disk has no space for the journal. Nothing was recorded; reads still work.", "Free some space; the daemon resumes by itself."},
	{"engine_stopped", 500, "The engine has stopped, because a disk write failed and it is unknown what was recorded, or because the journal file was moved or replaced.", "Look at the daemon's log, restart the daemon and send the same request again: if it was recorded, you get the original answer."},
	{"internal", 500, "An internal error; the request is not at fault. Whether it was recorded is unknown.", "Send the same request again: if it was recorded, you get the original answer. The daemon's log has details."},
}

var byName = func() map[string]*Code {
	m := make(map[string]*Code, len(Codes))
	for i := range Codes {
		m[Codes[i].Name] = &Codes[i]
	}
	return m
}()

// problem makes an answer of a code.
func problem(code, detail string) *model.Problem {
	c := byName[code]
	if c == nil {
		c = byName["internal"]
	}
	if detail == "" {
		detail = c.Title
	}
	return &model.Problem{Type: "/errors/" + c.Name, Title: c.Title, Status: c.Status, Code: c.Name, Detail: detail, Help: c.Remedy}
}

// problemOf turns any error into an answer. Only what is ours to explain goes out; the rest stays in the log.
func (s *Server) problemOf(err error) *model.Problem {
	var p *model.Problem
	if errors.As(err, &p) {
		return p
	}
	var defs flow.Problems
	if errors.As(err, &defs) {
		p := problem("invalid_definition", "")
		for _, d := range defs {
			p.Errors = append(p.Errors, model.Fault{Code: d.Code, Step: d.Step, Detail: d.Detail, Line: d.Line, Column: d.Column})
		}
		p.Detail = defs.Error()
		return p
	}
	var payload *engine.PayloadError
	if errors.As(err, &payload) {
		switch {
		case payload.TooBig:
			return problem("payload_too_large", payload.Error())
		}
		return problem("invalid_request", payload.Error())
	}
	var req *engine.RequestError
	if errors.As(err, &req) {
		return problem("invalid_request", req.Error())
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return problem("payload_too_large", "the body is over the limit of "+itoa(large.Limit)+" bytes")
	}
	var refused *refusal.Refusal
	if errors.As(err, &refused) {
		p := problem(refused.Code(), err.Error())
		if about := (*refusal.About)(nil); errors.As(err, &about) {
			p.Help = strings.ReplaceAll(p.Help, "RUN", ids.Word(about.Run))
		}
		return p
	}
	if s.eng.Err() != nil || errors.Is(err, engine.ErrBroken) {
		return problem("engine_stopped", "")
	}
	s.log.Error("request failed", "error", err)
	return problem("internal", "")
}
