package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/listing"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/model"
)

// filters say which runs are meant. They stand in the query of a list; for what is done to many runs at once, in the query or
// in the body.
type filters struct {
	Workflow   filter  `json:"workflow,omitempty"`
	State      filter  `json:"state,omitempty"` // one, or several with commas between
	IDPrefix   filter  `json:"id_prefix,omitempty"`
	Paused     flagged `json:"paused,omitempty"`      // true or false
	Parent     filter  `json:"parent,omitempty"`      // the id of a run: its children
	Tag        tagged  `json:"tag,omitempty"`         // name:value, or a list of such: runs with all of them
	Since      filter  `json:"since,omitempty"`       // RFC 3339, of the start
	Until      filter  `json:"until,omitempty"`       // RFC 3339, exclusive
	EndedSince filter  `json:"ended_since,omitempty"` // RFC 3339, of the end
	EndedUntil filter  `json:"ended_until,omitempty"` // RFC 3339, exclusive
	ErrorCode  filter  `json:"error_code,omitempty"`
	Text       filter  `json:"text,omitempty"`      // in the error
	StuckFor   filter  `json:"stuck_for,omitempty"` // a duration such as 10m
	Include    filter  `json:"include,omitempty"`   // signals
}

// filter is the text of one; "" when it was not given.
type filter string

// wrong begins a filter that was given and is none; what was given follows. An unset variable in somebody's script must not
// mean every run, so an empty text and null are wrong.
const wrong = "\x00"

// UnmarshalJSON keeps apart what was not given and what was given wrong.
func (f *filter) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		text = wrong + string(b)
	}
	if text == "" {
		text = wrong
	}
	*f = filter(text)
	return nil
}

// tagged is the filter by tags: one text, or a list of them. They stand behind each other here, with a line break between, which no tag has.
type tagged filter

// UnmarshalJSON takes both.
func (f *tagged) UnmarshalJSON(b []byte) error {
	var all []string
	if json.Unmarshal(b, &all) == nil && len(all) > 0 && !slices.Contains(all, "") {
		*f = tagged(strings.Join(all, "\n"))
		return nil
	}
	return (*filter)(f).UnmarshalJSON(b)
}

// flagged is a filter that is true or false.
type flagged filter

// UnmarshalJSON takes true and false.
func (f *flagged) UnmarshalJSON(b []byte) error {
	if text := string(b); text == "true" || text == "false" {
		*f = flagged(text)
	} else {
		*f = flagged(wrong + text)
	}
	return nil
}

// named gives each filter with its name.
func (b *filters) named() map[string]*filter {
	return map[string]*filter{"workflow": &b.Workflow, "state": &b.State, "id_prefix": &b.IDPrefix, "parent": &b.Parent, "paused": (*filter)(&b.Paused), "tag": (*filter)(&b.Tag), "since": &b.Since, "until": &b.Until,
		"ended_since": &b.EndedSince, "ended_until": &b.EndedUntil, "error_code": &b.ErrorCode, "text": &b.Text, "stuck_for": &b.StuckFor, "include": &b.Include}
}

// fromQuery adds the filters of a query, and refuses those that are empty or stand in the body, too.
func (b *filters) fromQuery(q url.Values) error {
	for name, into := range b.named() {
		if q.Has(name) {
			if *into != "" {
				return twice(name)
			}
			if *into = filter(strings.Join(q[name], "\n")); *into == "" {
				*into = wrong
			}
		}
		switch given, bad := strings.CutPrefix(string(*into), wrong); {
		case bad && given != "" && name == "paused":
			return problem("invalid_request", name+": want true or false, not "+quote(given))
		case bad && given != "":
			return problem("invalid_request", name+": want a string, not "+quote(given))
		case bad:
			return problem("invalid_request", name+" is empty: give it a value, or leave it out")
		}
	}
	return nil
}

func twice(name string) error {
	return problem("invalid_request", name+" is in both the query and the body: give it once")
}

// withReasons takes "reason" out of what a list is to include, and says whether it was there.
func (b *filters) withReasons() bool {
	words := strings.Split(string(b.Include), ",")
	rest := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "reason" })
	b.Include = filter(strings.Join(slices.Compact(rest), ","))
	return len(rest) < len(words)
}

func (b *filters) filter() (engine.ListFilter, error) {
	q := url.Values{}
	for name, given := range b.named() {
		if *given != "" {
			q.Set(name, string(*given))
		}
	}
	if b.Tag != "" {
		q["tag"] = strings.Split(string(b.Tag), "\n")
	}
	switch {
	case b.Include != "" && b.StuckFor == "": // by itself it would be a filter that keeps nothing out
		return engine.ListFilter{}, problem("invalid_request", "include goes with stuck_for, and was given without it")
	case b.Include != "" && b.Include != "signals":
		return engine.ListFilter{}, problem("invalid_request", "include: "+quote(string(b.Include))+", want signals")
	}
	f, err := listing.Read(q)
	if err != nil {
		return f, problem("invalid_request", err.Error())
	}
	return f, nil
}

