package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/access"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/push"
)

type tokenBody struct {
	Name  string `json:"name"`
	Scope string `json:"scope"`
	TTLMS int64  `json:"ttl_ms,omitempty"` // how long it is valid; 0: for ever
}

type tokenList struct {
	Tokens []model.Token `json:"tokens"`
}

func (s *Server) tokens() (*access.Store, error) {
	if s.o.Access == nil {
		return nil, problem("not_found", "this daemon keeps no access tokens")
	}
	return s.o.Access, nil
}

func (s *Server) createToken(w http.ResponseWriter, r *http.Request) error {
	store, err := s.tokens()
	if err != nil {
		return err
	}
	var in tokenBody
	if err := s.decodeJSON(body(r), &in); err != nil {
		return err
	}
	if in.TTLMS > maxTTL.Milliseconds() {
		return problem("invalid_request", "ttl_ms: want at most 100 years, or 0 for a token that does not expire")
	}
	s.tokening.Lock()
	defer s.tokening.Unlock()
	if t := callerOf(r.Context()); t == nil && store.Closed() || t != nil && store.Valid(t) != nil { // by a request that came meanwhile
		return problem("unauthorized", access.ErrNone.Error())
	}
	first := !store.Closed()
	t, text, err := store.Create(r.Context(), in.Name, in.Scope, time.Duration(in.TTLMS)*time.Millisecond)
	switch {
	case errors.Is(err, access.ErrExists):
		return problem("token_exists", err.Error())
	case errors.Is(err, access.ErrNoAdmin):
		return problem("admin_token_first", err.Error())
	case err != nil:
		return err
	}
	s.log.Info("access token created", "token", t.Name, "scope", string(t.Scope), "by", engine.By(r.Context()))
	out := t.Shown()
	out.Token = text
	if first {
		s.log.Info("from now on every request needs an access token")
		if out.Hint = s.without(r); out.Hint != "" {
			s.log.Warn(out.Hint)
		}
	}
	return s.reply(w, http.StatusCreated, out)
}

// without says which workers have worked without an access token until now: from the first one on they are refused.
func (s *Server) without(r *http.Request) string {
	all, err := s.eng.Workers(r.Context())
	if err != nil {
		return ""
	}
	var services []string
	n := 0
	for _, w := range all {
		if w.ServiceName != "" && !strings.HasPrefix(w.WorkerID, push.SessionPrefix) {
			n++
			services = append(services, w.ServiceName)
		}
	}
	if n == 0 {
		return ""
	}
	slices.Sort(services)
	services = slices.Compact(services)
	return fmt.Sprintf("workers that are connected without an access token, and are refused from now on: %d (of %s); start each with one of the scope worker:SERVICE", n, strings.Join(services[:min(len(services), 10)], ", "))
}

// maxTTL keeps times within what can be printed.
const maxTTL = 100 * 365 * 24 * time.Hour

func (s *Server) listTokens(w http.ResponseWriter, _ *http.Request) error {
	store, err := s.tokens()
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, tokenList{store.List()})
}

func (s *Server) revokeToken(w http.ResponseWriter, r *http.Request) error {
	store, err := s.tokens()
	if err != nil {
		return err
	}
	s.tokening.Lock()
	defer s.tokening.Unlock()
	if t := callerOf(r.Context()); t != nil && store.Valid(t) != nil {
		return problem("unauthorized", store.Valid(t).Error())
	}
	left, err := store.Revoke(r.Context(), r.PathValue("name"))
	if errors.Is(err, access.ErrNotFound) && strings.HasPrefix(r.PathValue("name"), access.Prefix) {
		return problem("token_not_found", "a token is revoked by its name, and not by its text, which is not repeated here")
	}
	if errors.Is(err, access.ErrNotFound) {
		return problem("token_not_found", "no access token "+quote(r.PathValue("name")))
	}
	if err != nil {
		return err
	}
	s.log.Info("access token revoked", "token", r.PathValue("name"), "by", engine.By(r.Context()))
	if !left {
		s.log.Warn(access.NoAdminLeft)
		return s.reply(w, http.StatusOK, revoked{r.PathValue("name"), access.NoAdminLeft})
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// revoked is the answer to a revocation after which there is something to do.
type revoked struct {
	Name string `json:"name"`
	Hint string `json:"hint"`
}
