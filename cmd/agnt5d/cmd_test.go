package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/pgtest"
	"go.etcd.io/bbolt"
)

// agnt5d runs the program as main does.
func agnt5d(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// a journal with three runs: one completed, one failed, one that waits.
func journalFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "runs.db")
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(engine.Handle(eng, "svc", "ok", func(_ context.Context, in struct{}) (string, error) { return strings.Repeat("fine ", 40), nil }))
	must(engine.Handle(eng, "svc", "bad", func(_ context.Context, in struct{}) (string, error) {
		return "", flow.NonRetryable(errors.New("no such customer"))
	}))
	must(eng.Register("good", flow.Definition{Steps: []flow.Step{flow.Task("a", "svc", "ok"), flow.Task("b", "svc", "ok", flow.After("a"))}}))
	must(eng.Register("bad", flow.Definition{Steps: []flow.Step{flow.Task("a", "svc", "ok"), flow.Task("b", "svc", "bad", flow.After("a"))}}))
	must(eng.Register("waits", flow.Definition{Steps: []flow.Step{flow.WaitSignal("approved", "go")}}))
	for _, name := range []string{"good", "bad", "waits"} {
		_, err := eng.Start(ctx, name, map[string]string{"for": name}, engine.WithID("run-"+name))
		must(err)
		if name != "waits" {
			_, err = eng.Wait(ctx, "run-"+name)
			must(err)
		}
	}
	must(eng.Close())
	return path
}

func TestReplayShowsWhatHappened(t *testing.T) {
	path := journalFile(t)
	code, out, errs := agnt5d(t, "replay", path)
	if code != 0 || !strings.Contains(out, "b running → failed") && !strings.Contains(out, "b retrying → failed") || !strings.Contains(out, "run running → completed") {
		t.Fatalf("exit %d\n%s\n%s", code, out, errs)
	}
	if code, out, errs = agnt5d(t, "replay", path, "--check"); code != 0 || !strings.Contains(out, "3 runs") {
		t.Fatalf("check: exit %d: %s %s", code, out, errs)
	}
	if code, out, _ = agnt5d(t, "replay", path, "--check", "-o", "json"); code != 0 || !strings.Contains(out, `"ok":true`) {
		t.Fatalf("check: exit %d: %s", code, out)
	}
	code, out, errs = agnt5d(t, "history", "run-bad", "--file", path, "-o", "json")
	if code != 0 {
		t.Fatalf("history: exit %d: %s", code, errs)
	}
	n := 0
	for l := range strings.Lines(out) {
		var e engine.Event
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatal(err)
		}
		if n++; e.N != uint64(n) || e.WorkflowID != "run-bad" {
			t.Errorf("line %d is event %d of %s", n, e.N, e.WorkflowID)
		}
	}
	if code, _, errs = agnt5d(t, "history", "nobody", "--file", path); code != exitNotFound || !strings.Contains(errs, "nobody") {
		t.Errorf("unknown run: exit %d: %s", code, errs)
	}
	if code, _, errs = agnt5d(t, "verify", path); code != 0 {
		t.Errorf("verify: exit %d: %s", code, errs)
	}
}

func TestReplayAtShowsTheStateOfThen(t *testing.T) {
	path := journalFile(t)
	_, out, _ := agnt5d(t, "history", "run-good", "--file", path, "-o", "json")
	var first engine.Event
	_ = json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &first)
	code, out, errs := agnt5d(t, "replay", path, "--run", "run-good", "--at", fmt.Sprint(first.Seq+1))
	if code != 0 || !strings.Contains(out, "scheduled") || !strings.Contains(out, "pending") || strings.Contains(out, "completed") {
		t.Fatalf("exit %d: %s %s", code, out, errs)
	}
	var steps bytes.Buffer
	if code := run(t.Context(), []string{"replay", path, "--run", "run-good", "--step"}, strings.NewReader("n\np\n99\n4\nq\n"), &steps, &steps); code != 0 {
		t.Fatalf("exit %d: %s", code, steps.String())
	}
	for _, want := range []string{"event 1 of", "event 2 of", `"99": want n, p, q or a number`, "event 4 of"} {
		if !strings.Contains(steps.String(), want) {
			t.Errorf("no %q in\n%s", want, steps.String())
		}
	}
}

// logValues gives where each value of the log stands in the file, by its key.
func logValues(t *testing.T, path string) (keys [][]byte, values [][]byte) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("log")).ForEach(func(k, v []byte) error {
			keys, values = append(keys, bytes.Clone(k)), append(values, bytes.Clone(v))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys, values
}

func TestCheckFindsOneFlippedBitInAnyRecord(t *testing.T) {
	path := journalFile(t)
	keys, values := logValues(t, path)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		at := bytes.LastIndex(whole, v)
		if at < 0 {
			t.Fatalf("record %x is not in the file", keys[i])
		}
		for _, off := range []int{0, len(v) / 2, len(v) - 1} {
			broken := bytes.Clone(whole)
			for at := 0; ; { // every copy of it: old pages hold some
				n := bytes.Index(broken[at:], v)
				if n < 0 {
					break
				}
				broken[at+n+off] ^= 4
				at += n + 1
			}
			copied := filepath.Join(t.TempDir(), "broken.db")
			if err := os.WriteFile(copied, broken, 0o600); err != nil {
				t.Fatal(err)
			}
			code, out, errs := agnt5d(t, "replay", copied, "--check")
			if code != exitError || !strings.Contains(errs, fmt.Sprint(seqOf(keys[i]))) {
				t.Fatalf("record %d, byte %d flipped: exit %d: %s %s", seqOf(keys[i]), off, code, out, errs)
			}
		}
	}
}