// diffRuns compares two runs.
func (s *Server) diffRuns(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	for _, name := range []string{"a", "b"} {
		if !q.Has(name) {
			return problem("invalid_request", name+" is missing: give the ids of two runs, as in /v1/diff?a=order-17&b=order-18")
		}
	}
	diff, err := s.eng.Diff(r.Context(), q.Get("a"), q.Get("b"), q.Get("steps") == "all")
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, diff)
}

// countRuns says how many runs there are.
func (s *Server) countRuns(w http.ResponseWriter, r *http.Request) error {
	still := stuckAfter
	if text := r.URL.Query().Get("stuck_for"); text != "" {
		var err error
		if still, err = listing.StuckFor(text); err != nil {
			return problem("invalid_request", "stuck_for: "+err.Error())
		}
	}
	counts, err := s.eng.RunCounts(r.Context(), still)
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, counts)
}

// manyBody is what a request for many runs at once may say. All but the reason may stand in the query instead.
type manyBody struct {
	filters
	All    *bool  `json:"all,omitempty"`     // true: every run, when there is no filter
	DryRun *bool  `json:"dry_run,omitempty"` // true: count what matches, and do nothing
	Reason string `json:"reason,omitempty"`  // kept in each run's history
}

type many struct {
	Matched int `json:"matched"` // runs that the filters name, in a state in which it can be done
	Done    int `json:"done"`    // of them, how many it was done to

	Refused  int         `json:"refused,omitempty"`  // of them, how many refused it, or with dry_run would refuse it
	Refusals []refusedBy `json:"refusals,omitempty"` // the first 100 of those
}

// refusedBy is a run to which it was not done, and why.
type refusedBy struct {
	WorkflowID string `json:"workflow_id"`
	Code       string `json:"code"`
	Detail     string `json:"detail"`
}

// maxRefusals is how many refusals an answer lists.
const maxRefusals = 100

// readMany reads a request for many runs at once. One that names neither a filter nor all=true is refused: nothing at all must
// not mean everything.
func (s *Server) readMany(w http.ResponseWriter, r *http.Request) (*manyBody, engine.ListFilter, error) {
	var b manyBody
	none := engine.ListFilter{}
	if err := s.decode(r, &b); err != nil {
		return nil, none, err
	}
	q := r.URL.Query()
	if err := b.fromQuery(q); err != nil {
		return nil, none, err
	}
	for name, into := range map[string]**bool{"all": &b.All, "dry_run": &b.DryRun} {
		if err := flag(q, name, into); err != nil {
			return nil, none, err
		}
	}
	if b.filters == (filters{}) && !is(b.All) {
		return nil, none, problem("invalid_request", "no filter is given: name the runs you mean (workflow, state, id_prefix, since, until, ...), or pass all=true for every run")
	}
	f, err := b.filter()
	return &b, f, err
}

// flag reads a parameter that is true or false.
func flag(q url.Values, name string, into **bool) error {
	if !q.Has(name) {
		return nil
	}
	if *into != nil {
		return twice(name)
	}
	text := q.Get(name)
	if text != "true" && text != "false" {
		return problem("invalid_request", name+": "+quote(text)+", want true or false")
	}
	v := text == "true"
	*into = &v
	return nil
}

func is(b *bool) bool { return b != nil && *b }

func (s *Server) cancelMany(w http.ResponseWriter, r *http.Request) error {
	return s.many(w, r, bulk{deed: "cancelled", states: []string{"running", "quarantined"}, one: s.eng.Cancel, try: model.DeedCancel})
}

// pauseMany pauses those that are not paused yet, and resumeMany resumes those that are.
func (s *Server) pauseMany(w http.ResponseWriter, r *http.Request) error {
	return s.manyPaused(w, r, false, s.eng.Pause)
}

func (s *Server) resumeMany(w http.ResponseWriter, r *http.Request) error {
	return s.manyPaused(w, r, true, s.eng.Resume)
}

func (s *Server) manyPaused(w http.ResponseWriter, r *http.Request, are bool, do func(ctx context.Context, run, reason string) error) error {
	deed := "paused"
	if are {
		deed = "resumed"
	}
	return s.many(w, r, bulk{deed: deed, states: []string{"running", "finishing"}, one: do}, func(f *engine.ListFilter) error {
		if f.Paused != nil && *f.Paused != are {
			return problem("invalid_request", fmt.Sprintf("paused: %t: no such run is %s; want %t, or nothing", *f.Paused, deed, are))
		}
		f.Paused = &are
		return nil
	})
}

func (s *Server) retryMany(w http.ResponseWriter, r *http.Request) error {
	return s.many(w, r, bulk{deed: "retried", states: []string{"failed", "cancelled"}, one: s.eng.Retry, try: model.DeedRetry})
}

