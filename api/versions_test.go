package api_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
)

// TestAWorkflowNamesTheVersionsThereAre deletes the first version of three: counting to their number would name it.
func TestAWorkflowNamesTheVersionsThereAre(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "j"), engine.Options{})
	for i := range 3 {
		s.want(201, "", "PUT", "/v1/workflows/w", fmt.Sprintf(`{"steps":[{"name":"s%d","type":"wait_signal","signal":{"name":"go"}}]}`, i))
	}
	numbers := func(want string) {
		t.Helper()
		r := s.want(200, "", "GET", "/v1/workflows/w?version=3", "")
		if !strings.Contains(r.text, `"version_numbers":`+want) {
			t.Errorf("want %s in %s", want, r.text)
		}
	}
	numbers("[1,2,3]")
	s.want(204, "", "DELETE", "/v1/workflows/w?version=1", "")
	numbers("[2,3]")
	if r := s.want(200, "", "GET", "/v1/workflows", ""); strings.Contains(r.text, "version_numbers") {
		t.Errorf("a list has them, too: %s", r.text)
	}
}
