// Command approval is a document's approval on the command line: reviewers have a few seconds to answer, then the manager is
// asked. Type approve in time, or let the time run out and approve as the manager. Kill it and start it again with the same -id: it goes
// on where it was, also when the time ran out meanwhile.
//
//	go run ./examples/approval -id doc-1
//	echo approve | go run ./examples/approval -id doc-2
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

func main() {
	var o options
	flag.StringVar(&o.file, "file", "approval.db", "the journal")
	flag.StringVar(&o.id, "id", "document-1", "the run: the same id goes on with it")
	flag.DurationVar(&o.reviewers, "reviewers", 10*time.Second, "how long the reviewers have")
	flag.DurationVar(&o.manager, "manager", 60*time.Second, "how long the manager has")
	flag.Parse()
	if err := run(context.Background(), o, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "approval:", err)
		os.Exit(1)
	}
}

type options struct {
	file, id           string
	reviewers, manager time.Duration
}

// definition is the approval of the guide, but for the two times.
func definition(reviewers, manager time.Duration) flow.Definition {
	return flow.Definition{Steps: []flow.Step{
		flow.Task("submit_document", "doc-service", "submit_for_review", flow.Input(map[string]string{"priority": "normal"})),
		flow.Task("notify_reviewers", "notification-service", "send_review_notifications", flow.After("submit_document")),
		flow.WaitSignal("wait_for_approval", "document_approved", flow.After("notify_reviewers"), flow.Timeout(reviewers, "escalate_approval")),
		flow.Task("escalate_approval", "doc-service", "escalate_to_manager"),
		flow.WaitSignal("wait_escalated_approval", "escalated_approval", flow.After("escalate_approval"), flow.Timeout(manager)),
		flow.Task("publish_document", "doc-service", "publish_approved_document", flow.After("wait_for_approval", "wait_escalated_approval")),
	}}
}

func run(ctx context.Context, o options, stdin io.Reader, stdout io.Writer) error {
	eng, err := engine.Open(o.file, engine.Options{})
	if err != nil {
		return err
	}
	err = approve(ctx, eng, o, stdin, stdout)
	return errors.Join(err, eng.Close())
}

func approve(ctx context.Context, eng *engine.Engine, o options, stdin io.Reader, stdout io.Writer) error {
	for _, h := range []struct{ service, handler, says string }{
		{"doc-service", "submit_for_review", "submitted for review"},
		{"notification-service", "send_review_notifications", fmt.Sprintf("reviewers told: they have %s. Type approve, or wait for it to escalate", o.reviewers)},
		{"doc-service", "escalate_to_manager", fmt.Sprintf("escalated: the manager has %s. Type approve", o.manager)},
		{"doc-service", "publish_approved_document", "published"},
	} {
		err := engine.Handle(eng, h.service, h.handler, func(context.Context, struct{}) (string, error) {
			_, err := fmt.Fprintln(stdout, h.says)
			return h.says, err
		})
		if err != nil {
			return err
		}
	}
	if err := eng.Register("document_approval", definition(o.reviewers, o.manager)); err != nil {
		return err
	}
	id, err := eng.Start(ctx, "document_approval", nil, engine.WithID(o.id))
	if err != nil {
		return err
	}
	go listen(ctx, eng, id, stdin, stdout) // ends with stdin, or with the process: a read of a terminal cannot be taken back
	status, err := eng.Wait(ctx, id)
	if err != nil {
		return err
	}
	if status.Error != nil {
		return fmt.Errorf("run %s has failed: %s: %s", id, status.Error.Step, status.Error.Message)
	}
	_, err = fmt.Fprintf(stdout, "%s: wait_for_approval %s, wait_escalated_approval %s\n",
		status.State, status.Steps["wait_for_approval"].State, status.Steps["wait_escalated_approval"].State)
	return err
}

// listen makes what a person types into signals. An approval that comes before its wait is kept for it.
func listen(ctx context.Context, eng *engine.Engine, id string, stdin io.Reader, stdout io.Writer) {
	lines := bufio.NewScanner(stdin)
	for lines.Scan() {
		if err := decide(ctx, eng, id, strings.TrimSpace(lines.Text())); err != nil {
			fmt.Fprintln(stdout, err)
		}
	}
}

func decide(ctx context.Context, eng *engine.Engine, id, word string) error {
	status, err := eng.Status(ctx, id)
	if err != nil {
		return err
	}
	if word != "approve" {
		return fmt.Errorf("%q: type approve, or let the time run out", word)
	}
	if status.Steps["wait_for_approval"].State == "timed_out" {
		return eng.Signal(ctx, id, "escalated_approval", map[string]string{"by": "manager"})
	}
	return eng.Signal(ctx, id, "document_approved", map[string]string{"by": "reviewer"})
}
