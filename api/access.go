package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/agnt5/agnt5d/access"
	"github.com/agnt5/agnt5d/engine"
)

// callerKey is where the context of a request has its access token.
type callerKey struct{}

// callerOf is the token that a request showed; nil: none was needed.
func callerOf(ctx context.Context) *access.Token {
	t, _ := ctx.Value(callerKey{}).(*access.Token)
	return t
}

// open says whether a route is open to everybody.
func (s *Server) open(rt *route) bool {
	return rt.Scope == scopePublic || s.o.Access == nil || !s.o.Access.Closed() || s.o.OpenMetrics && rt.ID == "metrics"
}

// admit finds out who sends a request, and whether that one may. What is done for it carries the name of its token.
func (s *Server) admit(rt *route, r *http.Request) (*http.Request, error) {
	if s.open(rt) {
		return r, nil
	}
	t, err := s.identify(r)
	if err != nil {
		return r, err
	}
	if rt.Scope != "" && !t.Scope.Allows(access.Scope(rt.Scope)) && !byLease(rt, t, r) { // what is no route has no scope
		return r, lacks(t, string(rt.Scope))
	}
	ctx := context.WithValue(engine.WithBy(r.Context(), t.Name), callerKey{}, t)
	if service := t.Scope.Service(); service != "" {
		ctx = engine.WithService(ctx, service)
	}
	return r.WithContext(ctx), nil
}

// byLease says whether a request is good, if it is, by a lease token that a worker shows.
func byLease(rt *route, t *access.Token, r *http.Request) bool {
	return rt.Lease && !t.Scope.Allows(access.Scope(rt.Scope)) && t.Scope.Allows(access.Worker) && r.Header.Get(leaseHeader) != ""
}

// checkLease looks at the lease token by which a request was admitted.
func (s *Server) checkLease(rt *route, r *http.Request) error {
	t := callerOf(r.Context())
	if t == nil || !byLease(rt, t, r) {
		return nil
	}
	err := s.eng.Refers(r.Context(), r.Header.Get(leaseHeader), r.PathValue("id"), r.PathValue("step"))
	if errors.Is(err, engine.ErrNotReferred) {
		return problem("forbidden", fmt.Sprintf("the access token %q has the scope %s, and %v; this needs the scope %s", t.Name, t.Scope, err, rt.Scope))
	}
	return err
}

// identify finds the token that a request shows, in its header or by the cookie of a session.
func (s *Server) identify(r *http.Request) (*access.Token, error) {
	if h := r.Header.Get("Authorization"); h != "" {
		text, is := cutPrefixFold(h, "Bearer ")
		if !is {
			return nil, problem("unauthorized", `the Authorization header is not "Bearer" and an access token`)
		}
		t, err := s.o.Access.Check(strings.TrimSpace(text))
		if err != nil {
			return nil, problem("unauthorized", err.Error())
		}
		return t, nil
	}
	if t, err := s.sessionOf(r); t != nil || err != nil {
		return t, err
	}
	return nil, problem("unauthorized", access.ErrNone.Error())
}

// lacks is the answer to somebody whose token does not allow something.
func lacks(t *access.Token, scope string) error {
	return problem("forbidden", fmt.Sprintf("the access token %q has the scope %s; this needs the scope %s", t.Name, t.Scope, scope))
}

// turnAway answers who may not. A body that is on its way is thrown away first.
func (s *Server) turnAway(rt *route, rec *exchange, r *http.Request, err error) {
	s.log.Debug("a request is turned away", "route", rt.Method+" "+rt.Path, "from", r.RemoteAddr, "why", err.Error())
	if r.ContentLength != 0 {
		s.drop(rec, r, err)
		return
	}
	s.fail(rec, err)
}

// still says why a request that was admitted would not be any more: its token was revoked or has expired, or it had none and the
// first token was made since.
func (s *Server) still(rt *route, r *http.Request) error {
	if callerOf(r.Context()) == nil && s.open(rt) {
		return nil
	}
	return s.valid(r)
}

// valid is still for a route that is not public.
func (s *Server) valid(r *http.Request) error {
	err := access.ErrNone
	if t := callerOf(r.Context()); t != nil {
		err = s.o.Access.Valid(t)
	} else if s.o.Access == nil || !s.o.Access.Closed() {
		err = nil
	}
	if err != nil {
		return problem("unauthorized", err.Error())
	}
	return nil
}

// whileValid ends a long answer when the token that asked for it is revoked or expires; one that was asked for without a token, when
// the first one is made.
func (s *Server) whileValid(ctx context.Context, cancel context.CancelFunc) (context.Context, func()) {
	t := callerOf(ctx)
	switch {
	case t == nil && s.o.Access == nil:
		return ctx, func() {}
	case t == nil:
		forget := context.AfterFunc(s.o.Access.Open(), cancel)
		return ctx, func() { forget() }
	}
	forget, stop := context.AfterFunc(t.Life(), cancel), func() {}
	if left := s.o.Access.Left(t); left > 0 {
		var drop context.CancelFunc
		ctx, drop = context.WithTimeout(ctx, left)
		stop = drop
	}
	return ctx, func() {
		forget()
		stop()
	}
}

// foreignSession explains that a worker's session is another service's than the one that the token is for.
func foreignSession(r *http.Request, id string, err error) error {
	t := callerOf(r.Context())
	if t == nil || !errors.Is(err, engine.ErrOtherService) {
		return err
	}
	return problem("forbidden", fmt.Sprintf("the access token %q has the scope %s, and the worker %s serves another service; this needs the scope worker of that service", t.Name, t.Scope, quote(id)))
}
