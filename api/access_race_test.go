package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/agnt5/agnt5d/engine"
)

// ask sends a request from any goroutine, and gives the status.
func (s *site) ask(method, path, body, token string) int {
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		return -1
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return -1
	}
	resp.Body.Close()
	return resp.StatusCode
}

// atOnce calls fn at once, and counts the statuses that it gives.
func atOnce(n int, fn func(i int) int) map[int]int {
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[int]int{}
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			status := fn(i)
			mu.Lock()
			defer mu.Unlock()
			got[status]++
		})
	}
	close(begin)
	wg.Wait()
	return got
}

// Of many who make the first token at once one has it, and the others are outside; so it is with a name that several want; and a
// request that begins after a token was revoked is refused.
func TestTokensUnderContention(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	got := atOnce(16, func(i int) int {
		return s.ask("POST", "/v1/tokens", fmt.Sprintf(`{"name":"t%d","scope":"admin"}`, i), "")
	})
	if got[201] != 1 || got[401] != 15 {
		t.Errorf("the first token: %v", got)
	}
	s = open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	root := s.token("", "root", "admin", "")
	got = atOnce(16, func(int) int { return s.ask("POST", "/v1/tokens", `{"name":"ci","scope":"read"}`, root) })
	if got[201] != 1 || got[409] != 15 {
		t.Errorf("one name: %v", got)
	}
	two := []string{s.token(root, "a", "admin", ""), s.token(root, "b", "admin", "")}
	got = atOnce(2, func(i int) int { return s.ask("DELETE", "/v1/tokens/"+string("ba"[i]), "", two[i]) }) // each the other's
	if got[204] != 1 || got[401] != 1 {
		t.Errorf("two tokens revoke each other: %v", got)
	}
	for round := range 5 {
		name := fmt.Sprintf("op%d", round)
		op := s.token(root, name, "operate", "")
		var revoked atomic.Bool
		var late, done atomic.Int64
		var wg sync.WaitGroup
		for k := range 8 {
			wg.Go(func() {
				for i := 0; ; i++ {
					after := revoked.Load()
					status := s.ask("POST", "/v1/workflows/w/runs", fmt.Sprintf(`{"workflow_id":"r-%d-%d-%d"}`, round, k, i), op)
					if after {
						if status != 401 {
							late.Add(1)
						}
						return
					}
					done.Add(1)
				}
			})
		}
		until(t, func() bool { return done.Load() > 20 })
		s.want(204, "", "DELETE", "/v1/tokens/"+name, "", as(root)...)
		revoked.Store(true)
		wg.Wait()
		if late.Load() != 0 {
			t.Errorf("round %d: %d requests that began after the token was revoked were taken", round, late.Load())
		}
	}
}
