package worker

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"
)

// MaxLog is how many bytes are kept of what one attempt writes to its log: the last ones.
const MaxLog = 64 << 10

// LogPart is a piece of what an attempt wrote to its log.
type LogPart struct {
	At   uint64 `json:"at"`   // how many bytes the attempt had written before it
	Text string `json:"text"` // lines, each with its time (RFC 3339, UTC) and level; UTF-8
}

// Log gives the log of the attempt that a handler's context belongs to. The last 64 KiB that an attempt writes are kept with its run:
// "agnt5d logs RUN" shows them. Outside of a handler it is slog.Default().
func Log(ctx context.Context) *slog.Logger {
	t := FromContext(ctx)
	if t == nil || t.log == nil {
		return slog.Default()
	}
	h := &logHandler{to: t.log}
	h.attrs = slog.NewTextHandler(t.log.writer(), &slog.HandlerOptions{ReplaceAttr: onlyAttrs})
	return slog.New(h)
}

// A line has its level and message in front. For the handler that writes the attributes behind them they are these, which no
// attribute is.
const (
	noLevel   slog.Level = -1 << 20
	noMessage            = "\x00"
)

func onlyAttrs(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.LevelKey && a.Value.Any() == noLevel || a.Key == slog.MessageKey && a.Value.Kind() == slog.KindString && a.Value.String() == noMessage) {
		return slog.Attr{}
	}
	return a
}

// OnLog sets where what the handler writes to its log is kept. It is for those who run handlers.
func (t *Task) OnLog(b *LogBuffer) { t.log = b }

// LogTaker is who takes over what an attempt wrote while it goes on.
type LogTaker interface{ LogDue() }

// LogBuffer holds what an attempt wrote to its log and nobody has taken over yet. The zero value is ready.
type LogBuffer struct {
	// Taker hears of it a moment after something was written, once until it is taken over. Set it before the first write; nil:
	// nobody hears of it.
	Taker LogTaker

	mu   sync.Mutex
	kept *kept // nil: nothing was written. Most handlers write nothing
}

type kept struct {
	at    uint64 // bytes that were written before text
	text  []byte
	timer *time.Timer // LogDue is under way
	line  bytes.Buffer
}

// writer is where a line is put together.
func (b *LogBuffer) writer() *bytes.Buffer {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept == nil {
		b.kept = &kept{}
	}
	return &b.kept.line
}

// logMoment is how long LogDue waits for more.
const logMoment = time.Second

// write takes a line.
func (b *LogBuffer) write(line []byte) {
	k := b.kept
	k.text = append(k.text, line...)
	if over := len(k.text) - MaxLog; over > 0 {
		k.drop(over + partial(k.text[over:]))
	}
	b.tell()
}

// partial is how much of a text that was cut in front is the rest of a line, or of a rune when there is only one line.
func partial(text []byte) int {
	if end := bytes.IndexByte(text, '\n') + 1; end > 0 && end < len(text) {
		return end
	}
	n := 0
	for n < len(text) && !utf8.RuneStart(text[n]) {
		n++
	}
	return n
}

func (b *LogBuffer) tell() {
	if b.Taker != nil && b.kept.timer == nil {
		b.kept.timer = time.AfterFunc(logMoment, b.Taker.LogDue)
	}
}

func (k *kept) drop(n int) {
	k.at += uint64(n)
	k.text = append(k.text[:0], k.text[n:]...)
}

// Part gives what has not been taken over; nil: nothing. The same is given again, with what follows it, until Taken.
func (b *LogBuffer) Part() *LogPart {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept == nil || len(b.kept.text) == 0 {
		return nil
	}
	return &LogPart{b.kept.at, string(b.kept.text)}
}

// Taken says that a part was taken over. What was written since is due in a moment.
func (b *LogBuffer) Taken(p *LogPart) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.kept
	k.timer = nil
	if end := p.At + uint64(len(p.Text)); end > k.at {
		k.drop(min(int(end-k.at), len(k.text)))
	}
	if len(k.text) > 0 {
		b.tell()
	}
}

// Close says that the attempt is over: nobody hears of what is written any more.
func (b *LogBuffer) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept != nil && b.kept.timer != nil {
		b.kept.timer.Stop()
	}
	b.Taker = nil
}

// logHandler writes a line for each record: time, level, message, attributes.
type logHandler struct {
	to    *LogBuffer
	attrs slog.Handler // writes what follows the message to to.line
}

func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelDebug
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	h.to.mu.Lock()
	defer h.to.mu.Unlock()
	b := &h.to.kept.line
	b.Reset()
	at := r.Time
	if at.IsZero() {
		at = time.Now()
	}
	b.WriteString(at.UTC().Format("2006-01-02T15:04:05.000Z") + " " + r.Level.String() + " " + r.Message + " ")
	own := slog.NewRecord(time.Time{}, noLevel, noMessage, 0)
	r.Attrs(func(a slog.Attr) bool {
		own.AddAttrs(a)
		return true
	})
	err := h.attrs.Handle(ctx, own)
	h.to.write(append(bytes.ToValidUTF8(bytes.TrimRight(b.Bytes(), " \n"), []byte("\uFFFD")), '\n'))
	if b.Cap() > MaxLog {
		*b = bytes.Buffer{}
	}
	return err
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{h.to, h.attrs.WithAttrs(attrs)}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.to, h.attrs.WithGroup(name)}
}
