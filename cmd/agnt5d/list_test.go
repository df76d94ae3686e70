package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
)

// listed runs list and gives the ids that it shows, and what else it says.
func listed(t *testing.T, d *daemon, flags string) (ids, rest string) {
	t.Helper()
	code, out, errs := d.cli(t, append([]string{"list", "-o", "json"}, words(flags)...)...)
	var got struct {
		Runs []model.RunHead `json:"runs"`
	}
	if code != 0 || json.Unmarshal([]byte(out), &got) != nil {
		return fmt.Sprintf("exit %d", code), errs
	}
	var all []string
	for _, r := range got.Runs {
		all = append(all, r.WorkflowID)
	}
	return strings.Join(all, " "), errs
}

// words splits at blanks; a ~ stands for a blank within a word.
func words(text string) []string {
	all := strings.Fields(text)
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], "~", " ")
	}
	return all
}

// TestListFindsWhatWasAskedFor asks a daemon, and then its file, in the ways in which people ask what happened.
func TestListFindsWhatWasAskedFor(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	c := d.client(t)
	for name, def := range map[string]flow.Definition{
		"ingest": {Steps: []flow.Step{flow.Task("a", "svc", "fail")}},
		"audit":  {Steps: []flow.Step{flow.WaitSignal("go", "go")}},
		"idle":   {Steps: []flow.Step{flow.Task("a", "nobody", "x")}},
	} {
		if _, _, err := c.RegisterDefinition(t.Context(), name, def); err != nil {
			t.Fatal(err)
		}
	}
	worker := startWorker(t, d.url)
	for _, id := range []string{"audit-a", "ingest-b", "audit-c", "audit-d", "idle-e"} {
		workflow, _, _ := strings.Cut(id, "-")
		if _, _, err := c.Start(t.Context(), workflow, nil, client.StartOptions{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Wait(t.Context(), "ingest-b"); err != nil {
		t.Fatal(err)
	}
	// Ends are told apart by milliseconds.
	tick := func() {
		for now := time.Now().UnixMilli(); time.Now().UnixMilli() == now; {
			runtime.Gosched()
		}
	}
	tick()
	if err := c.Cancel(t.Context(), "audit-c", ""); err != nil {
		t.Fatal(err)
	}
	tick()
	if _, err := c.Signal(t.Context(), "audit-a", "go", nil, ""); err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct{ flags, want, says string }{
		{"", "idle-e audit-d audit-c ingest-b audit-a", ""},
		{"--state failed", "ingest-b", ""},
		{"--state failed,cancelled", "audit-c ingest-b", ""},
		{"--state failed --state cancelled", "audit-c ingest-b", ""},
		{"--state completed,failed", "ingest-b audit-a", ""},
		{"--state faild", "exit 2", "faild"},
		{"--state failed,", "exit 2", "state"},
		{"--sort end", "audit-a audit-c ingest-b", ""},
		{"--sort end --workflow audit", "audit-a audit-c", ""},
		{"--sort end --state failed", "ingest-b", ""},
		{"--ended-since 1h", "audit-a audit-c ingest-b", ""},
		{"--ended-since yesterday --state cancelled", "audit-c", ""},
		{"--ended-until today", "", ""},
		{"--since 1h --until now", "idle-e audit-d audit-c ingest-b audit-a", ""},
		{"--until 1h", "", ""},
		{"--since 2200-01-01", "", ""},
		{"--until 2200-01-01~00:00:00 --id-prefix audit", "audit-d audit-c audit-a", ""},
		{"--since 2020-02-30", "exit 2", `--since "2020-02-30": want "1h" (ago)`},
		{"--error-code not_retryable", "ingest-b", ""},
		{"--error-code nope", "", ""},
		{"--text NO~GOOD", "ingest-b", ""},
		{"--text something~else", "", ""},
		{"--text no~good --state completed", "", ""},
		{"--stuck-for 1ms", "idle-e", ""},
		{"--stuck-for 1h", "", ""},
		{"--stuck-for x", "exit 2", "--stuck-for"},
		{"--workflow ingst", "exit 5", `"ingst"; did you mean "ingest"?`},
		{"--workflow ingest --state completed", "", ""},
		{"--limit -1", "exit 2", `invalid argument "-1" for "--limit": want a whole number, 0 or more`},
		{"--limit x", "exit 2", `invalid argument "x" for "--limit": want a whole number, 0 or more`},
		{"--sort size", "exit 2", "want start or end"},
		{"--cursor nonsense", "exit 2", "cursor"},
	} {
		if ids, says := listed(t, d, q.flags); ids != q.want || !strings.Contains(strings.ReplaceAll(says, `\"`, `"`), q.says) {
			t.Errorf("list %s: %q, want %q; it says %q, want %q", q.flags, ids, q.want, says, q.says)
		}
	}
	var pages []string
	for flags := "--limit 2 --sort end"; ; {
		_, out, errs := d.cli(t, append([]string{"list"}, words(flags)...)...)
		pages = append(pages, out)
		_, cursor, more := strings.Cut(errs, "there are more: --limit 0 shows all, --cursor ")
		if !more {
			break
		}
		flags = "--limit 2 --sort end --cursor " + strings.Fields(cursor)[0]
	}
	if len(pages) != 2 || !strings.Contains(pages[0], "ENDED") || !strings.Contains(pages[1], "a: not_retryable: no good") {
		t.Errorf("pages: %q", pages)
	}

	for _, q := range []struct {
		args string
		code int
		out  string
	}{
		{"delete --all --workflow audit --dry-run", 0, "2 runs match; nothing was done"},
		{"delete --all --workflow ingst", exitNotFound, ""},
		{"delete audit-a none audit-d", exitNotFound, "run audit-a is deleted\n"},
		{"delete --all --ended-since 1h", 0, "2 runs matched, 2 deleted"},
		{"delete --all --workflow audit", 0, "0 runs matched, 0 deleted"},
		{"list", 0, "audit-d"},
		{"list --file " + dir + "/runs.db", exitConflict, ""},
	} {
		if code, out, errs := d.cli(t, strings.Fields(q.args)...); code != q.code || !strings.Contains(out, q.out) {
			t.Errorf("agnt5d %s: exit %d, want %d\n%s%s", q.args, code, q.code, out, errs)
		}
	}
	worker.stop(t)
	d.stop(t)
	for flags, want := range map[string]string{"": "idle-e audit-d", "--workflow audit": "audit-d", "--stuck-for 1h": "exit 2", "--state broken": "exit 2",
		"--workflow odit": "exit 5", "--since 1h --state running": "idle-e audit-d", "--since x": "exit 2"} {
		if ids, says := listed(t, d, flags+" --file "+dir+"/runs.db"); ids != want {
			t.Errorf("list %s --file: %q, want %q; %s", flags, ids, want, says)
		}
	}
}

// Times are taken in every way in which list shows them, and in the ways in which people say them.
func TestPeoplesTimes(t *testing.T) {
	in := time.FixedZone("there", 9*3600)
	now := time.Date(2026, 11, 25, 21, 14, 35, 0, in)
	for text, want := range map[string]string{
		"now": "2026-11-25T12:14:35Z", "1h": "2026-11-25T11:14:35Z", "2d12h": "2026-11-23T00:14:35Z", "today": "2026-11-24T15:00:00Z",
		"yesterday": "2026-11-23T15:00:00Z", "2026-11-25": "2026-11-24T15:00:00Z", "2026-11-25 21:14": "2026-11-25T12:14:00Z",
		"2026-11-25 21:14:03": "2026-11-25T12:14:03Z", "2026-11-25T21:14:03": "2026-11-25T12:14:03Z", "2026-11-25T21:14:03Z": "2026-11-25T21:14:03Z",
		"2026-11-25 21:14:03+01:00": "2026-11-25T20:14:03Z", "2026-11-25T21:14:03.885Z": "2026-11-25T21:14:03.885Z",
		"2026-11-25 21:14:03.885": "2026-11-25T12:14:03.885Z",
		"":                        "", "tomorrow": "", "25.11.2026": "", "2026-13-01": "", "1x": "", "T": "", "2026-11-25T": "",
	} {
		got := ""
		if at, ok := parseTime(text, now, in); ok {
			got = at.UTC().Format("2006-01-02T15:04:05.999Z07:00")
		}
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	forms := strings.Split(timeForms, ", ")
	if !slices.Contains(forms, `"2026-11-25"`) {
		t.Error(forms)
	}
}
