package flow

// notYet names the keys that can be read, checked and drawn and that the engine cannot run, each with the end of a sentence.
// A definition that uses one is refused. Who teaches the engine one takes it out of here.
var notYet = map[string]string{}

// notYet refuses what the engine cannot run of a step.
func (v *validator) notYet(i int, s *Step) {
	if len(notYet) == 0 {
		return
	}
	for n := range stepKeys {
		k := &stepKeys[n]
		if k.name == "join" && s.Join == JoinAll || !k.given(s) {
			continue
		}
		if what, cannot := notYet[k.name]; cannot {
			v.add(i, v.keyPlace(i, k.name), CodeNotSupported, "%s: this release cannot run %s", k.name, what)
		}
	}
}

func (v *validator) notYetWhole() {
	for n := range definitionKeys {
		k := &definitionKeys[n]
		if what, cannot := notYet["the run's "+k.name]; cannot && k.given(v.d) {
			v.add(whole, v.keyPlace(whole, k.name), CodeNotSupported, "%s: this release cannot run %s", k.name, what)
		}
	}
}
