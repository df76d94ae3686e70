package bench

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"sync"

	"github.com/agnt5/agnt5d/client"
)

// crowdSize workers serve crowdServices services. Each of the crowdFlows workflows has its ten steps in ten of them.
const (
	crowdSize     = 1000
	crowdServices = 200
	crowdFlows    = 20
)

// crowdName names a service of the crowd, and a workflow.
func crowdName(i int) string { return fmt.Sprint("crowd", i) }

// crowd compares chains that one worker works on with chains that a thousand work on, or --count when that is less, in turns. All are
// there all the time: a worker with nothing to do costs next to nothing.
func crowd(ctx context.Context, o *Options) (*Result, error) {
	t, err := o.target("workers")
	if err != nil {
		return nil, err
	}
	defer t.close()
	r := t.(*remote)
	n := min(crowdSize, max(o.Count, 1))
	services := min(crowdServices, n)
	for i := range crowdFlows {
		def := Chain()
		for s := range def.Steps {
			def.Steps[s].Service = crowdName((10*i + s) % services)
		}
		if err := t.register(ctx, crowdName(i), def); err != nil {
			return nil, err
		}
	}
	name, argv := o.Self("bench", "--as-worker", r.url, "--workers", fmt.Sprint(n))
	r.crowd = exec.Command(name, argv...)
	if _, err := startAndRead(r.crowd); err != nil {
		return nil, err
	}
	for i := range crowdFlows { // every service is served
		if err := t.run(ctx, crowdName(i)); err != nil {
			return nil, err
		}
	}
	return beside(ctx, o, t, "workers", []disturbance{{name: fmt.Sprint(n, "_workers"), flow: func(n int) string { return crowdName(n % crowdFlows) },
		begin: func(context.Context) (func(), error) { return func() {}, nil }}})
}

// workCrowd is so many workers in one process. Each has a connection of its own.
func workCrowd(ctx context.Context, url string, n int, stdout io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, n)
	var wg sync.WaitGroup
	for i := range n {
		c, err := client.New(url, client.Options{})
		if err != nil {
			return err
		}
		o := client.WorkerOptions{GCHeadroom: -1}
		if i == 0 {
			o.GCHeadroom = 0 // for all of them
		}
		w := client.NewWorker(c, crowdName(i%crowdServices), o)
		client.HandleRaw(w, "noop", noop)
		wg.Go(func() {
			if err := w.Run(ctx); err != nil {
				failed <- err
				cancel()
			}
		})
	}
	fmt.Fprintln(stdout, "working")
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}
