package push

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/agnt5/agnt5d/engine"
)

// SessionPrefix begins the id of every push service's session. Workers may not use it.
const SessionPrefix = "push:"

// rowPrefix begins the keys of the settings in the journal.
const rowPrefix = "service/"

// damagedRow is the problem of a service of which only the name is known.
const damagedRow = "its row in the journal is damaged; set it up again, or delete it"

// ErrNotFound says that no service of that name is set up.
var ErrNotFound = errors.New("no such push service")

// Options are a manager's settings.
type Options struct {
	Logger *slog.Logger
	// Codec seals the secrets of services in the journal. nil: a key seals them that lies beside it, in its file's name and .key.
	Codec engine.Codec
	// Allow is what may be dialled besides loopback.
	Allow []netip.Prefix
	// MaxOutput is the largest answer, in bytes, up to 64 MiB. 0: 1 MiB.
	MaxOutput int64
}

// Manager keeps the services, and a pump for each.
type Manager struct {
	eng *engine.Engine
	o   Options
	v   vault

	mu    sync.Mutex
	pumps map[string]*pump
	done  bool
}

// Start takes up every service that the journal knows.
func Start(eng *engine.Engine, o Options) (*Manager, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxOutput < 0 || o.MaxOutput > 64<<20 {
		return nil, fmt.Errorf("push: option MaxOutput is %d, want 1 to %d, or 0 for 1 MiB", o.MaxOutput, 64<<20)
	}
	if o.MaxOutput == 0 {
		o.MaxOutput = 1 << 20
	}
	m := &Manager{eng: eng, o: o, v: vault{codec: o.Codec, log: o.Logger}, pumps: map[string]*pump{}}
	if path := eng.Path(); path != "" {
		m.v.path = path + ".key"
	}
	rows, err := eng.Settings(rowPrefix)
	if err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		if rows[key] == nil {
			m.pumps[key[len(rowPrefix):]] = m.still(Service{Name: key[len(rowPrefix):], Problem: damagedRow})
			o.Logger.Error("a push service gets no tasks: "+damagedRow, "service", key[len(rowPrefix):])
			continue
		}
		s, stale, err := m.v.decode(rows[key])
		if err == nil && stale {
			err = m.keep(context.Background(), s, "")
		}
		if err != nil {
			m.Stop(closed())
			return nil, err
		}
		if s.Problem != "" {
			o.Logger.Error("a push service gets no tasks: "+s.Problem, "service", s.Name)
			m.pumps[s.Name] = m.still(s)
			continue
		}
		m.pumps[s.Name] = m.pump(s)
	}
	return m, nil
}

// closed is a context that has ended.
func closed() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// keep writes a service into the journal.
func (m *Manager) keep(ctx context.Context, s Service, what string) error {
	row, err := m.v.encode(s)
	if err != nil {
		return err
	}
	return m.eng.SetNoted(ctx, rowPrefix+s.Name, row, what)
}

// Put sets a service up, or changes it. It gives the service with its secret when that was made now, and whether it is new.
func (m *Manager) Put(ctx context.Context, s Service) (Service, bool, error) {
	err := check(&s)
	if err == nil {
		err = m.reachable(ctx, s.URL)
	}
	if err == nil && m.v.codec == nil && m.v.path == "" {
		err = errors.New("its secret cannot be sealed: the journal is not in a file, beside which a key could lie. Start the daemon with --payload-key")
	}
	if err != nil {
		return s, false, &engine.RequestError{Detail: err.Error()}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.pumps[s.Name]
	made := false
	switch {
	case s.Secret != "":
	case old != nil && old.s.Problem == "":
		s.Secret = old.s.Secret
	default:
		s.Secret, made = newSecret(), true
	}
	what := "set up"
	if old != nil {
		what = "changed"
	}
	if old != nil && reflect.DeepEqual(s, old.s) { // what it works on goes on
		s.Secret = ""
		return s, false, nil
	}
	if err := m.keep(context.WithoutCancel(ctx), s, what); err != nil {
		return s, false, err
	}
	if old != nil {
		old.stop()
	}
	if !m.done {
		m.pumps[s.Name] = m.pump(s)
	}
	if !made {
		s.Secret = ""
	}
	return s, old == nil, nil
}

// reachable refuses an address that would be refused when it is dialled. A name that cannot be resolved now may be later.
func (m *Manager) reachable(ctx context.Context, text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupNetIP(bounded, "ip", u.Hostname())
	if err != nil || len(addresses) == 0 {
		return nil
	}
	for _, a := range addresses {
		if may(a, m.o.Allow) {
			return nil
		}
	}
	return fmt.Errorf("url: %s is at %s, and the daemon dials only loopback and what --push-allow names", u.Hostname(), addresses[0].Unmap())
}

// Get gives a service, without its secret.
func (m *Manager) Get(name string) (Service, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.pumps[name]
	if p == nil {
		return Service{}, ErrNotFound
	}
	s := p.s
	s.Secret = ""
	return s, nil
}

// List gives every service, by name.
func (m *Manager) List() []Service {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := []Service{}
	for _, name := range slices.Sorted(maps.Keys(m.pumps)) {
		s := m.pumps[name].s
		s.Secret = ""
		out = append(out, s)
	}
	return out
}

// Delete removes a service. What it works on is offered to others.
func (m *Manager) Delete(ctx context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.pumps[name]
	if p == nil {
		return ErrNotFound
	}
	if err := m.eng.SetNoted(ctx, rowPrefix+name, nil, "removed"); err != nil {
		return err
	}
	p.stop()
	delete(m.pumps, name)
	return nil
}

// Stop takes no more tasks, and waits for the requests under way until ctx ends.
func (m *Manager) Stop(ctx context.Context) {
	m.mu.Lock()
	m.done = true
	pumps := slices.Collect(maps.Values(m.pumps))
	m.mu.Unlock()
	var wg sync.WaitGroup
	for _, p := range pumps {
		wg.Go(func() { p.drain(ctx) })
	}
	wg.Wait()
}
