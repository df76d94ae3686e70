package wire

import (
	"encoding/json"
	"strconv"

	"github.com/agnt5/agnt5d/internal/jsontext"
	"github.com/agnt5/agnt5d/worker"
)

// The appenders write by hand what travels often and what holds payloads: encoding/json would change their white space.

func appendPolled(b []byte, p *Polled) []byte {
	b = append(b, `{"tasks":[`...)
	for i, t := range p.Tasks {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTask(b, t)
	}
	b = append(b, `],"results":[`...)
	for i := range p.Results {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"token":`...)
		b = jsontext.AppendString(b, p.Results[i].Token)
		b = append(b, `,"code":`...)
		b = jsontext.AppendString(b, p.Results[i].Code)
		b = append(b, '}')
	}
	b = append(b, `],"cancelled":`...)
	b = appendStrings(b, p.Cancelled)
	return append(b, '}')
}

func appendTask(b []byte, t *worker.Task) []byte {
	text := func(key, v string) {
		b = append(b, key...)
		b = jsontext.AppendString(b, v)
	}
	b = append(b, '{')
	if t.Token != "" { // a push service gets none: its request is the lease
		text(`"token":`, t.Token)
		text(`,"lease_expires_at":`, t.LeaseExpiresAt)
		b = append(b, ',')
	}
	text(`"workflow_id":`, t.WorkflowID)
	text(`,"workflow_name":`, t.WorkflowName)
	text(`,"step":`, t.Step)
	text(`,"service_name":`, t.ServiceName)
	text(`,"handler_name":`, t.HandlerName)
	b = strconv.AppendUint(append(b, `,"attempt":`...), uint64(t.Attempt), 10)
	text(`,"idempotency_key":`, t.IdempotencyKey)
	b = appendRaw(append(b, `,"workflow_input":`...), t.WorkflowInput)
	b = appendRaw(append(b, `,"input_data":`...), t.InputData)
	b = appendRaws(append(b, `,"dependencies":`...), t.Dependencies)
	b = appendStrings(append(b, `,"object_keys":`...), t.ObjectKeys)
	b = append(b, `,"objects":{`...)
	for i, key := range keys(t.Objects) {
		if i > 0 {
			b = append(b, ',')
		}
		o := t.Objects[key]
		b = append(jsontext.AppendString(b, key), `:{"state":`...)
		b = appendRaw(b, o.State)
		b = strconv.AppendUint(append(b, `,"version":`...), o.Version, 10)
		b = strconv.AppendUint(append(b, `,"fence":`...), o.Fence, 10)
		b = append(b, '}')
	}
	b = append(b, '}')
	if t.TraceParent != "" {
		text(`,"traceparent":`, t.TraceParent)
	}
	if t.TimeoutMS != 0 {
		b = strconv.AppendInt(append(b, `,"timeout_ms":`...), t.TimeoutMS, 10)
	}
	if t.HeartbeatMS != 0 {
		b = strconv.AppendInt(append(b, `,"heartbeat_timeout_ms":`...), t.HeartbeatMS, 10)
	}
	if len(t.Errors) > 0 {
		b = appendErrors(append(b, `,"errors":`...), t.Errors)
	}
	if t.Index != nil {
		b = appendRaw(append(b, `,"item":`...), t.Item)
		b = strconv.AppendInt(append(b, `,"index":`...), int64(*t.Index), 10)
	}
	if t.Round != nil {
		b = strconv.AppendUint(append(b, `,"round":`...), uint64(*t.Round), 10)
		b = appendRaw(append(b, `,"previous":`...), t.Previous)
	}
	if len(t.References) > 0 {
		b = append(b, `,"references":{`...)
		for i, name := range keys(t.References) {
			if i > 0 {
				b = append(b, ',')
			}
			b = jsontext.AppendString(append(jsontext.AppendString(b, name), `:{"step":`...), t.References[name].Step)
			b = append(strconv.AppendInt(append(b, `,"bytes":`...), t.References[name].Bytes, 10), '}')
		}
		b = append(b, '}')
	}
	if t.Fate != nil {
		b = appendRaw(append(b, `,"fate":`...), t.Fate)
	}
	if t.Output != nil {
		b = appendRaw(append(b, `,"output":`...), t.Output)
	}
	if t.Input != nil {
		b = appendRaw(append(b, `,"input":`...), t.Input)
	}
	return append(b, '}')
}

func appendErrors(b []byte, all map[string]worker.StepError) []byte {
	b = append(b, '{')
	for i, step := range keys(all) {
		if i > 0 {
			b = append(b, ',')
		}
		e := all[step]
		b = jsontext.AppendString(append(jsontext.AppendString(b, step), `:{"code":`...), e.Code)
		b = jsontext.AppendString(append(b, `,"message":`...), e.Message)
		b = jsontext.AppendString(append(b, `,"type":`...), e.Type)
		b = append(strconv.AppendUint(append(b, `,"attempt":`...), uint64(e.Attempt), 10), '}')
	}
	return append(b, '}')
}

func appendPoll(b []byte, p *Poll) []byte {
	b = strconv.AppendUint(append(b, `{"seq":`...), p.Seq, 10)
	b = strconv.AppendInt(append(b, `,"max":`...), int64(p.Max), 10)
	b = strconv.AppendInt(append(b, `,"wait_ms":`...), p.WaitMS, 10)
	b = append(b, `,"outcomes":[`...)
	for i := range p.Outcomes {
		o := &p.Outcomes[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = jsontext.AppendString(append(b, `{"token":`...), o.Token)
		b = jsontext.AppendString(append(b, `,"status":`...), o.Status)
		if o.Output != nil {
			b = appendRaw(append(b, `,"output":`...), o.Output)
		}
		if len(o.Objects) > 0 {
			b = appendRaws(append(b, `,"objects":`...), o.Objects)
		}
		if o.Error != nil {
			e, _ := json.Marshal(o.Error) // strings and numbers only
			b = append(append(b, `,"error":`...), e...)
		}
		if o.Log != nil {
			b = strconv.AppendUint(append(b, `,"log":{"at":`...), o.Log.At, 10)
			b = append(jsontext.AppendString(append(b, `,"text":`...), o.Log.Text), '}')
		}
		b = append(b, '}')
	}
	return append(b, ']', '}')
}

func appendRaws(b []byte, m map[string]json.RawMessage) []byte {
	b = append(b, '{')
	for i, key := range keys(m) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRaw(append(jsontext.AppendString(b, key), ':'), m[key])
	}
	return append(b, '}')
}

func appendRaw(b []byte, raw json.RawMessage) []byte {
	if len(raw) == 0 {
		return append(b, "null"...)
	}
	return append(b, raw...)
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = jsontext.AppendString(b, s)
	}
	return append(b, ']')
}

// EncodeTask appends a task as JSON.
func EncodeTask(b []byte, t *worker.Task) []byte { return appendTask(b, t) }
