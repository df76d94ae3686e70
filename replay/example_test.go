package replay_test

import (
	"fmt"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/replay"
)

// The rules of a run are a function of its events: a turn takes facts in, decides what follows, and gives the events that say all of
// it. Another state that applies the same events is the same, to the byte.
func Example() {
	g, err := flow.NewGraph(&flow.Definition{Steps: []flow.Step{
		flow.WaitSignal("paid", "payment"),
		flow.Task("ship", "shop", "ship", flow.After("paid")),
	}})
	if err != nil {
		panic(err)
	}
	s := replay.New(g)
	turn := replay.Turn{S: s, At: 1000, Seq: 1}
	turn.Start("order-17", "order", 1, []byte(`"lamp"`), "")
	turn.Signal("payment", "signal-1", []byte(`{"cents":1200}`))
	turn.Decide()
	if turn.Err != nil {
		panic(turn.Err)
	}
	again := replay.New(g)
	for i := range turn.Events {
		if err := again.Apply(uint64(i+1), turn.At, &turn.Events[i]); err != nil {
			panic(err)
		}
		fmt.Println(turn.Events[i].Kind)
	}
	fmt.Println("ship is", again.Steps[1].State, "and both states are equal:", string(again.Digest()) == string(s.Digest()))
	// Output:
	// RunStarted
	// SignalReceived
	// StepCompleted
	// StepScheduled
	// ship is scheduled and both states are equal: true
}
