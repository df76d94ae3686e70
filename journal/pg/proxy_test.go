package pg

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// proxy stands between a journal and its database. It can cut a connection, or hold what is sent, at a message of the protocol.
type proxy struct {
	url      string
	listener net.Listener

	mu    sync.Mutex
	conns []net.Conn
	fault *fault
}

// fault happens once, at the nth message in one direction of one connection, which is not passed on.
type fault struct {
	client  string // the address of the connection
	back    bool   // from the server
	after   int
	hold    chan struct{} // not nil: the connection is kept, and all that is sent waits until this is closed
	seen    int
	at      string // the message
	reached chan struct{}
}

func newProxy(t testing.TB, to string) *proxy {
	t.Helper()
	cfg, err := pgconn.ParseConfig(to)
	if err != nil {
		t.Fatal(err)
	}
	network, address := "tcp", net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port)))
	if filepath.IsAbs(cfg.Host) {
		network, address = "unix", filepath.Join(cfg.Host, fmt.Sprintf(".s.PGSQL.%d", cfg.Port))
	}
	p := &proxy{}
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	u := url.URL{Scheme: "postgres", User: url.User(cfg.User), Host: p.listener.Addr().String(), Path: "/" + cfg.Database, RawQuery: "sslmode=disable"}
	if cfg.Password != "" {
		u.User = url.UserPassword(cfg.User, cfg.Password)
	}
	p.url = u.String()
	t.Cleanup(func() { _ = p.listener.Close(); p.cut() })
	go func() {
		for {
			c, err := p.listener.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial(network, address)
			if err != nil {
				_ = c.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, c, s)
			p.mu.Unlock()
			client := c.RemoteAddr().String()
			go p.pass(c, s, client, false)
			go p.pass(s, c, client, true)
		}
	}()
	return p
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// arm makes the journal's next commit meet a fault. Other connections, such as the one that renews the lease, do not count. No commit may be
// under way.
func (p *proxy) arm(j *Journal, f *fault) *fault {
	f.client, f.reached = j.w.conn.PgConn().Conn().LocalAddr().String(), make(chan struct{})
	p.mu.Lock()
	p.fault = f
	p.mu.Unlock()
	return f
}

// disarm says whether the fault was reached.
func (p *proxy) disarm() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.fault != nil
	p.fault = nil
	return !left
}

// due counts a message, and gives the fault when it is its turn.
func (p *proxy) due(client string, back bool, kind byte) *fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.fault
	if f == nil || f.client != client || f.back != back {
		return nil
	}
	if f.seen++; f.seen <= f.after {
		return nil
	}
	p.fault = nil
	f.at = string(kind)
	return f
}

func (p *proxy) pass(from, to net.Conn, client string, back bool) {
	defer from.Close()
	defer to.Close()
	first := !back
	for {
		head := make([]byte, 5)
		if first { // the start-up message has no letter
			head = head[:4]
		}
		if _, err := io.ReadFull(from, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[len(head)-4:])-4)
		if _, err := io.ReadFull(from, body); err != nil {
			return
		}
		if !first {
			if f := p.due(client, back, head[0]); f != nil {
				close(f.reached)
				if f.hold == nil {
					return
				}
				<-f.hold
			}
		}
		first = false
		if _, err := to.Write(append(head, body...)); err != nil {
			return
		}
	}
}
