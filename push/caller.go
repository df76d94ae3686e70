package push

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/worker"
)

// OutcomeType is the media type of an answer that says more than the output: {output?, objects?}.
const OutcomeType = "application/vnd.agnt5.outcome+json"

// SignatureHeader carries "t=UNIX_SECONDS,v1=HEX": HMAC-SHA256 under the service's secret over the time, a dot and the body.
const SignatureHeader = "Agnt5-Signature"

// caller POSTs tasks to one service.
type caller struct {
	s      Service
	base   string
	client *http.Client
	max    int64
}

func newCaller(s Service, o Options) *caller {
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error { return allowed(address, o.Allow) }}
	return &caller{s: s, base: strings.TrimRight(s.URL, "/"), max: o.MaxOutput, client: &http.Client{
		Transport:     &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: s.Capacity, IdleConnTimeout: time.Minute, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (c *caller) close() { c.client.CloseIdleConnections() }

// errAddress says that a service's name led to an address that the daemon must not dial.
type errAddress struct{ address string }

func (e *errAddress) Error() string {
	return fmt.Sprintf("address %s is neither loopback nor on the daemon's allow-list (--push-allow)", e.address)
}

// allowed looks at an address as it is dialled, after names were resolved: what a name says later cannot go round it.
func allowed(address string, list []netip.Prefix) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return &errAddress{address}
	}
	if !may(at.Addr(), list) {
		return &errAddress{at.Addr().Unmap().String()}
	}
	return nil
}

// may says whether an address may be dialled.
func may(ip netip.Addr, list []netip.Prefix) bool {
	ip = ip.Unmap()
	return ip.IsLoopback() || slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(ip) })
}

func sign(secret string, at int64, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(strconv.AppendInt(nil, at, 10))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return "t=" + strconv.FormatInt(at, 10) + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

func failed(code string, retryable bool, format string, args ...any) worker.Outcome {
	return worker.Outcome{Status: worker.Failed, Error: &worker.Error{Code: code, Message: fmt.Sprintf(format, args...), Retryable: &retryable}}
}

// post sends one task and turns the answer, or what went wrong, into an outcome without a token.
func (c *caller) post(ctx context.Context, t *worker.Task) worker.Outcome {
	sent := *t
	sent.Token, sent.LeaseExpiresAt = "", "" // the request is the lease
	body := wire.EncodeTask(nil, &sent)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/"+url.PathEscape(t.HandlerName), bytes.NewReader(body))
	if err != nil {
		return failed(failure.PushURL, false, "%v", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "agnt5d")
	req.Header.Set("Idempotency-Key", t.IdempotencyKey)
	req.Header.Set(SignatureHeader, sign(c.s.Secret, time.Now().Unix(), body))
	if t.TraceParent != "" {
		req.Header.Set("Traceparent", t.TraceParent)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		var refused *errAddress
		switch {
		case errors.As(err, &refused):
			return failed(failure.PushAddress, false, "%s: %v", c.s.URL, refused)
		case errors.Is(err, context.DeadlineExceeded):
			return failed(failure.PushTimeout, true, "%s/%s did not answer within %d ms", c.base, t.HandlerName, c.s.TimeoutMS)
		}
		return failed(failure.PushUnreachable, true, "%v", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, c.max+1))
	switch {
	case err != nil:
		return failed(failure.PushUnreachable, true, "%s/%s: the answer broke off: %v", c.base, t.HandlerName, err)
	case int64(len(answer)) > c.max:
		return failed(failure.PushAnswer, false, "%s/%s: the answer is over the limit of %d bytes", c.base, t.HandlerName, c.max)
	}
	return outcomeOf(resp, answer)
}

// outcomeOf reads the answer of a service.
func outcomeOf(resp *http.Response, answer []byte) worker.Outcome {
	where := fmt.Sprintf("%s answered %s", resp.Request.URL, resp.Status)
	switch code := resp.StatusCode; {
	case code/100 == 2:
		return completed(resp, answer)
	case code == http.StatusRequestTimeout || code == http.StatusTooEarly || code == http.StatusTooManyRequests || code/100 == 5:
		o := failed(failure.PushStatus, true, "%s%s", where, excerpt(answer))
		o.Error.RetryAfterMS = retryAfterOf(resp.Header.Get("Retry-After"))
		return o
	default: // 3xx too: redirects are not followed
		return failed(failure.PushStatus, false, "%s%s", where, excerpt(answer))
	}
}

func completed(resp *http.Response, answer []byte) worker.Outcome {
	if len(bytes.TrimSpace(answer)) == 0 {
		return worker.Outcome{Status: worker.Completed}
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if media != OutcomeType {
		return worker.Outcome{Status: worker.Completed, Output: answer}
	}
	var full struct {
		Output  json.RawMessage            `json:"output"`
		Objects map[string]json.RawMessage `json:"objects"`
	}
	if err := wire.DecodeJSON(answer, &full); err != nil {
		return failed(failure.PushAnswer, false, "%s: the outcome: %v", resp.Request.URL, err)
	}
	return worker.Outcome{Status: worker.Completed, Output: full.Output, Objects: full.Objects}
}

// excerpt is the beginning of an error's body, for people.
func excerpt(b []byte) string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(b), "?"))
	if text == "" {
		return ""
	}
	if len(text) > 1000 {
		text = text[:1000] + "..."
	}
	return ": " + text
}

const maxRetryAfter = 24 * time.Hour

// retryAfterOf reads seconds or a date; 0 when there is none.
func retryAfterOf(h string) int64 {
	if n, err := strconv.ParseInt(h, 10, 64); err == nil && n >= 0 {
		return min(n, int64(maxRetryAfter/time.Second)) * 1000
	}
	if t, err := http.ParseTime(h); err == nil {
		return min(max(time.Until(t), 0), maxRetryAfter).Milliseconds()
	}
	return 0
}
