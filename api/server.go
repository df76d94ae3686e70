// Package api is the daemon's HTTP surface: the routes of docs/http-api.md over an engine. Handlers read a request, call the
// engine and write what it says; whatever goes wrong becomes problem+json in one place (Server.serve).
package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agnt5/agnt5d/access"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/ids"
	"github.com/agnt5/agnt5d/internal/nearest"
	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/push"
)

// Options are a server's settings. The zero value means the defaults that each field names.
type Options struct {
	Logger *slog.Logger
	// Listen is the address that the server stands on; its host is one that requests may name.
	Listen string
	// Hosts are further names under which requests may come.
	Hosts []string
	// MaxPayload is the engine's; bodies may be a little larger. 0: 1 MiB.
	MaxPayload int
	// InFlight is how many requests may be under way at once, waiting ones not counted. 0: 1,024. Small: busy answers under
	// load; large: memory.
	InFlight int
	// MaxBodies is how many bytes the bodies of all requests under way may take together, beyond 8 KiB of each. 0: 128 MiB;
	// at least one body of the largest kind always fits. Small: busy answers under load; large: memory.
	MaxBodies int64
	// Access keeps the access tokens; nil: nobody needs one.
	Access *access.Store
	// OpenMetrics lets everybody read /metrics.
	OpenMetrics bool
	// Push runs the push services; nil: there are none.
	Push *push.Manager
	// Page answers browsers: GET / where they take HTML, and all below /ui/. nil: / is a few words for everybody.
	Page http.Handler
	// Settings is what GET /v1/settings shows: names and values, without secrets.
	Settings map[string]string
	// Release is what /version says. "": the module's version.
	Release string
}

// DefaultMaxBodies is Options.MaxBodies when it is 0.
const DefaultMaxBodies = 128 << 20

// Server answers HTTP for an engine.
type Server struct {
	eng     *engine.Engine
	o       Options
	log     *slog.Logger
	routes  router
	nowhere http.Handler // for what is no route
	guard   *guard
	metrics *metrics
	slots   chan struct{}
	bodies  budget
	rooms   sync.Pool // *[]byte, for answers to workers
	copying sync.Mutex

	compacted atomic.Pointer[compacting] // how far a compaction is
	layouts   layouts
	feed      feed
	spec      []byte
	history   string // of the journal, which cursors of events belong to

	sessions   sessions   // of browsers
	publishing sync.Mutex // held while it is decided whether a worker may publish
	tokening   sync.Mutex // held while an access token is made or revoked

	streams  sync.WaitGroup // of workers
	stopping atomic.Bool
	life     context.Context // ended: long answers end
	end      context.CancelFunc
}

// New gives a server for an engine.
func New(eng *engine.Engine, o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxPayload == 0 {
		o.MaxPayload = 1 << 20
	}
	if o.InFlight == 0 {
		o.InFlight = 1024
	}
	if o.MaxBodies == 0 {
		o.MaxBodies = DefaultMaxBodies
	}
	if o.Release == "" {
		o.Release = engine.Release()
	}
	s := &Server{eng: eng, o: o, log: o.Logger, routes: router{}, guard: newGuard(o.Listen, o.Hosts), metrics: newMetrics(eng),
		slots: make(chan struct{}, o.InFlight), spec: Spec(), history: eng.Lineage()}
	s.bodies.limit = max(o.MaxBodies, minPollBody, int64(o.MaxPayload+maxEnvelope))
	s.sweepCopies()
	s.rooms.New = func() any { return new([]byte) }
	s.life, s.end = context.WithCancel(context.Background())
	for _, r := range routes {
		s.routes.handle(r.Method, r.Path, s.serve(&r))
	}
	s.nowhere = s.serve(&route{Path: "/", handle: (*Server).noRoute})
	return s
}

// Stop ends every long answer: polls, waits and event streams. From now on /readyz says no, and starts are refused.
func (s *Server) Stop() {
	s.stopping.Store(true)
	s.end()
}

