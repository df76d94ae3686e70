package api

import (
	"context"
	"sort"
	"sync"

	"github.com/agnt5/agnt5d/engine"
)

// feedBytes is how much of the newest events is kept for the readers of all of them.
const feedBytes = 8 << 20

// feed is what the readers of all events share: each event is read from the journal and encoded once, however many they are.
// There is a window while there is a reader.
type feed struct {
	mu      sync.Mutex
	window  *window
	readers int
}

// window holds the newest events as frames of an event stream.
type window struct {
	history string
	end     context.CancelFunc

	mu     sync.Mutex
	frames []frame
	bytes  int
	from   uint64        // it holds every event after this sequence
	err    error         // no more will come
	news   chan struct{} // closed at the next event; nil: nobody waits
}

// join gives the window, and begins it with the first reader.
func (f *feed) join(life context.Context, eng *engine.Engine) *window {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.window == nil {
		ctx, end := context.WithCancel(life)
		w := &window{history: eng.Lineage(), end: end, from: eng.Durable()}
		go func() { w.over(eng.Watch(ctx, engine.WatchFilter{After: w.from}, w.add)) }()
		f.window = w
	}
	f.readers++
	return f.window
}

// leave ends the window with the last reader.
func (f *feed) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers--; f.readers == 0 {
		f.window.end()
		f.window = nil
	}
}

func (w *window) add(e engine.Event) error {
	one, err := frameOf(w.history, e)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frames = append(w.frames, one)
	w.bytes += len(one.text)
	for w.bytes > feedBytes { // whoever has not taken it reads it from the journal
		w.from = w.frames[0].seq
		w.bytes -= len(w.frames[0].text)
		w.frames[0] = frame{}
		w.frames = w.frames[1:]
	}
	w.tell()
	return nil
}

func (w *window) over(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
	w.tell()
}

func (w *window) tell() {
	if w.news != nil {
		close(w.news)
		w.news = nil
	}
}

// since appends the frames after a sequence to buf, as many as one write takes, and gives the sequence to go on from. kept is false
// when the window does not go back so far. Without frames it gives what is closed when there are some.
func (w *window) since(after uint64, named bool, buf []byte) (text []byte, next uint64, news <-chan struct{}, kept bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if after < w.from {
		return buf, after, nil, false, nil
	}
	at := sort.Search(len(w.frames), func(i int) bool { return w.frames[i].seq > after })
	for ; at < len(w.frames) && len(buf) < streamWrite; at++ {
		buf, after = w.frames[at].append(buf, named), w.frames[at].seq
	}
	if len(buf) > 0 || w.err != nil {
		return buf, after, nil, true, w.err
	}
	if w.news == nil {
		w.news = make(chan struct{})
	}
	return buf, after, w.news, true, nil
}
