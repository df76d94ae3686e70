package api

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/agnt5/agnt5d/access"
	"github.com/agnt5/agnt5d/engine"
)

// sessions are those of browsers. A person pastes a token once; from then on a cookie stands for it that is worth nothing to
// another daemon, or to this one after a restart. Only its hash is held.
type sessions struct {
	mu  sync.Mutex
	all map[[32]byte]session
}

type session struct {
	token *access.Token
	until time.Time
}

const (
	sessionLasts = 12 * time.Hour
	maxSessions  = 100 // of one token: whoever has it signs nobody out but its own
)

func (s *sessions) open(t *access.Token, now time.Time) string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it does not fail
	text := base64.RawURLEncoding.EncodeToString(b[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[[32]byte]session{}
	}
	own, oldest, until := 0, [32]byte{}, time.Time{}
	for key, old := range s.all {
		switch {
		case !now.Before(old.until):
			delete(s.all, key)
		case old.token == t:
			if own++; own == 1 || old.until.Before(until) {
				oldest, until = key, old.until
			}
		}
	}
	if own >= maxSessions {
		delete(s.all, oldest)
	}
	s.all[sha256.Sum256([]byte(text))] = session{t, now.Add(sessionLasts)}
	return text
}

func (s *sessions) find(text string, now time.Time) *access.Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.all[sha256.Sum256([]byte(text))]; ok && now.Before(found.until) {
		return found.token
	}
	return nil
}

func (s *sessions) close(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, sha256.Sum256([]byte(text)))
}

// cookieName is the session's cookie. Browsers keep cookies by host and not by port: two daemons on one machine differ by name.
func cookieName(r *http.Request) string {
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		return "agnt5_session_" + port
	}
	return "agnt5_session"
}

// sessionOf gives the token that the cookie of a request stands for; nil: it has none. What changes something must say that it
// comes from the daemon's own page: a cookie is sent by the browser, whoever made it send the request.
func (s *Server) sessionOf(r *http.Request) (*access.Token, error) {
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return nil, nil
	}
	t := s.sessions.find(c.Value, time.Now())
	if t == nil {
		return nil, problem("unauthorized", "the session is over: log in again")
	}
	if err := s.o.Access.Valid(t); err != nil {
		return nil, problem("unauthorized", err.Error())
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !sameOrigin(r) {
		return nil, problem("origin_refused", "a request with a session's cookie must come from the daemon's own page (Origin, Sec-Fetch-Site)")
	}
	return t, nil
}

// sameOrigin says whether a browser vouches that its own page of this origin sent the request. The guard has refused what is said to
// come from elsewhere.
func sameOrigin(r *http.Request) bool {
	u, err := url.Parse(r.Header.Get("Origin"))
	return r.Header.Get("Sec-Fetch-Site") == "same-origin" || err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

type loginBody struct {
	Token string `json:"token"`
}

type sessionInfo struct {
	By    string `json:"by"`    // the name that what is done gets in history
	Scope string `json:"scope"` // what is allowed
	Open  bool   `json:"open"`  // the daemon asks for no token
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) error {
	store, err := s.tokens()
	if err != nil {
		return err
	}
	var in loginBody
	if err := s.decodeJSON(body(r), &in); err != nil {
		return err
	}
	t, err := store.Check(strings.TrimSpace(in.Token))
	if err != nil {
		return problem("unauthorized", err.Error())
	}
	s.setCookie(w, r, s.sessions.open(t, time.Now()), 0)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	if c, err := r.Cookie(cookieName(r)); err == nil {
		s.sessions.close(c.Value)
	}
	s.setCookie(w, r, "", -1)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// setCookie sets the session's cookie. A browser that reached the daemon by https, perhaps through a proxy that ends TLS, says so with
// its Origin; then it never sends the cookie by http.
func (s *Server) setCookie(w http.ResponseWriter, r *http.Request, value string, age int) {
	secure := r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://")
	http.SetCookie(w, &http.Cookie{Name: cookieName(r), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode})
}

// whoAmI says under which name and scope a request is taken.
func (s *Server) whoAmI(w http.ResponseWriter, r *http.Request) error {
	if s.o.Access == nil || !s.o.Access.Closed() {
		return s.reply(w, http.StatusOK, sessionInfo{engine.Local, string(scopeAdmin), true})
	}
	t, err := s.identify(r)
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, sessionInfo{t.Name, string(t.Scope), false})
}
