package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/cursor"
	"github.com/agnt5/agnt5d/model"
)

// Times and sizes of an event stream.
const (
	keepAlive   = 15 * time.Second      // a comment goes out when nothing else has for so long
	slowestRead = 30 * time.Second      // a reader who does not take an event for so long is cut off
	streamPace  = 10 * time.Millisecond // between two writes, so that events that come in a crowd go together
	streamWrite = 64 << 10              // about the most in one write
)

// frame is an event as an event stream has it. Its name comes after its id, for those who want one.
type frame struct {
	seq  uint64
	kind string
	id   int // length of the line with the id
	text []byte
}

// lineEnd is what ends a line of an event stream: a carriage return alone, too.
func lineEnd(r rune) bool { return r == '\n' || r == '\r' }

func frameOf(history string, e engine.Event) (frame, error) {
	data, err := model.Marshal(e)
	if err != nil {
		return frame{}, err
	}
	text := fmt.Appendf(make([]byte, 0, len(data)+60), "id: %s\n", after(history, cursor.Events, e.Seq))
	f := frame{seq: e.Seq, kind: e.Kind, id: len(text)}
	for line := range bytes.FieldsFuncSeq(data, lineEnd) { // a payload may hold line breaks; between JSON tokens they mean nothing
		text = append(append(append(text, "data: "...), line...), '\n')
	}
	f.text = append(text, '\n')
	return f, nil
}

// append adds the frame to buf. A named one has its kind as its event field: a browser hands it to those who listen to that kind,
// and not to onmessage.
func (f *frame) append(buf []byte, named bool) []byte {
	if !named {
		return append(buf, f.text...)
	}
	buf = append(buf, f.text[:f.id]...)
	buf = fmt.Appendf(buf, "event: %s\n", f.kind)
	return append(buf, f.text[f.id:]...)
}

// stream is the writing side of an event stream.
type stream struct {
	w       http.ResponseWriter
	ctl     *http.ResponseController
	named   bool
	history string
	may     func() error // why nothing more may be sent; nil: it may
	sent    time.Time
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request, from uint64, named bool) (*stream, error) {
	s.waits(w)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	out := &stream{w: w, history: s.history, ctl: http.NewResponseController(w), named: named, may: func() error { return s.valid(r) }}
	return out, out.send([]byte(": from " + strconv.FormatUint(from, 10) + "\n\n"))
}

func (o *stream) send(text []byte) error {
	if err := o.may(); err != nil {
		return err
	}
	if err := o.ctl.SetWriteDeadline(time.Now().Add(slowestRead)); err != nil {
		return err
	}
	if _, err := o.w.Write(text); err != nil {
		return err
	}
	o.sent = time.Now()
	return o.ctl.Flush()
}

// wait waits for news, and tells the reader now and then that the stream is alive.
func (o *stream) wait(ctx context.Context, news <-chan struct{}) error {
	quiet := time.NewTicker(keepAlive)
	defer quiet.Stop()
	for {
		select {
		case <-news:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-quiet.C:
			if err := o.send([]byte(":\n\n")); err != nil {
				return err
			}
		}
	}
}

// pace waits until it is time for another write.
func (o *stream) pace(ctx context.Context) error {
	left := streamPace - time.Since(o.sent)
	if left <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// followAll is the stream of all events: from the window that its readers share, and from the journal what lies before it.
func (s *Server) followAll(ctx context.Context, out *stream, after uint64) error {
	window := s.feed.join(s.life, s.eng)
	defer s.feed.leave()
	var buf []byte
	for {
		text, next, news, kept, err := window.since(after, out.named, buf[:0])
		if !kept {
			text, next, err = s.old(ctx, after, out.named, buf[:0])
		}
		switch {
		case len(text) > 0:
			if err := out.send(text); err != nil {
				return err
			}
			if err := out.pace(ctx); err != nil {
				return err
			}
		case err != nil:
			return err
		case news != nil:
			if err := out.wait(ctx, news); err != nil {
				return err
			}
		}
		buf, after = text, next
	}
}

// old gives frames of events that the window does not hold any more.
func (s *Server) old(ctx context.Context, after uint64, named bool, buf []byte) ([]byte, uint64, error) {
	events, next, err := s.eng.Feed(ctx, after, 256)
	for _, e := range events {
		f, err := frameOf(s.history, e)
		if err != nil {
			return buf, after, err
		}
		buf = f.append(buf, named)
	}
	return buf, next, err
}

// followRun is the stream of one run's events. They are read from the journal as the reader takes them: a slow one delays only
// itself.
func (s *Server) followRun(ctx context.Context, out *stream, run string, after uint64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan engine.Event, 64)
	ended := make(chan error, 1)
	go func() {
		ended <- s.eng.Watch(ctx, engine.WatchFilter{Run: run, After: after}, func(e engine.Event) error {
			select {
			case events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		close(events)
	}()
	quiet := time.NewTicker(keepAlive)
	defer quiet.Stop()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return <-ended
			}
			if err := out.sendAll(e, events); err != nil {
				return err
			}
			quiet.Reset(keepAlive)
		case <-quiet.C:
			if err := out.send([]byte(":\n\n")); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendAll sends an event, and with it whatever else is ready, in one write.
func (o *stream) sendAll(e engine.Event, more <-chan engine.Event) error {
	var buf []byte
	for ok := true; ok; {
		f, err := frameOf(o.history, e)
		if err != nil {
			return err
		}
		if buf = f.append(buf, o.named); len(buf) > streamWrite {
			break
		}
		select {
		case e, ok = <-more:
		default:
			ok = false
		}
	}
	return o.send(buf)
}
