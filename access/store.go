package access

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/model"
)

// rowPrefix begins the keys of tokens in the journal, publisherPrefix those that say which service publishes a
// workflow, deletedPrefix those with the digests of its deleted versions.
const (
	rowPrefix       = "token/"
	publisherPrefix = "publisher/"
	deletedPrefix   = "unpublished/"
)

// unknown stands for a service or a digest that cannot be read: no service and no digest is called so.
const unknown = "?"

// Errors of a Store. Unknown stands for every token that is not one of its own, however wrong it is.
var (
	ErrNone     = errors.New("no access token was sent")
	ErrUnknown  = errors.New("the access token is not one of this daemon's")
	ErrNotFound = errors.New("no such access token")
	ErrExists   = errors.New("an access token of that name exists")
	ErrNoAdmin  = errors.New("while no admin token exists, only one with the scope admin can be made")
)

// Token is what is known of an access token. Times are Unix milliseconds; 0: never.
type Token struct {
	Name      string `json:"name"`
	Scope     Scope  `json:"scope"`
	CreatedAt int64  `json:"created_at"`
	ExpiresAt int64  `json:"expires_at,omitempty"`
	RevokedAt int64  `json:"revoked_at,omitempty"`
	LastUsed  string `json:"last_used,omitempty"` // a day, 2006-01-02 in UTC
	Hash      []byte `json:"sha256"`

	usedOn atomic.Int64    // the last day of use that is on its way to the journal, in days since 1970
	life   context.Context // ends when it is revoked
	end    context.CancelFunc
}

func (t *Token) begin() *Token {
	t.life, t.end = context.WithCancel(context.Background())
	return t
}

// Life ends when the token is revoked.
func (t *Token) Life() context.Context { return t.life }

// Shown is what everybody who may list tokens sees of it.
func (t *Token) Shown() model.Token {
	out := model.Token{Name: t.Name, Scope: string(t.Scope), CreatedAt: rfc3339.Format(t.CreatedAt), LastUsed: t.LastUsed}
	if t.ExpiresAt != 0 {
		out.ExpiresAt = rfc3339.Format(t.ExpiresAt)
	}
	if t.RevokedAt != 0 {
		out.RevokedAt = rfc3339.Format(t.RevokedAt)
	}
	return out
}

// why says why the token is not valid at a time; nil: it is.
func (t *Token) why(now time.Time) error {
	switch {
	case t.RevokedAt != 0:
		return fmt.Errorf("the access token %q was revoked", t.Name)
	case t.ExpiresAt != 0 && now.UnixMilli() >= t.ExpiresAt:
		return fmt.Errorf("the access token %q expired at %s", t.Name, time.UnixMilli(t.ExpiresAt).UTC().Format(time.RFC3339))
	}
	return nil
}

// Store keeps the access tokens of a journal. It is safe for concurrent use.
type Store struct {
	eng *engine.Engine
	log *slog.Logger

	mu         sync.Mutex // held by whoever changes something
	tokens     map[string]*Token
	publishers map[string]string   // the service that publishes a workflow
	deleted    map[string][]string // digests of a workflow's deleted versions

	lost   bool                                // there were tokens that cannot be read
	byHash atomic.Pointer[map[[32]byte]*Token] // for Check
	open   context.Context                     // ends with the first token
	shut   context.CancelFunc
}

// Open reads the tokens of an engine's journal.
func Open(eng *engine.Engine, log *slog.Logger) (*Store, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Store{eng: eng, log: log, tokens: map[string]*Token{}, publishers: map[string]string{}, deleted: map[string][]string{}}
	s.open, s.shut = context.WithCancel(context.Background())
	rows, err := eng.Settings(rowPrefix)
	if err != nil {
		return nil, err
	}
	for key, row := range rows {
		if row == nil { // nobody gets in with it, and without a token nobody does either
			log.Error("an access token cannot be read, because its row in the journal is damaged: it is not accepted; make it anew", "token", key[len(rowPrefix):])
			s.lost = true
			continue
		}
		t := (&Token{}).begin()
		if err := json.Unmarshal(row, t); err != nil || len(t.Hash) != 32 {
			return nil, fmt.Errorf("access: the row %q of the journal cannot be read", key)
		}
		if t.RevokedAt != 0 {
			t.end()
		}
		s.tokens[t.Name] = t
	}
	if rows, err = eng.Settings(publisherPrefix); err != nil {
		return nil, err
	}
	for key, row := range rows {
		if row == nil { // of nobody: an admin says whose it is
			s.log.Error("which service publishes a workflow cannot be read: only an admin token may change it", "workflow", key[len(publisherPrefix):])
			s.publishers[key[len(publisherPrefix):]] = unknown
			continue
		}
		s.publishers[key[len(publisherPrefix):]] = string(row)
	}
	if rows, err = eng.Settings(deletedPrefix); err != nil {
		return nil, err
	}
	for key, row := range rows {
		if s.deleted[key[len(deletedPrefix):]] = strings.Fields(string(row)); row == nil {
			s.deleted[key[len(deletedPrefix):]] = []string{unknown}
		}
	}
	s.index()
	return s, nil
}

// index makes what Check looks at.
func (s *Store) index() {
	byHash := make(map[[32]byte]*Token, len(s.tokens))
	for _, t := range s.tokens {
		byHash[[32]byte(t.Hash)] = t
	}
	s.byHash.Store(&byHash)
	if s.Closed() {
		s.shut()
	}
}

// Open ends when the first token is made: until then nobody needs one.
func (s *Store) Open() context.Context { return s.open }

