package push_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/push"
	"github.com/agnt5/agnt5d/seal"
)

// again starts the site with a payload key, or without.
func (s *site) again(codec engine.Codec) {
	s.t.Helper()
	s.stop()
	var err error
	if s.eng, err = engine.Open(s.path, engine.Options{Codec: codec}); err != nil {
		s.t.Fatal(err)
	}
	if s.m, err = push.Start(s.eng, push.Options{Codec: codec}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) holds(text string) bool {
	s.t.Helper()
	b, err := os.ReadFile(s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	return bytes.Contains(b, []byte(text))
}

// A secret is sealed with a key beside the journal, or with the payload key, and signs after a restart. Without the key the service
// gets no tasks, says why, and works when it is set up anew.
func TestASecretIsSealed(t *testing.T) {
	var signed string
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		signed = r.Header.Get("Agnt5-Signature")
		_, _ = w.Write([]byte(`"ok"`))
	}))
	defer web.Close()
	s := open(t)
	secret := s.put(web.URL, "h").Secret
	key := s.path + ".key"
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key: %v %v", info, err)
	}
	works := func(run string) {
		t.Helper()
		if signed = ""; s.run(run, "h").State != "completed" || signed == "" {
			t.Errorf("%s: the request is not signed", run)
		}
	}
	works("r1")
	s.again(nil)
	works("r2")
	if s.holds(secret) {
		t.Error("the secret stands in the journal")
	}

	// The journal is restored elsewhere, without the key.
	kept, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	s.again(nil)
	got, err := s.m.Get("web")
	if err != nil || !strings.Contains(got.Problem, "set the service up anew") || got.Secret != "" {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := os.Stat(key); err == nil {
		t.Error("a new key was made for nothing")
	}
	fresh, created, err := s.m.Put(t.Context(), push.Service{Name: "web", URL: web.URL, Handlers: []string{"h"}, TimeoutMS: 2000})
	if err != nil || created || fresh.Secret == "" || fresh.Secret == secret || fresh.Problem != "" {
		t.Errorf("%+v %v %v", fresh, created, err)
	}
	works("r3")

	// From a key in a file to the payload key.
	payload, err := seal.Parse([]byte("k " + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))))
	if err != nil {
		t.Fatal(err)
	}
	s.again(payload)
	works("r4")
	if err := os.WriteFile(key, kept, 0o600); err != nil { // it is not needed any more
		t.Fatal(err)
	}
	s.again(payload)
	works("r5")
	if s.holds(fresh.Secret) {
		t.Error("the secret stands in the journal")
	}
}

// What a release of before wrote openly is sealed at the next start.
func TestASecretOfBeforeIsSealed(t *testing.T) {
	s := open(t)
	if err := s.eng.Set(t.Context(), "service/web", []byte(`{"name":"web","url":"http://127.0.0.1:1/x","handlers":["h"],"capacity":10,"timeout_ms":1000,"secret":"PLANTED"}`)); err != nil {
		t.Fatal(err)
	}
	s.again(nil)
	rows, err := s.eng.Settings("service/")
	if err != nil || strings.Contains(string(rows["service/web"]), "PLANTED") || !strings.Contains(string(rows["service/web"]), "sealed_secret") {
		t.Errorf("%s %v", rows["service/web"], err)
	}
}
