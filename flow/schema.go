package flow

import (
	"encoding/json"
	"regexp"
	"strings"
)

const namePattern = `([A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,127}|\.[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,126}|\.\.[A-Za-z0-9_.:-]{1,126})`

// object is a JSON object of the schema.
type object map[string]any

// Schema is the JSON Schema (draft 7, which editors know best) of a definition, as JSON or as YAML. Whatever Read takes, it
// takes; it refuses unknown and misplaced keys, wrong types, malformed names and durations, and numbers out of range. What needs
// more than one place at a time, such as the names in dependencies, only Read looks at. Editors show errorMessage and
// patternErrorMessage; to others they say nothing.
func Schema() []byte {
	defs := object{"step": stepSchema()}
	for _, t := range stepTypes {
		defs[string(t)] = typeSchema(t)
	}
	top := properties(infos(definitionKeys))
	doc := object{
		"$schema": "http://json-schema.org/draft-07/schema#", "title": "agnt5d workflow definition",
		"type": "object", "required": []string{"steps"}, "properties": top, "additionalProperties": false, "definitions": defs,
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		panic(err) // the tables are part of the program
	}
	return append(b, '\n')
}

// stepSchema has the keys that every step has, and says by its type which others.
func stepSchema() object {
	var common []keyInfo
	for _, k := range infos(stepKeys) {
		if k.steps == nil {
			common = append(common, k)
		}
	}
	var others []string
	cases := make([]object, 0, len(stepTypes))
	for _, t := range stepTypes {
		if t != TypeTask {
			others = append(others, string(t))
			cases = append(cases, object{"if": object{"properties": object{"type": object{"const": t}}, "required": []string{"type"}}, "then": ref(string(t))})
		}
	}
	isOther := object{"properties": object{"type": object{"enum": others}}, "required": []string{"type"}}
	cases = append(cases, object{"if": object{"not": isOther}, "then": ref(string(TypeTask))})
	return object{"type": "object", "required": required(common), "properties": properties(common), "allOf": cases}
}

// typeSchema has the keys of one type of step. Those of other types may stand there with nothing in them.
func typeSchema(t StepType) object {
	var own []keyInfo
	var foreign []string
	for _, k := range infos(stepKeys) {
		if k.belongs(t) {
			own = append(own, k)
		} else {
			foreign = append(foreign, k.spellings()...)
		}
	}
	props := properties(own)
	for _, k := range own {
		if k.steps == nil { // what it may be is said once
			props[k.name] = object{}
		}
	}
	return object{"title": "a " + string(t) + " step", "type": "object", "required": required(own), "properties": props, "additionalProperties": false,
		"patternProperties": object{"^(" + strings.Join(foreign, "|") + ")$": object{
			"enum": []any{nil, "", []any{}}, "errorMessage": "this key does not belong to a " + string(t) + " step"}}}
}

func ref(name string) object { return object{"$ref": "#/definitions/" + name} }

func required(keys []keyInfo) []string {
	names := []string{}
	for _, k := range keys {
		if k.required {
			names = append(names, k.name)
		}
	}
	return names
}

func properties(keys []keyInfo) object {
	props := object{}
	for _, k := range keys {
		s := k.schema()
		s["description"] = k.description()
		props[k.name] = s
		if k.kind == kindMS {
			short := strings.TrimSuffix(k.name, ms)
			props[short] = object{"type": []string{"string", "integer", "null"}, "minLength": 1, "pattern": durationPattern, "minimum": 0, "maximum": 0,
				"patternErrorMessage": "want whole numbers with the units w, d, h, m, s and ms, the largest first, such as 30s or 1h30m",
				"description":         k.description() + ". A duration: 30s, 1h30m, 2d", "examples": []string{"30s", "1h30m", "2d"}}
			s["description"] = k.description() + ". In milliseconds; " + short + " takes a duration such as 30s"
		}
	}
	return props
}

var link = regexp.MustCompile(` ?\(\[[^\]]*\]\([^)]*\)\)`)

// description is what an editor shows.
func (k *keyInfo) description() string {
	text := link.ReplaceAllString(k.doc, "")
	if k.limits != "" && k.kind != kindType {
		text += " (" + k.limits + ")"
	}
	if k.standard != "" {
		text += ". Default: " + k.standard
	}
	return strings.ReplaceAll(text, "`", "")
}

// schema is what the value of a key may be. null stands for a key that is not there.
func (k *keyInfo) schema() object {
	maybe := func(t string) any {
		if k.required {
			return t
		}
		return []string{t, "null"}
	}
	switch k.kind {
	case kindName:
		if !k.required {
			return object{"type": maybe("string"), "pattern": "^(" + namePattern + ")?$", "patternErrorMessage": wantName}
		}
		return object{"type": maybe("string"), "pattern": "^" + namePattern + "$", "patternErrorMessage": wantName}
	case kindStep:
		return object{"type": maybe("string"), "pattern": "^(" + namePattern + ")?$"}
	case kindType:
		var all []any
		for _, t := range stepTypes {
			all = append(all, t)
		}
		return object{"enum": append(all, nil)}
	case kindSteps:
		return object{"type": maybe("array"), "uniqueItems": true, "items": object{"type": "string", "pattern": "^" + namePattern + "$"}}
	case kindObjects:
		return object{"type": maybe("array"), "uniqueItems": true, "items": object{"type": "string", "minLength": 1, "maxLength": maxObjectKey, "pattern": `^(\.?[^.]|\.\.[\s\S])`}}
	case kindCount, kindMS:
		return object{"type": maybe("integer"), "minimum": k.least, "maximum": k.most}
	case kindFactor:
		return object{"type": maybe("number"), "minimum": k.least}
	case kindJSON:
		return object{}
	case kindObject:
		return object{"type": maybe("object"), "required": required(k.inner), "properties": properties(k.inner), "additionalProperties": false}
	case kindChoice:
		all := []any{"", nil}
		for _, one := range k.values {
			all = append(all, one)
		}
		return object{"enum": all}
	case kindExpression:
		return object{"type": maybe("string"), "maxLength": MaxExpression}
	case kindItems:
		return object{"type": []string{"array", "string", "null"}}
	case kindTolerance:
		return object{"anyOf": []any{object{"type": []string{"integer", "null"}, "minimum": 0}, object{"type": "string", "pattern": `^(|(0|[1-9][0-9]?|100)%)$`}}}
	case kindTemplate:
		return object{}
	case kindTemplates:
		return object{"anyOf": []any{object{"type": []string{"object", "null"}}, object{"const": ""}}}
	case kindBool:
		return object{"type": []string{"boolean", "null"}}
	case kindList:
		if !k.required {
			return object{"type": maybe("array"), "maxItems": MaxSteps, "items": ref("step")}
		}
		return object{"type": maybe("array"), "minItems": 1, "maxItems": MaxSteps, "items": ref("step")}
	}
	return object{"type": maybe("string")}
}