// Closed says whether there has ever been a token: from the first one on, every request must show one.
func (s *Store) Closed() bool { return s.lost || len(*s.byHash.Load()) > 0 }

// Check finds the token that a request shows. The error says why it is not valid.
func (s *Store) Check(text string) (*Token, error) {
	if text == "" {
		return nil, ErrNone
	}
	hash := digest(text)
	t := (*s.byHash.Load())[hash] // of a hash: how long it takes says nothing about a token
	if t == nil || subtle.ConstantTimeCompare(t.Hash, hash[:]) != 1 {
		if len(text) > len(Prefix) && text[:len(Prefix)] == Prefix && !Whole(text) {
			return nil, errors.New("the access token is not whole: it was cut or mistyped")
		}
		return nil, ErrUnknown
	}
	now := s.eng.Now()
	if err := t.why(now); err != nil {
		return nil, err
	}
	if day := now.Unix() / (24 * 3600); t.usedOn.Swap(day) != day {
		go s.used(t, now.UTC().Format(time.DateOnly))
	}
	return t, nil
}

// Valid says why a token that was valid before is not any more.
func (s *Store) Valid(t *Token) error {
	if t.life.Err() != nil {
		return fmt.Errorf("the access token %q was revoked", t.Name)
	}
	return t.why(s.eng.Now())
}

// Left is how long a token is still valid; 0: for ever.
func (s *Store) Left(t *Token) time.Duration {
	if t.ExpiresAt == 0 {
		return 0
	}
	return max(time.UnixMilli(t.ExpiresAt).Sub(s.eng.Now()), 1)
}

// used writes the day of a token's use, once a day.
func (s *Store) used(t *Token, day string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens[t.Name] != t || t.RevokedAt != 0 || t.LastUsed == day {
		return
	}
	t.LastUsed = day
	if err := s.keep(context.Background(), t, ""); err != nil {
		s.log.Debug("the day of a token's use is not written", "token", t.Name, "err", err)
	}
}

// keep writes a token's row, and an event that says what became of it ("": none).
func (s *Store) keep(ctx context.Context, t *Token, what string) error {
	row, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return s.eng.SetNoted(context.WithoutCancel(ctx), rowPrefix+t.Name, row, what) // who goes away meanwhile must not leave it half known
}

// Create makes a token, and gives its text, which is kept nowhere. ttl 0: it does not expire.
func (s *Store) Create(ctx context.Context, name, scope string, ttl time.Duration) (*Token, string, error) {
	if err := flow.ValidName(name); err != nil {
		return nil, "", &engine.RequestError{Detail: "name: a token's name " + err.Error()}
	}
	if strings.HasPrefix(name, Prefix) { // perhaps it is one, and a name is shown to many
		return nil, "", &engine.RequestError{Detail: "name: a token's name does not begin with agt_, as tokens do; choose another"}
	}
	if name == engine.Local {
		return nil, "", &engine.RequestError{Detail: `name: "local" stands for whoever needs no token; choose another`}
	}
	sc, err := ParseScope(scope)
	if err != nil {
		return nil, "", &engine.RequestError{Detail: err.Error()}
	}
	if ttl < 0 {
		return nil, "", &engine.RequestError{Detail: "ttl_ms: want 0, for a token that does not expire, or more"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.eng.Now()
	if old := s.tokens[name]; old != nil && old.why(now) == nil {
		return nil, "", fmt.Errorf("%w: %q", ErrExists, name)
	}
	if sc != Admin && !s.hasAdmin(now) {
		return nil, "", ErrNoAdmin
	}
	text := newSecret()
	hash := digest(text)
	t := (&Token{Name: name, Scope: sc, CreatedAt: now.UnixMilli(), Hash: hash[:]}).begin()
	if ttl > 0 {
		t.ExpiresAt = now.Add(ttl).UnixMilli()
	}
	if err := s.keep(ctx, t, "created with the scope "+string(sc)); err != nil {
		return nil, "", err
	}
	s.tokens[name] = t
	s.index()
	return t, text, nil
}

func (s *Store) hasAdmin(now time.Time) bool {
	for _, t := range s.tokens {
		if t.Scope == Admin && t.why(now) == nil {
			return true
		}
	}
	return false
}

// NoAdminLeft is what to do when the last admin token is revoked.
const NoAdminLeft = "no admin token is left; stop the daemon and make one on its file: agnt5d token create NAME --scope admin --file FILE"

// Revoke makes a token worthless, at once. left says whether an admin token is left. Revoking a revoked one changes nothing.
func (s *Store) Revoke(ctx context.Context, name string) (left bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[name]
	if t == nil {
		return false, ErrNotFound
	}
	now := s.eng.Now()
	if t.RevokedAt != 0 {
		return s.hasAdmin(now), nil
	}
	gone := &Token{Name: t.Name, Scope: t.Scope, CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, RevokedAt: now.UnixMilli(), LastUsed: t.LastUsed, Hash: t.Hash, life: t.life, end: t.end}
	if err := s.keep(ctx, gone, "revoked"); err != nil {
		return false, err
	}
	s.tokens[name] = gone
	s.index()
	t.end()
	return s.hasAdmin(now), nil
}

// List gives every token, also those that are not valid any more, by name.
func (s *Store) List() []model.Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]model.Token, 0, len(s.tokens))
	for _, name := range slices.Sorted(maps.Keys(s.tokens)) {
		out = append(out, s.tokens[name].Shown())
	}
	return out
}
