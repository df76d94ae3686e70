// Package engine runs durable workflows inside a Go process, on one file.
//
//	eng, err := engine.Open("runs.db", engine.Options{})
//	err = engine.Handle(eng, "etl-service", "extract_data", func(ctx context.Context, in ExtractIn) (ExtractOut, error) { ... })
//	err = eng.Register("data_pipeline", flow.Definition{Steps: []flow.Step{
//		flow.Task("extract", "etl-service", "extract_data"),
//		flow.Task("load", "etl-service", "load_data", flow.After("extract")),
//	}})
//	run, err := eng.Start(ctx, "data_pipeline", map[string]any{"day": "2026-11-23"}, engine.WithID("etl-2026-11-23"))
//	status, err := eng.Wait(ctx, run)
//	err = eng.Close()
//
// What it promises: what was acknowledged is on disk; each step completes exactly once, whatever dies when; after a crash
// the journal is replayed and every run resumes where it stopped. A handler's body may run more than once (a crash between its
// effect and its answer): every attempt carries the same idempotency key, see worker.FromContext.
//
// The package is the shell around the shard: goroutines, a clock, the executor of handlers in this process, and the calls
// above. It opens no port; package api does, around the same Engine.
package engine
