package api

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/agnt5/agnt5d/schedules"
)

// schema gives the JSON Schema of a Go type; structs become components. What is sent to the daemon is closed, for it refuses
// what it does not know, and says what is checked; what it answers is open, for more may be added.
func (g *generator) schema(t reflect.Type, sent bool) object {
	switch {
	case t == reflect.TypeFor[definition]():
		return g.definition()
	case t == reflect.TypeFor[scheduleDefinition]():
		return g.scheduleDefinition()
	case t == reflect.TypeFor[json.RawMessage](), t == reflect.TypeFor[anyJSON](), t.Kind() == reflect.Interface:
		return object{"description": "any JSON"}
	case t == reflect.TypeFor[tagged]():
		one := kinds["tag"].schema()
		return object{"anyOf": []object{one, {"type": "array", "items": one, "minItems": 1}}}
	case t.Kind() == reflect.Pointer:
		return g.schema(t.Elem(), sent)
	case t.Kind() == reflect.Slice:
		return object{"type": "array", "items": g.schema(t.Elem(), sent)}
	case t.Kind() == reflect.Map:
		return object{"type": "object", "additionalProperties": g.schema(t.Elem(), sent)}
	case t.Kind() == reflect.String:
		return object{"type": "string"}
	case t.Kind() == reflect.Bool:
		return object{"type": "boolean"}
	case t.Kind() == reflect.Float64:
		return object{"type": "number"}
	case t.Kind() == reflect.Struct:
		return g.component(t, sent)
	}
	s := object{"type": "integer", "format": "int64"}
	if t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64 {
		s["minimum"] = 0
	}
	return s
}

// componentName says how a component is called. Programs are generated from the document, and some names are taken there.
func componentName(t reflect.Type) string {
	name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	switch {
	case strings.HasSuffix(t.PkgPath(), "/worker"), strings.HasSuffix(t.PkgPath(), "/wire"): // package model has a Task, too
		return "Worker" + name
	case name == "Object":
		return "ObjectState"
	}
	return name
}

func (g *generator) component(t reflect.Type, sent bool) object {
	name := componentName(t)
	ref := object{"$ref": "#/components/schemas/" + name}
	if _, known := g.schemas[name]; known {
		return ref
	}
	g.schemas[name] = nil // a type that holds itself ends here
	props, required := object{}, []string{}
	for _, f := range reflect.VisibleFields(t) { // those of embedded structs, too
		key, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || key == "-" || key == "" {
			continue
		}
		k := fields[name+"."+key]
		if k != nil {
			props[key] = k.schema()
		} else {
			props[key] = g.schema(f.Type, sent)
		}
		if sent && k != nil && k.Needed || !sent && opts != "omitempty" {
			required = append(required, key)
		}
	}
	s := object{"type": "object"}
	if len(props) > 0 {
		s["properties"] = props
	}
	if sent {
		s["additionalProperties"] = false
	}
	if len(required) > 0 {
		s["required"] = required
	}
	g.schemas[name] = s
	return ref
}

// definition is a workflow's definition. /schema/workflow.json has all of it, for editors.
func (g *generator) definition() object {
	g.schemas["Definition"] = object{"type": "object", "required": []string{"steps"}, "externalDocs": object{"url": "/schema/workflow.json"},
		"description": "A definition, as /schema/workflow.json says it.",
		"properties":  object{"steps": object{"type": "array", "minItems": 1, "items": object{"type": "object", "required": []string{"name"}, "properties": object{"name": kinds["name"].schema()}}}}}
	return object{"$ref": "#/components/schemas/Definition"}
}

// scheduleDefinition is a schedule's definition. docs/schedules.md says what each key means.
func (g *generator) scheduleDefinition() object {
	text, list := object{"type": "string"}, func(of object) object { return object{"type": "array", "items": of} }
	number := object{"type": "integer", "format": "int64", "minimum": 0}
	moment := object{"type": "string", "format": "date-time"}
	either := func(a, b object) object { return object{"anyOf": []object{a, b}} }
	g.schemas["ScheduleDefinition"] = object{"type": "object", "required": []string{"workflow"}, "additionalProperties": false, "properties": object{
		"name": kinds["name"].schema(), "workflow": kinds["name"].schema(), "version": kinds["version"].schema(),
		"cron": either(text, list(text)), "every": text, "every_ms": number, "at": either(moment, list(moment)), "time_zone": text,
		"dst": object{"type": "object", "additionalProperties": false, "properties": object{"gap": object{"type": "string", "enum": schedules.Gaps},
			"overlap": object{"type": "string", "enum": schedules.DSTOverlaps}}},
		"overlap":  object{"type": "string", "enum": schedules.Overlaps},
		"catch_up": object{"type": "object", "additionalProperties": false, "properties": object{"window": text, "window_ms": number, "max": number}},
		"jitter":   text, "jitter_ms": number,
		"exclude":  list(object{"type": "object", "additionalProperties": false, "properties": object{"dates": either(text, list(text)), "cron": text}}),
		"start_at": moment, "end_at": moment, "max_runs": number, "input": object{"description": "any JSON"},
		"tags": object{"type": "object", "additionalProperties": text}, "paused": object{"type": "boolean"}, "note": text}}
	return object{"$ref": "#/components/schemas/ScheduleDefinition"}
}