// Headers that every answer has, made once.
var nosniff, noStore, jsonType = []string{"nosniff"}, []string{"no-store"}, []string{"application/json"}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["X-Content-Type-Options"], h["Cache-Control"] = nosniff, noStore
	if s.o.Page != nil && forPage(r) {
		leaveBody(w, r)
		if err := s.guard.host(r); err != nil { // another site may link to the page, and there is nothing secret in its files
			s.fail(w, err)
			return
		}
		s.o.Page.ServeHTTP(w, r)
		return
	}
	if err := s.guard.check(r); err != nil {
		leaveBody(w, r)
		s.fail(w, err)
		return
	}
	if route := s.routes.find(r); route != nil {
		route.ServeHTTP(w, r)
		return
	}
	s.nowhere.ServeHTTP(w, r)
}

// forPage says whether a request wants the web page or a part of it.
func forPage(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	return strings.HasPrefix(r.URL.Path, "/ui/") || r.URL.Path == "/" && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// noRoute says what is wrong with a request that no route takes.
func (s *Server) noRoute(w http.ResponseWriter, r *http.Request) error {
	parts, err := ids.Parts(r.URL.EscapedPath())
	if err != nil {
		return problem("invalid_request", fmt.Sprintf("%s %s: %v", r.Method, quote(r.URL.EscapedPath()), err))
	}
	if allow := s.routes.allowed(parts); allow != "" {
		w.Header().Set("Allow", allow)
		return problem("method_not_allowed", fmt.Sprintf("%s %s: this route supports %s", r.Method, r.URL.Path, allow))
	}
	return problem("not_found", fmt.Sprintf("no route %s %s", r.Method, r.URL.Path))
}

// exchange is one request and its answer.
type exchange struct {
	http.ResponseWriter
	status int
	body   []byte        // of the request
	bytes  int64         // of the budget for bodies that it holds
	slots  chan struct{} // where it stands among the requests under way; nil: it does not
	gzip   bool          // a large answer may be compressed
}

func (r *exchange) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *exchange) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

func (r *exchange) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// serve wraps a route: it counts, bounds how many are under way, and turns errors and panics into answers.
func (s *Server) serve(rt *route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &exchange{ResponseWriter: w, gzip: rt.Scope != scopeWorker && takesGzip(r)} // workers' answers are many, and mostly go over a short way
		defer func() {
			defer s.leave(rec)
			if p := recover(); p != nil {
				s.log.Error("panic in a handler", "route", rt.Path, "panic", p, "stack", string(debug.Stack()))
				if rec.status == 0 {
					s.fail(rec, problem("internal", ""))
				}
			}
			s.metrics.request(rt.Method+" "+rt.Path, rec.status, time.Since(began))
			_ = http.NewResponseController(rec).SetWriteDeadline(time.Now().Add(patient))
		}()
		_ = http.NewResponseController(rec).SetWriteDeadline(time.Now().Add(patient))
		r, err := s.admit(rt, r)
		if err != nil {
			s.turnAway(rt, rec, r, err)
			return
		}
		if err := s.take(rt, rec, r); err != nil {
			var early *unread
			if errors.As(err, &early) {
				s.drop(rec, r, early.error)
				return
			}
			s.fail(rec, err)
			return
		}
		if err := s.still(rt, r); err != nil { // a body may be long in coming
			s.fail(rec, err)
			return
		}
		if err := errors.Join(rt.checkQuery(r), rt.checkHeaders(r)); err != nil {
			s.fail(rec, err)
			return
		}
		if !rt.Free && !s.enter(rec) {
			s.fail(rec, problem("busy", ""))
			return
		}
		err = s.checkLease(rt, r)
		if err == nil {
			err = rt.handle(s, rec, r)
		}
		if err != nil && rec.status == 0 {
			if r.Context().Err() != nil {
				rec.status = 499 // the client is gone; nobody reads this
				return
			}
			s.fail(rec, s.about(rt, r, cmp.Or(s.still(rt, r), err)))
		}
	})
}

// about is an error whose advice names the workflow or schedule of the route, as far as it is about that one.
func (s *Server) about(rt *route, r *http.Request, err error) error {
	p := s.problemOf(err)
	switch noun, _, _ := strings.Cut(strings.TrimPrefix(rt.Path, "/v1/"), "/{name}"); noun + " " + p.Code {
	case "workflows workflow_in_use", "workflows version_current", "workflows workflow_not_found", "schedules backfill_running":
		p.Help = strings.ReplaceAll(p.Help, "NAME", ids.Word(r.PathValue("name")))
	}
	return p
}