func seqOf(key []byte) (seq uint64) {
	for _, b := range key {
		seq = seq<<8 | uint64(b)
	}
	return seq
}

func TestCheckFindsADeletedRecordAndTwoSwappedValues(t *testing.T) {
	path := journalFile(t)
	change := func(name string, fn func(b *bbolt.Bucket, keys, values [][]byte) error) {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		keys, values := logValues(t, path)
		copied := filepath.Join(t.TempDir(), "changed.db")
		if err := os.WriteFile(copied, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := bbolt.Open(copied, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(func(tx *bbolt.Tx) error { return fn(tx.Bucket([]byte("log")), keys, values) }); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		code, out, errs := agnt5d(t, "replay", copied, "--check")
		if code != exitError || !strings.Contains(errs, "record") && !strings.Contains(errs, "hole") && !strings.Contains(errs, "link") {
			t.Errorf("%s: exit %d: %s %s", name, code, out, errs)
		}
		t.Logf("%s: %s", name, errs)
	}
	for i := 2; i < 6; i++ {
		change("deleted", func(b *bbolt.Bucket, keys, _ [][]byte) error { return b.Delete(keys[i]) })
		change("swapped", func(b *bbolt.Bucket, keys, values [][]byte) error {
			if err := b.Put(keys[i], values[i+1]); err != nil {
				return err
			}
			return b.Put(keys[i+1], values[i])
		})
	}
}

func TestWhatIsNoJournalIsRefusedInOneLine(t *testing.T) {
	dir := t.TempDir()
	path := journalFile(t)
	write := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	whole, _ := os.ReadFile(path)
	for name, p := range map[string]string{
		"a directory": dir, "an empty file": write("empty", nil), "another program's file": write("text", []byte(strings.Repeat("hello, world\n", 2000))),
		"a truncated file": write("short", whole[:20_000]), "a missing file": filepath.Join(dir, "nothing.db"),
	} {
		before, _ := os.ReadFile(p)
		code, out, errs := agnt5d(t, "replay", p)
		want := exitError
		if name == "a missing file" {
			want = exitNotFound
		}
		if code != want || strings.Count(strings.TrimSpace(errs), "\n") != 0 || out != "" {
			t.Errorf("%s: exit %d, out %q, err %q", name, code, out, errs)
		}
		if after, _ := os.ReadFile(p); !bytes.Equal(before, after) {
			t.Errorf("%s was changed", name)
		}
	}
}

func TestASecondProcessIsToldWhoHasTheFile(t *testing.T) {
	path := journalFile(t)
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "AGNT5D_TEST_MAIN=replay "+path)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitConflict || !strings.Contains(string(out), fmt.Sprint(os.Getpid())) {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestValidateReportsEveryProblem(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte(`{"steps":[{"name":"b","service_name":"s","dependencies":["a"]},{"name":"b","handler":"x"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ := agnt5d(t, "validate", bad)
	if code != exitError {
		t.Fatalf("exit %d", code)
	}
	for _, want := range []string{flow.CodeDepUnknown, flow.CodeHandlerMissing, flow.CodeNameDuplicate, flow.CodeUnknownKey} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	if code, _, errs := agnt5d(t, "validate"); code != exitUsage || !strings.Contains(errs, "agnt5d validate --help") {
		t.Errorf("a verb without its argument: exit %d: %s", code, errs)
	}
	if code, _, errs := agnt5d(t, "frobnicate"); code != exitUsage || errs == "" {
		t.Errorf("unknown verb: exit %d: %s", code, errs)
	}
}

func TestMain(m *testing.M) {
	if os.Getenv("AGNT5D_TEST_SELF") != "" { // the program has started itself
		os.Exit(program(os.Args[1:]))
	}
	if args := os.Getenv("AGNT5D_TEST_MAIN"); args != "" {
		os.Exit(program(strings.Fields(args)))
	}
	if url := os.Getenv("AGNT5D_TEST_WORKER"); url != "" {
		if err := workerChild(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if dir := os.Getenv("AGNT5D_TEST_CHILD"); dir != "" {
		fmt.Fprintln(os.Stderr, child(dir))
		os.Exit(1)
	}
	pgtest.Main(m)
}

func TestDoctorSaysWhatToDo(t *testing.T) {
	path := journalFile(t)
	if code, out, errs := agnt5d(t, "doctor", path); code != 0 || !strings.Contains(out, "nothing in it is damaged") {
		t.Errorf("exit %d: %s %s", code, out, errs)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := agnt5d(t, "doctor", text); code != exitError || !strings.Contains(out, "not a journal") || errs == "" {
		t.Errorf("exit %d: %s %s", code, out, errs)
	}
}
