package enginetest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agnt5/agnt5d/enginetest"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

var approval = []flow.Step{
	flow.Task("prepare", "docs", "prepare"),
	flow.WaitSignal("wait", "approved", flow.After("prepare"), flow.Timeout(48*time.Hour, "escalate")),
	flow.Task("escalate", "mail", "send"),
	flow.Task("publish", "docs", "publish", flow.After("wait", "escalate")),
}

func stubbed(t testing.TB) *enginetest.Kit {
	kit := enginetest.New(t)
	kit.Register("approval", approval...)
	kit.Stub("docs", "prepare", map[string]int{"pages": 3})
	kit.Stub("docs", "publish", "done")
	kit.Stub("mail", "send", "sent")
	return kit
}

func TestARunThatIsAnswered(t *testing.T) {
	kit := stubbed(t)
	run := kit.Start("approval", map[string]any{"document": "plan"})
	run.Signal("approved", map[string]any{"by": "ada"})
	run.Completes("prepare", "wait", "publish").Skips("escalate")
	if calls := kit.Calls("docs", "publish"); len(calls) != 1 || calls[0].Step != "publish" {
		t.Errorf("publish was called %v", calls)
	}
	if len(kit.Calls("mail", "send")) != 0 {
		t.Error("a mail was sent")
	}
}

// 48 hours pass at once.
func TestARunThatNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kit := stubbed(t)
		began := time.Now()
		run := kit.Start("approval", nil)
		run.Completes("prepare", "escalate", "publish")
		if got := run.Status().Steps["wait"].State; got != "timed_out" {
			t.Errorf("the wait is %s", got)
		}
		if took := time.Since(began); took < 48*time.Hour {
			t.Errorf("it took %s", took)
		}
	})
}

func TestARunThatFailsAndOneThatRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kit := enginetest.New(t)
		kit.Register("pay", flow.Task("charge", "bank", "charge"))
		tries := 0
		kit.StubFunc("bank", "charge", func(_ context.Context, task *worker.Task) (any, error) {
			if tries++; tries < 3 {
				return nil, errors.New("busy")
			}
			return "paid", nil
		})
		kit.Start("pay", nil).Completes("charge")
		if n := len(kit.Calls("bank", "charge")); n != 3 {
			t.Errorf("%d attempts", n)
		}
		kit.Register("refuse", flow.Task("charge", "bank", "refuse"))
		kit.Stub("bank", "refuse", flow.NonRetryable(errors.New("no such account")))
		kit.Start("refuse", nil).Fails("charge", "not_retryable")
	})
}

func TestARestartInTheMiddle(t *testing.T) {
	kit := stubbed(t)
	run := kit.Start("approval", nil)
	kit.Restart()
	run.Signal("approved", nil)
	run.Completes("prepare", "wait", "publish")
}

// What is wrong is said, and the test fails.
func TestAssertionsFail(t *testing.T) {
	kit := stubbed(t)
	run := kit.Start("approval", nil)
	run.Signal("approved", nil)
	run.Wait()
	for name, wrong := range map[string]func(*enginetest.Run){
		"order": func(r *enginetest.Run) { r.Completes("publish", "prepare") },
		"skip":  func(r *enginetest.Run) { r.Skips("publish") },
		"none":  func(r *enginetest.Run) { r.Skips("nothing") },
	} {
		if !fails(t, run, wrong) {
			t.Errorf("%s: a wrong assertion passes", name)
		}
	}
}

// fails runs an assertion against a test that only remembers whether it failed.
func fails(t *testing.T, run *enginetest.Run, assert func(*enginetest.Run)) bool {
	r := &recorder{TB: t}
	assert(run.As(r))
	return r.failed
}

type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }
