package api

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"sync"
)

// fromSize is from how many bytes on an answer is worth compressing.
const fromSize = 1 << 10

var gzips = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is one that there is
	return z
}}

// takesGzip says whether the client reads gzip.
func takesGzip(r *http.Request) bool {
	for _, h := range r.Header.Values("Accept-Encoding") {
		for _, part := range splitComma(h) {
			name, weight, _ := strings.Cut(strings.ReplaceAll(part, " ", ""), ";")
			if none := strings.Trim(weight, "q=0.") == "" && weight != ""; strings.EqualFold(name, "gzip") && !none {
				return true
			}
		}
	}
	return false
}

// compress gives a whole answer as the client takes it. Event streams and the copy of the journal are sent as they come, and never
// compressed.
func compress(w http.ResponseWriter, body []byte) []byte {
	rec, ok := w.(*exchange)
	if !ok {
		return body
	}
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	if !rec.gzip || len(body) <= fromSize {
		return body
	}
	var out bytes.Buffer
	z := gzips.Get().(*gzip.Writer)
	defer gzips.Put(z)
	z.Reset(&out)
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
	h.Set("Content-Encoding", "gzip")
	if tag := h.Get("ETag"); tag != "" { // another form of the same
		h.Set("ETag", "W/"+tag)
	}
	return out.Bytes()
}
