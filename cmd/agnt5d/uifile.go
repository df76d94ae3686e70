package main

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/diagram"
	"github.com/agnt5/agnt5d/internal/ids"
	"github.com/agnt5/agnt5d/internal/listing"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
)

type object map[string]any

func (s *fileServer) answer(r *http.Request) (any, error) {
	parts, err := ids.Parts(r.URL.EscapedPath())
	if err != nil {
		return nil, &model.Problem{Status: http.StatusBadRequest, Code: "invalid_request", Detail: err.Error()}
	}
	part := func(i int) string {
		if i < len(parts) {
			return parts[i]
		}
		return ""
	}
	q := r.URL.Query()
	switch {
	case r.URL.Path == "/version":
		// Durable 0: nothing happens here.
		return object{"version": engine.Release(), "durable": 0, "file": filepath.Base(s.f.path), "as_of": rfc3339.Format(s.asOf)}, nil
	case r.URL.Path == "/v1/session":
		return object{"by": "local", "scope": "read", "open": true}, nil
	case part(1) == "runs" && len(parts) == 2:
		return s.runs(q)
	case part(1) == "runs" && len(parts) == 3:
		return s.status(part(2), given(q, "at"))
	case part(1) == "runs" && len(parts) == 4 && part(3) == "events":
		return s.history(part(2), q)
	case part(1) == "runs" && len(parts) == 4 && part(3) == "timeline":
		return s.timeline(r.Context(), part(2), given(q, "at"))
	case part(1) == "runs" && len(parts) == 4 && part(3) == "logs":
		return s.logs(part(2), "")
	case part(1) == "runs" && len(parts) == 6 && part(3) == "steps" && part(5) == "logs":
		return s.logs(part(2), part(4))
	case part(1) == "runs" && len(parts) == 6 && part(3) == "steps" && part(5) == "output":
		return s.output(part(2), part(4))
	case part(1) == "run-counts":
		return s.counts()
	case part(1) == "diff":
		return s.f.diff(r.Context(), q.Get("a"), q.Get("b"), q.Get("steps") == "all")
	case part(1) == "workflows" && len(parts) == 2:
		return s.workflows()
	case part(1) == "workflows" && len(parts) == 3:
		return s.workflow(part(2), uint32(given(q, "version")))
	case part(1) == "workflows" && len(parts) == 4 && part(3) == "graph":
		return s.graph(part(2), uint32(given(q, "version")), int(given(q, "fold")))
	}
	return nil, &model.Problem{Status: http.StatusNotFound, Code: "not_found", Detail: "a journal file does not say this: " + r.URL.Path}
}

func given(q url.Values, name string) uint64 {
	n, _ := strconv.ParseUint(q.Get(name), 10, 63)
	return n
}

func (s *fileServer) runs(q url.Values) (any, error) {
	f, err := listing.Read(q)
	if err != nil {
		return nil, &model.Problem{Status: http.StatusBadRequest, Code: "invalid_request", Detail: err.Error()}
	}
	f.Limit, f.Cursor = int(cmp.Or(min(given(q, "limit"), 1000), 100)), q.Get("cursor")
	runs, next, err := archive.Runs(s.f.kept, f, nil)
	if err != nil {
		return nil, err
	}
	if slices.Contains(strings.Split(q.Get("include"), ","), "reason") {
		for i := range runs {
			s.reason(&runs[i])
		}
	}
	return object{"runs": runs, "next_cursor": next}, nil
}

// reason adds to a run of a list why it failed, or what it waited for. A history that cannot be read is told by the run itself.
func (s *fileServer) reason(head *model.RunHead) {
	switch state, _ := replay.ParseRunState(head.State); {
	case state == replay.Failed:
		head.Reason = archive.FailedBy(head)
	case !state.Ended():
		st, err := s.f.status(head.WorkflowID)
		if err == nil {
			head.Reason, head.StepCounts = archive.MostUrgent(st.Reasons), st.StepCounts
		}
	}
}

func (s *fileServer) counts() (any, error) {
	byState, err := s.f.States()
	if err != nil {
		return nil, err
	}
	states := map[string]int{}
	for state, n := range byState {
		states[replay.RunState(state).String()] += n
	}
	return object{"states": states}, nil
}

func (s *fileServer) logs(id, step string) (any, error) {
	run, err := s.f.find(id)
	if err != nil {
		return nil, err
	}
	logs, err := archive.Logs(s.f.log, run, step, journal.SaidMark{}, 0)
	return object{"logs": logs}, err
}

// output gives the output of a completed step.
func (s *fileServer) output(id, step string) (any, error) {
	st, err := s.f.status(id)
	if err != nil {
		return nil, err
	}
	if got, ok := st.Steps[step]; ok && got.Output != nil {
		return got.Output, nil
	}
	return nil, exit(exitNotFound, "step %q of run %q has no output", step, id)
}