func (s *Server) fail(w http.ResponseWriter, err error) {
	p := s.problemOf(err)
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	b, _ := model.Marshal(p)
	s.write(w, p.Status, append(b, '\n'))
}

// patient is how long a request's body may take to arrive, and an answer to be taken.
const patient = 30 * time.Second

// write sends a whole answer; a reader who does not take it in time is cut off.
func (s *Server) write(w http.ResponseWriter, status int, body []byte) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patient)) // it stays: the last bytes leave after the handler
	body = compress(w, body)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// reply sends a value as JSON. Payloads in it keep their bytes.
func (s *Server) reply(w http.ResponseWriter, status int, v any) error {
	b, err := model.Marshal(v)
	if err != nil {
		return err
	}
	w.Header()["Content-Type"] = jsonType
	s.write(w, status, append(b, '\n'))
	return nil
}

// received stands in a request's place for its body when that was read.
type received struct {
	io.ReadCloser
	rec *exchange
}

// body is what was sent.
func body(r *http.Request) []byte {
	if b, ok := r.Body.(*received); ok {
		return b.rec.body
	}
	return nil
}

// maxEnvelope is what a body may be larger than the payload in it.
const maxEnvelope = 64 << 10

// decode reads a JSON body into v, strictly; an empty body leaves v as it is. Whatever Content-Type says, the body is read as
// JSON: curl's default type works.
func (s *Server) decode(r *http.Request, v any) error {
	if b := body(r); len(b) > 0 {
		return s.decodeJSON(b, v)
	}
	return nil
}

func (s *Server) decodeJSON(b []byte, v any) error {
	if err := flow.CheckJSON(b, len(b)); err != nil {
		return problem("invalid_json", "the body "+err.Error())
	}
	if err := wire.DecodeJSON(b, v); err != nil {
		return problem("invalid_request", err.Error())
	}
	return nil
}

// patience is how long a request with "Prefer: wait=S" wants to wait. 0: not at all. A preference that is not understood is
// passed over, as RFC 7240 wants.
func patience(r *http.Request) time.Duration {
	for _, h := range r.Header.Values("Prefer") {
		for _, p := range splitComma(strings.ReplaceAll(h, ";", ",")) {
			v, ok := cutPrefixFold(p, "wait=")
			if n, err := strconv.Atoi(strings.Trim(v, `"`)); ok && err == nil && n >= 0 {
				return time.Duration(min(n, maxPatience)) * time.Second
			}
		}
	}
	return 0
}

const maxPatience = 300 // seconds

// context is the request's, ended also when the server stops.
func (s *Server) context(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	forget := context.AfterFunc(s.life, cancel)
	ctx, valid := s.whileValid(ctx, cancel)
	return ctx, func() {
		valid()
		forget()
		cancel()
	}
}

// checkQuery refuses parameters that the route does not know, those that are not of their kind, and those that cannot be read
// or appear twice: what is not understood must not count as not said.
func (rt *route) checkQuery(r *http.Request) error {
	if r.URL.RawQuery == "" || !strings.HasPrefix(rt.Path, "/v1/") {
		return nil
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return problem("invalid_request", "the query cannot be read; it is not repeated here, for it may hold a secret")
	}
	for name, v := range q {
		p := rt.known(name)
		if p == nil {
			var known []string
			for _, p := range rt.Query {
				known = append(known, p.Name)
			}
			return problem("invalid_request", "unknown parameter "+quote(name)+nearest.Did(name, known))
		}
		if len(v) > 1 && !kinds[p.Type].Many {
			return problem("invalid_request", name+" is given twice")
		}
		for _, one := range v {
			if err := p.check(one); err != nil {
				return err
			}
		}
	}
	return nil
}

func quote(s string) string {
	if len(s) > 100 {
		s = s[:100] + "..."
	}
	return strconv.Quote(s)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// object is a JSON object written in one line of code.
type object map[string]any
