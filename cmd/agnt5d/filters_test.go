package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/internal/listing"
)

// Every filter of the one table is a flag of list, and of what is done to many runs; and it reaches the daemon under its name.
func TestEveryFilterIsAFlag(t *testing.T) {
	var got http.Request
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/hold" { // resume asks for it afterwards
			got = *r
		}
		_, _ = w.Write([]byte("{}"))
	}))
	defer srv.Close()
	t.Setenv("AGNT5_URL", srv.URL)
	sample := map[string]string{"string": "x", "states": "failed,cancelled", "date-time": "2026-11-23T08:00:00.000Z", "duration": "600000ms", "tag": "team:data", "boolean": "false"}
	for _, f := range listing.Filters {
		value, known := sample[f.Kind]
		if !known {
			t.Fatalf("%s: what is a %s?", f.Name, f.Kind)
		}
		for _, verb := range []string{"list", "cancel --all", "pause --all", "resume --all", "retry --all", "delete --all"} {
			args := append(strings.Fields(verb), "--"+strings.ReplaceAll(f.Name, "_", "-")+"="+value)
			code, _, errs := agnt5d(t, args...)
			if code != 0 || got.URL.Query().Get(f.Name) != value {
				t.Errorf("agnt5d %q: exit %d, %s; the daemon was asked %s", args, code, errs, got.URL)
			}
		}
	}
}
