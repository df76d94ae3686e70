// Package client talks to an agnt5d daemon: it starts, watches and steers runs, and its Worker serves handlers with the same
// signature as an embedded engine. Errors of the daemon are *model.Problem with its stable code; a daemon that cannot be
// reached is an *Unreachable. An id or name that is empty, . or .. is refused before anything is sent, as a *model.Problem with
// the daemon's code for it, invalid_request. Redirects are not followed: each is an error that says where it leads.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/agnt5/agnt5d/internal/backoff"
	"github.com/agnt5/agnt5d/internal/ids"
	"github.com/agnt5/agnt5d/model"
)

// DefaultURL is where a daemon answers when nobody says.
const DefaultURL = "http://127.0.0.1:8080"

// Options are a client's settings. The zero value means the defaults that each field names.
type Options struct {
	// Key is the access token, sent as "Authorization: Bearer KEY". "": that of TokenFile, else AGNT5_API_KEY, and nothing when that is
	// empty.
	Key string
	// TokenFile is a file that holds the access token and nothing else. It is read again when it changes.
	TokenFile string
	// Patience is how long a call is sent again while the daemon cannot be reached or is busy. 0: it is not. Every call is
	// safe to send again: starts and signals carry an id.
	Patience time.Duration
	// Transport carries the requests. nil: one of the client's own, which unix:PATH needs.
	Transport http.RoundTripper
}

// Client talks to one daemon, which may have several nodes. It is safe for concurrent use.
type Client struct {
	nodes []*node
	at    atomic.Int32 // the node that is asked first
	shown string       // to people: all addresses
	o     Options
	key   *credential
}

// Unreachable says that the daemon did not answer. Whether a call was recorded is unknown; the same call again, with the
// same id, gets its original answer.
type Unreachable struct {
	URL string // of the daemon
	Err error  // why no answer came
}

// Error names the daemon and says why no answer came.
func (e *Unreachable) Error() string {
	return fmt.Sprintf("no answer from the daemon at %s: %v", e.URL, e.Err) + advice(e.Err)
}

// advice says what to set where TLS is what fails.
func advice(err error) string {
	var untrusted *tls.CertificateVerificationError
	var name x509.HostnameError
	var other x509.CertificateInvalidError // expired, say
	switch text := fmt.Sprint(err); {
	case errors.As(err, &untrusted) && !errors.As(err, &name) && !errors.As(err, &other):
		return "; AGNT5_CA_FILE names the file (PEM) of an authority that this machine does not know"
	case strings.Contains(text, "tls: certificate required"), strings.Contains(text, "remote error: tls: bad certificate"), strings.Contains(text, "remote error: tls: unknown certificate authority"):
		return "; the daemon wants a certificate that its --tls-client-ca signed: AGNT5_CERT_FILE and AGNT5_KEY_FILE name the files (PEM)"
	}
	return ""
}

// Unwrap gives why no answer came.
func (e *Unreachable) Unwrap() error { return e.Err }

// New gives a client for the daemon at base, http://HOST:PORT or HOST:PORT; "" is AGNT5_URL, else DefaultURL. Of a daemon with several
// nodes, base has the addresses of all, separated by commas: the client asks the one that is active, and while none is it waits for up
// to ten seconds, if Patience does not say otherwise.
func New(base string, o Options) (*Client, error) {
	if base == "" {
		base = setting("URL")
	}
	if base == "" {
		base = DefaultURL
	}
	nodes, shown, err := nodesOf(base, o.Transport)
	if err != nil {
		return nil, err
	}
	if o.Patience < 0 {
		return nil, fmt.Errorf("client: option Patience is %s, want 0 or more", o.Patience)
	}
	if o.Patience == 0 && len(nodes) > 1 {
		o.Patience = 10 * time.Second
	}
	key, err := o.credential()
	if err != nil {
		return nil, err
	}
	return &Client{nodes: nodes, shown: shown, o: o, key: key}, nil
}

// stay follows no redirect: a write would go elsewhere, or become a read on the way, and look done.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// URL is the daemon's address.
func (c *Client) URL() string { return c.shown }

// request is one call.
type request struct {
	method, path string
	header       map[string]string
	body         []byte
	into         any // JSON answer; nil: none wanted
	answered     func(*http.Response)
	raw          func(*http.Response) error
	upgraded     func(io.ReadWriteCloser) // takes the connection, and closes it; nil: none is wanted
}

// do sends a call, again while the daemon does not answer and patience lasts.
func (c *Client) do(ctx context.Context, r *request) error {
	until := time.Now().Add(c.o.Patience)
	for wait := tries(); ; {
		err := c.once(ctx, r)
		if err == nil || ctx.Err() != nil || !again(err) || time.Now().Add(wait.Next()).After(until) {
			return err
		}
		if !wait.Wait(ctx) {
			return err
		}
	}
}