func (s *Server) deleteMany(w http.ResponseWriter, r *http.Request) error {
	return s.many(w, r, bulk{deed: "deleted", states: []string{"completed", "failed", "cancelled"}, all: s.eng.DeleteMany,
		one: func(ctx context.Context, run, _ string) error { return s.eng.Delete(ctx, run) }})
}

// bulk is what is done to many runs.
type bulk struct {
	deed   string
	states []string // in which a run must be
	one    func(ctx context.Context, run, reason string) error
	all    func(ctx context.Context, runs []string, reason string) (int, error) // does it to those that do not refuse it; nil: one by one
	try    string                                                               // the deed of a plan that is refused as it would be; "": there is none
}

// many does one thing to every run that the filters name and that is in one of the states, page by page. Those that refuse it are
// counted, and it goes on with the others.
func (s *Server) many(w http.ResponseWriter, r *http.Request, do bulk, narrow ...func(*engine.ListFilter) error) error {
	b, f, err := s.readMany(w, r)
	if err == nil {
		err = possible(f.State, do.deed, do.states)
	}
	for _, more := range narrow {
		if err == nil {
			err = more(&f)
		}
	}
	if err == nil && len(b.Reason) > engine.MaxReason {
		err = problem("invalid_request", fmt.Sprintf("reason: %d bytes, the limit is %d", len(b.Reason), engine.MaxReason))
	}
	if err != nil {
		return err
	}
	f.Limit = maxPage
	var out many
	for {
		page, err := s.eng.ListPage(r.Context(), f)
		if err != nil {
			return err
		}
		var meant []string
		for i := range page.Runs {
			if slices.Contains(do.states, page.Runs[i].State) {
				meant = append(meant, page.Runs[i].WorkflowID)
			}
		}
		out.Matched += len(meant)
		if is(b.DryRun) {
			err = s.tryEach(r.Context(), &out, do, meant)
		} else if err = s.valid(r); err == nil {
			err = s.doEach(r.Context(), &out, do, meant, b.Reason)
		}
		if err != nil && out.Done > 0 { // no code that says "nothing was recorded" would be true
			return problem("internal", fmt.Sprintf("%d runs were done, then: %v. Send the same request again: what is done stays done", out.Done, err))
		}
		if err != nil {
			return err
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			return s.reply(w, http.StatusOK, out)
		}
	}
}

// doEach does it to the runs of a page.
func (s *Server) doEach(ctx context.Context, out *many, do bulk, runs []string, reason string) error {
	if do.all != nil {
		done, err := do.all(ctx, runs, reason)
		if out.Done += done; err != nil || done == len(runs) {
			return err
		}
	}
	errs := each(runs, func(id string) error { return do.one(ctx, id, reason) })
	for i, err := range errs {
		switch {
		case err == nil:
			out.Done++
		case do.all != nil && (errors.Is(err, engine.ErrRunExpired) || errors.Is(err, engine.ErrRunNotFound)): // all has deleted it
			errs[i] = nil
		}
	}
	return s.refusals(out, runs, errs)
}

// tryEach counts those of the runs of a page that would refuse it.
func (s *Server) tryEach(ctx context.Context, out *many, do bulk, runs []string) error {
	if do.try == "" {
		return nil
	}
	return s.refusals(out, runs, each(runs, func(id string) error {
		_, err := s.eng.Plan(ctx, id, engine.Deed{Do: do.try})
		return err
	}))
}

// refusals adds the runs that refused something to an answer. An error that is about more than one run is given back.
func (s *Server) refusals(out *many, runs []string, errs []error) error {
	var all error
	for i, err := range errs {
		var of *refusal.About
		switch {
		case err == nil:
		case errors.As(err, &of):
			p := s.problemOf(err)
			if out.Refused++; len(out.Refusals) < maxRefusals {
				out.Refusals = append(out.Refusals, refusedBy{WorkflowID: runs[i], Code: p.Code, Detail: p.Detail})
			}
		default:
			all = err
		}
	}
	return all
}

// possible refuses a filter by state that names runs to which the deed is never done: "0 runs deleted" would look like success.
func possible(filter, deed string, states []string) error {
	for _, state := range strings.Split(filter, ",") {
		if slices.Contains(kinds["state"].Enum, state) && !slices.Contains(states, state) {
			last := len(states) - 1
			return problem("invalid_request", fmt.Sprintf("state: %s: no such run is %s; want %s or %s", state, deed, strings.Join(states[:last], ", "), states[last]))
		}
	}
	return nil
}

// each calls do for each run, a few at a time so that they share commits, and gives what came of each.
func each(runs []string, do func(id string) error) []error {
	var wg sync.WaitGroup
	errs := make([]error, len(runs))
	slots := make(chan struct{}, 64)
	for i, id := range runs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = do(id)
		})
	}
	wg.Wait()
	return errs
}
