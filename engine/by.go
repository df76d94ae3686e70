package engine

import "context"

type byKey struct{}

// Local is who did what a call without WithBy asked for: somebody with the process, or the daemon's machine, at hand.
const Local = "local"

// WithBy says on whose behalf calls with the context are made. What people do to runs, workflows and objects carries it into the
// journal, and history shows it.
func WithBy(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, byKey{}, who)
}

func byOf(ctx context.Context) string {
	if who, ok := ctx.Value(byKey{}).(string); ok && who != "" {
		return who
	}
	return Local
}

// By is who calls with the context are made for; see WithBy.
func By(ctx context.Context) string { return byOf(ctx) }

type serviceKey struct{}

// WithService says that calls with the context are those of one service's workers: they get ErrOtherService for the session of a
// worker that serves another.
func WithService(ctx context.Context, service string) context.Context {
	return context.WithValue(ctx, serviceKey{}, service)
}

// onlyOf is the one service whose sessions a caller may use; "": any.
func onlyOf(ctx context.Context) string {
	service, _ := ctx.Value(serviceKey{}).(string)
	return service
}
