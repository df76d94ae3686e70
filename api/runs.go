package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/cursor"
	"github.com/agnt5/agnt5d/model"
)

type startBody struct {
	InputData  json.RawMessage `json:"input_data,omitempty"`  // any JSON; absent: null
	WorkflowID *string         `json:"workflow_id,omitempty"` // the caller's own id; absent: a ULID
	Version    uint32          `json:"version,omitempty"`     // of the workflow; absent or 0: the current one
	// Signal is delivered together with the start, or to the run of that id when it exists.
	Signal *startSignalBody  `json:"signal,omitempty"`
	Tags   map[string]string `json:"tags,omitempty"` // names and values by which lists find the run
	startLater
}

func (s *Server) startRun(w http.ResponseWriter, r *http.Request) error {
	if s.stopping.Load() {
		return problem("shutting_down", "")
	}
	var in startBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	opts, err := startOptions(in.Version, in.Signal, in.Tags, &in.startLater)
	if err != nil {
		return err
	}
	if own, given := ownID(in.WorkflowID, r); given {
		opts = append(opts, engine.WithID(own))
	}
	if trace := r.Header.Get("Traceparent"); validTrace(trace) {
		opts = append(opts, engine.WithTrace(trace))
	}
	id, created, err := s.eng.StartRun(r.Context(), r.PathValue("name"), in.InputData, opts...)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	w.Header().Set("Location", "/v1/runs/"+url.PathEscape(id))
	return s.runAfter(w, r, status, id, patience(r), stepsShown(r)...)
}

// ownID gives the id that a caller gave: in the body, else as Idempotency-Key. An empty one is given, too: an unset variable
// in somebody's script must not make each try another run or signal.
func ownID(inBody *string, r *http.Request) (id string, given bool) {
	if inBody != nil {
		return *inBody, true
	}
	if key := r.Header.Values("Idempotency-Key"); len(key) > 0 {
		return key[0], true
	}
	return "", false
}

// validTrace says whether the text is a W3C traceparent. Another one is passed over, as the recommendation wants.
func validTrace(t string) bool {
	if len(t) != 55 || t[2] != '-' || t[35] != '-' || t[52] != '-' || strings.HasPrefix(t, "ff") {
		return false
	}
	for i := range len(t) {
		if c := t[i]; c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return t[3:35] != strings.Repeat("0", 32) && t[36:52] != strings.Repeat("0", 16)
}

// runAfter answers with a run's status, after waiting for its end if the request wants that; one that knows the run by its ETag
// waits for the next change.
func (s *Server) runAfter(w http.ResponseWriter, r *http.Request, status int, id string, wait time.Duration, opts ...engine.StatusOption) error {
	var tags []string
	if r.Method != http.MethodPost {
		tags = splitComma(r.Header.Get("If-None-Match"))
	}
	var st *engine.Status
	if wait > 0 {
		s.waits(w)
		ctx, cancel := s.context(r)
		defer cancel()
		bounded, stop := context.WithTimeout(ctx, wait)
		var err error
		st, err = s.await(bounded, id, tags, opts)
		over := bounded.Err() != nil
		stop()
		if err != nil && !over {
			return err
		}
		w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait.Seconds())))
	}
	if st == nil {
		var err error
		if st, err = s.eng.Status(r.Context(), id, opts...); err != nil {
			return err
		}
	}
	tag := etag(st)
	w.Header().Set("ETag", tag)
	if knows(tags, tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return s.reply(w, status, st)
}

// await waits for a run's end and gives the run as it was then; when the run is as one of the tags says, it waits for the next
// event, and gives nothing.
func (s *Server) await(ctx context.Context, id string, tags []string, opts []engine.StatusOption) (*engine.Status, error) {
	if len(tags) == 0 || tags[0] == "" {
		return s.eng.Wait(ctx, id, opts...)
	}
	st, err := s.eng.Status(ctx, id, engine.NoSteps())
	if err != nil || !knows(tags, etag(st)) {
		return nil, err
	}
	err = s.eng.Watch(ctx, engine.WatchFilter{Run: id, After: st.LastSeq}, func(e engine.Event) error {
		if e.N > st.Events { // LastSeq is where the last events begin that were written together
			return errChanged
		}
		return nil
	})
	if errors.Is(err, errChanged) {
		err = nil
	}
	return nil, err
}