func (s *fileServer) status(id string, at uint64) (any, error) {
	if at == 0 {
		return s.f.status(id)
	}
	_, last, err := s.all(id)
	if err != nil {
		return nil, err
	}
	run, err := s.f.find(id)
	if err != nil {
		return nil, err
	}
	if at < run {
		return nil, exit(exitNotFound, "at event %d run %q had not begun; its first event is %d", at, id, run)
	}
	state, seq, when, err := s.f.StateAt(run, last, at)
	if err != nil {
		return nil, s.f.broken(err)
	}
	out, err := s.f.Status(&archive.Look{S: state, Reasons: engine.ReasonsThen(state)}, archive.AllSteps)
	if err != nil {
		return nil, err
	}
	out.AsOf = &model.AsOf{Seq: seq, N: state.Events, At: rfc3339.Format(when)}
	return out, nil
}

// all gives the events of a run; those of the one that was looked at last are kept.
func (s *fileServer) all(id string) (events []model.Event, last uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == id {
		return s.events, s.last, nil
	}
	run, err := s.f.find(id)
	if err != nil {
		return nil, 0, err
	}
	w := s.f.Walk()
	w.Each = func(e model.Event, _ *replay.State, _ []string) error {
		events = append(events, e)
		return nil
	}
	if err := s.f.walk(w, run, 0); err != nil {
		return nil, 0, err
	}
	if n := w.Newer[run]; n != nil {
		last = n.Last
	} else {
		last = w.States[run].LastSeq
	}
	s.run, s.events, s.last = id, events, last
	return events, last, nil
}

func (s *fileServer) history(id string, q url.Values) (any, error) {
	events, _, err := s.all(id)
	if err != nil {
		return nil, err
	}
	from := min(int(given(q, "cursor")), len(events))
	to := min(from+int(cmp.Or(min(given(q, "limit"), 1000), 100)), len(events))
	return object{"events": events[from:to], "next_cursor": strconv.Itoa(to)}, nil
}

func (s *fileServer) timeline(ctx context.Context, id string, at uint64) (any, error) {
	_, last, err := s.all(id)
	if err != nil {
		return nil, err
	}
	h, err := s.f.FindHead(id, 0)
	if err != nil {
		return nil, err
	}
	spans, _, err := s.f.Timeline(ctx, h, last, at, 0, 50_000)
	return object{"attempts": spans}, err
}

func (s *fileServer) workflows() (any, error) {
	all, _, err := s.f.Versions()
	if err != nil {
		return nil, err
	}
	place, list := map[string]int{}, []model.Workflow{}
	for _, d := range all {
		if d.Digest == "" { // it was deleted
			continue
		}
		i, ok := place[d.Name]
		if !ok {
			i = len(list)
			place[d.Name] = i
			list = append(list, model.Workflow{Name: d.Name})
		}
		w := &list[i]
		w.Versions++
		if d.Current {
			w.Version, w.Current, w.Digest, w.CreatedAt = d.Version, d.Version, d.Digest, rfc3339.Format(d.At)
		}
	}
	slices.SortFunc(list, func(a, b model.Workflow) int { return strings.Compare(a.Name, b.Name) })
	return object{"workflows": list}, nil
}

func (s *fileServer) workflow(name string, version uint32) (any, error) {
	all, _, err := s.f.Versions()
	if err != nil {
		return nil, err
	}
	var out model.Workflow
	for _, d := range all {
		if d.Name != name || d.Digest == "" {
			continue
		}
		out.Versions++
		out.Numbers = append(out.Numbers, d.Version)
		if d.Current {
			out.Current = d.Version
		}
		if d.Version == version || version == 0 && d.Current {
			out.Name, out.Version, out.Digest, out.CreatedAt = name, d.Version, d.Digest, rfc3339.Format(d.At)
			if out.Definition, err = s.f.DefinitionBody(d.Digest); err != nil {
				return nil, err
			}
		}
	}
	if out.Name == "" {
		return nil, exit(exitNotFound, "no workflow %q version %d in %s", name, version, s.f.path)
	}
	return out, nil
}

func (s *fileServer) graph(name string, version uint32, fold int) (any, error) {
	w, err := s.workflow(name, version)
	if err != nil {
		return nil, err
	}
	wf := w.(model.Workflow)
	g, err := s.f.Graph(flow.Digest(wf.Digest))
	if err != nil {
		return nil, err
	}
	d := diagram.Of(g)
	if fold > 0 {
		d = d.Fold(fold, nil)
	}
	out := d.Layout().Model()
	out.Name, out.Version, out.Digest = wf.Name, wf.Version, wf.Digest
	return out, nil
}
