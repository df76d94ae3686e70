package api_test

import (
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
)

// While a step holds a key that has no state yet, the list shows who holds it and who waits, page by page; the key is not deleted under
// the step.
func TestAKeyThatIsHeldIsShownAndNotDeleted(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","service_name":"svc","handler_name":"h","object_keys":["user:1","user:2"]}]}`)
	w := s.join(`"h"`, "")
	s.start("w", "first")
	token := s.task(w, 1)["token"].(string)
	s.start("w", "second")
	list := s.want(200, "", "GET", "/v1/objects?prefix=user:&limit=1", "").json
	cursor, _ := list["next_cursor"].(string)
	if cursor == "" || len(list["objects"].([]any)) != 1 {
		t.Fatalf("got %v", list)
	}
	rest := s.want(200, "", "GET", "/v1/objects?prefix=user:&limit=1&cursor="+cursor, "").json
	if all := rest["objects"].([]any); len(all) != 1 || all[0].(map[string]any)["key"] != "user:2" {
		t.Errorf("the second page: %v", rest)
	}
	for _, path := range []string{"?prefix=user:1", "?limit=1", "/user%3A1"} {
		o := s.want(200, "", "GET", "/v1/objects"+path, "").json
		if all, ok := o["objects"].([]any); ok {
			o = all[0].(map[string]any)
		}
		queue, _ := o["queue"].([]any)
		if holder, _ := o["holder"].(map[string]any); o["key"] != "user:1" || o["state"] != nil || holder["workflow_id"] != "first" || len(queue) != 1 || queue[0].(map[string]any)["workflow_id"] != "second" {
			t.Errorf("%s: got %v", path, o)
		}
	}
	if all := s.want(200, "", "GET", "/v1/objects?prefix=other", "").json["objects"].([]any); len(all) != 0 {
		t.Errorf("under another prefix: %v", all)
	}
	if r := s.want(409, "object_held", "DELETE", "/v1/objects/user%3A1", ""); !strings.Contains(r.text, `step \"a\" of run \"first\"`) {
		t.Errorf("got %s", r.text)
	}
	s.want(202, "", "POST", "/v1/runs/first/cancel", "")
	s.want(409, "object_held", "DELETE", "/v1/objects/user%3A1", "") // its handler has not answered
	s.outcome(w, token, `"status":"completed","output":1`)
	token = s.task(w, 2)["token"].(string)
	s.want(409, "object_held", "DELETE", "/v1/objects/user%3A2", "")
	if code := s.outcome(w, token, `"status":"completed","objects":{"user:1":7}`); code != "recorded" {
		t.Errorf("the outcome is %s", code)
	}
	s.want(204, "", "DELETE", "/v1/objects/user%3A1", "")
	deletions := func() int {
		return strings.Count(s.want(200, "", "GET", "/v1/events?limit=1000", "").text, "ObjectDeleted")
	}
	before := deletions()
	if s.want(204, "", "DELETE", "/v1/objects/none", ""); before != 1 || deletions() != before {
		t.Errorf("%d objects were deleted, and with one that is not there %d", before, deletions())
	}
	if all := s.want(200, "", "GET", "/v1/objects", "").json["objects"].([]any); len(all) != 0 {
		t.Errorf("deleted: %v", all)
	}
}