var errChanged = errors.New("the run has changed")

// knows says whether a client has what the tag stands for.
func knows(tags []string, tag string) bool {
	for _, known := range tags {
		if strings.TrimPrefix(known, "W/") == tag || known == "*" {
			return true
		}
	}
	return false
}

// etag is the last sequence of the run, as far as its history goes; what only memory knows (who works on it) is not in it.
func etag(st *engine.Status) string { return `"` + strconv.FormatUint(st.LastSeq, 10) + `"` }

func (s *Server) getRun(w http.ResponseWriter, r *http.Request) error {
	if at, err := strconv.ParseUint(r.URL.Query().Get("at"), 10, 63); err == nil { // its kind was checked
		return s.runAt(w, r, at)
	}
	return s.runAfter(w, r, http.StatusOK, r.PathValue("id"), patience(r), stepsShown(r)...)
}

// runAt answers with a run's status as it was after an event, which never changes.
func (s *Server) runAt(w http.ResponseWriter, r *http.Request, at uint64) error {
	id := r.PathValue("id")
	st, err := s.eng.StatusAt(r.Context(), id, at, stepsShown(r)...)
	if err != nil {
		return err
	}
	if st.AsOf != nil {
		tag := `"at-` + strconv.FormatUint(st.AsOf.Seq, 10) + `"`
		w.Header().Set("ETag", tag)
		if knows(splitComma(r.Header.Get("If-None-Match")), tag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	return s.reply(w, http.StatusOK, st)
}

// stepsShown reads the parameter that says which steps a status shows; it was checked before.
func stepsShown(r *http.Request) (all []engine.StatusOption) {
	q := r.URL.Query()
	switch q.Get("steps") {
	case "open":
		all = append(all, engine.OpenSteps())
	case "none":
		all = append(all, engine.NoSteps())
	}
	if step := q.Get("items"); step != "" {
		all = append(all, engine.WithItems(engine.ItemsAsked{Step: step, State: q.Get("state"), Cursor: q.Get("cursor"), Limit: number(q.Get("limit"), defaultPage)}))
	}
	return all
}

type runList struct {
	Runs       []engine.RunHead `json:"runs"`
	NextCursor string           `json:"next_cursor,omitempty"` // absent: there are no more
}

// How many entries a page of a list has.
const (
	defaultPage = 100
	maxPage     = 1000
	maxReasons  = 100 // of a page with the reason of each run
)

func (s *Server) listRuns(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	get := q.Get
	var b filters
	if err := b.fromQuery(q); err != nil {
		return err
	}
	why := b.withReasons()
	f, err := b.filter()
	if err != nil {
		return err
	}
	f.Limit = number(get("limit"), defaultPage)
	if why {
		f.Limit = min(f.Limit, maxReasons)
	}
	f.Cursor = get("cursor")
	f.Children = get("children") == "true"
	if sort := get("sort"); sort != "" {
		f.ByEnd = sort == "end"
	}
	page, err := s.eng.ListPage(r.Context(), f)
	if err != nil {
		return err
	}
	if why {
		if err := s.eng.AddReasons(r.Context(), page.Runs); err != nil {
			return err
		}
	}
	return s.reply(w, http.StatusOK, runList{page.Runs, page.Next})
}

type explanation struct {
	Reasons []model.Reason `json:"reasons"`
}

func (s *Server) explainRun(w http.ResponseWriter, r *http.Request) error {
	reasons, err := s.eng.Explain(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if reasons == nil {
		reasons = []model.Reason{}
	}
	return s.reply(w, http.StatusOK, explanation{reasons})
}

// How many entries a page of a timeline has: they are small.
const (
	defaultSpans = 1_000
	maxSpans     = 10_000
)

type spanList struct {
	Attempts   []engine.Span `json:"attempts"`
	NextCursor string        `json:"next_cursor,omitempty"` // absent: there are no more
}

func (s *Server) runTimeline(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	var begin uint64
	if c := q.Get("cursor"); c != "" {
		var err error
		if begin, err = s.fromAfter("cursor", cursor.Spans, c); err != nil {
			return err
		}
	}
	at, _ := strconv.ParseUint(q.Get("at"), 10, 63) // its kind was checked; none is 0
	spans, more, err := s.eng.TimelineAt(r.Context(), r.PathValue("id"), at, begin, number(q.Get("limit"), defaultSpans))
	if err != nil {
		return err
	}
	out := spanList{Attempts: spans}
	if more {
		out.NextCursor = after(s.history, cursor.Spans, spans[len(spans)-1].Seq)
	}
	return s.reply(w, http.StatusOK, out)
}

// stepOutput gives a step's output as it came in.
func (s *Server) stepOutput(w http.ResponseWriter, r *http.Request) error {
	step := r.PathValue("step")
	if index := number(r.URL.Query().Get("index"), -1); index >= 0 {
		step = flow.ItemName(step, index)
	}
	out, err := s.eng.StepOutput(r.Context(), r.PathValue("id"), step)
	if err != nil {
		return err
	}
	w.Header()["Content-Type"] = jsonType
	s.write(w, http.StatusOK, out)
	return nil
}

type signalBody struct {
	Payload  json.RawMessage `json:"payload,omitempty"`   // any JSON; absent: null
	SignalID *string         `json:"signal_id,omitempty"` // the same again is harmless; absent: a ULID
}

func (s *Server) signalRun(w http.ResponseWriter, r *http.Request) error {
	var in signalBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	var opts []engine.SignalOption
	if own, given := ownID(in.SignalID, r); given {
		opts = append(opts, engine.WithSignalID(own))
	}
	got, err := s.eng.SignalRun(r.Context(), r.PathValue("id"), r.PathValue("name"), in.Payload, opts...)
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusAccepted, got)
}

type cancelBody struct {
	Reason string `json:"reason,omitempty"`
	Force  bool   `json:"force,omitempty"` // end it at once: compensate nothing more, and run no finally step
	Plan   bool   `json:"plan,omitempty"`  // only say what it would do
}

type accepted struct {
	WorkflowID string `json:"workflow_id"`
}

func (s *Server) cancelRun(w http.ResponseWriter, r *http.Request) error {
	var in cancelBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	id := r.PathValue("id")
	if in.Plan {
		return s.plan(w, r, engine.Deed{Do: model.DeedCancel, Force: in.Force, Reason: in.Reason})
	}
	cancel := s.eng.Cancel
	if in.Force {
		cancel = s.eng.CancelNow
	}
	if err := cancel(r.Context(), id, in.Reason); err != nil {
		return err
	}
	return s.reply(w, http.StatusAccepted, accepted{id})
}

// noBody takes nothing, or an empty object.
type noBody struct{}

// retryBody says why a run is retried.
type retryBody struct {
	Reason string `json:"reason,omitempty"` // kept in the run's history
	Plan   bool   `json:"plan,omitempty"`   // only say what it would do
}

func (s *Server) retryRun(w http.ResponseWriter, r *http.Request) error {
	var in retryBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	id := r.PathValue("id")
	if in.Plan {
		return s.plan(w, r, engine.Deed{Do: model.DeedRetry, Reason: in.Reason})
	}
	if err := s.eng.Retry(r.Context(), id, in.Reason); err != nil {
		return err
	}
	return s.reply(w, http.StatusAccepted, accepted{id})
}

func (s *Server) fireTimer(w http.ResponseWriter, r *http.Request) error {
	if err := s.decode(r, &noBody{}); err != nil {
		return err
	}
	id := r.PathValue("id")
	if err := s.eng.FireTimer(r.Context(), id, r.PathValue("key")); err != nil {
		return err
	}
	return s.reply(w, http.StatusAccepted, accepted{id})
}

func (s *Server) deleteRun(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := s.eng.Delete(r.Context(), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
