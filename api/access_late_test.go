package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
)

// half sends the head of a request and gives what sends its body and reads the status.
func (s *site) half(method, path, token, body string) (finish func() int) {
	s.t.Helper()
	head := fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	if token != "" {
		head += "Authorization: Bearer " + token + "\r\n"
	}
	c := s.held(method+" "+path, head+"\r\n", body[:1])
	return func() int {
		s.t.Helper()
		return status(s.t, c, body[1:])
	}
}

func status(t *testing.T, c net.Conn, rest string) int {
	t.Helper()
	if _, err := io.WriteString(c, rest); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// A request that was admitted is not good for longer than its token, however long its body is in coming; and what was begun while
// nobody needed a token ends with the first one.
func TestWhatIsUnderWayIsNoWayIn(t *testing.T) {
	s := open(t, engine.Options{})
	const evil = `{"name":"evil","scope":"admin"}`
	open := s.half("POST", "/v1/tokens", "", evil)
	stream := bufio.NewReader(s.held("GET /v1/events", "Accept: text/event-stream\r\nConnection: close\r\n\r\n"))
	if line, err := stream.ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatal(line, err)
	}
	root := s.token("", "root", "admin", "")
	if got := open(); got != 401 {
		t.Errorf("a request without a token that was finished after the first one was made: %d", got)
	}
	s.want(201, "", "PUT", "/v1/workflows/later", oneTask, as(root)...)
	if rest, err := io.ReadAll(stream); err != nil || strings.Contains(string(rest), "later") {
		t.Errorf("the stream of before: %q %v", rest, err)
	}
	stolen := s.token(root, "stolen", "admin", "")
	late := s.half("POST", "/v1/tokens", stolen, evil)
	s.want(204, "", "DELETE", "/v1/tokens/stolen", "", as(root)...)
	if got := late(); got != 401 {
		t.Errorf("a request that was finished after its token was revoked: %d", got)
	}
	if list := s.want(200, "", "GET", "/v1/tokens", "", as(root)...); strings.Contains(list.text, "evil") {
		t.Error(list.text)
	}
	reader := s.token(root, "reader", "read", "")
	s.want(404, "not_found", "GET", "/v1/runz", "", as(reader)...) // what is no route needs no scope
}

// After a restart nobody but a worker of the service takes up what its worker had.
func TestALeaseStaysWithItsServiceThroughARestart(t *testing.T) {
	path := t.TempDir() + "/runs.db"
	s := openAt(t, path, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","service_name":"mail","handler_name":"h"}]}`)
	root := s.token("", "root", "admin", "")
	pay := s.token(root, "pay", "worker:pay", "")
	mail := s.token(root, "mail", "worker:mail", "")
	join := func(service, tokens string) string {
		return `{"service_name":"` + service + `","handlers":["h"],"capacity":1,"worker_id":"mail-1","tokens":[` + tokens + `]}`
	}
	s.want(201, "", "POST", "/v1/workers", join("mail", ""), as(mail)...)
	s.want(201, "", "POST", "/v1/workflows/w/runs", `{"workflow_id":"r"}`, as(root)...)
	got := s.want(200, "", "POST", "/v1/workers/mail-1/poll", `{"seq":1,"max":1,"wait_ms":10000}`, as(mail)...)
	lease := got.json["tasks"].([]any)[0].(map[string]any)["token"].(string)
	s.close()
	s = openAt(t, path, engine.Options{})
	r := s.want(201, "", "POST", "/v1/workers", join("pay", `"`+lease+`"`), as(pay)...)
	other := r.json["worker_id"].(string)
	if other == "mail-1" || !strings.Contains(r.text, lease) {
		t.Errorf("another service has the worker's id, or its lease: %s", r.text)
	}
	outcome := `{"max":0,"outcomes":[{"token":"` + lease + `","status":"failed","error":{"code":"x","message":"x","retryable":false}}]}`
	if r := s.want(200, "", "POST", "/v1/workers/"+other+"/poll", outcome, as(pay)...); !strings.Contains(r.text, "bad_token") {
		t.Errorf("another service answers for it: %s", r.text)
	}
	s.want(404, "worker_not_found", "POST", "/v1/workers/mail-1/poll", outcome, as(pay)...)
	s.want(404, "worker_not_found", "DELETE", "/v1/workers/mail-1", "", as(pay)...)
	if r := s.want(201, "", "POST", "/v1/workers", join("mail", `"`+lease+`"`), as(mail)...); strings.Contains(r.text, lease) {
		t.Errorf("its own worker has lost it: %s", r.text)
	}
	s.want(200, "", "POST", "/v1/workers/mail-1/poll", `{"max":0,"outcomes":[{"token":"`+lease+`","status":"completed","output":1}]}`, as(mail)...)
	if r := s.want(200, "", "GET", "/v1/runs/r", "", append(as(root), "Prefer", "wait=10")...); r.json["state"] != "completed" {
		t.Error(r.text)
	}
}

// A worker whose id another service has taken meanwhile is not locked out: it gets a new one, and serves.
func TestAWorkersIDThatIsTakenIsReplaced(t *testing.T) {
	s := open(t, engine.Options{})
	root := s.token("", "root", "admin", "")
	pay := s.token(root, "pay", "worker:pay", "")
	mail := s.token(root, "mail", "worker:mail", "")
	join := func(service string) string {
		return `{"service_name":"` + service + `","handlers":["h"],"capacity":1,"worker_id":"mail-1"}`
	}
	s.want(201, "", "POST", "/v1/workers", join("pay"), as(pay)...) // after a restart, say
	r := s.want(201, "", "POST", "/v1/workers", join("mail"), as(mail)...)
	id := r.json["worker_id"].(string)
	if id == "mail-1" || id == "" {
		t.Fatalf("two services have one id: %s", r.text)
	}
	s.want(204, "", "POST", "/v1/workers/"+id+"/poll", `{"max":0}`, as(mail)...)
	s.want(204, "", "POST", "/v1/workers/mail-1/poll", `{"max":0}`, as(pay)...)
	s.want(403, "forbidden", "POST", "/v1/workers/mail-1/poll", `{"max":0}`, as(mail)...)
	if r := s.want(201, "", "POST", "/v1/workers", join("pay"), as(pay)...); r.json["worker_id"] != "mail-1" { // its own
		t.Error(r.text)
	}
}

// A copy of the journal that somebody takes slowly ends with the access token.
func TestACopyEndsWithItsToken(t *testing.T) {
	if testing.Short() { // under the race detector
		t.Skip("18 MB through the race detector take a minute")
	}
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	for i := range 20 {
		s.want(201, "", "POST", "/v1/workflows/w/runs", fmt.Sprintf(`{"workflow_id":"r%d","input_data":%q}`, i, strings.Repeat("x", 900_000)))
	}
	root := s.token("", "root", "admin", "")
	thief := s.token(root, "thief", "admin", "")
	in := bufio.NewReader(s.held("GET /v1/journal", "Authorization: Bearer "+thief+"\r\n\r\n"))
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 200 || resp.ContentLength < 18_000_000 {
		t.Fatal(resp, err)
	}
	defer resp.Body.Close()
	s.want(204, "", "DELETE", "/v1/tokens/thief", "", as(root)...)
	if n, err := io.Copy(io.Discard, resp.Body); err == nil || n >= resp.ContentLength {
		t.Errorf("%d of %d bytes came: %v", n, resp.ContentLength, err)
	}
}
