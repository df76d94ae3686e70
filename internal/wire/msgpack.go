package wire

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/worker"
)

func appendMsgpack(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case *Register:
		b = event.AppendMap(b, 7)
		b = text(b, "service_name", v.ServiceName)
		b = text(b, "service_version", v.ServiceVersion)
		b = texts(b, "handlers", v.Handlers)
		b = number(b, "capacity", int64(v.Capacity))
		b = bins(b, "workflows", v.Workflows)
		b = text(b, "worker_id", v.WorkerID)
		b = texts(b, "tokens", v.Tokens)
	case *Registered:
		b = event.AppendMap(b, 5)
		b = text(b, "worker_id", v.WorkerID)
		b = number(b, "heartbeat_ms", v.HeartbeatMS)
		b = number(b, "lease_ms", v.LeaseMS)
		b = number(b, "max_wait_ms", v.MaxWaitMS)
		b = texts(b, "lost", v.Lost)
	case *Poll:
		b = event.AppendMap(b, 4)
		b = number(b, "seq", int64(v.Seq))
		b = number(b, "max", int64(v.Max))
		b = number(b, "wait_ms", v.WaitMS)
		b = event.AppendArray(event.AppendString(b, "outcomes"), len(v.Outcomes))
		for i := range v.Outcomes {
			b = packOutcome(b, &v.Outcomes[i])
		}
	case *Polled:
		b = event.AppendMap(b, 3)
		b = event.AppendArray(event.AppendString(b, "tasks"), len(v.Tasks))
		for _, t := range v.Tasks {
			b = packTask(b, t)
		}
		b = event.AppendArray(event.AppendString(b, "results"), len(v.Results))
		for i := range v.Results {
			b = event.AppendMap(b, 2)
			b = text(b, "token", v.Results[i].Token)
			b = text(b, "code", v.Results[i].Code)
		}
		b = texts(b, "cancelled", v.Cancelled)
	case *Heartbeat:
		b = event.AppendMap(b, 1)
		b = event.AppendArray(event.AppendString(b, "tokens"), len(v.Tokens))
		for _, t := range v.Tokens {
			if t.Details == nil {
				b = text(event.AppendMap(b, 1), "token", t.Token)
				continue
			}
			b = text(event.AppendMap(b, 2), "token", t.Token)
			b = bin(b, "details", t.Details)
		}
	case *Beaten:
		b = texts(event.AppendMap(b, 1), "gone", v.Gone)
	default:
		return b, fmt.Errorf("%T has no msgpack form", v)
	}
	return b, nil
}

func text(b []byte, key, v string) []byte {
	return event.AppendString(event.AppendString(b, key), v)
}

func number(b []byte, key string, v int64) []byte {
	return event.AppendInt(event.AppendString(b, key), v)
}

func bin(b []byte, key string, v []byte) []byte {
	return event.AppendBin(event.AppendString(b, key), v)
}

func texts(b []byte, key string, list []string) []byte {
	b = event.AppendArray(event.AppendString(b, key), len(list))
	for _, s := range list {
		b = event.AppendString(b, s)
	}
	return b
}

func bins(b []byte, key string, m map[string]json.RawMessage) []byte {
	b = event.AppendMap(event.AppendString(b, key), len(m))
	for _, k := range keys(m) {
		b = bin(b, k, m[k])
	}
	return b
}

