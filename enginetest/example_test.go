package enginetest_test

import (
	"testing"

	"github.com/agnt5/agnt5d/enginetest"
	"github.com/agnt5/agnt5d/flow"
)

func Example() {
	_ = func(t *testing.T) { // a test of yours
		kit := enginetest.New(t)
		kit.Register("order", flow.Task("reserve", "shop", "reserve"), flow.WaitSignal("paid", "payment", flow.After("reserve")))
		kit.Stub("shop", "reserve", "one left")
		run := kit.Start("order", nil)
		run.Signal("payment", map[string]int{"cents": 1200})
		run.Completes("reserve", "paid")
	}
}
