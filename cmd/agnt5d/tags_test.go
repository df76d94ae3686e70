package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
)

// Runs that are started with tags have them after the daemon was killed, and lists find the runs by them, as the daemon says it and
// as its file does.
func TestTagsOutliveAKill(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	def := flow.Definition{Steps: []flow.Step{flow.WaitSignal("go", "go")}}
	if _, _, err := d.client(t).RegisterDefinition(t.Context(), "w", def); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "starts.jsonl")
	lines := `{"workflow_id": "c", "tags": {"team": "ops", "url": "http://x:1/?a=b"}}` + "\n" + `{"workflow_id": "d"}` + "\n"
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	d.say(t, 0, "a", "start", "w", "--id", "a", "--tag", "team=data", "--tag", "env=prod")
	d.say(t, 0, "b", "start", "w", "--id", "b", "--tag", "team=data", "--tag", "empty=")
	d.say(t, 0, "c\nd\n", "start", "w", "--batch", file, "--tag", "team=data", "--tag", "lot=7")
	d.say(t, 0, "a", "start", "w", "--id", "a", "--tag", "team=else") // it exists, and keeps its tags
	d.kill()
	look := func(where string) {
		t.Helper()
		for _, q := range []struct{ flags, want string }{
			{"--tag team=data", "d b a"}, {"--tag team:data", "d b a"}, {"--tag team=ops", "c"}, {"--tag lot=7", "d c"}, {"--tag empty=", "b"},
			{"--tag team=data --tag lot=7", "d"}, {"--tag team=data --tag env=prod", "a"}, {"--tag team=ops --tag env=prod", ""},
			{"--tag url=http://x:1/?a=b", "c"}, {"--tag team=dat", ""}, {"--tag tea=data", ""}, {"--tag team=data --limit 2", "d b"},
			{"--tag team=data --state completed", ""}, {"--tag team=data --id-prefix b", "b"},
		} {
			if got, errs := listed(t, d, q.flags+where); got != q.want {
				t.Errorf("list %s%s: %s, want %s\n%s", q.flags, where, got, q.want, errs)
			}
		}
	}
	look(" --file " + filepath.Join(dir, "runs.db"))
	d.again(t)
	look("")
	d.say(t, 0, "\ntags env=prod team=data\n", "show", "a")
	d.say(t, 0, "env=prod team=data", "list", "--tag", "env=prod")
	d.say(t, 0, `tags={"lot":"7","team":"data"}`, "history", "d")
	for bad, want := range map[string]string{"team": "no value", "=x": "the name of a tag is empty", "a b=x": "the name of a tag", "a=" + strings.Repeat("x", 257): "257 bytes", "a=\x01": "does not print"} {
		d.say(t, 2, want, "start", "w", "--tag", bad)
		d.say(t, 2, want, "list", "--tag", bad)
	}
	d.say(t, 0, "", "signal", "a", "go")
	d.say(t, 0, "", "wait", "a")
	d.say(t, 0, "env=test team=data\n", "tag", "a", "env=test") // of a run that has ended
	d.say(t, 0, "team=data\n", "tag", "b", "--remove", "empty", "team=data")
	d.say(t, exitConflict, "too_many_tags", append([]string{"tag", "b", "-o", "json"}, strings.Fields("1= 2= 3= 4= 5= 6= 7= 8= 9= 10= 11= 12= 13= 14= 15= 16=")...)...)
	d.say(t, 2, "both set and taken away", "tag", "b", "x=1", "--remove", "x")
	d.say(t, 2, "--remove NAME", "tag", "b")
	d.kill()
	d.again(t)
	for flags, want := range map[string]string{"--tag env=test": "a", "--tag env=prod": "", "--tag empty=": "", "--tag team=data --sort end": "a", "--tag team=data --state running": "d b"} {
		if got, errs := listed(t, d, flags); got != want {
			t.Errorf("list %s: %s, want %s\n%s", flags, got, want, errs)
		}
	}
	d.say(t, 0, `RunTagged tags={"empty":null} by=local`, "history", "b")
	d.say(t, 0, `"done":1`, "cancel", "--all", "--tag", "lot=7", "--tag", "team=ops", "--yes", "-o", "json")
	d.kill()
	d.say(t, 0, "", "verify", filepath.Join(dir, "runs.db"))
}

// The tags of a schedule are those of every run that it starts: by its clock, by hand and for the past.
func TestAScheduleGivesItsRunsTags(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	d.say(t, 0, "", "register", "tick", fileIn(t, d.dir, "tick.yaml", "steps:\n  - {name: tick, type: wait_timer, timer: {key: t, delay_ms: 0}}\n"))
	text := "schedules:\n  - {name: s, workflow: tick, at: [\"2020-01-01T00:00:00Z\", \"2020-01-02T00:00:00Z\", \"2090-01-01T00:00:00Z\"], tags: {team: data, lot: %s}}\n"
	d.say(t, exitError, "tags_invalid", "schedules", "apply", fileIn(t, d.dir, "bad.yaml", strings.ReplaceAll(text, "%s", "\"\\u0007\"")))
	d.say(t, 0, "is created", "schedules", "apply", fileIn(t, d.dir, "s.yaml", strings.ReplaceAll(text, "%s", "one")))
	d.say(t, 0, "", "schedules", "backfill", "s", "--from", "2020-01-01T00:00:00Z", "--to", "2020-01-01T12:00:00Z")
	d.say(t, 0, "", "wait", "s-2020-01-01T00:00:00Z")
	d.say(t, 0, "", "schedules", "apply", fileIn(t, d.dir, "s.yaml", strings.ReplaceAll(text, "%s", "two")))
	d.say(t, 0, "triggered", "schedules", "trigger", "s")
	d.kill()
	d.again(t)
	for flags, want := range map[string]int{"--tag team=data": 2, "--tag lot=one": 1, "--tag lot=two --tag team=data": 1} {
		if got, errs := listed(t, d, flags); len(strings.Fields(got)) != want {
			t.Errorf("list %s: %s, want %d\n%s", flags, got, want, errs)
		}
	}
}