// keys gives the keys of a map in order.
func keys[T any](m map[string]T) []string {
	if len(m) == 0 {
		return nil
	}
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

func packTask(b []byte, t *worker.Task) []byte {
	b = event.AppendMap(b, 17)
	b = text(b, "token", t.Token)
	b = text(b, "lease_expires_at", t.LeaseExpiresAt)
	b = text(b, "workflow_id", t.WorkflowID)
	b = text(b, "workflow_name", t.WorkflowName)
	b = text(b, "step", t.Step)
	b = text(b, "service_name", t.ServiceName)
	b = text(b, "handler_name", t.HandlerName)
	b = number(b, "attempt", int64(t.Attempt))
	b = text(b, "idempotency_key", t.IdempotencyKey)
	b = bin(b, "workflow_input", t.WorkflowInput)
	b = bin(b, "input_data", t.InputData)
	b = bins(b, "dependencies", t.Dependencies)
	b = texts(b, "object_keys", t.ObjectKeys)
	b = event.AppendMap(event.AppendString(b, "objects"), len(t.Objects))
	for _, key := range keys(t.Objects) {
		o := t.Objects[key]
		b = event.AppendMap(event.AppendString(b, key), 3)
		b = bin(b, "state", o.State)
		b = number(b, "version", int64(o.Version))
		b = number(b, "fence", int64(o.Fence))
	}
	b = text(b, "traceparent", t.TraceParent)
	b = number(b, "timeout_ms", t.TimeoutMS)
	return number(b, "heartbeat_timeout_ms", t.HeartbeatMS)
}

func packOutcome(b []byte, o *worker.Outcome) []byte {
	n := 3
	if len(o.Objects) > 0 {
		n++
	}
	if o.Error != nil {
		n++
	}
	b = event.AppendMap(b, n)
	b = text(b, "token", o.Token)
	b = text(b, "status", o.Status)
	b = bin(b, "output", o.Output)
	if len(o.Objects) > 0 {
		b = bins(b, "objects", o.Objects)
	}
	if e := o.Error; e != nil {
		b = event.AppendString(b, "error")
		n := 5
		if e.Retryable != nil {
			n++
		}
		b = event.AppendMap(b, n)
		b = text(b, "message", e.Message)
		b = text(b, "code", e.Code)
		b = text(b, "type", e.Type)
		b = text(b, "stack", e.Stack)
		b = number(b, "retry_after_ms", e.RetryAfterMS)
		if e.Retryable != nil {
			b = event.AppendBool(event.AppendString(b, "retryable"), *e.Retryable)
		}
	}
	return b
}

// unpacker reads a body. The first error sticks.
type unpacker struct {
	*event.Reader
	lenient bool // an answer: a field that is not known is passed over
	left    int  // elements of lists and maps that a request may still have; below 0 from the start: no bound
	err     error
	known   map[string]string
}

// same reads a string of which there are few in a body: names, codes.
func (u *unpacker) same() string {
	b := u.Text()
	s, ok := u.known[string(b)]
	if !ok && len(b) > 0 {
		if u.known == nil {
			u.known = map[string]string{}
		}
		s = string(b)
		u.known[s] = s
	}
	return s
}

func readMsgpack(b []byte, v any) error {
	u := &unpacker{Reader: event.NewReader(b), lenient: answer(v), left: maxElements}
	if u.lenient { // the worker has asked for it
		u.left = -1
	}
	u.message(v)
	switch {
	case u.err != nil:
		return u.err
	case u.Err() != nil:
		return fmt.Errorf("msgpack: %w", u.Err())
	case u.Len() > 0:
		return fmt.Errorf("msgpack: there is something after the value")
	}
	return nil
}

// fields reads a map and hands each key to field, which reads its value, or says that it knows no such field.
func (u *unpacker) fields(field func(key []byte) bool) {
	var room [20][]byte
	seen := room[:0]
	for n := u.Map(); n > 0 && u.Err() == nil && u.err == nil; n-- {
		key := u.Text()
		for _, k := range seen {
			if u.err == nil && string(k) == string(key) {
				u.err = fmt.Errorf("%q stands there twice", key)
				return
			}
		}
		seen = append(seen, key)
		switch {
		case u.Err() != nil || field(key) || u.err != nil:
		case u.lenient:
			u.Skip()
		default:
			u.err = fmt.Errorf("unknown field %q", worker.Cut(string(key), maxShown))
		}
	}
}

// count takes n elements from what the request may have.
func (u *unpacker) count(n int) int {
	if u.left < 0 {
		return n
	}
	if u.left -= n; u.left < 0 {
		u.left = 0
		if u.err == nil {
			u.err = tooMany()
		}
		return 0
	}
	return n
}

func (u *unpacker) each(fn func()) {
	for n := u.count(u.Array()); n > 0 && u.Err() == nil && u.err == nil; n-- {
		fn()
	}
}

func (u *unpacker) texts(into *[]string) { u.each(func() { *into = append(*into, u.String()) }) }

// bins reads a map of payloads, nil as an empty one.
func (u *unpacker) bins(into *map[string]json.RawMessage) {
	n := u.count(u.Map())
	if n == 0 {
		return
	}
	m := make(map[string]json.RawMessage, min(n, 64))
	for ; n > 0 && u.Err() == nil; n-- {
		key := u.same()
		if _, twice := m[key]; twice && u.Err() == nil {
			u.err = fmt.Errorf("%q stands there twice", worker.Cut(key, maxShown))
			return
		}
		m[key] = u.Bin()
	}
	*into = m
}

func (u *unpacker) int(field []byte) int {
	v := u.Int()
	if v > 1<<31 || v < -1<<31 {
		u.err = fmt.Errorf("%s: %d is out of range", field, v)
		return 0
	}
	return int(v)
}

func (u *unpacker) message(v any) {
	switch v := v.(type) {
	case *Register:
		u.fields(func(key []byte) bool {
			switch string(key) {
			case "service_name":
				v.ServiceName = u.String()
			case "service_version":
				v.ServiceVersion = u.String()
			case "handlers":
				u.texts(&v.Handlers)
			case "capacity":
				v.Capacity = u.int(key)
			case "workflows":
				u.bins(&v.Workflows)
			case "worker_id":
				v.WorkerID = u.String()
			case "tokens":
				u.texts(&v.Tokens)
			default:
				return false
			}
			return true
		})
	case *Registered:
		u.fields(func(key []byte) bool {
			switch string(key) {
			case "worker_id":
				v.WorkerID = u.String()
			case "heartbeat_ms":
				v.HeartbeatMS = u.Int()
			case "lease_ms":
				v.LeaseMS = u.Int()
			case "max_wait_ms":
				v.MaxWaitMS = u.Int()
			case "lost":
				u.texts(&v.Lost)
			default:
				return false
			}
			return true
		})
	case *Poll:
		u.fields(func(key []byte) bool {
			switch string(key) {
			case "seq":
				v.Seq = u.Uint()
			case "max":
				v.Max = u.int(key)
			case "wait_ms":
				v.WaitMS = u.Int()
			case "outcomes":
				u.each(func() { v.Outcomes = append(v.Outcomes, u.outcome()) })
			default:
				return false
			}
			return true
		})
	case *Polled:
		u.fields(func(key []byte) bool {
			switch string(key) {
			case "tasks":
				u.each(func() { v.Tasks = append(v.Tasks, u.task()) })
			case "results":
				u.each(func() { v.Results = append(v.Results, u.result()) })
			case "cancelled":
				u.texts(&v.Cancelled)
			default:
				return false
			}
			return true
		})
	case *Heartbeat:
		u.fields(func(key []byte) bool {
			if string(key) != "tokens" {
				return false
			}
			u.each(func() { v.Tokens = append(v.Tokens, u.beat()) })
			return true
		})
	case *Beaten:
		u.fields(func(key []byte) bool {
			if string(key) != "gone" {
				return false
			}
			u.texts(&v.Gone)
			return true
		})
	default:
		u.err = fmt.Errorf("%T has no msgpack form", v)
	}
}

func (u *unpacker) outcome() (o worker.Outcome) {
	u.fields(func(key []byte) bool {
		switch string(key) {
		case "token":
			o.Token = u.String()
		case "status":
			o.Status = u.same()
		case "output":
			o.Output = u.Bin()
		case "objects":
			u.bins(&o.Objects)
		case "error":
			o.Error = u.failure()
		default:
			return false
		}
		return true
	})
	return o
}

func (u *unpacker) failure() *worker.Error {
	e := &worker.Error{}
	u.fields(func(key []byte) bool {
		switch string(key) {
		case "message":
			e.Message = u.String()
		case "code":
			e.Code = u.String()
		case "type":
			e.Type = u.String()
		case "stack":
			e.Stack = u.String()
		case "retryable":
			v := u.Bool()
			e.Retryable = &v
		case "retry_after_ms":
			e.RetryAfterMS = u.Int()
		default:
			return false
		}
		return true
	})
	return e
}

func (u *unpacker) beat() (b Beat) {
	u.fields(func(key []byte) bool {
		switch string(key) {
		case "token":
			b.Token = u.String()
		case "details":
			if b.Details = u.Bin(); b.Details == nil {
				b.Details = json.RawMessage("null")
			}
		default:
			return false
		}
		return true
	})
	return b
}

func (u *unpacker) result() (r worker.Result) {
	u.fields(func(key []byte) bool {
		switch string(key) {
		case "token":
			r.Token = u.String()
		case "code":
			r.Code = u.same()
		default:
			return false
		}
		return true
	})
	return r
}

func (u *unpacker) task() *worker.Task {
	t := &worker.Task{}
	u.fields(func(key []byte) bool {
		switch string(key) {
		case "token":
			t.Token = u.String()
		case "lease_expires_at":
			t.LeaseExpiresAt = u.same()
		case "workflow_id":
			t.WorkflowID = u.String()
		case "workflow_name":
			t.WorkflowName = u.same()
		case "step":
			t.Step = u.same()
		case "service_name":
			t.ServiceName = u.same()
		case "handler_name":
			t.HandlerName = u.same()
		case "attempt":
			t.Attempt = uint32(u.int(key))
		case "idempotency_key":
			t.IdempotencyKey = u.String()
		case "workflow_input":
			t.WorkflowInput = u.Bin()
		case "input_data":
			t.InputData = u.Bin()
		case "dependencies":
			u.bins(&t.Dependencies)
		case "object_keys":
			u.texts(&t.ObjectKeys)
		case "objects":
			u.objects(t)
		case "traceparent":
			t.TraceParent = u.String()
		case "timeout_ms":
			t.TimeoutMS = u.Int()
		case "heartbeat_timeout_ms":
			t.HeartbeatMS = u.Int()
		default:
			return false
		}
		return true
	})
	return t
}

func (u *unpacker) objects(t *worker.Task) {
	for n := u.Map(); n > 0 && u.Err() == nil; n-- {
		if t.Objects == nil {
			t.Objects = map[string]worker.Object{}
		}
		key := u.String()
		var o worker.Object
		u.fields(func(key []byte) bool {
			switch string(key) {
			case "state":
				o.State = u.Bin()
			case "version":
				o.Version = u.Uint()
			case "fence":
				o.Fence = u.Uint()
			default:
				return false
			}
			return true
		})
		t.Objects[key] = o
	}
}
