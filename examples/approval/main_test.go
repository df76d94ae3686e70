package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/flow"
)

// played runs the program with what is typed, and calls onLine for each line that it prints.
func played(t *testing.T, ctx context.Context, o options, stdin io.Reader, onLine func(string)) (string, error) {
	t.Helper()
	r, w := io.Pipe()
	result := make(chan error, 1)
	go func() {
		result <- run(ctx, o, stdin, w)
		_ = w.Close()
	}()
	var all strings.Builder
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		all.WriteString(lines.Text() + "\n")
		onLine(lines.Text())
	}
	return all.String(), <-result
}

func TestTheDefinitionIsTheOneOfTheGuide(t *testing.T) {
	text, err := os.ReadFile("../../testdata/flow/document/document_approval.json")
	if err != nil {
		t.Fatal(err)
	}
	guide, problems := flow.Parse(text)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want, err := flow.Canonical(guide)
	if err != nil {
		t.Fatal(err)
	}
	ours := definition(48*time.Hour, 24*time.Hour)
	got, err := flow.Canonical(&ours)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestApprovedInTimeByAPipe(t *testing.T) {
	o := options{filepath.Join(t.TempDir(), "a.db"), "d", time.Minute, time.Minute}
	said, err := played(t, t.Context(), o, strings.NewReader("what?\napprove\n"), func(string) {})
	if err != nil || strings.Contains(said, "escalated:") || !strings.Contains(said, `"what?": type approve`) ||
		!strings.Contains(said, "completed: wait_for_approval completed, wait_escalated_approval skipped") {
		t.Fatalf("%v\n%s", err, said)
	}
}

// The process ends while the reviewers have the document. When it is started again their time goes on or is over, and the
// manager is asked; nothing is submitted twice.
func TestStoppedThenEscalatedThenApproved(t *testing.T) {
	o := options{filepath.Join(t.TempDir(), "a.db"), "d", 300 * time.Millisecond, time.Minute}
	ctx, stop := context.WithCancel(t.Context())
	said, err := played(t, ctx, o, strings.NewReader(""), func(line string) {
		if strings.HasPrefix(line, "reviewers told") {
			stop()
		}
	})
	if !errors.Is(err, context.Canceled) || !strings.Contains(said, "submitted") {
		t.Fatalf("%v\n%s", err, said)
	}
	hear, types := io.Pipe()
	said, err = played(t, t.Context(), o, hear, func(line string) {
		if strings.HasPrefix(line, "escalated:") {
			_, _ = io.WriteString(types, "approve\n")
		}
	})
	_ = types.Close()
	if err != nil || strings.Contains(said, "submitted") || strings.Count(said, "published") != 1 ||
		!strings.Contains(said, "completed: wait_for_approval timed_out, wait_escalated_approval completed") {
		t.Fatalf("%v\n%s", err, said)
	}
}

func TestNobodyAnswers(t *testing.T) {
	o := options{filepath.Join(t.TempDir(), "a.db"), "d", time.Millisecond, time.Millisecond}
	said, err := played(t, t.Context(), o, strings.NewReader(""), func(string) {})
	if err == nil || !strings.Contains(err.Error(), "wait_escalated_approval") || strings.Contains(said, "published") {
		t.Fatalf("%v\n%s", err, said)
	}
}
