package wire

import (
	"encoding/json"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/agnt5/agnt5d/worker"
)

// EncodeMsgpack writes the message as the library does, lists that are nil as empty ones.
func (r *Register) EncodeMsgpack(enc *msgpack.Encoder) error {
	type plain Register
	p := plain(*r)
	p.Handlers, p.Tokens = listed(p.Handlers), listed(p.Tokens)
	if p.Workflows == nil {
		p.Workflows = map[string]json.RawMessage{}
	}
	return enc.Encode(&p)
}

// EncodeMsgpack writes the message as the library does, a list that is nil as an empty one.
func (r *Registered) EncodeMsgpack(enc *msgpack.Encoder) error {
	type plain Registered
	p := plain(*r)
	p.Lost = listed(p.Lost)
	return enc.Encode(&p)
}

// EncodeMsgpack writes the message as the library does, a list that is nil as an empty one.
func (b *Beaten) EncodeMsgpack(enc *msgpack.Encoder) error {
	type plain Beaten
	return enc.Encode(&plain{listed(b.Gone)})
}

func listed(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// EncodeMsgpack writes the message.
func (p *Poll) EncodeMsgpack(enc *msgpack.Encoder) error {
	w := writer{enc}
	_ = w.EncodeMapLen(4)
	_ = w.EncodeString("seq")
	_ = w.EncodeUint(p.Seq)
	w.number("max", int64(p.Max))
	w.number("wait_ms", p.WaitMS)
	w.list("outcomes", len(p.Outcomes))
	for i := range p.Outcomes {
		w.outcome(&p.Outcomes[i])
	}
	return nil
}

// DecodeMsgpack reads the message.
func (p *Poll) DecodeMsgpack(dec *msgpack.Decoder) error {
	r := readerOf(dec)
	r.fields(func(key []byte) bool {
		switch string(key) {
		case "seq":
			p.Seq = r.uint()
		case "max":
			p.Max = int(r.int())
		case "wait_ms":
			p.WaitMS = r.int()
		case "outcomes":
			r.each(func() { p.Outcomes = append(p.Outcomes, r.outcome()) })
		default:
			return false
		}
		return true
	})
	return r.err
}

func (w writer) outcome(o *worker.Outcome) {
	n := 3
	if len(o.Objects) > 0 {
		n++
	}
	if o.Error != nil {
		n++
	}
	if o.Log != nil {
		n++
	}
	_ = w.EncodeMapLen(n)
	w.text("token", o.Token)
	w.text("status", o.Status)
	w.bin("output", o.Output)
	if len(o.Objects) > 0 {
		w.bins("objects", o.Objects)
	}
	if o.Error != nil {
		_ = w.EncodeString("error")
		w.failure(o.Error)
	}
	if o.Log != nil {
		w.log(o.Log)
	}
}

func (w writer) log(l *worker.LogPart) {
	_ = w.EncodeString("log")
	_ = w.EncodeMapLen(2)
	_ = w.EncodeString("at")
	_ = w.EncodeUint(l.At)
	w.text("text", l.Text)
}

func (r *reader) log() *worker.LogPart {
	if r.null() {
		return nil
	}
	l := &worker.LogPart{}
	r.fields(func(key []byte) bool {
		switch string(key) {
		case "at":
			l.At = r.uint()
		case "text":
			l.Text = r.text()
		default:
			return false
		}
		return true
	})
	return l
}

func (r *reader) outcome() (o worker.Outcome) {
	r.fields(func(key []byte) bool {
		switch string(key) {
		case "token":
			o.Token = r.text()
		case "status":
			o.Status = r.same()
		case "output":
			o.Output = r.bytes()
		case "objects":
			r.bins(&o.Objects)
		case "error":
			if !r.null() {
				o.Error = r.failure()
			}
		case "log":
			o.Log = r.log()
		default:
			return false
		}
		return true
	})
	return o
}

func (w writer) failure(e *worker.Error) {
	n := 5
	if e.Retryable != nil {
		n++
	}
	_ = w.EncodeMapLen(n)
	w.text("message", e.Message)
	w.text("code", e.Code)
	w.text("type", e.Type)
	w.text("stack", e.Stack)
	w.number("retry_after_ms", e.RetryAfterMS)
	if e.Retryable != nil {
		_ = w.EncodeString("retryable")
		_ = w.EncodeBool(*e.Retryable)
	}
}

func (r *reader) failure() *worker.Error {
	e := &worker.Error{}
	r.fields(func(key []byte) bool {
		switch string(key) {
		case "message":
			e.Message = r.text()
		case "code":
			e.Code = r.text()
		case "type":
			e.Type = r.text()
		case "stack":
			e.Stack = r.text()
		case "retryable":
			if !r.null() {
				v := read(r, (*msgpack.Decoder).DecodeBool)
				e.Retryable = &v
			}
		case "retry_after_ms":
			e.RetryAfterMS = r.int()
		default:
			return false
		}
		return true
	})
	return e
}

// EncodeMsgpack writes the message.
func (p *Polled) EncodeMsgpack(enc *msgpack.Encoder) error {
	w := writer{enc}
	_ = w.EncodeMapLen(3)
	w.list("tasks", len(p.Tasks))
	for _, t := range p.Tasks {
		w.task(t)
	}
	w.list("results", len(p.Results))
	for i := range p.Results {
		_ = w.EncodeMapLen(2)
		w.text("token", p.Results[i].Token)
		w.text("code", p.Results[i].Code)
	}
	w.texts("cancelled", p.Cancelled)
	return nil
}

// DecodeMsgpack reads the message.
func (p *Polled) DecodeMsgpack(dec *msgpack.Decoder) error {
	r := readerOf(dec)
	r.fields(func(key []byte) bool {
		switch string(key) {
		case "tasks":
			r.each(func() { p.Tasks = append(p.Tasks, r.task()) })
		case "results":
			r.each(func() { p.Results = append(p.Results, r.result()) })
		case "cancelled":
			r.texts(&p.Cancelled)
		default:
			return false
		}
		return true
	})
	return r.err
}

func (r *reader) result() (out worker.Result) {
	r.fields(func(key []byte) bool {
		switch string(key) {
		case "token":
			out.Token = r.text()
		case "code":
			out.Code = r.same()
		default:
			return false
		}
		return true
	})
	return out
}

func (w writer) task(t *worker.Task) {
	n := 17
	if len(t.Errors) > 0 {
		n++
	}
	if t.Index != nil {
		n += 2
	}
	if t.Round != nil {
		n += 2
	}
	for _, b := range [...]json.RawMessage{t.Input, t.Fate, t.Output} {
		if b != nil {
			n++
		}
	}
	if len(t.References) > 0 {
		n++
	}
	_ = w.EncodeMapLen(n)
	w.text("token", t.Token)
	w.text("lease_expires_at", t.LeaseExpiresAt)
	w.text("workflow_id", t.WorkflowID)
	w.text("workflow_name", t.WorkflowName)
	w.text("step", t.Step)
	w.text("service_name", t.ServiceName)
	w.text("handler_name", t.HandlerName)
	w.number("attempt", int64(t.Attempt))
	w.text("idempotency_key", t.IdempotencyKey)
	w.bin("workflow_input", t.WorkflowInput)
	w.bin("input_data", t.InputData)
	w.bins("dependencies", t.Dependencies)
	w.texts("object_keys", t.ObjectKeys)
	_ = w.EncodeString("objects")
	_ = w.EncodeMapLen(len(t.Objects))
	for _, key := range keys(t.Objects) {
		o := t.Objects[key]
		_ = w.EncodeString(key)
		_ = w.EncodeMapLen(3)
		w.bin("state", o.State)
		w.number("version", int64(o.Version))
		w.number("fence", int64(o.Fence))
	}
	w.text("traceparent", t.TraceParent)
	w.number("timeout_ms", t.TimeoutMS)
	w.number("heartbeat_timeout_ms", t.HeartbeatMS)
	if len(t.Errors) > 0 {
		w.errors(t.Errors)
	}
	if t.Index != nil {
		w.bin("item", t.Item)
		w.number("index", int64(*t.Index))
	}
	if t.Round != nil {
		w.number("round", int64(*t.Round))
		w.bin("previous", t.Previous)
	}
	if t.Fate != nil {
		w.bin("fate", t.Fate)
	}
	if t.Output != nil {
		w.bin("output", t.Output)
	}
	if t.Input != nil {
		w.bin("input", t.Input)
	}
	if len(t.References) > 0 {
		_ = w.EncodeString("references")
		_ = w.EncodeMapLen(len(t.References))
		for _, name := range keys(t.References) {
			_ = w.EncodeString(name)
			_ = w.EncodeMapLen(2)
			w.text("step", t.References[name].Step)
			w.number("bytes", t.References[name].Bytes)
		}
	}
}

func (w writer) errors(all map[string]worker.StepError) {
	_ = w.EncodeString("errors")
	_ = w.EncodeMapLen(len(all))
	for _, step := range keys(all) {
		e := all[step]
		_ = w.EncodeString(step)
		_ = w.EncodeMapLen(4)
		w.text("code", e.Code)
		w.text("message", e.Message)
		w.text("type", e.Type)
		w.number("attempt", int64(e.Attempt))
	}
}

func (r *reader) errors() map[string]worker.StepError {
	all := map[string]worker.StepError{}
	for n := read(r, (*msgpack.Decoder).DecodeMapLen); n > 0 && r.err == nil; n-- {
		step := r.text()
		var e worker.StepError
		r.fields(func(key []byte) bool {
			switch string(key) {
			case "code":
				e.Code = r.same()
			case "message":
				e.Message = r.text()
			case "type":
				e.Type = r.same()
			case "attempt":
				e.Attempt = read(r, (*msgpack.Decoder).DecodeUint32)
			default:
				return false
			}
			return true
		})
		all[step] = e
	}
	return all
}

func (r *reader) task() *worker.Task {
	t := &worker.Task{}
	r.fields(func(key []byte) bool {
		switch string(key) {
		case "token":
			t.Token = r.text()
		case "lease_expires_at":
			t.LeaseExpiresAt = r.same()
		case "workflow_id":
			t.WorkflowID = r.text()
		case "workflow_name":
			t.WorkflowName = r.same()
		case "step":
			t.Step = r.same()
		case "service_name":
			t.ServiceName = r.same()
		case "handler_name":
			t.HandlerName = r.same()
		case "attempt":
			t.Attempt = read(r, (*msgpack.Decoder).DecodeUint32)
		case "idempotency_key":
			t.IdempotencyKey = r.text()
		case "workflow_input":
			t.WorkflowInput = r.bytes()
		case "input_data":
			t.InputData = r.bytes()
		case "dependencies":
			r.bins(&t.Dependencies)
		case "object_keys":
			r.texts(&t.ObjectKeys)
		case "objects":
			t.Objects = r.objects()
		case "traceparent":
			t.TraceParent = r.text()
		case "timeout_ms":
			t.TimeoutMS = r.int()
		case "heartbeat_timeout_ms":
			t.HeartbeatMS = r.int()
		case "errors":
			t.Errors = r.errors()
		case "item":
			t.Item = r.bytes()
		case "index":
			n := int(r.int())
			t.Index = &n
		case "round":
			n := read(r, (*msgpack.Decoder).DecodeUint32)
			t.Round = &n
		case "previous":
			t.Previous = r.bytes()
		case "fate":
			t.Fate = r.bytes()
		case "output":
			t.Output = r.bytes()
		case "input":
			t.Input = r.bytes()
		case "references":
			t.References = r.references()
		default:
			return false
		}
		return true
	})
	return t
}

func (r *reader) references() map[string]worker.Reference {
	n := read(r, (*msgpack.Decoder).DecodeMapLen)
	if n <= 0 {
		return nil
	}
	all := map[string]worker.Reference{}
	for ; n > 0 && r.err == nil; n-- {
		name := r.text()
		var ref worker.Reference
		r.fields(func(key []byte) bool {
			switch string(key) {
			case "step":
				ref.Step = r.text()
			case "bytes":
				ref.Bytes = r.int()
			default:
				return false
			}
			return true
		})
		all[name] = ref
	}
	return all
}

func (r *reader) objects() map[string]worker.Object {
	n := read(r, (*msgpack.Decoder).DecodeMapLen)
	if n <= 0 {
		return nil
	}
	all := map[string]worker.Object{}
	for ; n > 0 && r.err == nil; n-- {
		key := r.text()
		var o worker.Object
		r.fields(func(key []byte) bool {
			switch string(key) {
			case "state":
				o.State = r.bytes()
			case "version":
				o.Version = r.uint()
			case "fence":
				o.Fence = r.uint()
			default:
				return false
			}
			return true
		})
		all[key] = o
	}
	return all
}

// EncodeMsgpack writes the message.
func (h *Heartbeat) EncodeMsgpack(enc *msgpack.Encoder) error {
	w := writer{enc}
	_ = w.EncodeMapLen(1)
	w.list("tokens", len(h.Tokens))
	for _, t := range h.Tokens {
		n := 1
		for _, there := range []bool{t.Details != nil, t.Log != nil} {
			if there {
				n++
			}
		}
		_ = w.EncodeMapLen(n)
		w.text("token", t.Token)
		if t.Details != nil {
			w.bin("details", t.Details)
		}
		if t.Log != nil {
			w.log(t.Log)
		}
	}
	return nil
}

// DecodeMsgpack reads the message.
func (h *Heartbeat) DecodeMsgpack(dec *msgpack.Decoder) error {
	r := readerOf(dec)
	r.fields(func(key []byte) bool {
		if string(key) != "tokens" {
			return false
		}
		r.each(func() { h.Tokens = append(h.Tokens, r.beat()) })
		return true
	})
	return r.err
}

func (r *reader) beat() (b Beat) {
	r.fields(func(key []byte) bool {
		switch string(key) {
		case "token":
			b.Token = r.text()
		case "details":
			if b.Details = r.bytes(); b.Details == nil {
				b.Details = json.RawMessage("null")
			}
		case "log":
			b.Log = r.log()
		default:
			return false
		}
		return true
	})
	return b
}