func tries() *backoff.Backoff {
	return &backoff.Backoff{First: 50 * time.Millisecond, Most: 2 * time.Second}
}

// again says whether the same call may succeed in a moment.
func again(err error) bool {
	var gone *Unreachable
	var p *model.Problem
	return errors.As(err, &gone) || errors.As(err, &p) && p.Status == http.StatusServiceUnavailable
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 256 << 20

// ask sends a call to a node; again when its access token is refused and the token's file has another one by now.
func (c *Client) ask(ctx context.Context, n *node, r *request) error {
	token := c.key.token()
	err := c.send(ctx, n, r, token)
	if p, is := err.(*model.Problem); is && p.Status == http.StatusUnauthorized {
		if newer := c.key.renew(token); newer != "" {
			err = c.send(ctx, n, r, newer)
		}
	}
	return err
}

func (c *Client) send(ctx context.Context, n *node, r *request, token string) error {
	if p, _, _ := strings.Cut(r.path, "?"); ids.CheckPath(p) != nil {
		return refuse(ids.CheckPath(p))
	}
	req, err := http.NewRequestWithContext(ctx, r.method, n.base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return err
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := n.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		if errors.Is(err, http.ErrSchemeMismatch) {
			return &model.Problem{Title: "The address is not right.", Code: notHTTPS, Detail: n.shown + ": the server speaks HTTP, not HTTPS; use http://"}
		}
		return &Unreachable{n.shown, err}
	}
	if conn, ok := resp.Body.(io.ReadWriteCloser); ok && resp.StatusCode == http.StatusSwitchingProtocols && r.upgraded != nil {
		r.upgraded(conn)
		return nil
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 || r.upgraded != nil {
		return problemOf(resp, n.shown)
	}
	if r.answered != nil {
		r.answered(resp)
	}
	if r.raw != nil {
		return r.raw(resp)
	}
	b, err := whole(resp)
	if err != nil {
		return &Unreachable{n.shown, err}
	}
	if r.into == nil || len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, r.into); err != nil {
		return fmt.Errorf("%s gave an answer that is not agnt5d's: %w", n.shown, err)
	}
	return nil
}

// whole reads an answer's body.
func whole(resp *http.Response) ([]byte, error) {
	if n := resp.ContentLength; n >= 0 && n <= 16<<20 {
		b := make([]byte, n)
		_, err := io.ReadFull(resp.Body, b)
		return b, err
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
}

// problemOf reads an error's answer. One that is no problem+json comes from somebody in between.
func problemOf(resp *http.Response, at string) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	p := &model.Problem{}
	if err := json.Unmarshal(b, p); err != nil || p.Code == "" {
		p = &model.Problem{Title: resp.Status, Code: "unknown_answer", Detail: fmt.Sprintf("%s answered %s, not as agnt5d does", resp.Request.URL, resp.Status)}
		if bytes.Contains(b, []byte("HTTP request to an HTTPS server")) { // which Go's servers say
			p.Code, p.Detail = notHTTP, fmt.Sprintf("%s: the server speaks HTTPS, not HTTP; use https://", at)
		}
		if to := resp.Header.Get("Location"); to != "" && resp.StatusCode < 400 {
			p.Detail = fmt.Sprintf("%s answered %s and points to %s: redirects are not followed, so nothing was done; use the daemon's own address", resp.Request.URL, resp.Status, to)
		}
	}
	p.Status = resp.StatusCode
	return p
}

// Codes of what answers when an address begins with the wrong one of http:// and https://.
const (
	notHTTP  = "not_http"
	notHTTPS = "not_https"
)

// refuse is an error about what the caller gave; nothing was sent.
func refuse(err error) error {
	return &model.Problem{Title: "The request was not sent.", Status: http.StatusBadRequest, Code: "invalid_request", Detail: err.Error()}
}

// path escapes each part, so that an id may hold a slash. once refuses parts that no path can carry.
func path(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	return b.String()
}

func (c *Client) get(ctx context.Context, path string, into any) error {
	return c.do(ctx, &request{method: http.MethodGet, path: path, into: into})
}

func (c *Client) post(ctx context.Context, path string, body, into any) error {
	b, err := model.Marshal(body)
	if err != nil {
		return err
	}
	return c.do(ctx, &request{method: http.MethodPost, path: path, body: b, into: into})
}

func prefer(wait time.Duration) map[string]string {
	if wait <= 0 {
		return nil
	}
	return map[string]string{"Prefer": "wait=" + strconv.Itoa(int((wait+time.Second-1)/time.Second))}
}
